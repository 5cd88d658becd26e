//! The open batch of a decode thread, and when it is appended.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::oneshot;

use super::stream::Stream;
use crate::journal::Error;
use crate::journal::Journal;
use crate::journal::Position;
use crate::message::Batch;
use crate::message::Source;
use crate::message::SourcePosition;

/// How long a message may wait for others.
const LINGER: Duration = Duration::from_millis(5);

/// The batch that is being filled.
pub(super) struct Open {
    pub(super) batch: Batch,
    journal: Journal,
    /// Sources whose position is not yet in the batch.
    reached: Vec<Reached>,
    opened: Option<Instant>,
    /// Datagrams are in it, and more may be lost while it waits.
    is_hurried: bool,
    last: Position,
    /// Who waits for the batch to be appended.
    waiting: Vec<oneshot::Sender<Position>>,
    /// How many batches the journal has not taken.
    refused: u64,
    /// The reader for which the journal stops the engine, once it does.
    halted: Halted,
}

/// Set when the journal is full and the reader furthest behind says `shutdown`: its name.
pub(super) type Halted = Arc<std::sync::OnceLock<Arc<str>>>;

struct Reached {
    stream: u64,
    source: Source,
    position: SourcePosition,
}

impl Open {
    pub(super) fn new(journal: Journal, halted: Halted) -> Open {
        Open {
            batch: Batch::new(),
            journal,
            reached: Vec::new(),
            opened: None,
            is_hurried: false,
            last: Position::default(),
            waiting: Vec::new(),
            refused: 0,
            halted,
        }
    }

    /// When the batch is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.opened.map(|opened| opened + LINGER)
    }

    /// Notes that something was written, or passed over, up to the stream's position.
    pub(super) fn touch(&mut self, number: u64, stream: &Stream) {
        if self.opened.is_none() {
            self.opened = Some(Instant::now());
        }
        let Some(source) = &stream.plan.source else { return };
        match self.reached.iter_mut().rev().find(|reached| reached.stream == number) {
            Some(reached) => {
                reached.position.offset = stream.position.offset;
                if !Arc::ptr_eq(&reached.position.detail, &stream.position.detail) {
                    reached.position.detail = stream.position.detail.clone();
                }
            }
            None => self.reached.push(Reached {
                stream: number,
                source: source.clone(),
                position: stream.position.clone(),
            }),
        }
    }

    /// Notes that something whole has come, a datagram for all that is known.
    pub(super) fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// Appends the batch when it is full.
    pub(super) fn append_if_full(&mut self) {
        if self.batch.is_full() {
            self.append();
        }
    }

    /// Appends the batch when so many bytes more would fill it.
    pub(super) fn make_room(&mut self, bytes: usize) {
        if self.batch.bytes().len() + bytes > Batch::MAX_BYTES {
            self.append();
        }
    }

    /// How many batches the journal has not taken.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Says where the last entry is when what there is has been appended; nothing when it is not.
    pub(super) fn promise(&mut self, appended: oneshot::Sender<Position>) {
        if self.opened.is_none() {
            let _ = appended.send(self.last);
        } else {
            self.waiting.push(appended);
        }
    }

    /// Appends what there is; says where the last entry is.
    pub(super) fn append_now(&mut self) -> Position {
        self.append();
        self.last
    }

    /// Appends the batch, unless there is nothing in it.
    pub(super) fn append(&mut self) {
        if self.opened.take().is_none() {
            return;
        }
        let fresh = self.journal.spare().unwrap_or_else(|| Batch::sized_like(&self.batch));
        let mut batch = std::mem::replace(&mut self.batch, fresh);
        for reached in self.reached.drain(..) {
            batch.reach(&reached.source, reached.position);
        }
        if batch.is_empty() && batch.reached().is_empty() {
            self.keep_promises();
            return;
        }
        let messages = batch.len();
        if self.halted.get().is_some() {
            // Nothing later may be appended than what was refused: its source has it still.
            self.refuse();
            return;
        }
        let appended = if std::mem::take(&mut self.is_hurried) {
            self.journal.append_hurried(batch)
        } else {
            self.journal.append(batch)
        };
        match appended {
            Ok(position) => {
                self.last = position;
                self.keep_promises();
                return;
            }
            Err(Error::Closing) => {
                tracing::debug!(messages, "stopped before the last batch: its source has it still");
            }
            Err(Error::Full { reader }) => {
                let _ = self.halted.set(Arc::from(reader.unwrap_or_default()));
            }
            Err(error) => {
                tracing::error!(%error, messages, "cannot append to the journal: messages are lost");
            }
        }
        self.refuse();
    }

    fn keep_promises(&mut self) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(self.last);
        }
    }

    fn refuse(&mut self) {
        self.refused += 1;
        self.waiting.clear();
    }
}
