//! Graphite: lines of Carbon, over TCP or UDP, or pickled points.

mod pickle;

use std::borrow::Cow;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use super::arrivals::Arrivals;
use super::connection::Connection;
use super::rewind::Rewind;
use crate::net::Address;
use crate::net::Connector;
use crate::net::DatagramNet;
use crate::net::StreamNet;
use crate::net::datagram::Sender;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Handover;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::stdx::duration;

/// Lines are put into one datagram up to this size, in bytes: what an Ethernet frame carries.
const DATAGRAM: usize = 1400;
/// After so much silence of the other side it is asked whether it is alive.
const KEEP_ALIVE: Duration = Duration::from_hours(2);

/// Sends the lines `name value time` of payloads to Carbon.
///
/// A line that is none is refused, with the line in the report; the others of its record are sent.
/// Over TCP lines count as delivered when they have come as far as Carbon's machine. When a connection
/// breaks, what was sent within `resend_window` is sent again: Carbon may have died with it. A point that
/// comes twice is the same point.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct CarbonOutput {
    place: Place,
    is_pickled: bool,
    resend_window: Duration,
    connection: Option<Connection>,
    arrivals: Arrivals,
    rewind: Rewind,
    handover: Handover,
    sender: Option<Sender>,
}

#[derive(Debug)]
enum Place {
    Tcp(Connector),
    Udp(Address),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where Carbon listens, `host:port`; port 2003 of this machine where it is left out, 2004 for
    /// `pickle`.
    address: Option<String>,
    /// How it is spoken to: lines over `tcp` or `udp`, or `pickle`, which is TCP too and which Carbon reads
    /// with less effort.
    #[serde(default)]
    protocol: Protocol,
    /// Whether the system asks a silent other side now and then whether it is alive.
    #[serde(default)]
    tcp_keep_alive: bool,
    /// How much of what was sent last is sent again on a new connection, over TCP. Longer than Carbon
    /// takes to store what it has read; 0 sends nothing again. In seconds.
    #[serde(default = "one_minute", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    resend_window: Duration,
}

fn one_minute() -> Duration {
    Duration::from_mins(1)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    #[default]
    Tcp,
    Udp,
    Pickle,
}

impl TryFrom<Settings> for CarbonOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<CarbonOutput> {
        let is_pickled = settings.protocol == Protocol::Pickle;
        let usual = if is_pickled { "localhost:2004" } else { "localhost:2003" };
        let written = settings.address.as_deref().unwrap_or(usual);
        let place = match settings.protocol {
            Protocol::Udp => Place::Udp(Address::datagram(DatagramNet::Udp, written)?),
            Protocol::Tcp | Protocol::Pickle => {
                let address = Address::stream(StreamNet::Tcp, written)?;
                let connector = Connector::new(address);
                Place::Tcp(if settings.tcp_keep_alive {
                    connector.keep_alive(KEEP_ALIVE)
                } else {
                    connector
                })
            }
        };
        Ok(CarbonOutput {
            place,
            is_pickled,
            resend_window: settings.resend_window,
            connection: None,
            arrivals: Arrivals::new(),
            rewind: Rewind::default(),
            handover: Handover::default(),
            sender: None,
        })
    }
}

impl JsonSchema for CarbonOutput {
    fn schema_name() -> Cow<'static, str> {
        "CarbonOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for CarbonOutput {
    const NAME: &'static str = "CarbonOutput";
    const ABOUT: &'static str = "Sends the statistics of StatAccumInput to Graphite.";
    const EXAMPLE: &'static str = "[CarbonOutput]\naddress = \"graphite.example.com:2003\"\n";
    const DEFAULTS: Defaults = Defaults {
        encoder: Some("PayloadEncoder"),
        message_matcher: Some("Type == 'heka.statmetric'"),
        ..Defaults::NONE
    };
}

#[async_trait]
impl Output for CarbonOutput {
    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        match &self.place {
            Place::Tcp(connector) => {
                self.arrivals = Arrivals::new();
                let mut connection = Connection::new(connector.clone());
                connection.open().await?;
                self.connection = Some(connection);
                self.handover = cx.handover.clone();
                let kept: Rewind = self.handover.take().unwrap_or_default();
                self.rewind = kept.open(self.resend_window, cx);
                Ok(())
            }
            Place::Udp(address) => {
                let opened = Sender::open(address, None).await;
                self.sender = Some(opened.map_err(|error| Failure::Retry(error.into()))?);
                Ok(())
            }
        }
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        // All up to the first record with a bad line goes in one piece.
        let mut lines = Vec::with_capacity(load.rest().len());
        let mut whole = 0;
        let mut bad = None;
        for record in load.records() {
            bad = put_lines(&mut lines, record).err();
            if bad.is_some() {
                break;
            }
            whole += 1;
        }
        if self.is_pickled {
            let mut pickled = Vec::with_capacity(lines.len() + lines.len() / 2);
            pickle::put(&lines, &mut pickled);
            lines = pickled;
        }
        self.write(&lines).await?;
        load.advance(whole);
        if let Some(error) = bad {
            // Only what is certain may be passed over.
            if let Some(connection) = &mut self.connection {
                self.arrivals.drain(connection).await?;
            }
            return Err(Failure::Reject(error));
        }
        if self.connection.is_none() {
            return Ok(Sent::Done);
        }
        self.arrivals.complete(load.entry);
        Ok(Sent::Held)
    }

    async fn settled(&mut self) -> Result<u64, Failure> {
        match &mut self.connection {
            Some(connection) => {
                let entry = self.arrivals.settled(connection).await?;
                self.rewind.settled(entry, Instant::now());
                Ok(entry)
            }
            None => std::future::pending().await,
        }
    }

    fn returns_to(&self) -> Option<u64> {
        self.rewind.to()
    }

    async fn idle(&mut self) -> Result<(), Failure> {
        match &mut self.connection {
            Some(connection) if self.rewind.is_on() => Err(connection.ended().await),
            _ => std::future::pending().await,
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.connection {
            Some(connection) => self.arrivals.flush(connection).await,
            None => Ok(()),
        }
    }

    async fn close(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            let mut rewind = std::mem::take(&mut self.rewind);
            rewind.broke(Instant::now());
            self.handover.give(rewind);
            connection.close().await;
        }
    }
}

impl CarbonOutput {
    async fn write(&mut self, lines: &[u8]) -> Result<(), Failure> {
        if let Some(connection) = &mut self.connection {
            if lines.is_empty() {
                return Ok(());
            }
            connection.write(lines).await?;
            self.arrivals.wrote(lines.len());
            return Ok(());
        }
        let sender = self.sender.as_ref().context("it is not open").map_err(Failure::Retry)?;
        for datagram in datagrams(lines) {
            let sent = sender.send(datagram).await.context("cannot send to carbon");
            sent.map_err(Failure::Retry)?;
        }
        Ok(())
    }
}

/// Appends the lines of a record that are sound, each with one newline.
///
/// # Errors
/// When one is not, with the line.
fn put_lines(out: &mut Vec<u8>, record: &[u8]) -> anyhow::Result<()> {
    let mut bad: Option<(&[u8], usize)> = None;
    for line in record.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if is_sound(line) {
            out.extend_from_slice(line);
            out.push(b'\n');
        } else {
            bad = Some((bad.map_or(line, |(first, _)| first), bad.map_or(1, |(_, n)| n + 1)));
        }
    }
    let Some((line, count)) = bad else { return Ok(()) };
    let shown = String::from_utf8_lossy(&line[..line.len().min(200)]);
    let others = match count {
        1 => String::new(),
        _ => format!(", and {} more", count - 1),
    };
    Err(anyhow!("`{shown}` is no line of carbon, expected `name value time`{others}"))
}

/// Tells whether a line is a name, a number and a time.
fn is_sound(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let mut words = line.split_ascii_whitespace();
    let is_number = |word: Option<&str>| word.is_some_and(|word| word.parse::<f64>().is_ok());
    let has_name = words.next().is_some();
    has_name && is_number(words.next()) && is_number(words.next()) && words.next().is_none()
}

/// Cuts lines into pieces that fit into a datagram; a line that does not is one alone.
fn datagrams(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let line_end = |found: Option<usize>| found.map(|at| at + 1);
        let end = if rest.len() <= DATAGRAM {
            None
        } else {
            line_end(memchr::memrchr(b'\n', &rest[..DATAGRAM]))
                .or_else(|| line_end(memchr::memchr(b'\n', rest)))
        };
        let (datagram, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind;
        (!datagram.is_empty()).then_some(datagram)
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio::net::UdpSocket;

    use super::*;
    use crate::outputs::testing;

    fn output(settings: &str) -> CarbonOutput {
        toml::from_str(settings).unwrap()
    }

    #[tokio::test]
    async fn sound_lines_are_sent_and_the_others_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut output = output(&format!("address = '{address}'\ntcp_keep_alive = true"));
        output.open(&testing::context("carbon")).await.unwrap();
        let records: [&[u8]; 3] = [
            b"a.b 1 1416840893\na.c 0.5 1416840893\n\n",
            b"bad\na.d 1e3 1416840893 \na.e x 1\n",
            b"a.f -1 1416840893",
        ];
        let mut load = testing::load(&records);
        let Err(Failure::Reject(error)) = output.send(&mut load).await else { panic!() };
        assert_eq!(
            error.to_string(),
            "`bad` is no line of carbon, expected `name value time`, and 1 more"
        );
        assert_eq!(load.first(), 1);
        load.advance(1);
        assert_eq!(output.send(&mut load).await.unwrap(), Sent::Held);
        assert_eq!(output.settled().await.unwrap(), load.entry);
        output.close().await;
        let mut text = String::new();
        listener.accept().await.unwrap().0.read_to_string(&mut text).await.unwrap();
        assert_eq!(
            text,
            "a.b 1 1416840893\na.c 0.5 1416840893\na.d 1e3 1416840893\na.f -1 1416840893\n"
        );
    }

    #[tokio::test]
    async fn what_is_reset_on_its_way_is_not_delivered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut output = output(&format!("address = '{address}'"));
        output.open(&testing::context("carbon")).await.unwrap();
        let (peer, _) = listener.accept().await.unwrap();
        let mut load = testing::lines(&"a.b 1 1416840893\n".repeat(1 << 20));
        // More than the buffers of both sides hold; who has not read it all resets.
        let reset = async move {
            peer.readable().await.unwrap();
            drop(peer);
        };
        let (sent, ()) = tokio::join!(output.send(&mut load), reset);
        let failure = match sent {
            Err(failure) => failure,
            Ok(_) => output.settled().await.unwrap_err(),
        };
        assert!(matches!(failure, Failure::Retry(_)), "{failure:?}");
    }

    #[tokio::test]
    async fn datagrams_hold_whole_lines() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut output = output(&format!("address = '{address}'\nprotocol = 'udp'"));
        output.open(&testing::context("carbon")).await.unwrap();
        let line = format!("{} 1 2\n", "x".repeat(500));
        let mut load = testing::lines(&line.repeat(5));
        output.send(&mut load).await.unwrap();
        let mut sizes = Vec::new();
        for _ in 0..3 {
            sizes.push(socket.recv(&mut [0; 2000]).await.unwrap() / line.len());
        }
        assert_eq!(sizes, [2, 2, 1]);
    }

    #[test]
    fn a_line_too_long_for_a_datagram_is_one_alone() {
        let long = format!("{}\n", "x".repeat(2 * DATAGRAM));
        let lines = format!("a\n{long}b\n");
        let found: Vec<_> = datagrams(lines.as_bytes()).collect();
        assert_eq!(found, [b"a\n".as_slice(), long.as_bytes(), b"b\n"]);
        assert_eq!(datagrams(b"").count(), 0);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for (settings, expected) in [
            ("protocol = 'http'", "unknown variant `http`"),
            ("address = 'nowhere'", "`nowhere` is no address for tcp"),
        ] {
            let error = toml::from_str::<CarbonOutput>(settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
