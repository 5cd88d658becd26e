//! What systemd is told, where it started the engine and asked to be: ready, alive, stopping.
//!
//! It says in `NOTIFY_SOCKET` where, and in `WATCHDOG_USEC` after how many microseconds without a
//! word it takes the engine for dead.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;

/// The way to whoever has started the engine; nowhere where nobody asked.
#[derive(Debug)]
pub(super) struct Supervisor {
    socket: Option<UnixDatagram>,
    watches: bool,
}

impl Supervisor {
    /// Finds it in the environment.
    pub(super) fn find() -> Supervisor {
        let address = std::env::var_os("NOTIFY_SOCKET");
        let watches = std::env::var_os("WATCHDOG_USEC").is_some();
        Supervisor { socket: address.and_then(|address| connect(&address)), watches }
    }

    /// All is started.
    pub(super) fn ready(&self) {
        self.tell("READY=1\n");
    }

    /// The engine still goes round.
    pub(super) fn alive(&self) {
        if self.watches {
            self.tell("WATCHDOG=1\n");
        }
    }

    /// The engine stops.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\n");
    }

    fn tell(&self, text: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(text.as_bytes()) {
            tracing::debug!(%error, "systemd is not told");
        }
    }
}

/// A name that starts with `@` is no file.
fn connect(address: &OsStr) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    match address.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()?,
        None => socket.connect(address).ok()?,
    }
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listening = UnixDatagram::bind(&path).unwrap();
        let supervisor = Supervisor { socket: connect(path.as_os_str()), watches: true };
        supervisor.ready();
        supervisor.alive();
        supervisor.stopping();
        let mut told = String::new();
        for _ in 0..3 {
            let mut buffer = [0; 64];
            let length = listening.recv(&mut buffer).unwrap();
            told += std::str::from_utf8(&buffer[..length]).unwrap();
        }
        assert_eq!(told, "READY=1\nWATCHDOG=1\nSTOPPING=1\n");
    }
}
