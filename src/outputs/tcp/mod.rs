//! Another Heka, or whoever listens, over TCP.

mod acked;
mod agent;
mod gate;
mod places;
mod plain;

use std::time::Duration;
use std::time::Instant;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use self::acked::Bounds;
use self::agent::Agent;
use self::agent::Rhythm;
use self::places::Places;
use self::plain::Plain;
use super::connection;
use super::connection::LocalAddress;
use crate::net::Address;
use crate::net::Connector;
use crate::net::StreamNet;
use crate::net::Tls;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::stdx::duration;

/// Writes records to a TCP connection.
///
/// With `protocol = "heka"`, what the other side's system has acknowledged counts as sent; what has not
/// been when a connection ends is sent again on the next, so that records may come twice. What is lost
/// is what the other side's system had acknowledged and a program that died had not read, unless
/// `resend_window` has it sent again.
///
/// With `protocol = "ack"` the other side is a `TcpInput` of this engine, and what counts as sent is
/// durable in its journal: nothing is lost, and at one aggregator nothing comes twice, whichever side
/// is killed. With several aggregators, what one has not acknowledged when another takes its place
/// may be in the journals of both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TcpOutput {
    /// How the other side learns what was sent: `heka` or `ack`.
    #[serde(default)]
    protocol: Protocol,
    /// Where to connect to, `host:port`; `localhost:9125` where `addresses` are not given either.
    #[serde(default)]
    address: Option<TcpAddress>,
    /// Where to connect to, one of these by chance; when it fails, another.
    #[serde(default)]
    addresses: Vec<TcpAddress>,
    /// How long connecting may take. In seconds.
    #[serde(default = "ten_seconds", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    connect_timeout: Duration,
    /// How long an aggregator may be silent and, where there are others, how long it may take to
    /// acknowledge. In seconds.
    #[serde(default = "half_a_minute", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    ack_timeout: Duration,
    /// How many bytes may be sent and not acknowledged.
    #[serde(default = "window_bytes")]
    window_bytes: usize,
    /// How many batches may be sent and not acknowledged.
    #[serde(default = "window_batches")]
    window_batches: usize,
    /// How batches are compressed with `protocol = "ack"`: `zstd` or `none`.
    #[serde(default)]
    compression: Compression,
    /// How hard zstd tries, from -7 to 19. Of access logs -7 leaves 29 %, -3 leaves 26 % and 1 leaves
    /// 21 %, for 5 % and 40 % more CPU time of its own.
    #[serde(default = "compression_level")]
    compression_level: i32,
    /// How long to stay with one of several aggregators, about; 0 is until it fails. In seconds.
    #[serde(default, deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    rebalance_interval: Duration,
    /// With `protocol = "ack"`, how long messages are gathered before they are sent; 0 sends at once.
    /// In seconds.
    #[serde(default, deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    flush_interval: Duration,
    /// Whether TLS is spoken; it is not where this is left out.
    use_tls: Option<bool>,
    /// How TLS is spoken.
    tls: Option<Tls>,
    /// The address of this machine to connect from.
    local_address: Option<LocalAddress>,
    /// Whether the system asks a silent other side now and then whether it is alive.
    #[serde(default)]
    keep_alive: bool,
    /// After how much silence it asks. In seconds.
    #[serde(default = "two_hours", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    keep_alive_period: Duration,
    /// After so many records a new connection is made, for a balancer to choose again; 0 is never.
    #[serde(default)]
    reconnect_after: usize,
    /// With `protocol = "heka"`, how much of what was sent last is sent again when a connection has
    /// broken: the program at the other end may have died with it. What it had comes twice. In seconds.
    #[serde(default, deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    resend_window: Duration,
    #[serde(skip)]
    line: Option<Line>,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    /// Records one behind the other, without acknowledgement.
    #[default]
    Heka,
    /// Numbered batches that are acknowledged.
    Ack,
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Compression {
    /// As they are.
    None,
    /// With zstd.
    #[default]
    Zstd,
}

/// The connection, by protocol.
#[derive(Debug)]
enum Line {
    Plain(Box<Plain>),
    Agent(Box<Agent>),
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn compression_level() -> i32 {
    -7
}

fn window_bytes() -> usize {
    8 << 20
}

fn window_batches() -> usize {
    64
}

/// An address of a TCP socket, `host:port`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
struct TcpAddress(
    #[serde(deserialize_with = "connection::tcp_address")]
    #[schemars(with = "String")]
    Address,
);

fn two_hours() -> Duration {
    Duration::from_hours(2)
}

impl Described for TcpOutput {
    const NAME: &'static str = "TcpOutput";
    const ABOUT: &'static str = "Sends messages to another Heka over TCP or TLS.";
    const EXAMPLE: &'static str = "[TcpOutput]\nmessage_matcher = \"TRUE\"\n\
        address = \"aggregator.example.com:5565\"\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("ProtobufEncoder"), ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        let is_ambiguous = self.address.is_some() && !self.addresses.is_empty();
        anyhow::ensure!(!is_ambiguous, "`address` and `addresses` cannot both be given");
        let is_level = (-7..=19).contains(&self.compression_level);
        anyhow::ensure!(is_level, "`compression_level` must be from -7 to 19");
        let is_ack = self.protocol == Protocol::Ack;
        for (name, is_given) in [
            ("flush_interval", !self.flush_interval.is_zero()),
            ("rebalance_interval", !self.rebalance_interval.is_zero()),
        ] {
            anyhow::ensure!(is_ack || !is_given, "`{name}` needs `protocol = \"ack\"`");
        }
        let is_given = self.reconnect_after > 0;
        anyhow::ensure!(
            !is_ack || !is_given,
            "`reconnect_after` is `rebalance_interval` with `ack`"
        );
        anyhow::ensure!(
            !is_ack || self.resend_window.is_zero(),
            "`resend_window` has no place beside `ack`, with which nothing is lost"
        );
        self.connectors().map(drop)
    }
}

#[async_trait]
impl Output for TcpOutput {
    fn promise(&self) -> &'static str {
        match self.protocol {
            Protocol::Ack if self.addresses.len() < 2 => "acknowledged when durable there: once",
            Protocol::Ack => {
                "acknowledged when durable there: once, but what is unacknowledged at a failover \
                 may come twice, marked by its positions"
            }
            Protocol::Heka => {
                "at least once into the other side's system; what nobody there has read when it dies \
                 is lost beyond `resend_window`, and not with `protocol = \"ack\"`"
            }
        }
    }

    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        let connectors = self.connectors().map_err(Failure::Stop)?;
        let places = Places::new(connectors, cx.handover.clone());
        self.line = Some(match self.protocol {
            Protocol::Heka => {
                let open = Plain::open(places, cx, self.reconnect_after, self.resend_window);
                Line::Plain(Box::new(open.await?))
            }
            Protocol::Ack => {
                let bounds = Bounds {
                    window_bytes: self.window_bytes,
                    window_batches: self.window_batches,
                    ack_timeout: self.ack_timeout,
                    compression_level: (self.compression == Compression::Zstd)
                        .then_some(self.compression_level),
                };
                let rhythm = Rhythm {
                    flush_interval: self.flush_interval,
                    rebalance_interval: self.rebalance_interval,
                };
                Line::Agent(Box::new(Agent::open(places, cx, bounds, rhythm).await?))
            }
        });
        Ok(())
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        match &mut self.line {
            Some(Line::Plain(plain)) => plain.send(load).await,
            Some(Line::Agent(agent)) => agent.send(load).await,
            None => Err(Failure::Retry(anyhow::anyhow!("it is not open"))),
        }
    }

    async fn settled(&mut self) -> Result<u64, Failure> {
        match &mut self.line {
            Some(Line::Plain(plain)) => plain.settled().await,
            Some(Line::Agent(agent)) => agent.settled().await,
            None => std::future::pending().await,
        }
    }

    async fn idle(&mut self) -> Result<(), Failure> {
        match &mut self.line {
            Some(Line::Agent(agent)) => agent.idle().await,
            Some(Line::Plain(plain)) => plain.idle().await,
            None => std::future::pending().await,
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.line {
            Some(Line::Plain(plain)) => plain.flush().await,
            Some(Line::Agent(agent)) => agent.flush().await,
            None => Ok(()),
        }
    }

    fn resumes_at(&self) -> Option<u64> {
        self.agent()?.resumes_at()
    }

    fn returns_to(&self) -> Option<u64> {
        match self.line.as_ref()? {
            Line::Agent(agent) => agent.returns_to(),
            Line::Plain(plain) => plain.returns_to(),
        }
    }

    fn pauses_until(&self) -> Option<Instant> {
        self.agent()?.pauses_until()
    }

    async fn close(&mut self) {
        match &mut self.line {
            Some(Line::Plain(plain)) => plain.close().await,
            Some(Line::Agent(agent)) => agent.close().await,
            None => {}
        }
    }
}

impl TcpOutput {
    fn agent(&self) -> Option<&Agent> {
        match self.line.as_ref()? {
            Line::Agent(agent) => Some(agent),
            Line::Plain(_) => None,
        }
    }

    /// How to connect to each of the addresses.
    fn connectors(&self) -> anyhow::Result<Vec<Connector>> {
        let addresses = self.address.iter().chain(&self.addresses);
        let mut addresses: Vec<Address> = addresses.map(|address| address.0.clone()).collect();
        if addresses.is_empty() {
            addresses.push(Address::stream(StreamNet::Tcp, "localhost:9125")?);
        }
        let connector = |address: Address| {
            let mut connector = Connector::new(address).timeout(self.connect_timeout);
            if let Some(LocalAddress(local)) = self.local_address {
                connector = connector.from_local(local);
            }
            if self.keep_alive {
                connector = connector.keep_alive(self.keep_alive_period);
            }
            Ok(connector.tls_where_wanted(self.use_tls, self.tls.as_ref())?)
        };
        addresses.into_iter().map(connector).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::outputs::testing;

    async fn listen() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, format!("address = '{address}'"))
    }

    fn output(settings: &str) -> TcpOutput {
        toml::from_str(settings).unwrap()
    }

    async fn read(listener: &TcpListener) -> String {
        let mut text = String::new();
        listener.accept().await.unwrap().0.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn records_arrive_in_order() {
        let (listener, settings) = listen().await;
        let mut output = output(&format!("{settings}\nlocal_address = '127.0.0.1'"));
        output.open(&testing::context("tcp")).await.unwrap();
        for text in ["one\ntwo\n", "three\n"] {
            assert_eq!(output.send(&mut testing::lines(text)).await.unwrap(), Sent::Held);
        }
        output.close().await;
        assert_eq!(read(&listener).await, "one\ntwo\nthree\n");
    }

    #[tokio::test]
    async fn a_new_connection_is_made_after_so_many_records() {
        let (listener, settings) = listen().await;
        let mut output = output(&format!("{settings}\nreconnect_after = 2"));
        output.open(&testing::context("tcp")).await.unwrap();
        output.send(&mut testing::lines("1\n2\n3\n4\n5\n")).await.unwrap();
        output.close().await;
        assert_eq!(read(&listener).await, "1\n2\n");
        assert_eq!(read(&listener).await, "3\n4\n");
        assert_eq!(read(&listener).await, "5\n");
    }

    #[tokio::test]
    async fn a_peer_that_has_closed_loses_nothing() {
        let (listener, settings) = listen().await;
        let mut output = output(&settings);
        output.open(&testing::context("tcp")).await.unwrap();
        let (peer, _) = listener.accept().await.unwrap();
        drop(peer);
        let Some(Line::Plain(plain)) = &mut output.line else { panic!("it is not open") };
        plain.closed_by_peer().await;
        let mut load = testing::lines("one\n");
        let failure = output.send(&mut load).await.unwrap_err();
        assert!(matches!(failure, Failure::Retry(_)), "{failure:?}");
        output.send(&mut load).await.unwrap();
        output.close().await;
        assert_eq!(read(&listener).await, "one\n");
    }

    #[tokio::test]
    async fn nobody_there_is_worth_a_retry() {
        let (listener, settings) = listen().await;
        drop(listener);
        let opened = output(&settings).open(&testing::context("tcp")).await;
        assert!(matches!(opened, Err(Failure::Retry(_))), "{opened:?}");
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for (settings, expected) in [
            ("address = 'nowhere'", "`nowhere` is no address for tcp"),
            ("local_address = 'here'", "`here` is no local address"),
            ("use_tl = true", "unknown field `use_tl`"),
        ] {
            let error = toml::from_str::<TcpOutput>(settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
