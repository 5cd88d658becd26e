//! The way to an engine that listens for framed messages: a stream, plain or under TLS, or
//! datagrams.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Runtime;

use crate::net::Address;
use crate::net::Connector;
use crate::net::Stream;
use crate::net::StreamNet;
use crate::net::Tls;

/// The largest datagram of IPv4.
const MAX_DATAGRAM: usize = 65_507;
/// How long the other side may take to end a connection that is closed.
const GOODBYE: Duration = Duration::from_secs(5);

/// The flags that say how TLS is spoken.
#[derive(Debug, clap::Args)]
pub(super) struct TlsFlags {
    /// Speaks TLS; the other flags of TLS say so too
    #[arg(long, conflicts_with = "udp")]
    tls: bool,
    /// PEM file with the CAs that may have signed the server's certificate [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "udp")]
    tls_ca: Option<PathBuf>,
    /// PEM file with the certificate to show
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "udp")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the key of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The name the server's certificate has to be for [default: the host of the address]
    #[arg(long, value_name = "NAME", conflicts_with = "udp")]
    tls_server_name: Option<String>,
    /// Takes any certificate of the server, whoever it is
    #[arg(long, conflicts_with = "udp")]
    tls_insecure: bool,
}

impl TlsFlags {
    /// What was asked for; none for a connection without TLS.
    pub(super) fn settings(&self) -> Option<Tls> {
        let is_wanted = self.tls
            || self.tls_insecure
            || self.tls_ca.is_some()
            || self.tls_cert.is_some()
            || self.tls_server_name.is_some();
        is_wanted.then(|| Tls {
            root_cafile: self.tls_ca.clone(),
            cert_file: self.tls_cert.clone(),
            key_file: self.tls_key.clone(),
            server_name: self.tls_server_name.clone().unwrap_or_default(),
            insecure_skip_verify: self.tls_insecure,
            ..Tls::default()
        })
    }
}

/// How messages are carried.
#[derive(Clone, Debug)]
pub(super) enum Carrier {
    /// Each in a datagram.
    Datagrams,
    /// One behind the other, under TLS where there are settings for it.
    Stream(Option<Tls>),
}

/// An open way to an engine.
pub(super) enum Link {
    /// A connection, and what drives it.
    Stream(Runtime, Box<Stream>),
    /// A socket.
    Datagrams(UdpSocket),
}

impl Link {
    /// Connects to `address`, `host:port`.
    ///
    /// # Errors
    /// When nobody listens there, or is refused or refuses under TLS.
    pub(super) fn open(address: &str, carrier: &Carrier) -> anyhow::Result<Link> {
        let cannot = || format!("cannot reach {address}");
        match carrier {
            Carrier::Datagrams => {
                let socket = UdpSocket::bind("[::]:0").or_else(|_| UdpSocket::bind("0.0.0.0:0"))?;
                socket.connect(address).with_context(cannot)?;
                Ok(Link::Datagrams(socket))
            }
            Carrier::Stream(tls) => {
                let mut connector = Connector::new(Address::stream(StreamNet::Tcp, address)?);
                if let Some(tls) = tls {
                    connector = connector.tls(tls)?;
                }
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .context("cannot start the reactor")?;
                let stream = runtime.block_on(connector.connect()).with_context(cannot)?;
                Ok(Link::Stream(runtime, Box::new(stream)))
            }
        }
    }

    /// Sends `bytes`, which a datagram is cut for where it is shorter.
    ///
    /// # Errors
    /// When the system or the other side refuses.
    pub(super) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Link::Stream(runtime, stream) => runtime.block_on(async {
                stream.write_all(bytes).await?;
                stream.flush().await
            }),
            Link::Datagrams(socket) => {
                socket.send(&bytes[..bytes.len().min(MAX_DATAGRAM)]).map(drop)
            }
        }
    }

    /// Ends the connection in good order, so that what was sent arrives.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn close(self) -> std::io::Result<()> {
        match self {
            Link::Stream(runtime, mut stream) => runtime.block_on(stream.close(GOODBYE)),
            Link::Datagrams(_) => Ok(()),
        }
    }
}
