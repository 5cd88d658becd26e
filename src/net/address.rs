//! Addresses as they are written: a net and a host with a port, a path, or an abstract name.

use std::fmt;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use socket2::Domain;
use socket2::Type;

use super::Error;

/// The nets of streams, by the names Heka gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamNet {
    /// TCP, over IPv4 or IPv6.
    #[default]
    Tcp,
    /// TCP over IPv4 alone.
    Tcp4,
    /// TCP over IPv6 alone.
    Tcp6,
    /// A Unix socket; a name that begins with `@` is abstract.
    Unix,
}

/// The nets of datagrams, by the names Heka gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DatagramNet {
    /// UDP, over IPv4 or IPv6.
    #[default]
    Udp,
    /// UDP over IPv4 alone.
    Udp4,
    /// UDP over IPv6 alone.
    Udp6,
    /// A Unix socket; a name that begins with `@` is abstract.
    Unixgram,
}

impl StreamNet {
    /// The net of this name.
    pub fn named(word: &str) -> Option<StreamNet> {
        let all = [StreamNet::Tcp, StreamNet::Tcp4, StreamNet::Tcp6, StreamNet::Unix];
        all.into_iter().find(|net| net.word() == word)
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            StreamNet::Tcp => "tcp",
            StreamNet::Tcp4 => "tcp4",
            StreamNet::Tcp6 => "tcp6",
            StreamNet::Unix => "unix",
        }
    }
}

impl DatagramNet {
    /// The net of this name.
    pub fn named(word: &str) -> Option<DatagramNet> {
        let all = [DatagramNet::Udp, DatagramNet::Udp4, DatagramNet::Udp6, DatagramNet::Unixgram];
        all.into_iter().find(|net| net.word() == word)
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            DatagramNet::Udp => "udp",
            DatagramNet::Udp4 => "udp4",
            DatagramNet::Udp6 => "udp6",
            DatagramNet::Unixgram => "unixgram",
        }
    }
}

/// Which versions of IP will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    fn name(self) -> &'static str {
        match self {
            Family::Any => "ip",
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }

    fn has(self, address: &SocketAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }
}

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(pub(super) Place);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A host, maybe by name, and a port.
    Host { host: String, port: u16, family: Family },
    /// A path, or an abstract name behind an `@`.
    Unix(String),
    /// A descriptor that was handed down.
    Descriptor(i32),
}

impl Place {
    /// The port, where there is one.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Place::Host { port, .. } => Some(*port),
            Place::Unix(_) | Place::Descriptor(_) => None,
        }
    }
}

impl Address {
    /// Reads an address of a stream: `host:port`, `:port`, a path, `@name` or `fd:N`.
    ///
    /// # Errors
    /// When it is none.
    pub fn stream(net: StreamNet, written: &str) -> Result<Address, Error> {
        match net {
            StreamNet::Tcp => Address::host(net.word(), written, Family::Any),
            StreamNet::Tcp4 => Address::host(net.word(), written, Family::V4),
            StreamNet::Tcp6 => Address::host(net.word(), written, Family::V6),
            StreamNet::Unix => Address::unix(net.word(), written),
        }
    }

    /// Reads an address of datagrams: `host:port`, `:port`, a path, `@name` or `fd:N`.
    ///
    /// # Errors
    /// When it is none.
    pub fn datagram(net: DatagramNet, written: &str) -> Result<Address, Error> {
        match net {
            DatagramNet::Udp => Address::host(net.word(), written, Family::Any),
            DatagramNet::Udp4 => Address::host(net.word(), written, Family::V4),
            DatagramNet::Udp6 => Address::host(net.word(), written, Family::V6),
            DatagramNet::Unixgram => Address::unix(net.word(), written),
        }
    }

    fn host(net: &'static str, written: &str, family: Family) -> Result<Address, Error> {
        if let Some(place) = descriptor(written) {
            return Ok(Address(place));
        }
        let expected = "`host:port`, `:port` or `fd:N`";
        let refused = || Error::Address { address: written.to_owned(), net, expected };
        let (host, port) = written.rsplit_once(':').ok_or_else(refused)?;
        let port = port.parse().map_err(|_| refused())?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(refused());
        }
        let host = bare.unwrap_or(host).to_owned();
        Ok(Address(Place::Host { host, port, family }))
    }

    fn unix(net: &'static str, written: &str) -> Result<Address, Error> {
        if let Some(place) = descriptor(written) {
            return Ok(Address(place));
        }
        // The address of a Unix socket has 108 bytes, a zero among them.
        if written.is_empty() || written == "@" || written.len() > 107 || written.contains('\0') {
            return Err(Error::Address {
                address: written.to_owned(),
                net,
                expected: "a path or `@name` of at most 107 bytes, or `fd:N`",
            });
        }
        Ok(Address(Place::Unix(written.to_owned())))
    }

    /// The addresses of the host, asked for at once and not as a task; none of what is no host.
    pub(super) fn look_up(&self) -> Result<Vec<SocketAddr>, Error> {
        let Place::Host { host, port, family } = &self.0 else { return Ok(Vec::new()) };
        if host.is_empty() {
            return Ok(every_interface(*port, *family));
        }
        let found = (host.as_str(), *port).to_socket_addrs();
        of_family(host, *family, found.map_err(Error::socket("resolve", host))?)
    }

    /// The addresses of the host; none of what is no host.
    pub(super) async fn resolve(&self) -> Result<Vec<SocketAddr>, Error> {
        match &self.0 {
            Place::Host { host, port, family } => resolve(host, *port, *family).await,
            Place::Unix(_) | Place::Descriptor(_) => Ok(Vec::new()),
        }
    }

    /// The name a certificate of the host would be for.
    pub(super) fn server_name(&self) -> &str {
        match &self.0 {
            Place::Host { host, .. } if !host.is_empty() => host,
            _ => "localhost",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Host { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Place::Host { host, port, .. } => write!(f, "{host}:{port}"),
            Place::Unix(name) => f.write_str(name),
            Place::Descriptor(number) => write!(f, "fd:{number}"),
        }
    }
}

fn descriptor(written: &str) -> Option<Place> {
    written.strip_prefix("fd:")?.parse().ok().filter(|n| *n >= 0).map(Place::Descriptor)
}

/// The addresses of a host, those of the wanted family; an empty host is every interface.
pub(super) async fn resolve(
    host: &str,
    port: u16,
    family: Family,
) -> Result<Vec<SocketAddr>, Error> {
    if host.is_empty() {
        return Ok(every_interface(port, family));
    }
    let found = tokio::net::lookup_host((host, port)).await;
    of_family(host, family, found.map_err(Error::socket("resolve", &host))?)
}

fn every_interface(port: u16, family: Family) -> Vec<SocketAddr> {
    match family {
        Family::V4 => vec![SocketAddr::from(([0, 0, 0, 0], port))],
        Family::V6 => vec![SocketAddr::from(([0_u16; 8], port))],
        // A kernel without IPv6 has no such sockets.
        Family::Any => match socket2::Socket::new(Domain::IPV6, Type::DGRAM, None) {
            Ok(_) => every_interface(port, Family::V6),
            Err(_) => every_interface(port, Family::V4),
        },
    }
}

fn of_family(
    host: &str,
    family: Family,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, Error> {
    let found = found.filter(|address| family.has(address)).collect::<Vec<_>>();
    if found.is_empty() {
        return Err(Error::Resolve(host.to_owned(), family.name()));
    }
    Ok(found)
}

/// The address of a Unix socket, abstract behind an `@`.
pub(super) fn unix_address(name: &str) -> std::io::Result<socket2::SockAddr> {
    match name.strip_prefix('@') {
        Some(hidden) => socket2::SockAddr::unix(Path::new(&format!("\0{hidden}"))),
        None => socket2::SockAddr::unix(Path::new(name)),
    }
}

/// Binds `socket` to a path or a name, with these permissions.
pub(super) fn bind_unix(
    socket: &socket2::Socket,
    name: &str,
    mode: Option<u32>,
) -> std::io::Result<()> {
    if let Some(mode) = mode {
        // Linux gives the file that is bound the permissions of the socket, less the umask: nobody
        // has more than is meant for a moment.
        rustix::fs::fchmod(socket, rustix::fs::Mode::from_raw_mode(mode))?;
    }
    socket.bind(&unix_address(name)?)?;
    match mode {
        Some(mode) if !name.starts_with('@') => {
            std::fs::set_permissions(name, std::fs::Permissions::from_mode(mode))
        }
        _ => Ok(()),
    }
}

/// A copy of a descriptor that was handed down to this process.
pub(super) fn inherited(number: i32) -> std::io::Result<socket2::Socket> {
    // Taking a number for a descriptor is not safe, asking the kernel for a copy of ours is.
    let this = rustix::process::pidfd_open(
        rustix::process::getpid(),
        rustix::process::PidfdFlags::empty(),
    )?;
    let flags = rustix::process::PidfdGetfdFlags::empty();
    Ok(socket2::Socket::from(rustix::process::pidfd_getfd(this, number, flags)?))
}

/// Takes away a socket that nobody listens on any more, so that its path can be bound again.
pub(super) fn clear_stale(name: &str, kind: Type) {
    use std::os::unix::fs::FileTypeExt;
    if name.starts_with('@') {
        return;
    }
    let is_socket = std::fs::symlink_metadata(name).is_ok_and(|data| data.file_type().is_socket());
    let is_refused = || {
        let probe = socket2::Socket::new(Domain::UNIX, kind, None)?;
        probe.connect(&unix_address(name)?)
    };
    if is_socket
        && is_refused().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    {
        let _ = std::fs::remove_file(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(net: StreamNet, input: &str, expected: Option<&str>) {
        let found = Address::stream(net, input).ok().map(|address| address.to_string());
        assert_eq!(found.as_deref(), expected, "{input}");
    }

    #[test]
    fn addresses_are_read() {
        check(StreamNet::Tcp, "127.0.0.1:5565", Some("127.0.0.1:5565"));
        check(StreamNet::Tcp, "[::1]:80", Some("[::1]:80"));
        check(StreamNet::Tcp4, ":80", Some(":80"));
        check(StreamNet::Tcp, "fd:3", Some("fd:3"));
        check(StreamNet::Unix, "@heka", Some("@heka"));
        check(StreamNet::Unix, "/run/heka.sock", Some("/run/heka.sock"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        check(StreamNet::Tcp, "localhost", None);
        check(StreamNet::Tcp, "localhost:http", None);
        check(StreamNet::Tcp, "::1:80", None);
        check(StreamNet::Tcp, "host:99999", None);
        check(StreamNet::Unix, "", None);
        check(StreamNet::Unix, &"x".repeat(108), None);
    }
}
