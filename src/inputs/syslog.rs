//! Messages of syslog, over whatever carries them.

use std::time::Duration;

use anyhow::Context;
use anyhow::ensure;
use async_trait::async_trait;
use bytes::BufMut;
use bytes::Bytes;
use bytes::BytesMut;
use schemars::JsonSchema;
use serde::Deserialize;

use super::any_net::AnyNet;
use super::any_net::Sort;
use super::connections;
use super::connections::Reading;
use super::datagrams::Datagrams;
use super::datagrams::Origins;
use crate::net::Address;
use crate::net::ListenOptions;
use crate::net::Listener;
use crate::net::Peer;
use crate::net::Tls;
use crate::net::datagram::Receiver;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Listens;
use crate::plugin::Origin;
use crate::stdx::duration;

/// Listens for messages of syslog. They have the type `syslog`, the name of the section as logger
/// and, where they name no host, the address of the sender as hostname, or that of this machine
/// where the sender runs on it. A datagram is one message; in a stream messages are counted in
/// octets or end with the line, each as it likes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SyslogInput {
    /// The net: `udp`, `tcp` (each with 4 or 6 behind it for one version of IP), `unixgram` or
    /// `unix`.
    #[serde(default)]
    net: AnyNet,
    /// Where to listen: `host:port`, or a path or `@name` with `unixgram` and `unix`, or `fd:N`.
    address: String,
    /// Whether TLS is spoken, on a stream; it is not where this is left out.
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
    /// Who may write to a Unix socket, in octal as for `chmod`: everyone, as to `/dev/log`.
    #[serde(default = "everyone")]
    perm: String,
}

fn two_hours() -> Duration {
    Duration::from_hours(2)
}

fn everyone() -> String {
    "666".to_owned()
}

fn max_connections() -> usize {
    4096
}

impl Described for SyslogInput {
    const NAME: &'static str = "SyslogInput";
    const ABOUT: &'static str =
        "Listens for syslog over UDP, TCP, TLS or Unix sockets, RFC 3164 and RFC 5424.";
    const EXAMPLE: &'static str = "[SyslogInput]\nnet = \"udp\"\naddress = \"127.0.0.1:5514\"\n";
    const DEFAULTS: Defaults = Defaults {
        decoder: Some("SyslogDecoder"),
        splitter: Some("SyslogFramingSplitter"),
        ..Defaults::NONE
    };

    fn check(&self) -> anyhow::Result<()> {
        self.mode()?;
        match self.net.sort() {
            Sort::Datagrams(net) => {
                let is_tls = self.use_tls == Some(true) || self.tls.is_some();
                ensure!(!is_tls, "`use_tls` needs `net = \"tcp\"` or `\"unix\"`");
                Address::datagram(net, &self.address)?;
            }
            Sort::Streams(net) => {
                Address::stream(net, &self.address)?;
                Tls::server_wanted(self.use_tls, self.tls.as_ref())?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Input for SyslogInput {
    fn listens(&self) -> Option<Listens> {
        let mode = self.socket_mode().ok()?;
        Some(Listens { net: self.net.word(), address: self.address.clone(), mode })
    }

    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        match self.net.sort() {
            Sort::Datagrams(net) => {
                let address = Address::datagram(net, &self.address)?;
                let receiver = Receiver::bind(&address, self.socket_mode()?).await?;
                cx.say_listening(receiver.local_address(), &self.address);
                receive(receiver, cx).await
            }
            Sort::Streams(net) => {
                let address = Address::stream(net, &self.address)?;
                let options = ListenOptions {
                    keep_alive: self.keep_alive.then_some(self.keep_alive_period),
                    max_connections: self.max_connections,
                    tls: Tls::server_wanted(self.use_tls, self.tls.as_ref())?,
                    mode: self.socket_mode()?,
                };
                let listener = Listener::bind(&address, options).await?;
                cx.say_listening(listener.local_address(), &self.address);
                serve(listener, cx).await
            }
        }
    }
}

impl SyslogInput {
    /// The permissions of the socket, where it is one that has some.
    fn socket_mode(&self) -> anyhow::Result<Option<u32>> {
        let is_file = matches!(self.net, AnyNet::Unix | AnyNet::Unixgram);
        is_file.then(|| self.mode()).transpose()
    }

    fn mode(&self) -> anyhow::Result<u32> {
        let mode = u32::from_str_radix(&self.perm, 8).ok().filter(|mode| *mode <= 0o777);
        mode.with_context(|| format!("perm {:?} is no mode as in 666", self.perm))
    }
}

/// Nobody knows which process of which program wrote a message that does not say so.
fn origin(cx: &InputContext) -> Origin {
    let mut origin = cx.origin("syslog");
    origin.pid = None;
    origin
}

async fn serve(listener: Listener, cx: InputContext) -> anyhow::Result<()> {
    connections::serve(listener, cx, |connection, cx| async move {
        let mut origin = origin(&cx);
        if let Peer::Network(_) = connection.peer() {
            origin.hostname = connection.peer().host().into_bytes();
        }
        let stream = cx.stream(origin, None).await?;
        Reading::of(connection).hand_to(stream, &cx).await
    })
    .await
}

async fn receive(receiver: Receiver, cx: InputContext) -> anyhow::Result<()> {
    let origin = origin(&cx);
    let mut stream = cx.stream(origin.clone(), None).await?;
    let mut origins = Origins::of(origin);
    let mut datagrams = Datagrams::listen(receiver, &cx)?;
    while let Some(round) = datagrams.next().await {
        for (bytes, sender) in round.datagrams() {
            stream.whole(counted(bytes), sender.map(|sender| origins.from(sender))).await?;
        }
    }
    datagrams.end().await
}

/// A datagram with a line feed within is counted, so that it stays one message.
fn counted(bytes: Bytes) -> Bytes {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0));
    let text = &bytes[..end.map_or(0, |last| last + 1)];
    if !text.starts_with(b"<") || memchr::memchr2(b'\n', 0, text).is_none() {
        return bytes;
    }
    let mut framed = BytesMut::with_capacity(text.len() + 8);
    framed.put_slice(itoa::Buffer::new().format(text.len()).as_bytes());
    framed.put_u8(b' ');
    framed.put_slice(text);
    framed.freeze()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::inputs::testing::Desk;
    use crate::net::DatagramNet;
    use crate::net::datagram::Sender;

    #[tokio::test]
    async fn datagrams_stay_whole_and_name_their_sender() {
        let address = Address::datagram(DatagramNet::Udp, "127.0.0.1:0").unwrap();
        let receiver = Receiver::bind(&address, None).await.unwrap();
        let bound = receiver.local_address().unwrap().to_string();
        let desk = Desk::new("log");
        let running = tokio::spawn(receive(receiver, desk.context()));
        let target = Address::datagram(DatagramNet::Udp, &bound).unwrap();
        let sender = Sender::open(&target, None).await.unwrap();
        for text in ["<13>one\n", "<13>two\nlines\n", "bare\nlines"] {
            sender.send(text.as_bytes()).await.unwrap();
        }
        let delivered = desk.wait_for(3).await;
        let texts: Vec<_> = delivered.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts, ["<13>one\n", "13 <13>two\nlines", "bare\nlines"]);
        let origin = &delivered[0].origin;
        assert_eq!((&*origin.hostname, &*origin.message_type), (&b"127.0.0.1"[..], &b"syslog"[..]));
        assert_eq!(origin.pid, None);
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn everyone_may_write_to_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let text = format!("net = 'unixgram'\naddress = '{}'", path.display());
        let input: SyslogInput = toml::from_str(&text).unwrap();
        let desk = Desk::new("log");
        let running = tokio::spawn(Box::new(input).run(desk.context()));
        let address = Address::datagram(DatagramNet::Unixgram, path.to_str().unwrap()).unwrap();
        let sender = loop {
            if let Ok(sender) = Sender::open(&address, None).await {
                break sender;
            }
            assert!(!running.is_finished());
            tokio::task::yield_now().await;
        };
        sender.send(b"<13>text").await.unwrap();
        assert_eq!(desk.wait_for(1).await[0].text, "<13>text");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
        let input: SyslogInput = toml::from_str("address = ':0'\nperm = '9'").unwrap();
        assert_eq!(input.check().unwrap_err().to_string(), "perm \"9\" is no mode as in 666");
    }

    #[test]
    fn tls_is_refused_where_there_is_none() {
        let input: SyslogInput = toml::from_str("address = '127.0.0.1:0'\nuse_tls = true").unwrap();
        let error = input.check().unwrap_err();
        assert_eq!(error.to_string(), "`use_tls` needs `net = \"tcp\"` or `\"unix\"`");
    }
}
