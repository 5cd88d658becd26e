//! Datagrams over UDP and Unix sockets.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::datagrams::Datagrams;
use super::datagrams::Origins;
use crate::net::Address;
use crate::net::DatagramNet;
use crate::net::datagram::Receiver;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Listens;

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
    fn listens(&self) -> Option<Listens> {
        Some(Listens { net: self.net.word(), address: self.address.clone(), mode: None })
    }

    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let address = Address::datagram(self.net, &self.address)?;
        let receiver = Receiver::bind(&address, None).await?;
        cx.say_listening(receiver.local_address(), &self.address);
        receive(receiver, self.set_hostname, cx).await
    }
}

/// Hands over datagrams until the input stops.
async fn receive(receiver: Receiver, set_hostname: bool, cx: InputContext) -> anyhow::Result<()> {
    let origin = cx.origin(&cx.name);
    let mut stream = cx.stream(origin.clone(), None).await?;
    let mut origins = Origins::of(origin);
    let mut datagrams = Datagrams::listen(receiver, &cx)?;
    while let Some(round) = datagrams.next().await {
        for (bytes, sender) in round.datagrams() {
            let origin = sender.filter(|_| set_hostname).map(|sender| origins.from(sender));
            stream.whole(bytes, origin).await?;
        }
    }
    datagrams.end().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::testing::Desk;
    use crate::net::datagram::Sender;

    async fn check(net: DatagramNet, address: &str, set_hostname: bool, hostname: &str) {
        let address = Address::datagram(net, address).unwrap();
        let receiver = Receiver::bind(&address, None).await.unwrap();
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
