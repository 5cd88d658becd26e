//! From root to another account, with ports that are root's.

use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;

use anyhow::Context;
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use nix::unistd::User;
use nix::unistd::geteuid;

use crate::harness::Engine;
use crate::harness::Place;
use crate::suite::test;

/// How many ports from 600 on were given to tests.
static TAKEN: AtomicU16 = AtomicU16::new(0);

pub(crate) fn trials() -> Vec<Trial> {
    let of_root = |name: &str, run: fn() -> anyhow::Result<()>| {
        let trial = test(&format!("limits::privileges::{name}"), run);
        if geteuid().is_root() {
            trial
        } else {
            trial.with_ignored_flag(true).with_kind("needs root")
        }
    };
    vec![
        of_root("root_becomes_nobody_for_good", becomes_nobody),
        of_root("a_reload_frees_ports_and_tells_of_those_it_may_not_bind", reloads_as_nobody),
        of_root("capabilities_that_are_asked_for_are_kept", keeps_capabilities),
        test("limits::privileges::an_account_that_is_not_there_is_a_mistake", unknown_account),
        test("limits::privileges::whoever_is_not_root_is_refused", not_root),
    ]
}

/// A folder that everybody may look into, only root may write to, and the engine's configuration in
/// it, with the lines of `more`.
fn place(hekad: &str, more: &str) -> anyhow::Result<Place> {
    let place = Place::new(&configuration(hekad, more))?;
    std::fs::set_permissions(place.path(""), std::fs::Permissions::from_mode(0o755))?;
    Ok(place)
}

fn configuration(hekad: &str, more: &str) -> String {
    format!(
        "[hekad]\nbase_dir = 'DIR/state'\nuser = 'nobody'\npid_file = 'DIR/pid'\n{hekad}\n\
         [hekad.admin]\naddress = ''\n[PayloadEncoder]\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = 'Type !~ /^heka\\./'\n\
         path = 'DIR/state/copy'\nencoder = 'PayloadEncoder'\nflush_interval = 10\n{more}"
    )
}

fn lines(name: &str, port: u16) -> String {
    format!(
        "[{name}]\ntype = 'TcpInput'\naddress = '127.0.0.1:{port}'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n"
    )
}

/// Ports that only root may bind, and that nobody has.
fn low_ports() -> anyhow::Result<(u16, u16)> {
    let is_free = |port: &u16| {
        TcpListener::bind(("127.0.0.1", *port)).is_ok()
            && UdpSocket::bind(("127.0.0.1", *port)).is_ok()
    };
    // Tests beside this one look for ports too.
    let first = 600 + TAKEN.fetch_add(100, Ordering::Relaxed);
    let mut free = (first..first + 100).filter(is_free);
    Ok((free.next().context("no low port is free")?, free.next().context("one low port is free")?))
}

/// Says of every thread of the engine that it is nobody and has these capabilities.
fn expect_nobody(engine: &Engine, capabilities: u64) -> anyhow::Result<()> {
    let nobody = User::from_name("nobody")?.context("there is no nobody")?;
    let (user, group) = (nobody.uid.to_string(), nobody.gid.to_string());
    let mut threads = 0;
    for task in std::fs::read_dir(format!("/proc/{}/task", engine.id()))? {
        // A thread may end while it is looked at.
        let Ok(status) = std::fs::read_to_string(task?.path().join("status")) else { continue };
        threads += 1;
        let line = |name: &str| -> anyhow::Result<Vec<&str>> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            Ok(line.context("no such line")?.split_whitespace().collect())
        };
        anyhow::ensure!(line("Uid:")?.iter().all(|id| *id == user), "{status}");
        anyhow::ensure!(line("Gid:")?.iter().all(|id| *id == group), "{status}");
        anyhow::ensure!(line("Groups:")?.iter().all(|id| *id == group), "{status}");
        anyhow::ensure!(line("NoNewPrivs:")? == ["1"], "{status}");
        for set in ["CapEff:", "CapPrm:"] {
            anyhow::ensure!(line(set)? == [format!("{capabilities:016x}")], "{set} {status}");
        }
        for set in ["CapInh:", "CapAmb:"] {
            anyhow::ensure!(line(set)? == [format!("{:016x}", 0)], "{set} {status}");
        }
    }
    anyhow::ensure!(threads > 1, "{threads} threads");
    Ok(())
}

fn expect_lines(engine: &mut Engine, place: &Place, count: usize) -> anyhow::Result<()> {
    engine.wait_for(&format!("{count} lines"), |_| {
        (place.read("state/copy").lines().count() == count).then_some(())
    })
}

/// TCP, UDP and Unix sockets that are root's to bind answer; nothing else of root's is left.
fn becomes_nobody() -> anyhow::Result<()> {
    let nobody = User::from_name("nobody")?.context("there is no nobody")?;
    let (port, other) = low_ports()?;
    let syslog = |name: &str, net: &str, address: &str| {
        format!(
            "[{name}]\ntype = 'SyslogInput'\nnet = '{net}'\naddress = '{address}'\ndecoder = ''\n"
        )
    };
    let more = [
        lines("lines", port),
        syslog("datagrams", "udp", &format!("127.0.0.1:{other}")),
        syslog("log", "unixgram", "DIR/log"),
        syslog("stream", "unix", "DIR/stream"),
    ];
    let place = place("", &more.concat())?;
    // Twice, so that what is there already is read and bound again.
    for round in 1..=2 {
        let mut engine = place.run(&[])?;
        let mut lines = TcpStream::connect(engine.address("lines")?)?;
        lines.write_all(b"over tcp\n")?;
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        udp.send_to(b"<13>over udp\n", engine.address("datagrams")?)?;
        UnixDatagram::unbound()?.send_to(b"<13>to a socket\n", place.path("log"))?;
        UnixStream::connect(place.path("stream"))?.write_all(b"<13>to another\n")?;
        expect_lines(&mut engine, &place, round * 4)?;
        expect_nobody(&engine, 0)?;
        for name in ["log", "stream"] {
            let mode = std::fs::metadata(place.path(name))?.mode() & 0o777;
            anyhow::ensure!(mode == 0o666, "{name} has the permissions {mode:o}");
        }
        for name in ["state/copy", "state/journal", "pid", "log"] {
            let owner = std::fs::metadata(place.path(name))?.uid();
            anyhow::ensure!(owner == nobody.uid.as_raw(), "{name} belongs to {owner}");
        }
        engine.stop()?.expect_code(0)?;
        anyhow::ensure!(place.read("pid").is_empty(), "the pid is left behind");
    }
    Ok(())
}

fn reloads_as_nobody() -> anyhow::Result<()> {
    let (one, other) = low_ports()?;
    let place = place("", &lines("lines", one))?;
    let mut engine = place.run(&[])?;
    engine.address("lines")?;
    // The input of another name takes the socket over.
    place.configure(&configuration("", &lines("renamed", one)))?;
    engine.signal(Signal::SIGHUP)?;
    TcpStream::connect(engine.address("renamed")?)?.write_all(b"a line\n")?;
    expect_lines(&mut engine, &place, 1)?;
    // Where nobody wants it any more it is free, and another one is not to be had.
    let more = lines("added", other) + "can_exit = true\n";
    place.configure(&configuration("", &more))?;
    engine.signal(Signal::SIGHUP)?;
    engine.wait_for("the port that is not ours", |engine| {
        let stderr = engine.stderr();
        let is_told = stderr.contains("keep_capabilities = [") && stderr.contains("only root may");
        is_told.then_some(())
    })?;
    engine.wait_for("the port to be free", |_| TcpListener::bind(("127.0.0.1", one)).ok())?;
    expect_nobody(&engine, 0)?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn keeps_capabilities() -> anyhow::Result<()> {
    let (one, other) = low_ports()?;
    let hekad = "keep_capabilities = ['net_bind_service', 'CAP_DAC_READ_SEARCH']";
    let secret = "[secret]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/secret'\n\
                  file_match = 'auth\\.log'\n";
    let more = secret.to_owned() + &lines("lines", one);
    let place = place(hekad, &more)?;
    std::fs::create_dir(place.path("secret"))?;
    std::fs::set_permissions(place.path("secret"), std::fs::Permissions::from_mode(0o700))?;
    place.write("secret/auth.log", "for root alone\n")?;
    let log = place.path("secret/auth.log");
    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o600))?;
    let mut engine = place.run(&[])?;
    engine.address("lines")?;
    expect_lines(&mut engine, &place, 1)?;
    std::fs::OpenOptions::new().append(true).open(&log)?.write_all(b"and again\n")?;
    expect_lines(&mut engine, &place, 2)?;
    place.configure(&configuration(hekad, &(more + &lines("added", other))))?;
    engine.signal(Signal::SIGHUP)?;
    TcpStream::connect(engine.address("added")?)?.write_all(b"a line\n")?;
    expect_lines(&mut engine, &place, 3)?;
    expect_nobody(&engine, 1 << 2 | 1 << 10)?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn unknown_account() -> anyhow::Result<()> {
    let place = Place::new("[hekad]\nbase_dir = 'DIR/state'\nuser = 'no-such-account'\n")?;
    let told = place.heka(&["check", "heka.toml"], "")?.expect_code(2)?;
    let says = "expected a user of this machine, found \"no-such-account\"";
    anyhow::ensure!(told.stderr.contains(says), "{}", told.stderr);
    anyhow::ensure!(told.stderr.contains("heka.toml:3:8"), "{}", told.stderr);
    Ok(())
}

/// As somebody else than root, to be somebody else is refused; as root, to stay root is.
fn not_root() -> anyhow::Result<()> {
    let user = if geteuid().is_root() { "root" } else { "nobody" };
    let place = Place::new(&format!(
        "[hekad]\nbase_dir = 'DIR/state'\nuser = '{user}'\ngroup = 'nogroup'\n[hekad.admin]\naddress = ''\n"
    ))?;
    if nix::unistd::Group::from_name("nogroup")?.is_none() {
        return Ok(());
    }
    let told = place.run(&[])?.finish()?.expect_code(1)?;
    let says = if user == "root" { "`user` is root" } else { "cannot become nobody" };
    anyhow::ensure!(told.stderr.contains(says), "{}", told.stderr);
    Ok(())
}
