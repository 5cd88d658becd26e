//! A connection on which both sides talk at the same time.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use super::Stream;

/// How much is read at a time, in bytes: the most of a connection that has much to say, the least of
/// one that is quiet and shall hold little.
const ROOM: std::ops::RangeInclusive<usize> = 4 * 1024..=64 * 1024;
/// What is kept of a buffer that is empty, in bytes.
const KEPT: usize = 1024 * 1024;

/// A stream with a buffer for each direction. What waits to be written is written while there is
/// waiting for something to read, and nothing is lost when a wait is given up.
#[derive(Debug)]
pub struct Exchange {
    stream: Stream,
    /// What has come and was not taken yet.
    inbox: Vec<u8>,
    taken: usize,
    /// How much is read next.
    room: usize,
    /// Nothing was there when it was last looked for.
    is_waiting: bool,
    /// What is to be written; whoever appends waits for [`Exchange::is_written`] now and then.
    pub outbox: Vec<u8>,
    written: usize,
    needs_flush: bool,
    heard: Instant,
    said: Instant,
}

impl Exchange {
    /// A connection of which `inbox` has been read already.
    pub fn new(stream: Stream, inbox: Vec<u8>) -> Exchange {
        let now = Instant::now();
        Exchange {
            stream,
            inbox,
            taken: 0,
            room: *ROOM.start(),
            is_waiting: false,
            outbox: Vec::new(),
            written: 0,
            needs_flush: false,
            heard: now,
            said: now,
        }
    }

    /// What has come.
    pub fn inbox(&self) -> &[u8] {
        &self.inbox[self.taken..]
    }

    /// Takes `bytes` away from the front of what has come.
    pub fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.taken >= self.inbox.len() {
            self.taken = 0;
            self.inbox.clear();
            if self.inbox.capacity() > KEPT {
                self.inbox = Vec::new();
            }
        }
    }

    /// Tells whether the system has taken all that was to be written.
    pub fn is_written(&self) -> bool {
        self.outbox.is_empty() && !self.needs_flush
    }

    /// How long the other side has been silent.
    pub fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// Starts to count the other side's silence anew: nobody has listened until now.
    pub fn listen_anew(&mut self) {
        self.heard = Instant::now();
    }

    /// How long this side has been silent.
    pub fn quiet(&self) -> Duration {
        self.said.elapsed()
    }

    /// How long until this side is to say something, having said nothing for `most`; it says nothing
    /// more while what it said last waits to be taken.
    pub fn due(&self, most: Duration) -> Duration {
        if self.is_written() { most.saturating_sub(self.quiet()) } else { most }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> super::Peer {
        self.stream.peer()
    }

    /// Gives back the stream, and what has come and was not taken.
    pub fn into_parts(mut self) -> (Stream, Vec<u8>) {
        self.inbox.drain(..self.taken);
        (self.stream, self.inbox)
    }

    /// Waits until something was written or has come.
    ///
    /// # Errors
    /// When the connection breaks, or the other side has closed it.
    pub async fn step(&mut self) -> std::io::Result<()> {
        poll_fn(|cx| {
            let wrote = self.poll_out(cx)?;
            match self.poll_in(cx) {
                Poll::Pending if wrote => Poll::Ready(Ok(())),
                polled => polled,
            }
        })
        .await
    }

    /// Waits until all that was to be written is; what comes meanwhile waits.
    ///
    /// # Errors
    /// As [`Exchange::step`].
    pub async fn write_out(&mut self) -> std::io::Result<()> {
        poll_fn(|cx| {
            self.poll_out(cx)?;
            if self.is_written() { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    /// Ends the connection in good order.
    pub async fn close(&mut self, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.write_out()).await;
        let _ = self.stream.close(patience).await;
    }

    /// Writes as much as goes; tells whether anything went.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> std::io::Result<bool> {
        let mut wrote = false;
        while self.written < self.outbox.len() {
            let rest = &self.outbox[self.written..];
            let Poll::Ready(result) = Pin::new(&mut self.stream).poll_write(cx, rest) else {
                return Ok(wrote);
            };
            let count = result?;
            if count == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            self.written += count;
            self.said = Instant::now();
            self.needs_flush = true;
            wrote = true;
        }
        self.written = 0;
        self.outbox.clear();
        if self.outbox.capacity() > KEPT {
            self.outbox = Vec::new();
        }
        if self.needs_flush
            && let Poll::Ready(result) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            result?;
            self.needs_flush = false;
            wrote = true;
        }
        Ok(wrote)
    }

    /// Twice the room after a read that filled it, half after two looks that found nothing.
    fn make_room(&mut self, read: usize, is_pending: bool) {
        let was_waiting = std::mem::replace(&mut self.is_waiting, is_pending);
        if read == self.room {
            self.room = (self.room * 2).min(*ROOM.end());
        } else if is_pending && was_waiting {
            self.room = (self.room / 2).max(*ROOM.start());
        }
        if is_pending && self.inbox.is_empty() && self.room == *ROOM.start() {
            self.inbox = Vec::new();
        }
    }

    fn poll_in(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.inbox.drain(..std::mem::take(&mut self.taken));
        let had = self.inbox.len();
        self.inbox.resize(had + self.room, 0);
        let mut buffer = ReadBuf::new(&mut self.inbox[had..]);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
        let read = buffer.filled().len();
        self.inbox.truncate(had + read);
        self.make_room(read, polled.is_pending());
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if read == 0 => Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
            Poll::Ready(result) => {
                self.heard = Instant::now();
                Poll::Ready(result)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;
    use crate::net::Address;
    use crate::net::Connector;
    use crate::net::StreamNet;

    #[tokio::test]
    async fn nothing_is_due_while_the_other_side_does_not_read() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let written = listener.local_addr().unwrap().to_string();
        let address = Address::stream(StreamNet::Tcp, &written).unwrap();
        let mut exchange = Exchange::new(Connector::new(address).connect().await.unwrap(), vec![]);
        let most = Duration::from_nanos(1);
        assert_eq!(exchange.due(most), Duration::ZERO);
        // More than the buffers of both sides hold.
        exchange.outbox = vec![0; 64 << 20];
        let polled = poll_fn(|cx| Poll::Ready(pin!(exchange.write_out()).poll(cx))).await;
        assert!(polled.is_pending());
        assert_eq!(exchange.due(most), most);
    }

    #[tokio::test]
    async fn who_is_quiet_holds_nothing_and_who_says_much_is_read_in_large_pieces() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let written = listener.local_addr().unwrap().to_string();
        let address = Address::stream(StreamNet::Tcp, &written).unwrap();
        let mut exchange = Exchange::new(Connector::new(address).connect().await.unwrap(), vec![]);
        let (mut other, _) = listener.accept().await.unwrap();
        let polled = poll_fn(|cx| Poll::Ready(pin!(exchange.step()).poll(cx))).await;
        assert!(polled.is_pending());
        assert_eq!(exchange.inbox.capacity(), 0);
        let much = vec![b'x'; 1 << 20];
        let saying = tokio::io::AsyncWriteExt::write_all(&mut other, &much);
        let hearing = async {
            let mut heard = 0;
            while heard < much.len() {
                exchange.step().await.unwrap();
                heard += exchange.inbox().len();
                exchange.take(exchange.inbox().len());
            }
        };
        let (said, ()) = tokio::join!(saying, hearing);
        said.unwrap();
        assert!(exchange.room > *ROOM.start(), "{}", exchange.room);
        for _ in 0..10 {
            let polled = poll_fn(|cx| Poll::Ready(pin!(exchange.step()).poll(cx))).await;
            assert!(polled.is_pending());
        }
        assert_eq!(exchange.inbox.capacity(), 0);
    }
}
