//! The acknowledged protocol of [`crate::formats::agent`], as an agent speaks it.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::anyhow;

use super::places::Places;
use crate::formats::agent;
use crate::formats::agent::BatchHead;
use crate::formats::agent::Hello;
use crate::formats::agent::Welcome;
use crate::formats::agent::Word;
use crate::net::Connector;
use crate::net::Exchange;
use crate::plugin::Load;
use crate::plugin::OutputContext;
use crate::plugin::Reached;

/// How long a connection may take to end.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a connection keeps to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) window_bytes: usize,
    pub(super) window_batches: usize,
    pub(super) ack_timeout: Duration,
    /// How hard zstd tries; nothing where batches are sent as they are.
    pub(super) compression_level: Option<i32>,
}

/// A connection to an aggregator that has welcomed us.
pub(super) struct Acked {
    exchange: Exchange,
    /// The address of the aggregator.
    pub(super) address: String,
    has_others: bool,
    bounds: Bounds,
    journal: [u8; 16],
    reached: Arc<Reached>,
    largest: usize,
    /// The last entry that was sent, or that the aggregator has.
    before: u64,
    /// Where the aggregator has more, or less, than was known here.
    pub(super) resumes_at: Option<u64>,
    pub(super) returns_to: Option<u64>,
    /// What is not acknowledged: the last entry, the bytes, and since when.
    unacknowledged: VecDeque<(u64, usize, Instant)>,
    in_flight: usize,
    /// The entry up to which all is acknowledged, until it is told.
    acknowledged: Option<u64>,
    packing: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
}

impl Acked {
    /// Connects and introduces itself.
    pub(super) async fn connect(
        connector: &Connector,
        places: &Places,
        cx: &OutputContext,
        bounds: Bounds,
    ) -> anyhow::Result<Acked> {
        let address = connector.address().to_string();
        let has_others = places.are_many()
            && places.recall(|memory| memory.served_by.as_deref() != Some(&*address));
        let delivered = cx.reached.delivered.load(Ordering::Acquire);
        let mut hello = Hello {
            has_others,
            has_lost_its_end: places.recall(|memory| std::mem::take(&mut memory.has_lost_its_end)),
            journal: cx.journal_id,
            acknowledged: delivered,
            run: cx.runs.first().copied().unwrap_or_default(),
            name: cx.engine.hostname.to_string(),
            stream: cx.name.to_string(),
        };
        let (mut exchange, mut welcome) = introduce(connector, &hello, bounds).await?;
        if !is_ours(&welcome, cx) {
            tracing::warn!(
                output = &*cx.name,
                address,
                position = welcome.position,
                from = delivered,
                "an aggregator has entries of this journal that it did not get from here: an old \
                 copy of the journal was put in its place, or another machine has a copy; all \
                 that was not acknowledged here is sent"
            );
            exchange.close(GOODBYE).await;
            hello.has_lost_its_end = true;
            (exchange, welcome) = introduce(connector, &hello, bounds).await?;
        }
        let has = welcome.position.unwrap_or(delivered);
        tracing::info!(output = &*cx.name, address, position = has, "connected to an aggregator");
        Ok(Acked {
            exchange,
            has_others: places.are_many(),
            bounds: Bounds {
                window_bytes: bounds.window_bytes.min(welcome.window as usize),
                ..bounds
            },
            journal: cx.journal_id,
            reached: cx.reached.clone(),
            largest: (welcome.largest as usize).min(agent::LARGEST),
            before: if has_others { has.max(delivered) } else { has },
            resumes_at: (has > delivered).then_some(has),
            returns_to: (has < delivered && !has_others).then_some(has),
            address,
            unacknowledged: VecDeque::new(),
            in_flight: 0,
            acknowledged: None,
            packing: zstd::bulk::Compressor::new(bounds.compression_level.unwrap_or_default())?,
            packed: Vec::new(),
        })
    }

    /// Whether the journal gives anew positions that the aggregator has seen.
    pub(super) fn has_lost_its_end(&self, load: &Load) -> bool {
        load.entry <= self.before
    }

    /// Whether all that was sent is acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// The entry up to which more has been acknowledged.
    pub(super) fn acknowledged(&mut self) -> Option<u64> {
        self.acknowledged.take()
    }

    /// The first record of those left that the aggregator does not take.
    pub(super) fn too_large(&self, load: &Load) -> Option<usize> {
        if load.rest().len() <= self.largest {
            return None;
        }
        load.records().position(|record| record.len() > self.largest)
    }

    /// Sends `records` of what is left of a load, in parts where the aggregator takes no entry as
    /// large.
    pub(super) async fn send(&mut self, load: &Load, records: usize) -> anyhow::Result<()> {
        let bytes = &load.encoded.bytes;
        let mut from = load.first();
        let end = from + records;
        while from < end {
            let start = load.encoded.start(from);
            let mut to = end;
            if bytes.len() - start > self.largest {
                to = (from + 1..to)
                    .find(|next| load.encoded.start(next + 1) - start > self.largest)
                    .unwrap_or(to);
            }
            let last = if to == load.encoded.len() { load.entry } else { self.before };
            let data = &bytes[start..load.encoded.ends[to - 1] as usize];
            self.make_room(data.len()).await?;
            self.put(data, load.whole_from, last)?;
            while !self.exchange.is_written() {
                self.turn().await?;
            }
            from = to;
        }
        Ok(())
    }

    /// Waits until the window has room for so many bytes.
    async fn make_room(&mut self, bytes: usize) -> anyhow::Result<()> {
        while !self.unacknowledged.is_empty()
            && (self.in_flight + bytes > self.bounds.window_bytes
                || self.unacknowledged.len() >= self.bounds.window_batches)
        {
            self.turn().await?;
        }
        Ok(())
    }

    /// Writes a batch into the outbox.
    fn put(&mut self, data: &[u8], whole_from: u64, last: u64) -> anyhow::Result<()> {
        let head = BatchHead {
            journal: self.journal,
            before: self.before,
            first: whole_from.max(self.before + 1).min(last + 1),
            last,
            plain: u32::try_from(data.len())?,
            is_compressed: self.bounds.compression_level.is_some(),
        };
        let Acked { exchange, packing, packed, .. } = self;
        agent::put_batch(&mut exchange.outbox, &head, |out| -> std::io::Result<()> {
            if head.is_compressed {
                packed.clear();
                packed.reserve(zstd::zstd_safe::compress_bound(data.len()));
                packing.compress_to_buffer(data, packed)?;
                out.extend_from_slice(packed);
            } else {
                out.extend_from_slice(data);
            }
            Ok(())
        })?;
        self.before = last;
        self.reached.claimed.fetch_max(last, Ordering::AcqRel);
        self.in_flight += data.len();
        self.unacknowledged.push_back((last, data.len(), Instant::now()));
        Ok(())
    }

    /// Waits until something has moved, and does what is due.
    pub(super) async fn turn(&mut self) -> anyhow::Result<()> {
        let due = self.exchange.due(agent::QUIET);
        tokio::select! {
            step = self.exchange.step() => step.with_context(|| self.broken())?,
            () = tokio::time::sleep(due) => {}
        }
        self.hear()?;
        let limit = self.bounds.ack_timeout;
        let silence = self.exchange.silence();
        anyhow::ensure!(silence < limit, "{} is silent for {silence:?}", self.address);
        if let Some((_, _, since)) = self.unacknowledged.front()
            && self.has_others
        {
            anyhow::ensure!(since.elapsed() < limit, "{} acknowledges nothing", self.address);
        }
        if self.exchange.quiet() >= agent::QUIET && self.exchange.is_written() {
            self.say_that_it_lives();
        }
        Ok(())
    }

    fn broken(&self) -> String {
        format!("the connection to {} broke", self.address)
    }

    fn say_that_it_lives(&mut self) {
        let mut ping = Word::Ping { first: 0, last: 0 };
        // Asked in this order: what is delivered later was missed later.
        let last = self.reached.delivered.load(Ordering::Acquire);
        if self.is_settled() && last > self.before {
            let whole_from = self.reached.whole_from.load(Ordering::Acquire);
            ping = Word::Ping { first: whole_from.max(self.before + 1), last };
            self.before = last;
            self.reached.claimed.fetch_max(last, Ordering::AcqRel);
        }
        agent::put(&mut self.exchange.outbox, &ping);
    }

    /// Understands what has come.
    fn hear(&mut self) -> anyhow::Result<()> {
        while let Some(head) = agent::head(self.exchange.inbox(), agent::MAX_WORD)? {
            match agent::word(&head, self.exchange.inbox())? {
                Word::Ack(position) => {
                    while let Some((_, bytes, _)) =
                        self.unacknowledged.pop_front_if(|(last, ..)| *last <= position)
                    {
                        self.in_flight -= bytes;
                    }
                    anyhow::ensure!(position <= self.before, "an ack of what was not sent");
                    self.acknowledged = Some(position);
                }
                Word::Pong => {}
                Word::Refusal(text) => {
                    let error = agent::Error::Refused(text);
                    return Err(error).with_context(|| self.address.clone());
                }
                _ => return Err(agent::Error::Malformed(head.kind).into()),
            }
            self.exchange.take(head.length);
        }
        Ok(())
    }

    pub(super) async fn close(&mut self) {
        self.exchange.close(GOODBYE).await;
    }
}

/// Connects and says who is here.
async fn introduce(
    connector: &Connector,
    hello: &Hello,
    bounds: Bounds,
) -> anyhow::Result<(Exchange, Welcome)> {
    let address = connector.address();
    let mut exchange = Exchange::new(connector.connect().await?, Vec::new());
    agent::put(&mut exchange.outbox, &Word::Hello(hello.clone()));
    let welcomed = tokio::time::timeout(bounds.ack_timeout, welcome(&mut exchange)).await;
    let welcome = welcomed.with_context(|| format!("{address} does not answer"))?;
    Ok((exchange, welcome.with_context(|| format!("{address} does not take us in"))?))
}

/// Tells whether an aggregator has what this engine has sent, or one that it goes on from.
fn is_ours(welcome: &Welcome, cx: &OutputContext) -> bool {
    let is_claimed = |position| position <= cx.reached.claimed.load(Ordering::Acquire);
    let is_known = welcome.run == 0 || cx.runs.contains(&welcome.run);
    welcome.position.is_none_or(|position| is_claimed(position) && is_known)
}

/// Waits for the answer to a hello.
async fn welcome(exchange: &mut Exchange) -> anyhow::Result<Welcome> {
    loop {
        if let Some(head) = agent::head(exchange.inbox(), agent::MAX_WORD)? {
            let word = agent::word(&head, exchange.inbox())?;
            let welcome = match word {
                Word::Welcome(welcome) => welcome,
                Word::Refusal(text) => return Err(agent::Error::Refused(text).into()),
                _ => return Err(agent::Error::Malformed(head.kind).into()),
            };
            exchange.take(head.length);
            return Ok(welcome);
        }
        if let Err(error) = exchange.step().await {
            if error.kind() == ErrorKind::UnexpectedEof {
                return Err(anyhow!("it closes the connection: does it speak `ack`?"));
            }
            return Err(error.into());
        }
    }
}
