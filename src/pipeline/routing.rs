//! One index for all matchers, and which of its rows belongs to whom.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::matcher::Index;
use crate::matcher::Matcher;
use crate::matcher::Row;
use crate::message::Batch;

/// The matchers of all filters and outputs at one time.
pub(super) struct Routing {
    index: Index,
    rows: HashMap<Arc<str>, usize>,
    matchers: Vec<Matcher>,
}

impl Routing {
    /// Builds the index of these readers: name, matcher and demanded signer.
    pub(super) fn new(readers: Vec<(Arc<str>, Matcher, Option<String>)>) -> Routing {
        let mut rows = HashMap::new();
        let mut matchers = Vec::new();
        let mut table = Vec::new();
        for (number, (name, matcher, signer)) in readers.into_iter().enumerate() {
            rows.insert(name, number);
            matchers.push(matcher.clone());
            table.push(Row { matcher, signer });
        }
        Routing { index: Index::new(table), rows, matchers }
    }

    /// The row of a reader.
    pub(super) fn row(&self, name: &str) -> Option<usize> {
        self.rows.get(name).copied()
    }

    /// The matcher in a row.
    pub(super) fn matcher(&self, row: usize) -> &Matcher {
        &self.matchers[row]
    }

    /// What all matchers say of a batch; the answer of others is left alone.
    pub(super) fn matches_aside(&self, batch: &Batch) -> crate::matcher::Matches {
        self.index.compute(batch)
    }

    /// What all matchers say of a batch; worked out by the first who asks.
    pub(super) fn matches(&self, batch: &Batch) -> Arc<crate::matcher::Matches> {
        self.index.evaluate(batch)
    }
}
