//! Streams over TCP and Unix sockets, plain or under TLS.
//!
//! On the same port agents are taken in that speak the protocol of [`crate::formats::agent`]: a
//! connection that begins with a hello is handed to a [`session`]; what is known of all agents
//! is kept in [`agents`].

mod agents;
mod reports;
mod session;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use self::agents::Agents;
use super::connections;
use super::connections::Reading;
use crate::formats::agent;
use crate::net;
use crate::net::Address;
use crate::net::Exchange;
use crate::net::ListenOptions;
use crate::net::Listener;
use crate::net::StreamNet;
use crate::net::Tls;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Listens;
use crate::stdx::duration;

/// Listens for streams, of framed Heka messages unless told otherwise. Messages without a header of
/// their own have the name of the section as type and logger and the remote address as hostname.
///
/// An agent, which is a `TcpOutput` with `protocol = "ack"`, is acknowledged what is durable in the
/// journal here. Of an agent that is not heard of for `silent_after` a message of type
/// `heka.agent-silent` tells, and `heka.agent-heard` when it is back. `heka.agent-gap` names entries
/// of an agent's journal that did not come and will not, in its fields `first` and `last`.
/// `heka.agent-twin` says that two machines send as one agent, as copies of an image do that have
/// the same hostname and journal: what both send is taken. All have the fields `agent`, `stream` and
/// `journal`.
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
    /// How long an agent may be silent until it is reported; 0 is for ever. In seconds.
    #[serde(default = "a_minute", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    silent_after: Duration,
}

fn a_minute() -> Duration {
    Duration::from_mins(1)
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
        anyhow::ensure!(self.max_connections > 0, "`max_connections` has to be above 0");
        Address::stream(self.net, &self.address)?;
        Tls::server_wanted(self.use_tls, self.tls.as_ref())?;
        Ok(())
    }
}

#[async_trait]
impl Input for TcpInput {
    fn listens(&self) -> Option<Listens> {
        Some(Listens { net: self.net.word(), address: self.address.clone(), mode: None })
    }

    fn promise(&self) -> &'static str {
        "agents are acknowledged what is durable and send the rest again, each once; of plain streams what is not durable is lost"
    }

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
        serve(listener, self.silent_after, cx).await
    }
}

/// Hands over what comes on the connections until the input stops.
async fn serve(listener: Listener, silent_after: Duration, cx: InputContext) -> anyhow::Result<()> {
    let agents = Arc::new(Agents::known(&cx));
    let watching = agents.clone().watch(silent_after, cx.clone());
    let serving = connections::serve(listener, cx, move |connection, cx| {
        receive(connection, cx, agents.clone())
    });
    tokio::select! {
        served = serving => served,
        failed = watching => failed,
    }
}

/// Finds out what a connection speaks, and takes what comes.
async fn receive(
    connection: net::Stream,
    cx: InputContext,
    agents: Arc<Agents>,
) -> anyhow::Result<()> {
    let mut exchange = Exchange::new(connection, Vec::new());
    let speaks = loop {
        let speaks = agent::begins(exchange.inbox());
        if speaks.is_some() {
            break speaks;
        }
        // Who has said nothing may take its time, who has begun to introduce itself may not.
        let has_begun = !exchange.inbox().is_empty();
        let step = tokio::select! {
            () = cx.stopping.cancelled() => break None,
            step = exchange.step() => step,
            () = tokio::time::sleep(session::HELLO), if has_begun => {
                anyhow::bail!("the agent did not introduce itself in time")
            }
        };
        match step {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break None,
            Err(error) => return Err(error.into()),
        }
    };
    if speaks == Some(true) {
        return session::serve(exchange, cx, agents).await;
    }
    let (connection, first) = exchange.into_parts();
    let mut origin = cx.origin(&cx.name);
    origin.hostname = connection.peer().host().into_bytes();
    let mut stream = cx.stream(origin, None).await?;
    if !first.is_empty() {
        stream.bytes(first.into()).await?;
    }
    Reading::of(connection).hand_to(stream, &cx).await
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
        let running = tokio::spawn(serve(listener, Duration::ZERO, desk.context()));
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
        let running = tokio::spawn(serve(listener, Duration::ZERO, desk.context()));
        let mut one = Connector::new(address).connect().await.unwrap();
        let line = [&[b'x'; 999][..], b"\n"].concat();
        one.write_all(&line.repeat(2_000)).await.unwrap();
        let delivered = desk.wait_for(2_000).await;
        assert!(delivered.iter().all(|one| one.text.len() == 999));
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
    }
}
