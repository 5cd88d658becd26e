//! What has arrived of all that was written to a connection on which nobody acknowledges.
//!
//! The other side's system does, though: what is no longer in the socket's queue has come as far as
//! the machine at the other end. So a load is held until the queue has shrunk below it. How long the
//! queue is has to be asked; that is done with each load and then less and less often.

use std::collections::VecDeque;
use std::time::Duration;

use super::connection::Connection;
use crate::plugin::Failure;

/// How long until the queue is looked at again: the first time, and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));
/// How many loads are told apart; what comes beyond settles with the last of them.
const MAX_MARKS: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// Bytes written to this connection.
    written: u64,
    /// Entries, and how much had been written when each was complete.
    marks: VecDeque<(u64, u64)>,
    look: Duration,
}

impl Arrivals {
    /// Nothing was written yet.
    pub(super) fn new() -> Arrivals {
        Arrivals { written: 0, marks: VecDeque::new(), look: LOOK.0 }
    }

    /// Notes that so many bytes were written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// Notes that all of an entry was written.
    pub(super) fn complete(&mut self, entry: u64) {
        if self.marks.len() == MAX_MARKS {
            self.marks.pop_back();
        }
        self.marks.push_back((entry, self.written));
        self.look = LOOK.0;
    }

    /// Goes on with a new connection; all that was written has arrived on the one before.
    pub(super) fn begin_anew(&mut self) {
        self.written = 0;
        for mark in &mut self.marks {
            mark.1 = 0;
        }
    }

    /// Resolves when more has arrived; gives the entry up to which.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) async fn settled(&mut self, connection: &mut Connection) -> Result<u64, Failure> {
        loop {
            let mut settled = None;
            if !self.marks.is_empty() {
                let left = connection.unacknowledged().await?;
                // Under TLS the queue holds more than what was written, so this claims less than is.
                let arrived = self.written.saturating_sub(left as u64);
                while let Some((entry, _)) = self.marks.pop_front_if(|mark| mark.1 <= arrived) {
                    settled = Some(entry);
                }
            }
            if let Some(entry) = settled {
                return Ok(entry);
            }
            self.wait().await;
        }
    }

    /// Resolves when all has arrived.
    ///
    /// # Errors
    /// When the connection breaks before.
    pub(super) async fn flush(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        if !self.marks.is_empty() {
            self.drain(connection).await?;
            self.marks.clear();
        }
        Ok(())
    }

    /// Resolves when the queue is empty, whatever is complete.
    ///
    /// # Errors
    /// When the connection breaks before.
    pub(super) async fn drain(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        self.look = LOOK.0;
        while connection.unacknowledged().await? > 0 {
            self.wait().await;
        }
        Ok(())
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.look).await;
        self.look = (self.look * 2).min(LOOK.1);
    }
}
