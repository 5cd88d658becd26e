//! Many matchers, asked at once.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::Matcher;
use crate::message::Batch;

/// One who wants messages: what they must match, and who must have signed them.
#[derive(Clone, Debug)]
pub struct Row {
    /// What the messages must match.
    pub matcher: Matcher,
    /// Who must have signed them; nobody in particular when `None` or empty.
    pub signer: Option<String>,
}

/// The matchers of all readers, asked at once for a batch.
#[derive(Debug)]
pub struct Index {
    generation: u64,
    rows: Vec<Row>,
}

static GENERATIONS: AtomicU64 = AtomicU64::new(1);

impl Index {
    /// Builds the index; the number of a row is its id.
    #[must_use]
    pub fn new(rows: Vec<Row>) -> Index {
        Index { generation: GENERATIONS.fetch_add(1, Ordering::Relaxed), rows }
    }

    /// A number that no other index of this process has.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Which messages of the batch every row matches.
    ///
    /// The first to ask evaluates and leaves the answer with the batch, the others find it there.
    #[must_use]
    pub fn evaluate(&self, batch: &Batch) -> Arc<Matches> {
        let left = batch.answer().left(self.generation);
        if let Some(matches) = left.and_then(|left| left.downcast::<Matches>().ok()) {
            return matches;
        }
        let matches = Arc::new(self.compute(batch));
        batch.answer().leave(self.generation, matches.clone());
        matches
    }

    fn compute(&self, batch: &Batch) -> Matches {
        let rows = self.rows.iter().map(|row| {
            let signer = row.signer.as_deref().filter(|signer| !signer.is_empty());
            let number = |index: usize| u16::try_from(index).ok();
            (0..batch.len())
                .filter(|&index| {
                    signer.is_none_or(|signer| {
                        batch.signer(index).is_some_and(|found| **found == *signer)
                    }) && row.matcher.matches(&batch.message(index))
                })
                .filter_map(number)
                .collect()
        });
        Matches { rows: rows.collect() }
    }
}

/// What every row of an index matches in one batch.
#[derive(Debug)]
pub struct Matches {
    rows: Vec<Vec<u16>>,
}

impl Matches {
    /// The indices of the messages that row `id` matches, ascending; none for a row there is not.
    #[must_use]
    pub fn of(&self, id: usize) -> &[u16] {
        self.rows.get(id).map_or(&[], Vec::as_slice)
    }

    /// Tells whether row `id` matches nothing in the batch.
    #[must_use]
    pub fn is_empty_for(&self, id: usize) -> bool {
        self.of(id).is_empty()
    }
}
