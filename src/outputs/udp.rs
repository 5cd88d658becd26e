//! A datagram for each record, over UDP or to a Unix socket.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use super::connection::LocalAddress;
use crate::net::Address;
use crate::net::DatagramNet;
use crate::net::datagram::Sender;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;

/// How often a datagram is tried again for which the system has no room at the moment.
const ATTEMPTS: u32 = 10;

/// Sends records as datagrams.
///
/// Nobody acknowledges a datagram. Where the system says that the last one was refused it is sent
/// again when somebody listens; what is lost on the way stays lost.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct UdpOutput {
    address: Address,
    net: DatagramNet,
    local: Option<LocalAddress>,
    max_message_size: usize,
    sender: Option<Sender>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What the address is one of.
    #[serde(default)]
    net: DatagramNet,
    /// Where to send to: `host:port`, or the path or `@name` of a Unix socket.
    address: String,
    /// The address of this machine to send from.
    local_address: Option<LocalAddress>,
    /// The largest datagram, at least 512; a larger record is refused. In bytes.
    #[serde(default = "largest")]
    max_message_size: usize,
}

/// What fits in an IPv4 packet besides the headers.
fn largest() -> usize {
    65_507
}

impl TryFrom<Settings> for UdpOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<UdpOutput> {
        let size = settings.max_message_size;
        anyhow::ensure!(size >= 512, "`max_message_size` is {size}, expected at least 512");
        anyhow::ensure!(
            settings.local_address.is_none() || settings.net != DatagramNet::Unixgram,
            "`local_address` is not for the net `unixgram`"
        );
        let address = Address::datagram(settings.net, &settings.address)?;
        let (local, max_message_size) = (settings.local_address, size);
        Ok(UdpOutput { address, net: settings.net, local, max_message_size, sender: None })
    }
}

impl JsonSchema for UdpOutput {
    fn schema_name() -> Cow<'static, str> {
        "UdpOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for UdpOutput {
    const NAME: &'static str = "UdpOutput";
    const ABOUT: &'static str = "Sends records as datagrams, over UDP or to a Unix socket.";
    const EXAMPLE: &'static str = "[UdpOutput]\nmessage_matcher = \"Type == 'alert'\"\n\
        encoder = \"PayloadEncoder\"\naddress = \"127.0.0.1:5514\"\n";
}

#[async_trait]
impl Output for UdpOutput {
    async fn open(&mut self, _cx: &OutputContext) -> Result<(), Failure> {
        let local = self.local.map(|LocalAddress(local)| local);
        let opened = Sender::open(&self.address, local).await;
        self.sender = Some(opened.map_err(|error| Failure::Retry(error.into()))?);
        Ok(())
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        let sender = self.sender.as_ref().context("it is not open").map_err(Failure::Retry)?;
        // A refusal is told when the next datagram should go, and is about the one before: so the
        // last one is passed over only when the next has gone.
        let mut behind = 0;
        while let Some(&end) = load.encoded.ends.get(load.first() + behind) {
            let start = load.encoded.start(load.first() + behind);
            let record = &load.encoded.bytes[start..end as usize];
            let size = record.len();
            let result = if size <= self.max_message_size {
                send(sender, record).await
            } else {
                Err(ErrorKind::FileTooLarge.into())
            };
            if let Err(error) = result {
                let is_late = error.kind() == ErrorKind::ConnectionRefused
                    && self.net != DatagramNet::Unixgram;
                load.advance(if is_late { 0 } else { behind });
                return Err(self.failure(error, size));
            }
            load.advance(behind);
            behind = 1;
        }
        load.advance(behind);
        Ok(Sent::Done)
    }
}

impl UdpOutput {
    fn failure(&self, error: std::io::Error, size: usize) -> Failure {
        let is_too_large =
            error.kind() == ErrorKind::FileTooLarge || error.raw_os_error() == Some(libc::EMSGSIZE);
        if is_too_large {
            return Failure::Reject(anyhow!(
                "a record of {size} bytes is too large for a datagram"
            ));
        }
        let failed = anyhow::Error::new(error);
        Failure::Retry(failed.context(format!("cannot send to {}", self.address)))
    }
}

/// Sends a datagram, and waits a little where the system has no room for it.
async fn send(sender: &Sender, record: &[u8]) -> std::io::Result<()> {
    let mut attempt = 0;
    loop {
        match sender.send(record).await {
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) && attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(1 << attempt)).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::*;
    use crate::outputs::testing;

    async fn open(settings: &str) -> UdpOutput {
        let mut output: UdpOutput = toml::from_str(settings).unwrap();
        output.open(&testing::context("udp")).await.unwrap();
        output
    }

    async fn receive(socket: &UdpSocket) -> String {
        let mut bytes = [0; 1000];
        let length = socket.recv(&mut bytes).await.unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn each_record_is_a_datagram_and_a_larger_one_is_refused() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut output = open(&format!(
            "address = '{address}'\nlocal_address = '127.0.0.1'\nmax_message_size = 512"
        ))
        .await;
        let large = [b'x'; 513];
        let mut load = testing::load(&[b"one", b"two", &large, b"three"]);
        let failure = output.send(&mut load).await.unwrap_err();
        assert!(matches!(failure, Failure::Reject(_)), "{failure:?}");
        assert_eq!(load.first(), 2);
        load.advance(1);
        assert_eq!(output.send(&mut load).await.unwrap(), Sent::Done);
        for expected in ["one", "two", "three"] {
            assert_eq!(receive(&socket).await, expected);
        }
    }

    #[tokio::test]
    async fn what_was_refused_comes_again() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        let mut output = open(&format!("address = '{address}'")).await;
        let mut load = testing::lines("one\ntwo\nthree\n");
        let failure = output.send(&mut load).await.unwrap_err();
        assert!(matches!(failure, Failure::Retry(_)), "{failure:?}");
        assert_eq!(load.first(), 0);
        let socket = UdpSocket::bind(address).await.unwrap();
        output.send(&mut load).await.unwrap();
        for expected in ["one\n", "two\n", "three\n"] {
            assert_eq!(receive(&socket).await, expected);
        }
    }

    #[tokio::test]
    async fn datagrams_go_to_unix_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
        let mut output = open(&format!("net = 'unixgram'\naddress = '{}'", path.display())).await;
        output.send(&mut testing::lines("one\n")).await.unwrap();
        let mut bytes = [0; 100];
        assert_eq!(socket.recv(&mut bytes).await.unwrap(), 4);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for (settings, expected) in [
            ("", "missing field `address`"),
            ("address = 'nowhere'", "`nowhere` is no address for udp"),
            ("address = 'a:1'\nmax_message_size = 100", "expected at least 512"),
            ("address = '@a'\nnet = 'unixgram'\nlocal_address = '::1'", "is not for the net"),
            ("address = 'a:1'\nnet = 'tcp'", "unknown variant `tcp`"),
        ] {
            let error = toml::from_str::<UdpOutput>(settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
