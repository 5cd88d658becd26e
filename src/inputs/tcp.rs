//! Streams over TCP and Unix sockets, plain or under TLS.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::connections;
use super::connections::Reading;
use crate::net::Address;
use crate::net::ListenOptions;
use crate::net::Listener;
use crate::net::StreamNet;
use crate::net::Tls;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::stdx::duration;

/// Listens for streams, of framed Heka messages unless told otherwise. Messages without a header of
/// their own have the name of the section as type and logger and the remote address as hostname.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TcpInput {
    /// The net: `tcp`, `tcp4`, `tcp6` or `unix`.
    #[serde(default)]
    net: StreamNet,
    /// Where to listen: `host:port`, or a path or `@name` with `net = "unix"`, or `fd:N`.
    address: String,
    /// Whether TLS is spoken; it is not where this is left out.
    use_tls: Option<bool>,
    /// How TLS is spoken.
    tls: Option<Tls>,
    /// Whether quiet connections are asked whether they are alive.
    #[serde(default)]
    keep_alive: bool,
    /// How long a connection is quiet until it is asked. In seconds.
    #[serde(default = "two_hours", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    keep_alive_period: Duration,
    /// How many connections there are at most; further ones wait.
    #[serde(default = "max_connections")]
    max_connections: usize,
}

fn two_hours() -> Duration {
    Duration::from_hours(2)
}

fn max_connections() -> usize {
    4096
}

impl Described for TcpInput {
    const NAME: &'static str = "TcpInput";
    const ABOUT: &'static str =
        "Listens for streams over TCP or a Unix socket, plain or under TLS.";
    const EXAMPLE: &'static str = "[TcpInput]\naddress = \"127.0.0.1:5565\"\n";
    const DEFAULTS: Defaults = Defaults {
        decoder: Some("ProtobufDecoder"),
        splitter: Some("HekaFramingSplitter"),
        ..Defaults::NONE
    };

    fn check(&self) -> anyhow::Result<()> {
        Address::stream(self.net, &self.address)?;
        Tls::server_wanted(self.use_tls, self.tls.as_ref())?;
        Ok(())
    }
}

#[async_trait]
impl Input for TcpInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let address = Address::stream(self.net, &self.address)?;
        let options = ListenOptions {
            keep_alive: self.keep_alive.then_some(self.keep_alive_period),
            max_connections: self.max_connections,
            tls: Tls::server_wanted(self.use_tls, self.tls.as_ref())?,
            mode: None,
        };
        let listener = Listener::bind(&address, options).await?;
        cx.say_listening(listener.local_address(), &self.address);
        serve(listener, cx).await
    }
}

/// Hands over what comes on the connections until the input stops.
async fn serve(listener: Listener, cx: InputContext) -> anyhow::Result<()> {
    connections::serve(listener, cx, |connection, cx| async move {
        let mut origin = cx.origin(&cx.name);
        origin.hostname = connection.peer().host().into_bytes();
        let stream = cx.stream(origin, None).await?;
        Reading::of(connection).hand_to(stream, &cx).await
    })
    .await
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::inputs::testing::Desk;
    use crate::net::Connector;

    async fn listener(max_connections: usize) -> (Listener, Address) {
        let address = Address::stream(StreamNet::Tcp, "127.0.0.1:0").unwrap();
        let options = ListenOptions { keep_alive: None, max_connections, tls: None, mode: None };
        let listener = Listener::bind(&address, options).await.unwrap();
        let bound = listener.local_address().unwrap().to_string();
        (listener, Address::stream(StreamNet::Tcp, &bound).unwrap())
    }

    #[tokio::test]
    async fn each_connection_is_a_stream_of_its_own_with_the_remote_address() {
        let (listener, address) = listener(8).await;
        let desk = Desk::new("tcp");
        let running = tokio::spawn(serve(listener, desk.context()));
        let connector = Connector::new(address);
        let mut one = connector.connect().await.unwrap();
        let mut two = connector.connect().await.unwrap();
        one.write_all(b"on").await.unwrap();
        two.write_all(b"two\nnever").await.unwrap();
        desk.wait_for(1).await;
        one.write_all(b"e\n").await.unwrap();
        let delivered = desk.wait_for(2).await;
        let texts: Vec<_> = delivered.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts, ["two", "one"]);
        assert_eq!(delivered[0].origin.hostname, b"127.0.0.1");
        assert_eq!(delivered[0].origin.message_type, b"tcp");
        drop(two);
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
        assert_eq!(desk.delivered().len(), 2);
    }

    #[tokio::test]
    async fn much_arrives_whole() {
        let (listener, address) = listener(8).await;
        let desk = Desk::new("tcp");
        let running = tokio::spawn(serve(listener, desk.context()));
        let mut one = Connector::new(address).connect().await.unwrap();
        let line = [&[b'x'; 999][..], b"\n"].concat();
        one.write_all(&line.repeat(2_000)).await.unwrap();
        let delivered = desk.wait_for(2_000).await;
        assert!(delivered.iter().all(|one| one.text.len() == 999));
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
    }
}
