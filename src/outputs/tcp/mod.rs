//! Another Heka, or whoever listens, over TCP.

mod plain;

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use self::plain::Plain;
use super::connection;
use super::connection::LocalAddress;
use crate::net::Address;
use crate::net::Connector;
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
/// What the other side's system has acknowledged counts as sent; what has not been when a connection
/// ends is sent again on the next, so that records may come twice. What is lost is what the other
/// side's system had acknowledged and a program that died had not read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TcpOutput {
    /// Where to connect to, `host:port`.
    #[serde(default = "heka", deserialize_with = "connection::tcp_address")]
    #[schemars(with = "String")]
    address: Address,
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
    #[serde(skip)]
    plain: Option<Plain>,
}

fn heka() -> Address {
    Address::stream(crate::net::StreamNet::Tcp, "localhost:9125").expect("it is an address")
}

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
        self.connector().map(drop)
    }
}

#[async_trait]
impl Output for TcpOutput {
    async fn open(&mut self, _cx: &OutputContext) -> Result<(), Failure> {
        let connector = self.connector().map_err(Failure::Stop)?;
        self.plain.insert(Plain::new(connector, self.reconnect_after)).open().await
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        let plain = self.plain.as_mut().context("it is not open");
        plain.map_err(Failure::Retry)?.send(load).await
    }

    async fn settled(&mut self) -> Result<u64, Failure> {
        match &mut self.plain {
            Some(plain) => plain.settled().await,
            None => std::future::pending().await,
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.plain {
            Some(plain) => plain.flush().await,
            None => Ok(()),
        }
    }

    async fn close(&mut self) {
        if let Some(plain) = &mut self.plain {
            plain.close().await;
        }
    }
}

impl TcpOutput {
    fn connector(&self) -> anyhow::Result<Connector> {
        let mut connector = Connector::new(self.address.clone());
        if let Some(LocalAddress(local)) = self.local_address {
            connector = connector.from_local(local);
        }
        if self.keep_alive {
            connector = connector.keep_alive(self.keep_alive_period);
        }
        if let Some(tls) = Tls::wanted(self.use_tls, self.tls.as_ref())? {
            connector = connector.tls(&tls)?;
        }
        Ok(connector)
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
        output.plain.as_mut().unwrap().closed_by_peer().await;
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
