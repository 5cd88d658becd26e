//! Daemons that are asked how they are: each is started from its own program, asked with the
//! configuration that is shipped for it, killed and started again.

mod caches;
mod cassandra;
mod databases;
mod exporters;
mod web;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;

use crate::harness::Engine;
use crate::harness::Place;

pub(super) fn trials() -> Vec<Trial> {
    [caches::trials(), cassandra::trials(), databases::trials(), exporters::trials(), web::trials()]
        .into_iter()
        .flatten()
        .collect()
}

/// How long a server may take to start.
const START: Duration = Duration::from_mins(5);

/// A server and all that it has started, ended when dropped.
struct Server(Child);

impl Server {
    /// Starts it and waits until it listens on `port`. It writes into `server.log` of the place.
    fn start(place: &Place, mut command: Command, port: u16) -> anyhow::Result<Server> {
        let log = std::fs::File::options().create(true).append(true).open(place.path("server.log"));
        let log = log?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut server = Server(child);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.0.try_wait()?;
            anyhow::ensure!(
                ended.is_none() && started.elapsed() < START,
                "{command:?} does not listen on {port} ({ended:?}):\n{}",
                place.read("server.log")
            );
            std::thread::yield_now();
        }
        Ok(server)
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

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The configuration that is shipped under this name, with other addresses and a shorter interval.
pub(super) fn shipped(name: &str, changes: &[(&str, &str)]) -> anyhow::Result<String> {
    let path = format!("{}/config/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).context(path)?;
    let mut text = text.replace("ticker_interval = 10", "ticker_interval = '200ms'");
    for (from, to) in changes {
        anyhow::ensure!(text.contains(from), "config/{name} does not have `{from}`");
        text = text.replace(from, to);
    }
    Ok(text)
}

/// A message that was told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) kind: String,
    payload: String,
    /// The value and the unit of each field.
    pub(super) fields: BTreeMap<String, (String, String)>,
}

/// All messages that were printed.
pub(super) fn told(engine: &Engine) -> Vec<Told> {
    let stdout = engine.stdout();
    // The last one may not be whole.
    let blocks = stdout.split(":Timestamp:").skip(1);
    let whole = blocks.filter(|block| block.ends_with("\n\n") || block.contains("\n\n"));
    whole.map(read).collect()
}

fn read(block: &str) -> Told {
    let header = |name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    let mut fields = BTreeMap::new();
    for line in block.lines() {
        let Some(rest) = line.trim().strip_prefix("| name:\"") else { continue };
        let Some((name, rest)) = rest.split_once("\" type:") else { continue };
        let Some((_, rest)) = rest.split_once(" value:") else { continue };
        let (value, unit) = rest.split_once(" representation:").unwrap_or((rest, ""));
        let bare = |text: &str| text.trim_matches('"').to_owned();
        fields.insert(name.to_owned(), (bare(value), bare(unit)));
    }
    Told { kind: header(":Type:"), payload: header(":Payload:"), fields }
}

/// Waits for a message of this type with these fields: name, unit and, where it is not empty, value.
pub(super) fn expect(
    engine: &mut Engine,
    kind: &str,
    fields: &[(&str, &str, &str)],
) -> anyhow::Result<()> {
    engine.wait_for(&format!("{kind} with {fields:?}"), |engine| {
        let has = |it: &Told, (name, unit, value): &(&str, &str, &str)| {
            let found = it.fields.get(*name);
            found.is_some_and(|found| found.1 == *unit && (value.is_empty() || found.0 == *value))
        };
        let is_it = |it: &Told| it.kind == kind && fields.iter().all(|field| has(it, field));
        told(engine).iter().any(is_it).then_some(())
    })
}

/// Waits for the message of this type whose payload has `part` in it.
pub(super) fn expect_payload(engine: &mut Engine, kind: &str, part: &str) -> anyhow::Result<()> {
    engine.wait_for(&format!("{kind} with `{part}`"), |engine| {
        told(engine).iter().any(|it| it.kind == kind && it.payload.contains(part)).then_some(())
    })
}

/// Kills a server, starts it again, and finds one message for each.
fn goes_down_and_comes_back(
    engine: &mut Engine,
    server: Server,
    start: &dyn Fn() -> anyhow::Result<Server>,
    kind: &str,
) -> anyhow::Result<()> {
    let count =
        |engine: &Engine, kind: &str| told(engine).iter().filter(|it| it.kind == kind).count();
    let before = (count(engine, "daemon.down"), count(engine, "daemon.up"));
    drop(server);
    engine.wait_for("the daemon to be told of as down", |engine| {
        (count(engine, "daemon.down") > before.0).then_some(())
    })?;
    let _server = start()?;
    engine.wait_for("the daemon to be told of as back", |engine| {
        (count(engine, "daemon.up") > before.1).then_some(())
    })?;
    let told_before = count(engine, kind);
    engine.wait_for("more of the daemon", |engine| {
        (count(engine, kind) > told_before + 1).then_some(())
    })?;
    let after = (count(engine, "daemon.down"), count(engine, "daemon.up"));
    anyhow::ensure!(after == (before.0 + 1, before.1 + 1), "{before:?} became {after:?}");
    Ok(())
}
