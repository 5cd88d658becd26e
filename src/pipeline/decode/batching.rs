//! The open batch of a decode thread, and when it is appended.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

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
    last: Position,
}

struct Reached {
    stream: u64,
    source: Source,
    position: SourcePosition,
}

impl Open {
    pub(super) fn new(journal: Journal) -> Open {
        Open {
            batch: Batch::new(),
            journal,
            reached: Vec::new(),
            opened: None,
            last: Position::default(),
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

    /// Appends the batch when it is full.
    pub(super) fn append_if_full(&mut self) {
        if self.batch.is_full() {
            self.append();
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
        let fresh = Batch::sized_like(&self.batch);
        let mut batch = std::mem::replace(&mut self.batch, fresh);
        for reached in self.reached.drain(..) {
            batch.reach(&reached.source, reached.position);
        }
        if batch.is_empty() && batch.reached().is_empty() {
            return;
        }
        let messages = batch.len();
        match self.journal.append(batch) {
            Ok(position) => self.last = position,
            Err(Error::Closing) => {
                tracing::debug!(messages, "stopped before the last batch: its source has it still");
            }
            Err(error) => {
                tracing::error!(%error, messages, "cannot append to the journal: messages are lost");
            }
        }
    }
}
