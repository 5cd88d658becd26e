//! Datagrams over UDP and Unix sockets.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use bytes::BytesMut;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::metrics::Counter;
use crate::net;
use crate::net::Address;
use crate::net::DatagramNet;
use crate::net::datagram::Receiver;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Origin;
use crate::plugin::Stopping;

/// How many rounds of datagrams wait between the socket and the engine.
const AHEAD: usize = 16;

/// The log tells of drops at most so often.
const TELL: Duration = Duration::from_secs(10);

/// Receives datagrams, each of which is split by itself. Messages without a header of their own have
/// the name of the section as type and logger.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UdpInput {
    /// The net: `udp`, `udp4`, `udp6` or `unixgram`.
    #[serde(default)]
    net: DatagramNet,
    /// Where to listen: `host:port`, or a path or `@name` with `net = "unixgram"`, or `fd:N`.
    address: String,
    /// Whether the hostname of a message is the address of the sender, and not that of this machine.
    #[serde(default)]
    set_hostname: bool,
}

impl Described for UdpInput {
    const NAME: &'static str = "UdpInput";
    const ABOUT: &'static str = "Receives datagrams over UDP or a Unix socket.";
    const EXAMPLE: &'static str = "[UdpInput]\naddress = \"127.0.0.1:5566\"\n";

    fn check(&self) -> anyhow::Result<()> {
        Address::datagram(self.net, &self.address)?;
        Ok(())
    }
}

#[async_trait]
impl Input for UdpInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let address = Address::datagram(self.net, &self.address)?;
        let receiver = Receiver::bind(&address).await?;
        cx.say_listening(receiver.local_address(), &self.address);
        receive(receiver, self.set_hostname, cx).await
    }
}

/// Hands over datagrams until the input stops.
async fn receive(receiver: Receiver, set_hostname: bool, cx: InputContext) -> anyhow::Result<()> {
    let origin = cx.origin(&cx.name);
    let mut stream = cx.stream(origin.clone(), None).await?;
    let mut origins = Origins { base: origin, last: None };
    let (rounds, mut received) = mpsc::channel(AHEAD);
    let counted = Counted::of(&cx);
    let stopping = cx.stopping.clone();
    let name = cx.name.to_string();
    let thread = std::thread::Builder::new()
        .name(name)
        .spawn(move || listen(receiver, counted, &stopping, &rounds))?;
    // The thread ends the rounds when the input stops, and what it had received is handed over.
    while let Some(round) = received.recv().await {
        for (bytes, sender) in round.datagrams() {
            let origin = sender.filter(|_| set_hostname).map(|sender| origins.of(sender));
            stream.whole(bytes, origin).await?;
        }
    }
    let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
    ended.ok().context("the thread that receives has panicked")??;
    Ok(())
}

/// Datagrams that were received with one call.
#[derive(Default)]
struct Round {
    bytes: Bytes,
    /// Where each ends in the bytes, and who sent it.
    ends: Vec<(usize, Option<IpAddr>)>,
}

impl Round {
    fn datagrams(self) -> impl Iterator<Item = (Bytes, Option<IpAddr>)> {
        let mut start = 0;
        self.ends.into_iter().map(move |(end, sender)| {
            let datagram = self.bytes.slice(start..end);
            start = end;
            (datagram, sender)
        })
    }
}

/// What is counted of datagrams that did not come, or not whole.
struct Counted {
    cx: InputContext,
    dropped: Arc<Counter>,
    cut: Arc<Counter>,
    /// Datagrams dropped that the log does not tell of yet, and when it last did.
    untold: u64,
    told: Option<Instant>,
}

impl Counted {
    fn of(cx: &InputContext) -> Counted {
        let labels = [("plugin", &*cx.name)];
        let counter = |name, help| cx.engine.metrics.counter(name, help, &labels);
        Counted {
            cx: cx.clone(),
            dropped: counter(
                "heka_input_kernel_dropped_total",
                "Datagrams the kernel dropped as the input did not take them in time.",
            ),
            cut: counter("heka_input_cut_total", "Datagrams longer than 64 KiB, which were cut."),
            untold: 0,
            told: None,
        }
    }

    fn dropped(&mut self, count: u32) {
        self.dropped.add(u64::from(count));
        self.cx.count_dropped(u64::from(count));
        self.untold += u64::from(count);
    }

    /// Logs what was dropped, at most every [`TELL`].
    fn tell(&mut self) {
        if self.untold > 0 && self.told.is_none_or(|told| told.elapsed() >= TELL) {
            let (input, dropped) = (&*self.cx.name, self.untold);
            tracing::error!(input, dropped, "the kernel dropped datagrams: they came too fast");
            (self.untold, self.told) = (0, Some(Instant::now()));
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.told = None;
        self.tell();
    }
}

/// Receives until the input stops or nobody takes what was received.
fn listen(
    mut receiver: Receiver,
    mut counted: Counted,
    stopping: &Stopping,
    rounds: &mpsc::Sender<Round>,
) -> Result<(), net::Error> {
    while !stopping.is_cancelled() {
        let mut bytes = BytesMut::new();
        let mut ends = Vec::new();
        let received = receiver.receive(|datagram| {
            bytes.extend_from_slice(datagram.bytes);
            ends.push((bytes.len(), datagram.sender));
            counted.cut.add(u64::from(datagram.is_cut));
        })?;
        counted.dropped(received.dropped);
        counted.tell();
        if received.datagrams > 0
            && rounds.blocking_send(Round { bytes: bytes.freeze(), ends }).is_err()
        {
            break;
        }
    }
    Ok(())
}

/// Origins by sender; one is kept, as datagrams of one sender often follow each other.
struct Origins {
    base: Origin,
    last: Option<(IpAddr, Arc<Origin>)>,
}

impl Origins {
    fn of(&mut self, sender: IpAddr) -> Arc<Origin> {
        match &self.last {
            Some((last, origin)) if *last == sender => origin.clone(),
            _ => {
                let mut origin = self.base.clone();
                origin.hostname = sender.to_string().into_bytes();
                let origin = Arc::new(origin);
                self.last = Some((sender, origin.clone()));
                origin
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::testing::Desk;
    use crate::net::datagram::Sender;

    async fn check(net: DatagramNet, address: &str, set_hostname: bool, hostname: &str) {
        let address = Address::datagram(net, address).unwrap();
        let receiver = Receiver::bind(&address).await.unwrap();
        let target = match receiver.local_address() {
            Some(bound) => Address::datagram(net, &bound.to_string()).unwrap(),
            None => address,
        };
        let desk = Desk::new("udp");
        let running = tokio::spawn(receive(receiver, set_hostname, desk.context()));
        let sender = Sender::open(&target, None).await.unwrap();
        sender.send(b"one").await.unwrap();
        sender.send(b"two").await.unwrap();
        let delivered = desk.wait_for(2).await;
        for (one, text) in delivered.iter().zip(["one", "two"]) {
            assert_eq!(one.text, text);
            assert_eq!(one.origin.hostname, hostname.as_bytes());
            assert_eq!(
                (&*one.origin.message_type, &*one.origin.logger),
                (&b"udp"[..], &b"udp"[..])
            );
        }
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn each_datagram_is_delivered_with_its_sender_where_asked_for() {
        check(DatagramNet::Udp, "127.0.0.1:0", false, "host").await;
        check(DatagramNet::Udp, "127.0.0.1:0", true, "127.0.0.1").await;
        let name = format!("@heka-udp-{}", std::process::id());
        check(DatagramNet::Unixgram, &name, true, "host").await;
    }
}
