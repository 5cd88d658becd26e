//! From root to another account, with ports that are root's.

use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;

use anyhow::Context;
use libtest_mimic::Trial;
use nix::unistd::User;
use nix::unistd::geteuid;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    let dropped = test("limits::privileges::root_becomes_nobody_for_good", becomes_nobody);
    let dropped = if geteuid().is_root() {
        dropped
    } else {
        dropped.with_ignored_flag(true).with_kind("needs root")
    };
    vec![
        dropped,
        test("limits::privileges::an_account_that_is_not_there_is_a_mistake", unknown_account),
        test("limits::privileges::whoever_is_not_root_is_refused", not_root),
    ]
}

fn becomes_nobody() -> anyhow::Result<()> {
    let nobody = User::from_name("nobody")?.context("there is no nobody")?;
    let port = (600..1024)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no low port is free")?;
    let place = Place::new(&format!(
        "[hekad]\nbase_dir = 'DIR/state'\nuser = 'nobody'\n[hekad.admin]\naddress = ''\n\
         [lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:{port}'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n[PayloadEncoder]\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = 'TRUE'\npath = 'DIR/state/copy'\n\
         encoder = 'PayloadEncoder'\nflush_interval = 10\n"
    ))?;
    std::fs::set_permissions(place.path(""), std::fs::Permissions::from_mode(0o755))?;
    // Twice, so that what is there already is read again.
    for round in 1..=2 {
        let mut engine = place.run(&[])?;
        let mut lines = TcpStream::connect(engine.address("lines")?)?;
        lines.write_all(b"a line\n")?;
        engine.wait_for("the line", |_| {
            (place.read("state/copy").lines().count() == round).then_some(())
        })?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", engine.id()))?;
        let line = |name: &str| -> anyhow::Result<Vec<&str>> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            Ok(line.context("no such line")?.split_whitespace().collect())
        };
        let (user, group) = (nobody.uid.to_string(), nobody.gid.to_string());
        anyhow::ensure!(line("Uid:")?.iter().all(|id| *id == user), "{status}");
        anyhow::ensure!(line("Gid:")?.iter().all(|id| *id == group), "{status}");
        anyhow::ensure!(line("Groups:")?.iter().all(|id| *id == group), "{status}");
        // The tenth is that of binding low ports.
        anyhow::ensure!(line("CapEff:")? == ["0000000000000400"], "{status}");
        anyhow::ensure!(line("CapPrm:")? == ["0000000000000400"], "{status}");
        anyhow::ensure!(line("NoNewPrivs:")? == ["1"], "{status}");
        for task in std::fs::read_dir(format!("/proc/{}/task", engine.id()))? {
            let status = std::fs::read_to_string(task?.path().join("status"))?;
            anyhow::ensure!(status.contains(&format!("Uid:\t{user}\t{user}")), "{status}");
            anyhow::ensure!(status.contains("CapEff:\t0000000000000400"), "{status}");
        }
        let copy = std::fs::metadata(place.path("state/copy"))?;
        anyhow::ensure!(copy.uid() == nobody.uid.as_raw(), "the copy belongs to {}", copy.uid());
        engine.stop()?.expect_code(0)?;
    }
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
