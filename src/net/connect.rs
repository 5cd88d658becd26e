//! Connecting: to TCP or a Unix socket, plain or under TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use rustls_pki_types::ServerName;
use socket2::Domain;
use socket2::Socket;
use socket2::Type;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::net::UnixStream;

use super::Address;
use super::Error;
use super::Peer;
use super::Stream;
use super::Tls;
use super::accept;
use super::address;
use super::address::Place;
use super::stream::Raw;
use super::tls;

/// How long the other side may take, the handshake of TLS included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The least and the most time a server gets to refuse a client after the handshake; in between it is
/// twice what the handshake took.
const VERDICT: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(200)..=Duration::from_secs(5);

/// Knows how to connect to one place, again and again.
#[derive(Clone, Debug)]
pub struct Connector {
    address: Address,
    local: Option<SocketAddr>,
    keep_alive: Option<Duration>,
    timeout: Duration,
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    /// Whether TLS begins when it is asked for.
    is_later: bool,
}

impl Connector {
    /// A connector to `address`, plain and without keep-alive, which gives up after 30 s.
    pub fn new(address: Address) -> Connector {
        let (timeout, tls) = (TIMEOUT, None);
        Connector { address, local: None, keep_alive: None, timeout, tls, is_later: false }
    }

    /// Connects from this address of the machine.
    pub fn from_local(self, local: SocketAddr) -> Connector {
        Connector { local: Some(local), ..self }
    }

    /// Asks the other side whether it is alive after this time without traffic.
    pub fn keep_alive(self, idle: Duration) -> Connector {
        Connector { keep_alive: Some(idle), ..self }
    }

    /// Gives up after this time.
    pub fn timeout(self, timeout: Duration) -> Connector {
        Connector { timeout, ..self }
    }

    /// Speaks TLS.
    ///
    /// # Errors
    /// When the settings do not work.
    pub fn tls(self, tls: &Tls) -> Result<Connector, Error> {
        let name = match tls.server_name.as_str() {
            "" => self.address.server_name(),
            name => name,
        };
        let name =
            ServerName::try_from(name.to_owned()).map_err(|_| tls::Error::Name(name.to_owned()))?;
        Ok(Connector { tls: Some((tls.client()?, name)), ..self })
    }

    /// Speaks TLS where `use_tls` and `tls` of a section ask for it.
    ///
    /// # Errors
    /// When the settings do not work, or contradict each other.
    pub fn tls_where_wanted(
        self,
        use_tls: Option<bool>,
        tls: Option<&Tls>,
    ) -> Result<Connector, Error> {
        Ok(match Tls::wanted(use_tls, tls)? {
            Some(tls) => self.tls(&tls)?,
            None => self,
        })
    }

    /// Leaves TLS to [`Connector::secure`].
    pub fn later(self) -> Connector {
        Connector { is_later: true, ..self }
    }

    /// Begins TLS on a plain connection that this connector has made.
    ///
    /// # Errors
    /// When the other side does not speak it as it should.
    pub async fn secure(&self, stream: Stream) -> Result<Stream, Error> {
        let peer = stream.peer();
        let (Some(raw), Some((tls, name))) = (stream.into_raw(), &self.tls) else {
            let error = std::io::Error::from(std::io::ErrorKind::InvalidInput);
            return Err(Error::socket("speak tls with", &self.address)(error));
        };
        let shaken = self.shake_hands(raw, peer, Arc::clone(tls), name.clone());
        match tokio::time::timeout(self.timeout, shaken).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout(self.address.to_string(), self.timeout)),
        }
    }

    /// Where it leads.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Connects.
    ///
    /// # Errors
    /// When the other side does not answer, or not as it should.
    pub async fn connect(&self) -> Result<Stream, Error> {
        match tokio::time::timeout(self.timeout, self.attempt()).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout(self.address.to_string(), self.timeout)),
        }
    }

    async fn attempt(&self) -> Result<Stream, Error> {
        let failed = || Error::socket("connect to", &self.address);
        let (raw, peer) = match &self.address.0 {
            Place::Host { host, port, family } => {
                let host = if host.is_empty() { "localhost" } else { host };
                let stream = self.tcp(&address::resolve(host, *port, *family).await?).await;
                let stream = stream.map_err(failed())?;
                let peer = stream.peer_addr().map_err(failed())?;
                (Raw::Tcp(stream), Peer::Network(peer))
            }
            Place::Unix(name) => (Raw::Unix(unix(name).map_err(failed())?), Peer::Local),
            Place::Descriptor(number) => {
                let socket = address::inherited(*number).map_err(failed())?;
                socket.set_nonblocking(true).map_err(failed())?;
                (Raw::Unix(UnixStream::from_std(socket.into()).map_err(failed())?), Peer::Local)
            }
        };
        match &self.tls {
            Some((tls, name)) if !self.is_later => {
                self.shake_hands(raw, peer, Arc::clone(tls), name.clone()).await
            }
            _ => Ok(Stream::plain(raw, peer)),
        }
    }

    async fn shake_hands(
        &self,
        raw: Raw,
        peer: Peer,
        tls: Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Stream, Error> {
        let failed = || Error::socket("speak tls with", &self.address);
        let started = Instant::now();
        let mut stream = Stream::connected(raw, peer, tls, name).await.map_err(failed())?;
        let patience = (started.elapsed() * 2).clamp(*VERDICT.start(), *VERDICT.end());
        stream.be_accepted(patience).await.map_err(failed())?;
        Ok(stream)
    }

    /// Connects to the first address that answers.
    async fn tcp(&self, addresses: &[SocketAddr]) -> std::io::Result<TcpStream> {
        let mut failure = None;
        for address in addresses {
            match self.tcp_to(*address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into()))
    }

    async fn tcp_to(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(local) = self.local {
            socket.set_reuseaddr(true)?;
            socket.bind(local)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        if let Some(idle) = self.keep_alive {
            socket2::SockRef::from(&stream).set_tcp_keepalive(&accept::keep_alive(idle))?;
        }
        Ok(stream)
    }
}

/// Connects to a Unix socket, which the kernel answers at once.
fn unix(name: &str) -> std::io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&address::unix_address(name)?)?;
    UnixStream::from_std(socket.into())
}
