//! Numbers from statsd's clients, and events and service checks from DataDog's.

mod gather;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use async_trait::async_trait;
use bytes::Bytes;
use bytes::BytesMut;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use self::gather::Gathered;
use self::write::Writer;
use super::any_net::AnyNet;
use super::any_net::Sort;
use super::connections;
use super::connections::Reading;
use super::datagrams::Datagrams;
use crate::metrics::Counter;
use crate::net;
use crate::net::Address;
use crate::net::ListenOptions;
use crate::net::Listener;
use crate::net::datagram::Receiver;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Listens;
use crate::plugin::Stream;
use crate::stdx::duration;

/// How many pieces of streams wait to be read.
const AHEAD: usize = 64;
/// The longest line of a stream, in bytes.
const MAX_LINE: usize = 64 << 10;

/// Receives numbers as statsd's clients send them and hands them to a StatAccumInput, through the
/// journal: counters, timers, gauges and changes to them, sets, histograms, distributions and meters,
/// with a rate of sampling and tags as DataDog, Graphite and Telegraf write them.
///
/// What comes within `flush_interval` goes into one message of type `heka.stat`, counters and gauges
/// added up. Events of DataDog become messages of type `statsd.event` (the payload is the text; fields
/// `title`, `alert_type`, `priority`, `aggregation_key`, `source_type_name` and the tags), service
/// checks messages of type `statsd.service_check` (`check`, `status` and the tags).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatsdInput {
    /// The net: `udp`, `tcp` (each with 4 or 6 behind it for one version of IP), `unixgram` or
    /// `unix`.
    #[serde(default)]
    net: AnyNet,
    /// Where to listen: `host:port`, or a path or `@name` with `unixgram` and `unix`, or `fd:N`.
    #[serde(default = "address")]
    address: String,
    /// The StatAccumInput that is to hear the numbers.
    #[serde(default = "stat_accum")]
    stat_accum_name: String,
    /// How long numbers are gathered before they go into the journal. In milliseconds.
    #[serde(default = "flush_interval", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    flush_interval: Duration,
    /// Whether a sign before the value of a gauge makes it a change to the gauge, as in statsd. For
    /// DataDog's clients, which send negative values so, this has to be false.
    #[serde(default = "is_true")]
    signed_gauges: bool,
    /// How many connections there are at most; further ones wait.
    #[serde(default = "max_connections")]
    max_connections: usize,
    /// Heka's largest datagram, in bytes. Datagrams of any size are taken.
    #[serde(default)]
    max_msg_size: Option<u32>,
}

fn address() -> String {
    "127.0.0.1:8125".to_owned()
}

fn stat_accum() -> String {
    "StatAccumInput".to_owned()
}

fn flush_interval() -> Duration {
    Duration::from_millis(100)
}

fn is_true() -> bool {
    true
}

fn max_connections() -> usize {
    1024
}

impl Described for StatsdInput {
    const NAME: &'static str = "StatsdInput";
    const ABOUT: &'static str = "Receives numbers from clients of statsd and DogStatsD.";
    const EXAMPLE: &'static str =
        "[StatsdInput]\naddress = \"127.0.0.1:8125\"\n\n[StatAccumInput]\nticker_interval = 10\n";

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.flush_interval.is_zero(), "`flush_interval` has to be above 0");
        match self.net.sort() {
            Sort::Datagrams(net) => Address::datagram(net, &self.address)?,
            Sort::Streams(net) => Address::stream(net, &self.address)?,
        };
        Ok(())
    }
}

#[async_trait]
impl Input for StatsdInput {
    fn listens(&self) -> Option<Listens> {
        Some(Listens { net: self.net.word(), address: self.address.clone(), mode: None })
    }

    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        if self.max_msg_size.is_some() {
            tracing::warn!(input = &*cx.name, "`max_msg_size` does nothing: any size is taken");
        }
        let stream = cx.stream(cx.origin("heka.stat"), None).await?;
        let intake = Intake::new(&self, stream, &cx);
        match self.net.sort() {
            Sort::Datagrams(net) => {
                let address = Address::datagram(net, &self.address)?;
                let receiver = Receiver::bind(&address, None).await?;
                cx.say_listening(receiver.local_address(), &self.address);
                receive(receiver, intake, &cx).await
            }
            Sort::Streams(net) => {
                let options = ListenOptions {
                    keep_alive: None,
                    max_connections: self.max_connections,
                    tls: None,
                    mode: None,
                };
                let address = Address::stream(net, &self.address)?;
                let listener = Listener::bind(&address, options).await?;
                cx.say_listening(listener.local_address(), &self.address);
                serve(listener, intake, cx).await
            }
        }
    }
}

/// What takes lines, and hands over what was gathered of them.
struct Intake {
    gathered: Gathered,
    stream: Stream,
    flush_interval: Duration,
}

impl Intake {
    fn new(settings: &StatsdInput, stream: Stream, cx: &InputContext) -> Intake {
        let largest = cx.engine.max_message_size;
        let writer = Writer::new(&settings.stat_accum_name, cx.origin("heka.stat"), largest);
        let gathered = Gathered::new(writer, settings.signed_gauges, bad_lines(cx));
        Intake { gathered, stream, flush_interval: settings.flush_interval }
    }

    fn ticks(&self) -> tokio::time::Interval {
        let first = tokio::time::Instant::now() + self.flush_interval;
        let mut ticks = tokio::time::interval_at(first, self.flush_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    async fn take(&mut self, lines: &[u8]) -> anyhow::Result<()> {
        self.gathered.take(lines);
        if self.gathered.is_full() {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        while let Some(batch) = self.gathered.flush() {
            self.stream.messages(batch).await?;
        }
        Ok(())
    }
}

fn bad_lines(cx: &InputContext) -> Arc<Counter> {
    cx.engine.metrics.counter(
        "heka_statsd_bad_lines_total",
        "Lines that a StatsdInput could not read.",
        &[("plugin", &*cx.name)],
    )
}

/// Takes datagrams until the input stops.
async fn receive(receiver: Receiver, mut intake: Intake, cx: &InputContext) -> anyhow::Result<()> {
    let mut datagrams = Datagrams::listen(receiver, cx)?;
    let mut ticks = intake.ticks();
    loop {
        tokio::select! {
            round = datagrams.next() => {
                let Some(round) = round else { break };
                for (datagram, _) in round.datagrams() {
                    intake.take(&datagram).await?;
                }
            }
            _ = ticks.tick() => intake.flush().await?,
        }
    }
    intake.flush().await?;
    datagrams.end().await
}

/// Takes connections until the input stops.
async fn serve(listener: Listener, intake: Intake, cx: InputContext) -> anyhow::Result<()> {
    let (pieces, received) = mpsc::channel(AHEAD);
    let bad = bad_lines(&cx);
    let serving = connections::serve(listener, cx, move |connection, cx| {
        read_lines(connection, pieces.clone(), bad.clone(), cx)
    });
    let (served, taken) = tokio::join!(serving, take_pieces(received, intake));
    served.and(taken)
}

/// Takes pieces of whole lines until there are no more connections.
async fn take_pieces(mut pieces: mpsc::Receiver<Bytes>, mut intake: Intake) -> anyhow::Result<()> {
    let mut ticks = intake.ticks();
    loop {
        tokio::select! {
            piece = pieces.recv() => {
                let Some(piece) = piece else { break };
                intake.take(&piece).await?;
            }
            _ = ticks.tick() => intake.flush().await?,
        }
    }
    intake.flush().await
}

/// Cuts what comes on a connection into pieces of whole lines; what the last line lacks is its end
/// alone.
async fn read_lines(
    connection: net::Stream,
    pieces: mpsc::Sender<Bytes>,
    bad: Arc<Counter>,
    cx: InputContext,
) -> anyhow::Result<()> {
    let mut reading = Reading::of(connection);
    let mut carry = BytesMut::new();
    loop {
        let bytes = reading.next(&cx).await?;
        if bytes.is_empty() {
            break;
        }
        let Some(end) = memchr::memrchr(b'\n', &bytes) else {
            carry.extend_from_slice(&bytes);
            if carry.len() > MAX_LINE {
                carry.clear();
                bad.add(1);
            }
            continue;
        };
        let whole = if carry.is_empty() {
            bytes.slice(..=end)
        } else {
            carry.extend_from_slice(&bytes[..=end]);
            carry.split().freeze()
        };
        carry.extend_from_slice(&bytes[end + 1..]);
        pieces.send(whole).await?;
    }
    if !carry.is_empty() {
        pieces.send(carry.freeze()).await?;
    }
    Ok(())
}
