//! A real program that a test starts, kills and starts again.

use std::fs::File;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;

use super::LOOK;

/// How long a server may take to start: those in Java take their time on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);
/// Where servers live that are not for every user.
const PROGRAMS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// A running program and all that it has started, killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    log: File,
}

impl Server {
    /// Starts it and waits until something listens on the port.
    pub(crate) fn start(command: Command, port: u16) -> anyhow::Result<Server> {
        let mut server = Server::spawn(command)?;
        server.wait_for(&format!("port {port}"), |_| {
            TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
        })?;
        Ok(server)
    }

    /// Starts what is not heard on a port.
    pub(crate) fn spawn(mut command: Command) -> anyhow::Result<Server> {
        let log = tempfile::tempfile().context("no room for what it says")?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:{PROGRAMS}")).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Server { child, log })
    }

    /// Waits until it has done something.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        condition: impl Fn(&Server) -> Option<T>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        loop {
            if let Some(answer) = condition(self) {
                return Ok(answer);
            }
            let ended = self.child.try_wait()?;
            let state = ended.map_or("still running".to_owned(), |status| status.to_string());
            anyhow::ensure!(
                ended.is_none() && started.elapsed() < PATIENCE,
                "the server does not come to {what} ({state}):\n{}",
                self.log()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        let length = self.log.metadata().map_or(0, |metadata| metadata.len());
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        let read = self.log.read_at(&mut bytes, 0).unwrap_or_default();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on, and that the kernel gives to nobody: one of those it hands out
/// itself may be a client's before the server comes to it, and a client that asks for it again and
/// again ends up connected to itself.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let (first, count) = own_ports()?;
    // Other runs of the tests begin elsewhere.
    let begin = std::process::id().wrapping_mul(173);
    for _ in 0..count {
        let place = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % count;
        let port = u16::try_from(first + place)?;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("none of {count} ports from {first} on is free")
}

/// The first and the number of the ports that the kernel gives to nobody; all where it has them all.
fn own_ports() -> anyhow::Result<(u32, u32)> {
    const LOWEST: u32 = 10_000;
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    let range = std::fs::read_to_string(path).unwrap_or_default();
    let mut ends = range.split_whitespace().map(str::parse::<u32>);
    let (low, high) = match (ends.next(), ends.next()) {
        (Some(low), Some(high)) => (low?, high?),
        _ => (32_768, 60_999),
    };
    let below = low.saturating_sub(LOWEST);
    let above = u32::from(u16::MAX).saturating_sub(high);
    Ok(match (below, above) {
        (0..1000, 0..1000) => (LOWEST, u32::from(u16::MAX) - LOWEST),
        (below, above) if below >= above => (LOWEST, below),
        (_, above) => (high + 1, above),
    })
}
