//! Datagrams: UDP and Unix sockets, many in one call, with a count of what the kernel dropped.
//!
//! The receiver blocks and belongs on a thread of its own; the sender is asynchronous.

use std::io::IoSliceMut;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::ControlMessageOwned;
use nix::sys::socket::MsgFlags;
use nix::sys::socket::MultiHeaders;
use nix::sys::socket::SockaddrLike;
use nix::sys::socket::SockaddrStorage;
use nix::sys::socket::recvmmsg;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt;
use socket2::Domain;
use socket2::Socket;
use socket2::Type;

use super::Address;
use super::Error;
use super::address;
use super::address::Place;
use super::held;

/// The largest datagram; what is longer is cut by the kernel.
pub const MAX_DATAGRAM: usize = 64 * 1024;
/// How many datagrams one call takes at most.
const DATAGRAMS: usize = 32;
/// How much the kernel is asked to hold for a receiver; it gives less where its own limit is lower.
const RECEIVE_BUFFER: usize = 32 << 20;
/// How long a receiver waits before it comes back with nothing.
const PATIENCE: Duration = Duration::from_millis(200);

/// A socket that datagrams come to.
#[derive(Debug)]
pub struct Receiver {
    socket: Socket,
    address: Address,
    buffer: Vec<u8>,
    dropped: u32,
    path: Option<String>,
    /// Says that a socket that is held is in use.
    _loan: Option<Arc<()>>,
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// What it says.
    pub bytes: &'a [u8],
    /// Who sent it, where the net has addresses.
    pub sender: Option<IpAddr>,
    /// Whether it was longer than [`MAX_DATAGRAM`] and is cut.
    pub is_cut: bool,
}

/// What one call to [`Receiver::receive`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// How many datagrams.
    pub datagrams: usize,
    /// How many the kernel dropped since the last call, as far as it has said so: it tells with the
    /// next datagram.
    pub dropped: u32,
}

impl Receiver {
    /// Binds `address`; `mode` has the permissions of a Unix socket, those that the umask leaves where
    /// `None`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: &Address, mode: Option<u32>) -> Result<Receiver, Error> {
        let failed = || Error::socket("receive on", address);
        let mut path = None;
        let (socket, loan) = match (held::lend(address, Type::DGRAM), &address.0) {
            (Some(lent), _) => (lent.socket, Some(lent.loan)),
            (None, Place::Descriptor(number)) => {
                let socket = address::inherited(*number).map_err(failed())?;
                ask_for_room(&socket);
                (socket, None)
            }
            (None, place) => {
                let socket = open(address, &address.resolve().await?, mode)?;
                if let Place::Unix(name) = place {
                    path = (!name.starts_with('@')).then(|| name.clone());
                }
                (socket, None)
            }
        };
        socket.set_nonblocking(false).map_err(failed())?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(failed())?;
        let _ = setsockopt(&socket, sockopt::RxqOvfl, &1);
        let buffer = vec![0; MAX_DATAGRAM * DATAGRAMS];
        let address = address.clone();
        Ok(Receiver { socket, address, buffer, dropped: 0, path, _loan: loan })
    }

    /// The address that was bound, with the port the system chose; `None` for Unix sockets.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }

    /// Waits up to 200 ms for datagrams and hands each to `take`.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn receive(&mut self, mut take: impl FnMut(Datagram<'_>)) -> Result<Received, Error> {
        // The headers are made anew, as the kernel leaves the lengths it found in them.
        let space = nix::cmsg_space!(u32);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(DATAGRAMS, Some(space));
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.buffer.chunks_mut(MAX_DATAGRAM).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        let results =
            match recvmmsg(self.socket.as_raw_fd(), &mut headers, &mut slices, flags, None) {
                Ok(results) => results,
                Err(error) => {
                    let error = std::io::Error::from(error);
                    return match error.kind() {
                        // A refusal is the answer to something sent before.
                        std::io::ErrorKind::WouldBlock
                        | std::io::ErrorKind::Interrupted
                        | std::io::ErrorKind::ConnectionRefused => Ok(Received::default()),
                        _ => Err(Error::socket("receive on", &self.address)(error)),
                    };
                }
            };
        let mut received = Received::default();
        let mut dropped = self.dropped;
        for result in results {
            received.datagrams += 1;
            for message in result.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::RxqOvfl(count) = message {
                    dropped = count;
                }
            }
            let is_cut = result.flags.contains(MsgFlags::MSG_TRUNC);
            let sender = result.address.as_ref().and_then(ip);
            let bytes = result.iovs().next().unwrap_or_default();
            take(Datagram { bytes, sender, is_cut });
        }
        received.dropped = dropped.wrapping_sub(self.dropped);
        self.dropped = dropped;
        Ok(received)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    if address.len() == 0 {
        return None;
    }
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().to_canonical()))
}

/// Binds a socket to the first of `found` that can be had, or to the path of `address`.
pub(super) fn open(
    address: &Address,
    found: &[SocketAddr],
    mode: Option<u32>,
) -> Result<Socket, Error> {
    let socket = match &address.0 {
        Place::Unix(name) => {
            address::clear_stale(name, Type::DGRAM);
            bind_unix(name, mode).map_err(Error::socket("receive on", address))?
        }
        place => bind_any(found).map_err(Error::listening(place.port(), "receive on", address))?,
    };
    ask_for_room(&socket);
    Ok(socket)
}

fn bind_any(addresses: &[SocketAddr]) -> std::io::Result<Socket> {
    let mut failure = None;
    for address in addresses {
        let bound = || {
            let socket = Socket::new(Domain::for_address(*address), Type::DGRAM, None)?;
            if address.ip().is_unspecified() && address.is_ipv6() {
                socket.set_only_v6(false)?;
            }
            socket.bind(&(*address).into())?;
            Ok(socket)
        };
        match bound() {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into()))
}

fn bind_unix(name: &str, mode: Option<u32>) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    address::bind_unix(&socket, name, mode)?;
    Ok(socket)
}

/// Asks the kernel to hold much. A small buffer is worse, not wrong; who may set aside the limit
/// of the system does.
fn ask_for_room(socket: &Socket) {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
}

/// A socket that datagrams go from, to one place.
#[derive(Debug)]
pub struct Sender {
    socket: Sending,
}

#[derive(Debug)]
enum Sending {
    Udp(tokio::net::UdpSocket),
    Unix(tokio::net::UnixDatagram),
}

impl Sender {
    /// Opens a socket to `address`, from `local` where it is given.
    ///
    /// # Errors
    /// When the name has no address, or a Unix socket is not there.
    pub async fn open(address: &Address, local: Option<SocketAddr>) -> Result<Sender, Error> {
        let failed = || Error::socket("send to", address);
        let socket = match &address.0 {
            Place::Host { host, port, family } => {
                let host = if host.is_empty() { "localhost" } else { host };
                let found = address::resolve(host, *port, *family).await?;
                let to = local
                    .and_then(|local| found.iter().find(|to| to.is_ipv4() == local.is_ipv4()))
                    .unwrap_or(&found[0]);
                Sending::Udp(udp_to(*to, local).map_err(failed())?)
            }
            Place::Unix(name) => Sending::Unix(unix_to(name).map_err(failed())?),
            Place::Descriptor(number) => {
                let socket = address::inherited(*number).map_err(failed())?;
                socket.set_nonblocking(true).map_err(failed())?;
                adopt(socket).map_err(failed())?
            }
        };
        Ok(Sender { socket })
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// As the system gives them: too long, refused, no room.
    pub async fn send(&self, bytes: &[u8]) -> std::io::Result<()> {
        match &self.socket {
            Sending::Udp(socket) => socket.send(bytes).await?,
            Sending::Unix(socket) => socket.send(bytes).await?,
        };
        Ok(())
    }
}

fn udp_to(to: SocketAddr, local: Option<SocketAddr>) -> std::io::Result<tokio::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    if let Some(local) = local {
        socket.bind(&local.into())?;
    }
    socket.connect(&to.into())?;
    tokio::net::UdpSocket::from_std(socket.into())
}

fn unix_to(name: &str) -> std::io::Result<tokio::net::UnixDatagram> {
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&address::unix_address(name)?)?;
    tokio::net::UnixDatagram::from_std(socket.into())
}

fn adopt(socket: Socket) -> std::io::Result<Sending> {
    if socket.domain()? == Domain::UNIX {
        return Ok(Sending::Unix(tokio::net::UnixDatagram::from_std(socket.into())?));
    }
    Ok(Sending::Udp(tokio::net::UdpSocket::from_std(socket.into())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::DatagramNet;

    async fn check(net: DatagramNet, address: &str, sender: Option<&str>) {
        let address = Address::datagram(net, address).unwrap();
        let mut receiver = Receiver::bind(&address, None).await.unwrap();
        let target = match receiver.local_address() {
            Some(bound) => Address::datagram(net, &bound.to_string()).unwrap(),
            None => address,
        };
        let socket = Sender::open(&target, None).await.unwrap();
        for text in ["one", "two"] {
            socket.send(text.as_bytes()).await.unwrap();
        }
        let mut found = Vec::new();
        while found.len() < 2 {
            let take = |datagram: Datagram<'_>| {
                assert_eq!(datagram.sender.map(|ip| ip.to_string()).as_deref(), sender);
                found.push(datagram.bytes.to_vec());
            };
            receiver.receive(take).unwrap();
        }
        assert_eq!(found, [b"one", b"two"]);
    }

    #[tokio::test]
    async fn every_net_carries_datagrams() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        check(DatagramNet::Udp, "127.0.0.1:0", Some("127.0.0.1")).await;
        check(DatagramNet::Udp6, "[::1]:0", Some("::1")).await;
        check(DatagramNet::Unixgram, path.to_str().unwrap(), None).await;
        let hidden = format!("@heka-datagrams-{}", std::process::id());
        check(DatagramNet::Unixgram, &hidden, None).await;
    }

    #[tokio::test]
    async fn what_the_kernel_drops_is_counted() {
        let address = Address::datagram(DatagramNet::Udp, "127.0.0.1:0").unwrap();
        let mut receiver = Receiver::bind(&address, None).await.unwrap();
        receiver.socket.set_recv_buffer_size(1).unwrap();
        let target = receiver.local_address().unwrap().to_string();
        let target = Address::datagram(DatagramNet::Udp, &target).unwrap();
        let socket = Sender::open(&target, None).await.unwrap();
        for _ in 0..50 {
            socket.send(&[b'x'; 1000]).await.unwrap();
        }
        let mut sum = Received::default();
        let mut drain = |receiver: &mut Receiver| loop {
            let one = receiver.receive(|_| ()).unwrap();
            sum.datagrams += one.datagrams;
            sum.dropped += one.dropped;
            if one.datagrams == 0 {
                break;
            }
        };
        drain(&mut receiver);
        // The count comes with the next datagram that is not dropped.
        socket.send(b"last").await.unwrap();
        drain(&mut receiver);
        assert_eq!(sum.datagrams + sum.dropped as usize, 51);
        assert!(sum.dropped > 0);
    }
}
