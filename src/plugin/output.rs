//! The seam of outputs: where messages go.
//!
//! The pipeline reads, matches and encodes; an output gets loads of encoded records and says what
//! became of them. It holds no retry loop and no cursor: a failure says whether to try again, and
//! the cursor moves over a load only when it is [`Sent::Done`], settled or flushed.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use std::time::Instant;

use async_trait::async_trait;

use super::Engine;
use super::encoder::Encoded;
use super::handover::Handover;
use super::listens::Listens;
use crate::message::Batch;

/// An output.
#[async_trait]
pub trait Output: Send {
    /// Gets ready: opens, binds, connects. Called again after a failure.
    ///
    /// # Errors
    /// When it cannot; a place that may come back is a [`Failure::Retry`].
    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure>;

    /// Where it listens while it runs, where it does.
    fn listens(&self) -> Option<Listens> {
        None
    }

    /// What is promised of what it sends, when the engine is ended at once or the other side fails.
    fn promise(&self) -> &'static str {
        "at least once: the last batch may come again"
    }

    /// How many records it would rather get at once; `None` takes them as they come.
    fn batching(&self) -> Option<Batching> {
        None
    }

    /// Whether it looks at the messages behind the records; see [`Load::message`].
    fn reads_messages(&self) -> bool {
        false
    }

    /// Sends the records of `load` from [`Load::first`] on. After a retry the same load comes
    /// again, from where [`Load::advance`] has moved it.
    ///
    /// # Errors
    /// See [`Failure`].
    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure>;

    /// Resolves when more of what was only held has become certain; gives the entry up to which. It
    /// is dropped when something else comes first, and asked for again.
    ///
    /// # Errors
    /// After a retry what was held comes again, in new loads.
    async fn settled(&mut self) -> Result<u64, Failure> {
        std::future::pending().await
    }

    /// Makes certain all that was only held: called before a stop.
    ///
    /// # Errors
    /// As [`Output::settled`].
    async fn flush(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Whether what it has held outlives the failure at hand, so that only the load at hand comes again
    /// to the output that is opened next. While it waits for that, it gets its ticks.
    fn keeps_held(&self) -> bool {
        false
    }

    /// The entry up to which the output itself knows, once it is open, that all is delivered: the
    /// cursor of an engine that was killed may be further back.
    fn resumes_at(&self) -> Option<u64> {
        None
    }

    /// The entry that it wants to go back to, once it is open, because what was delivered behind it
    /// is lost where it went. What the journal no longer has of it is reported as missed.
    fn returns_to(&self) -> Option<u64> {
        None
    }

    /// The time before which it takes no more loads.
    fn pauses_until(&self) -> Option<Instant> {
        None
    }

    /// Does what has to be done while nothing is held: resolves when something is wrong, or when
    /// what [`Output::pauses_until`] says has changed. It is dropped when something else comes
    /// first, and asked for again.
    ///
    /// # Errors
    /// When it has to be opened again.
    async fn idle(&mut self) -> Result<(), Failure> {
        std::future::pending().await
    }

    /// Does what is due every `ticker_interval`.
    async fn tick(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Opens anew what someone else has moved away; SIGHUP asks for it.
    ///
    /// # Errors
    /// As [`Output::open`].
    async fn reopen(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Ends in good order.
    async fn close(&mut self) {}
}

/// What an output is lent.
#[derive(Clone, Debug)]
pub struct OutputContext {
    /// The name of its section.
    pub name: Arc<str>,
    /// The engine.
    pub engine: Engine,
    /// Whether records come framed.
    pub is_framed: bool,
    /// Whether the encoder gives Heka messages.
    pub has_messages: bool,
    /// The id of the journal that entries are numbered in, where they outlive the engine.
    pub journal: Option<[u8; 16]>,
    /// The id of the journal, whether it outlives the engine or not.
    pub journal_id: [u8; 16],
    /// The number of this run of the engine, and those of the runs before, the last one first.
    pub runs: Arc<[u64]>,
    /// How far the output has got, as it moves.
    pub reached: Arc<Reached>,
    /// What an output leaves for the one that is made after it has failed.
    pub handover: Handover,
}

/// How far an output has got.
#[derive(Debug, Default)]
pub struct Reached {
    /// All entries up to here are delivered, or not for this output.
    pub delivered: AtomicU64,
    /// From this entry on nothing was missed.
    pub whole_from: AtomicU64,
    /// No entry behind this one was ever sent: the end of the journal when the output was made, or what
    /// it has sent since.
    pub claimed: AtomicU64,
}

/// When a load is handed to an output that would rather have many records at once.
///
/// A load is closed by whichever comes first. While an output is behind, its loads are as large as
/// they may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// So many records need not wait for more; what is there already comes with them.
    pub records: usize,
    /// A load with so many bytes gets no more of them; what one entry becomes may go beyond.
    pub bytes: usize,
    /// How long a record waits for others at most.
    pub interval: Duration,
}

/// What became of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is where it belongs, and so is all that was held before it: the cursor may move over it.
    Done,
    /// It is taken but not certain before it is settled or flushed.
    Held,
}

/// Why a load was not sent.
#[derive(Debug)]
pub enum Failure {
    /// It may work later: the output is opened again after a pause and gets the load again.
    Retry(anyhow::Error),
    /// The record at [`Load::first`] is not wanted: it is counted, reported and passed over, and
    /// the rest comes again.
    Reject(anyhow::Error),
    /// Nothing will ever work: the output ends.
    Stop(anyhow::Error),
}

/// Encoded records on their way.
#[derive(Debug, Default)]
pub struct Load {
    /// The records, framed where that was asked for.
    pub encoded: Encoded,
    /// For each record the message it was made from, for outputs that look at it.
    pub messages: Vec<Origin>,
    /// The number of the entry that is delivered with the last record.
    pub entry: u64,
    /// From this entry on, or from an earlier one, nothing was missed of what lies up to `entry`.
    pub whole_from: u64,
    first: usize,
}

/// The message that a record was made from: its batch and its index there.
pub type Origin = (Arc<dyn Carried>, u16);

/// What keeps the batch of a message alive.
pub trait Carried: Send + Sync + std::fmt::Debug {
    /// The batch.
    fn batch(&self) -> &Batch;

    /// The entry of the journal that it is in: with the id of the journal and the index in the batch it
    /// names a message for all time, also when it is delivered again.
    fn entry(&self) -> u64;
}

impl Load {
    /// A load of these records, the last of which completes this entry.
    pub fn new(encoded: Encoded, entry: u64) -> Load {
        Load { encoded, messages: Vec::new(), entry, whole_from: 0, first: 0 }
    }

    /// The first record that has not been sent.
    pub fn first(&self) -> usize {
        self.first
    }

    /// Says that `records` more have been sent.
    pub fn advance(&mut self, records: usize) {
        self.first = (self.first + records).min(self.encoded.len());
    }

    /// Says that what comes from `record` on has to be sent, though it was taken before.
    pub fn go_back_to(&mut self, record: usize) {
        self.first = self.first.min(record);
    }

    /// Leaves the records at `indices`, in that order; all others have been sent. Those at the front
    /// come first when the load comes again.
    pub fn keep(&mut self, indices: &[usize]) {
        let mut kept = Encoded::default();
        let mut messages = Vec::new();
        for &index in indices {
            kept.bytes.extend_from_slice(self.encoded.record(index));
            kept.close_record();
            messages.extend(self.messages.get(index).cloned());
        }
        (self.encoded, self.messages, self.first) = (kept, messages, 0);
    }

    /// The bytes of all records that have not been sent.
    pub fn rest(&self) -> &[u8] {
        &self.encoded.bytes[self.encoded.start(self.first)..]
    }

    /// The records that have not been sent.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (self.first..self.encoded.len()).map(|index| self.encoded.record(index))
    }

    /// The entry that the message behind the record at `index` is in, and its index there.
    pub fn place(&self, index: usize) -> Option<(u64, u16)> {
        let (carried, at) = self.messages.get(index)?;
        Some((carried.entry(), *at))
    }

    /// The message behind the record at `index`, where the output asked for messages.
    pub fn message(&self, index: usize) -> Option<crate::message::Message<'_>> {
        let (carried, at) = self.messages.get(index)?;
        Some(carried.batch().message(usize::from(*at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_again_in_its_new_order() {
        let mut encoded = Encoded::default();
        for record in [b"a".as_slice(), b"bb", b"", b"dd"] {
            encoded.bytes.extend_from_slice(record);
            encoded.close_record();
        }
        let mut load = Load::new(encoded, 7);
        load.advance(1);
        load.keep(&[3, 1]);
        assert_eq!(load.first(), 0);
        assert_eq!(load.records().collect::<Vec<_>>(), [b"dd", b"bb"]);
        assert_eq!((load.rest(), load.entry), (&b"ddbb"[..], 7));
        load.keep(&[]);
        assert_eq!(load.records().len(), 0);
    }
}
