//! The memory of batches that nobody needs any more, for those to come.
//!
//! A batch is written by one thread and given up by another; through the allocator its memory
//! would come back late, and as pages that the kernel has to fill with zeros first.

use std::sync::Arc;
use std::sync::PoisonError;

use super::entry::Body;
use super::state::Held;
use crate::message::Batch;
use crate::stdx::sync::Mutex;

/// At most so many batches are kept.
const MAX_BATCHES: usize = 32;

/// Empty batches with room in them.
#[derive(Debug)]
pub(super) struct Spares {
    batches: Mutex<Vec<Batch>>,
    max_bytes: usize,
}

impl Spares {
    /// Keeps batches with room for so many bytes together.
    pub(super) fn new(max_bytes: u64) -> Spares {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        Spares { batches: Mutex::default(), max_bytes }
    }

    /// An empty batch, if there is one.
    pub(super) fn take(&self) -> Option<Batch> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Gives all of them up.
    pub(super) fn clear(&self) {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Keeps what can be used again of entries that are given up.
    pub(super) fn keep(&self, given_up: Vec<Held>) {
        let emptied =
            given_up.into_iter().filter_map(|held| match Arc::into_inner(held.entry)?.body {
                Body::Batch(batch) => Some(batch.emptied()),
                Body::Tick | Body::Note(_) => None,
            });
        let emptied: Vec<_> = emptied.take(MAX_BATCHES).collect();
        if emptied.is_empty() {
            return;
        }
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes: usize = batches.iter().map(Batch::footprint).sum();
        for batch in emptied {
            let more = batch.footprint();
            if batches.len() < MAX_BATCHES && bytes + more <= self.max_bytes {
                bytes += more;
                batches.push(batch);
            }
        }
    }
}
