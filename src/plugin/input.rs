//! The seam of inputs: where messages come from.
//!
//! An input reads bytes and hands them to a [`Stream`]; splitting and decoding happen on a decode
//! thread behind it, with the splitter and decoder of its section. A stream keeps the order of what
//! it is given and makes the input wait when the engine cannot take more.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Engine;
use super::filter::Filter;
use super::listens::Listens;
use super::record::Origin;
use crate::message::Batch;
use crate::message::Source;
use crate::message::SourcePosition;

/// An input.
#[async_trait]
pub trait Input: Send + Sync {
    /// Reads until there is no more, or until [`InputContext::stopping`] says so.
    ///
    /// # Errors
    /// When it cannot go on; the pipeline starts it again after a pause.
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()>;

    /// Tells whether it ends by itself, as the reader of a file does under `--until-done`.
    fn ends(&self) -> bool {
        false
    }

    /// Where it listens while it runs, where it does.
    fn listens(&self) -> Option<Listens> {
        None
    }

    /// What becomes of messages that were not durable yet when the engine was ended at once; those
    /// that were are never lost.
    fn promise(&self) -> &'static str {
        "what has come and is not durable yet is lost: nobody sends it again"
    }

    /// The matcher and the filter that it is in truth, for one that only hears what is in the
    /// journal.
    fn as_filter(&self) -> Option<(String, Box<dyn Filter>)> {
        None
    }
}

/// Resolves when the input has to end.
pub type Stopping = tokio_util::sync::CancellationToken;

/// What an input is lent.
#[derive(Clone)]
pub struct InputContext {
    /// The name of its section.
    pub name: Arc<str>,
    /// The engine.
    pub engine: Engine,
    /// Time between two ticks; zero is never.
    pub ticker_interval: Duration,
    /// Says when to end.
    pub stopping: Stopping,
    /// Whether to end when all there is has been read (`--until-done`).
    pub until_done: bool,
    /// Where streams and positions come from.
    pub lender: Arc<dyn Lender>,
}

impl InputContext {
    /// Opens a stream. With a `source` its positions are kept in the journal.
    ///
    /// # Errors
    /// When the splitter or the decoder does not start.
    pub async fn stream(&self, origin: Origin, source: Option<Source>) -> anyhow::Result<Stream> {
        Ok(Stream { delivery: self.lender.open(origin, source).await? })
    }

    /// An origin with the type `message_type`, this input's name as logger, the hostname and pid.
    pub fn origin(&self, message_type: &str) -> Origin {
        let mut origin = Origin::default();
        origin.message_type = message_type.as_bytes().to_vec();
        origin.logger = self.name.as_bytes().to_vec();
        origin.hostname = self.engine.hostname.as_bytes().to_vec();
        origin.pid = Some(self.engine.pid);
        origin
    }

    /// Says in the log where this input listens: the address that was bound, or the one written.
    pub fn say_listening(&self, bound: Option<SocketAddr>, written: &str) {
        let address = bound.map_or_else(|| written.to_owned(), |bound| bound.to_string());
        tracing::info!(input = &*self.name, address, "listening");
    }

    /// Counts records that were lost before they could be handed over. Reporting them is the input's.
    pub fn count_dropped(&self, count: u64) {
        self.lender.count_dropped(count);
    }

    /// The name of a source of this input: its own name, a colon and `part`.
    pub fn source(&self, part: &str) -> Source {
        Source::from(format!("{}:{part}", self.name))
    }

    /// The id of the journal that streams are appended to.
    pub fn journal(&self) -> [u8; 16] {
        self.lender.journal()
    }

    /// The largest entry of that journal, in bytes.
    pub fn largest_entry(&self) -> usize {
        self.lender.largest_entry()
    }

    /// How far a source had been read when the engine last ran.
    pub fn last_position(&self, source: &Source) -> Option<SourcePosition> {
        self.lender.last_position(source)
    }

    /// The positions of all sources whose name begins with this input's name and a colon.
    pub fn last_positions(&self) -> Vec<(Source, SourcePosition)> {
        self.lender.last_positions(&format!("{}:", self.name))
    }
}

/// What the engine lends inputs.
#[async_trait]
pub trait Lender: Send + Sync {
    /// Opens a stream for the input that the lender belongs to.
    async fn open(
        &self,
        origin: Origin,
        source: Option<Source>,
    ) -> anyhow::Result<Box<dyn Delivery>>;

    /// Counts records that were lost before they came to the engine.
    fn count_dropped(&self, count: u64);

    /// The id of the journal that streams are appended to.
    fn journal(&self) -> [u8; 16];

    /// The largest entry of that journal, in bytes.
    fn largest_entry(&self) -> usize;

    /// How far a source had been read.
    fn last_position(&self, source: &Source) -> Option<SourcePosition>;

    /// The positions of all sources whose name begins with `prefix`.
    fn last_positions(&self, prefix: &str) -> Vec<(Source, SourcePosition)>;
}

/// The engine's side of a stream.
#[async_trait]
pub trait Delivery: Send {
    /// See [`Stream::at`].
    async fn at(&mut self, position: SourcePosition) -> anyhow::Result<()>;
    /// See [`Stream::bytes`].
    async fn bytes(&mut self, bytes: Bytes) -> anyhow::Result<()>;
    /// See [`Stream::whole`].
    async fn whole(&mut self, bytes: Bytes, origin: Option<Arc<Origin>>) -> anyhow::Result<()>;
    /// See [`Stream::messages`].
    async fn messages(&mut self, batch: Batch) -> anyhow::Result<()>;
    /// See [`Stream::undecoded`].
    async fn undecoded(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.messages(batch).await
    }
    /// See [`Stream::end`].
    async fn end(&mut self, keep_incomplete: bool) -> anyhow::Result<()>;
    /// See [`Stream::frames`].
    async fn frames(&mut self, bytes: Bytes, position: SourcePosition) -> anyhow::Result<()>;
    /// See [`Stream::durable`].
    async fn durable(&mut self) -> anyhow::Result<()>;
    /// See [`Stream::receipt`].
    async fn receipt(&mut self) -> anyhow::Result<Receipt>;
}

/// Resolves when what was handed over before is in the journal and synced; fails when it will not be.
pub type Receipt = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A stream of bytes on its way to the splitter, the decoder and the journal.
///
/// Every call waits while the engine is full and fails when it stops.
pub struct Stream {
    delivery: Box<dyn Delivery>,
}

impl Stream {
    /// Says where in the source the next byte lies. Each record that ends moves the position by the
    /// bytes it took; what is left of a record from before is dropped, unless the next byte lies
    /// there already: then only the detail is new.
    ///
    /// # Errors
    /// When the engine stops.
    pub async fn at(&mut self, position: SourcePosition) -> anyhow::Result<()> {
        self.delivery.at(position).await
    }

    /// Hands over the next bytes, best 64 KiB at a time.
    ///
    /// # Errors
    /// When the engine stops.
    pub async fn bytes(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        self.delivery.bytes(bytes).await
    }

    /// Hands over something whole, a datagram or the body of a request: it is split by itself and
    /// its end is the end of a record. `origin` counts for it alone.
    ///
    /// # Errors
    /// When the engine stops.
    pub async fn whole(&mut self, bytes: Bytes, origin: Option<Arc<Origin>>) -> anyhow::Result<()> {
        self.delivery.whole(bytes, origin).await
    }

    /// Hands over messages that need neither splitter nor decoder. With none at all, the position
    /// that was given by [`Stream::at`] goes into the journal by itself.
    ///
    /// # Errors
    /// When the engine stops.
    pub async fn messages(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.delivery.messages(batch).await
    }

    /// Hands over messages for the decoder of the section to go on with, where it names one.
    ///
    /// # Errors
    /// When the engine stops.
    pub async fn undecoded(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.delivery.undecoded(batch).await
    }

    /// Says that the bytes end here. What is left of a record is delivered when `keep_incomplete`
    /// or the section asks for it, and dropped and counted otherwise.
    ///
    /// # Errors
    /// When the engine stops.
    pub async fn end(&mut self, keep_incomplete: bool) -> anyhow::Result<()> {
        self.delivery.end(keep_incomplete).await
    }

    /// Hands over whole frames with plain headers, of Heka messages, and where the source then is:
    /// they become part of one entry, all of them and the position, or none.
    ///
    /// # Errors
    /// When the engine stops.
    pub async fn frames(&mut self, bytes: Bytes, position: SourcePosition) -> anyhow::Result<()> {
        self.delivery.frames(bytes, position).await
    }

    /// As [`Stream::durable`], without waiting: several may be under way. Once one has failed, the
    /// stream takes no more frames.
    ///
    /// # Errors
    /// When the engine stops.
    pub async fn receipt(&mut self) -> anyhow::Result<Receipt> {
        self.delivery.receipt().await
    }

    /// Waits until all that was handed over is in the journal and synced: it may be acknowledged.
    ///
    /// # Errors
    /// When the engine stops before.
    pub async fn durable(&mut self) -> anyhow::Result<()> {
        self.delivery.durable().await
    }
}
