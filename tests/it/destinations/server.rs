//! A real program that a test starts, kills and starts again.

use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;

use crate::harness::Engine;

/// How long a server may take to start: those in Java take their time on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// A running program and all that it has started, killed when it is dropped.
pub(super) struct Server(Child);

impl Server {
    /// Starts it and waits until something listens on the port.
    pub(super) fn start(command: Command, port: u16) -> anyhow::Result<Server> {
        let mut server = Server::spawn(command)?;
        server.wait_for(&format!("port {port}"), || {
            TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
        })?;
        Ok(server)
    }

    /// Starts what is not heard on a port.
    pub(super) fn spawn(mut command: Command) -> anyhow::Result<Server> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0);
        Ok(Server(command.spawn().with_context(|| format!("cannot start {command:?}"))?))
    }

    /// Waits until it has done something.
    pub(super) fn wait_for<T>(
        &mut self,
        what: &str,
        condition: impl Fn() -> Option<T>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        loop {
            if let Some(answer) = condition() {
                return Ok(answer);
            }
            let ended = self.0.try_wait()?;
            anyhow::ensure!(ended.is_none(), "the server ended with {ended:?} before {what}");
            anyhow::ensure!(started.elapsed() < PATIENCE, "waited in vain for {what}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.0.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

/// A port that nobody listens on.
pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Asks by HTTP; the body of the answer, whatever its status.
pub(super) fn curl(arguments: &[&str]) -> anyhow::Result<String> {
    let output =
        Command::new("curl").args(["-s", "-S", "--max-time", "30"]).args(arguments).output();
    let output = output.context("cannot start curl")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits until an answer holds a text.
pub(super) fn expect_answer(
    engine: &mut Engine,
    arguments: &[&str],
    text: &str,
) -> anyhow::Result<()> {
    let last = std::cell::RefCell::new(String::new());
    let waited = engine.wait_for(text, |_| {
        let answer = curl(arguments).unwrap_or_else(|error| error.to_string());
        let holds = answer.contains(text);
        *last.borrow_mut() = answer;
        holds.then_some(())
    });
    waited.with_context(|| format!("the last answer was {}", last.borrow()))
}
