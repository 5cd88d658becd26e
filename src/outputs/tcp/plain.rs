//! Records as they are, over a protocol that acknowledges nothing; see [`Arrivals`].

use std::time::Duration;
use std::time::Instant;

use anyhow::anyhow;

use super::places::Places;
use crate::outputs::arrivals::Arrivals;
use crate::outputs::connection::Connection;
use crate::outputs::rewind::Rewind;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::OutputContext;
use crate::plugin::Sent;

/// A connection, and what was written to it.
#[derive(Debug)]
pub(super) struct Plain {
    connection: Connection,
    /// After so many records a new connection is made; 0 is never.
    reconnect_after: usize,
    /// Records on this connection.
    sent: usize,
    arrivals: Arrivals,
    rewind: Rewind,
    places: Places,
}

impl Plain {
    /// Connects to the first of the places that answers.
    pub(super) async fn open(
        places: Places,
        cx: &OutputContext,
        reconnect_after: usize,
        resend_window: Duration,
    ) -> Result<Plain, Failure> {
        let mut failed = Failure::Retry(anyhow!("there is no address"));
        for connector in places.in_turn() {
            let address = connector.address().to_string();
            let mut connection = Connection::new(connector);
            match connection.open().await {
                Ok(()) => {
                    let rewind = places.recall(|memory| std::mem::take(&mut memory.rewind));
                    return Ok(Plain {
                        connection,
                        reconnect_after,
                        sent: 0,
                        arrivals: Arrivals::new(),
                        rewind: rewind.open(resend_window, cx),
                        places,
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
            self.arrivals.wrote(end - start);
        }
        self.arrivals.complete(load.entry);
        Ok(Sent::Held)
    }

    /// Ends the connection in good order once all of it has arrived; the next write makes another.
    async fn connect_anew(&mut self) -> Result<(), Failure> {
        self.arrivals.drain(&mut self.connection).await?;
        self.connection.close().await;
        self.sent = 0;
        self.arrivals.begin_anew();
        Ok(())
    }

    /// Resolves when more has arrived; gives the entry up to which.
    pub(super) async fn settled(&mut self) -> Result<u64, Failure> {
        let entry = self.arrivals.settled(&mut self.connection).await?;
        self.rewind.settled(entry, Instant::now());
        Ok(entry)
    }

    /// Resolves when the other side has closed, where something has to be sent again then.
    pub(super) async fn idle(&mut self) -> Result<(), Failure> {
        if self.rewind.is_on() {
            return Err(self.connection.ended().await);
        }
        std::future::pending().await
    }

    pub(super) fn returns_to(&self) -> Option<u64> {
        self.rewind.to()
    }

    /// Resolves when all has arrived.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        self.arrivals.flush(&mut self.connection).await
    }

    pub(super) async fn close(&mut self) {
        let mut rewind = std::mem::take(&mut self.rewind);
        rewind.broke(Instant::now());
        self.places.recall(|memory| memory.rewind = rewind);
        self.connection.close().await;
    }

    #[cfg(test)]
    pub(super) async fn closed_by_peer(&mut self) {
        self.connection.closed_by_peer().await;
    }
}
