//! Listening: connections come one by one, at most so many at a time, their hands shaken.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::Domain;
use socket2::Socket;
use socket2::TcpKeepalive;
use socket2::Type;
use tokio::net::TcpListener;
use tokio::net::UnixListener;

use super::Address;
use super::Error;
use super::Peer;
use super::Place;
use super::Stream;
use super::address;
use super::address::Place as Where;
use super::held;
use super::places::Places;
use super::stream::Raw;
use super::tls;

/// How many connections wait in the kernel until they are accepted.
const BACKLOG: i32 = 1024;
/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How connections are accepted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time without traffic until the other side is asked whether it is alive; `None` never asks.
    pub keep_alive: Option<Duration>,
    /// How many connections there are at most; further ones wait, until one ends or is quiet for a
    /// minute.
    pub max_connections: usize,
    /// TLS, where it is spoken.
    pub tls: Option<Arc<tls::Server>>,
    /// The permissions of a Unix socket; those that the umask leaves where `None`.
    pub mode: Option<u32>,
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    address: Address,
    options: Options,
    places: Arc<Places>,
    /// The path to take away at the end.
    path: Option<String>,
    /// Says that a socket that is held is in use.
    _loan: Option<Arc<()>>,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection that was accepted and has not shaken hands yet. It counts among the connections of
/// its listener until its place is dropped.
#[derive(Debug)]
pub struct Accepted {
    raw: Raw,
    peer: Peer,
    tls: Option<Arc<rustls::ServerConfig>>,
    place: Place,
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listening::Tcp(socket) => socket.as_fd(),
            Listening::Unix(socket) => socket.as_fd(),
        }
    }
}

impl Listener {
    /// Binds `address` and listens.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: &Address, options: Options) -> Result<Listener, Error> {
        let failed = || Error::socket("listen on", address);
        let mut path = None;
        let (socket, loan) = match (held::lend(address, Type::STREAM), &address.0) {
            (Some(lent), _) => (lent.socket, Some(lent.loan)),
            (None, Where::Descriptor(number)) => {
                (address::inherited(*number).map_err(failed())?, None)
            }
            (None, place) => {
                let socket = open(address, &address.resolve().await?, options.mode)?;
                if let Where::Unix(name) = place {
                    path = (!name.starts_with('@')).then(|| name.clone());
                }
                (socket, None)
            }
        };
        let socket = adopt(socket).map_err(failed())?;
        let places = Places::new(options.max_connections);
        Ok(Listener { socket, address: address.clone(), options, places, path, _loan: loan })
    }

    /// The address that was bound, with the port the system chose; `None` for Unix sockets.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Listening::Tcp(socket) => socket.local_addr().ok(),
            Listening::Unix(_) => None,
        }
    }

    /// Waits for a connection, and for a place for it. Dropping the future loses none.
    ///
    /// # Errors
    /// When the socket is broken; a connection that fails is not an error of the listener.
    pub async fn accept(&self) -> Result<Accepted, Error> {
        let place = self.places.take(&self.address, self.socket.as_fd()).await;
        loop {
            match self.accept_raw().await {
                Ok((raw, peer)) => {
                    return Ok(Accepted {
                        raw,
                        peer,
                        tls: self.options.tls.as_ref().map(|tls| tls.current()),
                        place,
                    });
                }
                Err(error) if is_of_connection(&error) => {}
                Err(error) if is_exhausted(&error) => {
                    tracing::debug!(address = %self.address, %error, "cannot accept for now");
                    self.places.wait_for_descriptors(&self.address).await;
                }
                Err(error) => return Err(Error::socket("accept on", &self.address)(error)),
            }
        }
    }

    async fn accept_raw(&self) -> std::io::Result<(Raw, Peer)> {
        match &self.socket {
            Listening::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                let reference = socket2::SockRef::from(&stream);
                if let Some(idle) = self.options.keep_alive {
                    // A connection that ended meanwhile says so when it is read.
                    let _ = reference.set_tcp_keepalive(&keep_alive(idle));
                }
                let _ = stream.set_nodelay(true);
                Ok((Raw::Tcp(stream), Peer::Network(peer)))
            }
            Listening::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Raw::Unix(stream), Peer::Local))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Accepted {
    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Offers these protocols where TLS is spoken, the best first; a client that asks for others alone
    /// fails the handshake.
    pub(super) fn offering(mut self, protocols: Vec<Vec<u8>>) -> Accepted {
        if let Some(tls) = self.tls.as_mut().filter(|_| !protocols.is_empty()) {
            Arc::make_mut(tls).alpn_protocols = protocols;
        }
        self
    }

    /// Shakes hands where TLS is spoken. The place is to be kept as long as the stream, which is to end
    /// when the place is wanted.
    ///
    /// # Errors
    /// When the client fails the handshake or takes too long over it.
    pub async fn shake_hands(self) -> Result<(Stream, Place), Error> {
        let Some(tls) = self.tls else {
            let stream = Stream::plain(self.raw, self.peer).with_pulse(self.place.pulse());
            return Ok((stream, self.place));
        };
        let peer = self.peer.to_string();
        match tokio::time::timeout(HANDSHAKE, Stream::accepted(self.raw, self.peer, tls)).await {
            Ok(Ok(stream)) => Ok((stream.with_pulse(self.place.pulse()), self.place)),
            Ok(Err(error)) => Err(Error::socket("speak tls with", &peer)(error)),
            Err(_) => Err(Error::Timeout(peer, HANDSHAKE)),
        }
    }
}

/// How a connection is asked whether it is alive.
pub(super) fn keep_alive(idle: Duration) -> TcpKeepalive {
    let idle = idle.clamp(Duration::from_secs(1), Duration::from_secs(32_767));
    TcpKeepalive::new().with_time(idle).with_interval(idle)
}

/// Errors that belong to one connection and not to the socket that listens.
fn is_of_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
            | ErrorKind::PermissionDenied
    )
}

/// Errors that go away when others give something back.
fn is_exhausted(error: &std::io::Error) -> bool {
    let exhausted = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.contains(&code))
}

/// Binds a socket to the first of `found` that can be had, or to the path of `address`.
pub(super) fn open(
    address: &Address,
    found: &[SocketAddr],
    mode: Option<u32>,
) -> Result<Socket, Error> {
    match &address.0 {
        Where::Unix(name) => {
            address::clear_stale(name, Type::STREAM);
            listen_unix(name, mode).map_err(Error::socket("listen on", address))
        }
        place => listen(found).map_err(Error::listening(place.port(), "listen on", address)),
    }
}

fn listen(addresses: &[SocketAddr]) -> std::io::Result<Socket> {
    let mut failure = None;
    for address in addresses {
        match listen_on(*address) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into()))
}

fn listen_on(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn listen_unix(name: &str, mode: Option<u32>) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    address::bind_unix(&socket, name, mode)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn adopt(socket: Socket) -> std::io::Result<Listening> {
    socket.set_nonblocking(true)?;
    if socket.domain()? == Domain::UNIX {
        return Ok(Listening::Unix(UnixListener::from_std(socket.into())?));
    }
    Ok(Listening::Tcp(TcpListener::from_std(socket.into())?))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::net::Connector;
    use crate::net::StreamNet;

    fn options(max_connections: usize) -> Options {
        Options { keep_alive: Some(Duration::from_mins(1)), max_connections, tls: None, mode: None }
    }

    async fn check(net: StreamNet, address: &str) {
        let address = Address::stream(net, address).unwrap();
        let listener = Listener::bind(&address, options(1)).await.unwrap();
        let target = match listener.local_address() {
            Some(bound) => Address::stream(net, &bound.to_string()).unwrap(),
            None => address,
        };
        let mut client = Connector::new(target).connect().await.unwrap();
        client.write_all(b"line").await.unwrap();
        client.shutdown().await.unwrap();
        let accepted = listener.accept().await.unwrap();
        let (mut server, _place) = accepted.shake_hands().await.unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "line");
    }

    #[tokio::test]
    async fn every_net_carries_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let path = path.to_str().unwrap();
        check(StreamNet::Tcp, "127.0.0.1:0").await;
        check(StreamNet::Tcp4, "localhost:0").await;
        check(StreamNet::Unix, path).await;
        // The path is free again.
        check(StreamNet::Unix, path).await;
        check(StreamNet::Unix, &format!("@heka-test-{}", std::process::id())).await;
    }

    #[tokio::test]
    async fn socket_left_behind_is_bound_again_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let address = Address::stream(StreamNet::Unix, path.to_str().unwrap()).unwrap();
        let _listener = Listener::bind(&address, options(1)).await.unwrap();
        assert!(Listener::bind(&address, options(1)).await.is_err());
    }

    #[tokio::test]
    async fn connections_beyond_the_bound_wait_for_a_place() {
        let address = Address::stream(StreamNet::Tcp, "127.0.0.1:0").unwrap();
        let listener = Listener::bind(&address, options(1)).await.unwrap();
        let bound = listener.local_address().unwrap().to_string();
        let target = Address::stream(StreamNet::Tcp, &bound).unwrap();
        let connector = Connector::new(target);
        let (_one, _two) = (connector.connect().await.unwrap(), connector.connect().await.unwrap());
        let first = listener.accept().await.unwrap();
        assert_eq!(listener.places.free(), 0);
        drop(first);
        listener.accept().await.unwrap();
    }

    #[tokio::test]
    async fn descriptor_that_was_handed_down_is_listened_on() {
        let handed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let bound = handed.local_addr().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&handed);
        let address = Address::stream(StreamNet::Tcp, &format!("fd:{number}")).unwrap();
        let listener = Listener::bind(&address, options(1)).await.unwrap();
        assert_eq!(listener.local_address(), Some(bound));
    }
}
