//! Tells tasks how far the journal has got.
//!
//! The journal calls back from its own threads; here that becomes something a task can wait for.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::journal::Journal;
use crate::journal::Position;

/// How far the journal has been synced, as it moves.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    journal: Journal,
    moved: Arc<Notify>,
}

impl Progress {
    /// Follows `journal`.
    pub(super) fn follow(journal: &Journal) -> Progress {
        let moved = Arc::new(Notify::new());
        let told = moved.clone();
        journal.subscribe_durable(Arc::new(move || told.notify_waiters()));
        Progress { journal: journal.clone(), moved }
    }

    /// Waits until the entry at `position` is durable.
    pub(super) async fn durable(&self, position: Position) {
        self.journal.want_durable(position);
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.journal.durable() >= position {
                return;
            }
            moved.await;
        }
    }
}
