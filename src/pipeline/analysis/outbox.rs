//! What the filters of a thread inject, on its way into the journal.
//!
//! All filters of a thread share one batch; each is a source of it, with the entry and message it
//! had completed. What one call injects is never split over two entries.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::life::Life;
use crate::journal::Error;
use crate::journal::Journal;
use crate::journal::Position;
use crate::message::Batch;
use crate::message::Source;
use crate::message::SourcePosition;
use crate::stdx::sync::Instant;
use crate::stdx::sync::atomic::AtomicBool;
use crate::stdx::sync::thread;

/// How long an injected message may wait for others.
const LINGER: Duration = Duration::from_millis(5);
/// How long to wait before trying again when the journal has no room.
const FULL_PAUSE: Duration = Duration::from_millis(100);

/// The message number that stands for "all of the entry, timers included".
pub(super) const WHOLE_ENTRY: u32 = u32::MAX;

/// A place a filter has completed: entry, and message in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Mark {
    pub(super) entry: u64,
    pub(super) message: u32,
}

impl Mark {
    /// As a position of the filter as a source.
    fn position(self) -> SourcePosition {
        SourcePosition { offset: self.entry, detail: self.message.to_le_bytes().as_slice().into() }
    }

    /// What [`Mark::position`] was made of.
    pub(super) fn of(position: &SourcePosition) -> Mark {
        let message = (*position.detail).try_into().map_or(WHOLE_ENTRY, u32::from_le_bytes);
        Mark { entry: position.offset, message }
    }
}

/// Injected messages that are not appended yet.
pub(super) struct Outbox {
    journal: Journal,
    pub(super) batch: Batch,
    opened: Option<Instant>,
    appended: Position,
    /// Set when a stop has waited long enough for room in the journal.
    is_abandoned: Arc<AtomicBool>,
    life: Arc<Life>,
    /// Something could not be appended: nothing later may be, nor any snapshot be kept, so that a
    /// replay injects it all.
    is_broken: bool,
}

impl Outbox {
    pub(super) fn new(journal: Journal, is_abandoned: Arc<AtomicBool>, life: Arc<Life>) -> Outbox {
        Outbox {
            journal,
            batch: Batch::new(),
            opened: None,
            appended: Position::default(),
            is_abandoned,
            life,
            is_broken: false,
        }
    }

    /// Tells whether injections were given up, to come again in a replay.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The thread whose it is.
    pub(super) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// Notes that `source` has injected something when it completed `mark`.
    pub(super) fn reached(&mut self, source: &Source, mark: Mark) {
        self.opened.get_or_insert_with(Instant::now);
        self.batch.reach(source, mark.position());
    }

    /// Tells whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.opened.is_none()
    }

    /// When what waits is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.opened.map(|opened| opened + LINGER)
    }

    /// The last entry that was appended.
    pub(super) fn appended(&self) -> Position {
        self.appended
    }

    /// Appends when the batch is full.
    pub(super) fn append_if_full(&mut self) {
        if self.batch.is_full() {
            self.append();
        }
    }

    /// Appends when the batch is full or due.
    pub(super) fn append_if_due(&mut self) {
        if self.batch.is_full() || self.deadline().is_some_and(|due| Instant::now() >= due) {
            self.append();
        }
    }

    /// Appends what waits. Where the journal has no room for injections, waits until it has: the
    /// filters of this thread read nothing meanwhile.
    #[allow(clippy::result_large_err, reason = "a batch comes back once in a while")]
    pub(super) fn append(&mut self) {
        if self.opened.is_none() {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        let mut is_reported = false;
        loop {
            if self.is_broken {
                break;
            }
            let Some(result) = self.life.unless_cut_off(|| self.journal.append_injected(batch))
            else {
                // The filters go on in another thread, where all of this comes again.
                self.is_broken = true;
                break;
            };
            match result {
                Ok(position) => {
                    self.appended = position;
                    break;
                }
                Err((Error::Full { .. }, rejected)) => {
                    if !is_reported {
                        tracing::error!(
                            "the journal has no room: filters wait with what they inject"
                        );
                        is_reported = true;
                    }
                    batch = rejected;
                    self.is_broken = self.is_abandoned.load(Ordering::Acquire);
                    if !self.is_broken {
                        thread::park_timeout(FULL_PAUSE);
                    }
                }
                Err((Error::Closing, _)) => {
                    self.is_broken = true;
                    break;
                }
                Err((error, rejected)) => {
                    let messages = rejected.len();
                    tracing::error!(%error, messages, "cannot append what filters injected");
                    break;
                }
            }
        }
        self.opened = None;
    }
}
