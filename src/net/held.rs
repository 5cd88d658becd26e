//! Sockets that root binds before it becomes another account, for whoever listens there later.
//!
//! A socket that is held goes on listening when the input that uses it has ended: one that failed
//! and is started again finds it, and clients wait in the kernel meanwhile. One listener has it at a
//! time; another at the same address is refused by the system, as ever. Descriptors belong to
//! the process, and so does what is held.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;

use nix::unistd::Gid;
use nix::unistd::Uid;
use socket2::Socket;
use socket2::Type;

use super::Address;
use super::DatagramNet;
use super::Error;
use super::StreamNet;
use super::accept;
use super::address::Place;
use super::datagram;

static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

struct Held {
    binding: Binding,
    socket: Socket,
    lent: Weak<()>,
}

/// Where somebody is going to listen.
#[derive(Clone, Debug)]
pub struct Binding {
    address: Address,
    kind: Type,
    mode: Option<u32>,
}

/// Whom root is going to be.
#[derive(Clone, Debug)]
pub struct Successor {
    /// The account.
    pub user: Uid,
    /// Its group.
    pub group: Gid,
    /// All groups it is in.
    pub groups: Vec<Gid>,
}

/// A copy of a socket that is held; nobody else gets one as long as `loan` is kept.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) socket: Socket,
    pub(super) loan: Arc<()>,
}

impl Binding {
    /// Reads a net, such as `tcp` or `unixgram`, and an address of it; `mode` has the permissions of a
    /// Unix socket, where they are not left to the umask.
    ///
    /// # Errors
    /// When the net is unknown or has no such address.
    pub fn read(net: &str, written: &str, mode: Option<u32>) -> Result<Binding, Error> {
        let (address, kind) = match (StreamNet::named(net), DatagramNet::named(net)) {
            (Some(net), _) => (Address::stream(net, written)?, Type::STREAM),
            (None, Some(net)) => (Address::datagram(net, written)?, Type::DGRAM),
            (None, None) => return Err(Error::Net(net.to_owned())),
        };
        Ok(Binding { address, kind, mode })
    }

    /// Tells whether `successor` could not listen there, or with less room for datagrams than root gets.
    pub fn is_roots(&self, successor: &Successor) -> bool {
        match &self.address.0 {
            Place::Host { port: 0, .. } | Place::Descriptor(_) => false,
            Place::Host { .. } => self.is_privileged() || self.kind == Type::DGRAM,
            Place::Unix(name) => !name.starts_with('@') && !successor.may_write_beside(name),
        }
    }

    /// Tells whether it is a port that only root may bind, and who has `CAP_NET_BIND_SERVICE`.
    pub fn is_privileged(&self) -> bool {
        match &self.address.0 {
            Place::Host { port, .. } => *port != 0 && *port < first_free_port(),
            Place::Unix(_) | Place::Descriptor(_) => false,
        }
    }

    /// Tells whether the socket is held.
    pub fn is_held(&self) -> bool {
        locked().iter().any(|held| held.binding.is_at(&self.address, self.kind))
    }

    /// Binds it and holds it; what it puts into the file system belongs to `successor`.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn hold(self, successor: &Successor) -> Result<(), Error> {
        let (address, mode) = (&self.address, self.mode);
        let socket = match self.kind {
            Type::STREAM => accept::open(address, &address.look_up()?, mode)?,
            _ => datagram::open(address, &address.look_up()?, mode)?,
        };
        if let Place::Unix(name) = &address.0 {
            let (user, group) = (successor.user.as_raw(), successor.group.as_raw());
            std::os::unix::fs::lchown(name, Some(user), Some(group))
                .map_err(Error::socket("give away", address))?;
        }
        locked().push(Held { binding: self, socket, lent: Weak::new() });
        Ok(())
    }

    fn is_at(&self, address: &Address, kind: Type) -> bool {
        self.address == *address && self.kind == kind
    }
}

impl Successor {
    /// Tells whether it may make a file in the folder of `path`, as far as the mode says.
    fn may_write_beside(&self, path: &str) -> bool {
        let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
        let Ok(about) = std::fs::metadata(folder.unwrap_or(Path::new("."))) else { return true };
        let is_in = |id: u32| self.group.as_raw() == id || self.groups.contains(&Gid::from_raw(id));
        let wanted = match () {
            () if about.uid() == self.user.as_raw() => 0o300,
            () if is_in(about.gid()) => 0o030,
            () => 0o003,
        };
        about.mode() & wanted == wanted
    }
}

/// Lets go of what is held at none of these.
pub fn keep_only(bindings: &[Binding]) {
    locked().retain(|held| {
        bindings.iter().any(|binding| held.binding.is_at(&binding.address, binding.kind))
    });
}

/// A copy of the socket that is held there, where there is one and nobody has it.
pub(super) fn lend(address: &Address, kind: Type) -> Option<Lent> {
    let mut all = locked();
    let held = all.iter_mut().find(|held| held.binding.is_at(address, kind))?;
    if held.lent.strong_count() > 0 {
        return None;
    }
    let loan = Arc::new(());
    let socket = held.socket.try_clone().ok()?;
    held.lent = Arc::downgrade(&loan);
    Some(Lent { socket, loan })
}

fn locked() -> std::sync::MutexGuard<'static, Vec<Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first port that everybody may bind.
pub(super) fn first_free_port() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}
