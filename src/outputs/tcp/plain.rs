//! Records as they are, over a protocol that acknowledges nothing.
//!
//! The other side's system acknowledges, though: what is no longer in the socket's queue has come as
//! far as the machine at the other end. So a load is held until the queue has shrunk below it. How
//! long the queue is has to be asked; that is done with each load and then less and less often.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::anyhow;

use super::places::Places;
use crate::outputs::connection::Connection;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Sent;

/// How long until the queue is looked at again: the first time, and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));
/// How many loads are told apart; what comes beyond settles with the last of them.
const MAX_MARKS: usize = 1024;

/// A connection, and what was written to it.
#[derive(Debug)]
pub(super) struct Plain {
    connection: Connection,
    /// After so many records a new connection is made; 0 is never.
    reconnect_after: usize,
    /// Records on this connection.
    sent: usize,
    /// Bytes written to this connection.
    written: u64,
    /// Entries, and how much had been written when each was complete.
    marks: VecDeque<(u64, u64)>,
    look: Duration,
}

impl Plain {
    /// Connects to the first of the places that answers.
    pub(super) async fn open(places: Places, reconnect_after: usize) -> Result<Plain, Failure> {
        let mut failed = Failure::Retry(anyhow!("there is no address"));
        for connector in places.in_turn() {
            let address = connector.address().to_string();
            let mut connection = Connection::new(connector);
            match connection.open().await {
                Ok(()) => {
                    return Ok(Plain {
                        connection,
                        reconnect_after,
                        sent: 0,
                        written: 0,
                        marks: VecDeque::new(),
                        look: LOOK.0,
                    });
                }
                Err(failure) => {
                    places.note_failure(&address);
                    failed = failure;
                }
            }
        }
        Err(failed)
    }

    /// Writes what is left of a load.
    pub(super) async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        while load.records().len() > 0 {
            let left = match self.reconnect_after {
                0 => usize::MAX,
                after => after.saturating_sub(self.sent),
            };
            if left == 0 {
                self.connect_anew().await?;
                continue;
            }
            let (records, end) = match load.records().len() {
                all if all <= left => (all, load.encoded.bytes.len()),
                _ => (left, load.encoded.start(load.first() + left)),
            };
            let start = load.encoded.start(load.first());
            self.connection.write(&load.encoded.bytes[start..end]).await?;
            load.advance(records);
            self.sent += records;
            self.written += (end - start) as u64;
        }
        if self.marks.len() == MAX_MARKS {
            self.marks.pop_back();
        }
        self.marks.push_back((load.entry, self.written));
        self.look = LOOK.0;
        Ok(Sent::Held)
    }

    /// Ends the connection in good order once all of it has arrived; the next write makes another.
    async fn connect_anew(&mut self) -> Result<(), Failure> {
        self.drain().await?;
        self.connection.close().await;
        self.sent = 0;
        self.written = 0;
        for mark in &mut self.marks {
            mark.1 = 0;
        }
        Ok(())
    }

    /// Resolves when more has arrived; gives the entry up to which.
    pub(super) async fn settled(&mut self) -> Result<u64, Failure> {
        loop {
            let mut settled = None;
            if !self.marks.is_empty() {
                let left = self.connection.unacknowledged().await?;
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
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        if !self.marks.is_empty() {
            self.drain().await?;
            self.marks.clear();
        }
        Ok(())
    }

    async fn drain(&mut self) -> Result<(), Failure> {
        self.look = LOOK.0;
        while self.connection.unacknowledged().await? > 0 {
            self.wait().await;
        }
        Ok(())
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.look).await;
        self.look = (self.look * 2).min(LOOK.1);
    }

    pub(super) async fn close(&mut self) {
        self.connection.close().await;
    }

    #[cfg(test)]
    pub(super) async fn closed_by_peer(&mut self) {
        self.connection.closed_by_peer().await;
    }
}
