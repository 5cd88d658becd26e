//! Log files that a real logrotate turns over, and very many at once.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::suite::test;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    let programs = ["logrotate"];
    vec![
        test_with(&programs, "sources::logs_that_are_created_anew_lose_no_line", created),
        test_with(&programs, "sources::logs_that_are_copied_and_cut_lose_no_line", copied),
        test_with(
            &["bindfs", "umount"],
            "sources::logs_on_a_file_system_that_tells_nothing_lose_no_line",
            silent,
        ),
        untold_trial(),
        test("sources::five_thousand_files_are_read_at_once", many_files),
    ]
}

fn place(folder: &str, section: &str) -> anyhow::Result<Place> {
    Place::new(&format!(
        "[hekad]\nbase_dir = 'DIR/state'\nlog_level = 'debug'\n[hekad.admin]\naddress = '127.0.0.1:0'\n\
         [LogstreamerInput]\nlog_directory = 'DIR/{folder}'\n{section}\n\
         [PayloadEncoder]\nappend_newlines = false\n[copy]\ntype = 'FileOutput'\n\
         message_matcher = \"Type == 'logfile'\"\npath = 'DIR/out'\nencoder = 'PayloadEncoder'\n"
    ))
}

fn append(place: &Place, name: &str, lines: &str) -> anyhow::Result<()> {
    let path = place.path(&format!("logs/{name}"));
    let mut file = std::fs::File::options().create(true).append(true).open(path)?;
    Ok(file.write_all(lines.as_bytes())?)
}

fn wait_for_lines(engine: &mut Engine, place: &Place, count: usize) -> anyhow::Result<()> {
    engine.wait_for(&format!("{count} lines"), |_| {
        (place.read("out").lines().count() >= count).then_some(())
    })
}

fn created() -> anyhow::Result<()> {
    rotated("create", "nocompress", &|place| place.run(&[]))?;
    rotated("create", "compress", &|place| place.run(&[])).map(drop)
}

fn copied() -> anyhow::Result<()> {
    rotated("copytruncate", "nocompress", &|place| place.run(&[]))?;
    rotated("copytruncate", "compress", &|place| place.run(&[])).map(drop)
}

/// Who may have no notifications of the system at all: the limit of them is used up.
const NOT_TOLD: &str = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";

/// A test of what is not told of; it needs a namespace of its own.
fn untold_trial() -> Trial {
    let name = "sources::logs_that_the_system_does_not_tell_of_lose_no_line";
    let tried = Command::new("unshare").args(["-Ur", "sh", "-c", NOT_TOLD, "sh", "true"]).output();
    if tried.is_ok_and(|tried| tried.status.success()) {
        return test_with(&["logrotate"], name, untold);
    }
    Trial::test(name, || Ok(())).with_ignored_flag(true).with_kind("no user namespaces")
}

fn untold() -> anyhow::Result<()> {
    let run = |place: &Place| place.run_under(&["unshare", "-Ur", "sh", "-c", NOT_TOLD, "sh"], &[]);
    for (mode, packing) in [("create", "nocompress"), ("copytruncate", "compress")] {
        let stderr = rotated(mode, packing, &run)?;
        anyhow::ensure!(stderr.contains("no notifications, looks find what is new"), "{stderr}");
    }
    Ok(())
}

/// What is written on the other side of a file system, as on that of NFS, the system does not tell of.
fn silent() -> anyhow::Result<()> {
    const FILES: usize = 20;
    let place = place(
        "seen",
        "file_match = '(?P<Name>\\w+)\\.log'\ndifferentiator = ['Name']\nrescan_interval = '200ms'",
    )?;
    place.write("logs/first.log", "")?;
    let _seen = Seen::mount(&place, "first.log")?;
    let mut engine = place.run(&[])?;
    for round in 0..5 {
        // Files grow, and new ones come.
        for file in 0..=FILES {
            append(&place, &format!("f{file}r{}.log", round / 2), &format!("{file} {round}\n"))?;
        }
        wait_for_lines(&mut engine, &place, (round + 1) * (FILES + 1))?;
    }
    engine.stop()?.expect_code(0)?;
    let out = place.read("out");
    let mut lines: Vec<&str> = out.lines().collect();
    let count = lines.len();
    lines.sort_unstable();
    lines.dedup();
    anyhow::ensure!(count == 5 * (FILES + 1) && lines.len() == count, "{out}");
    Ok(())
}

/// The folder `logs` seen in another place, through a file system of its own.
struct Seen(Server, PathBuf);

impl Seen {
    fn mount(place: &Place, file: &str) -> anyhow::Result<Seen> {
        let (logs, seen) = (place.path("logs"), place.path("seen"));
        std::fs::create_dir_all(&seen)?;
        let mut command = Command::new("bindfs");
        command.args(["-f", "--no-allow-other"]).arg(&logs).arg(&seen);
        let mut server = Server::spawn(command)?;
        let file = seen.join(file);
        server.wait_for("what it shows", |_| file.exists().then_some(()))?;
        Ok(Seen(server, seen))
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let Seen(_server, path) = self;
        let _ = Command::new("umount").arg(path).output();
    }
}

/// A log that is rotated four times while it is read: every line comes once and in order. What the engine
/// has said.
fn rotated(
    mode: &str,
    packing: &str,
    run: &dyn Fn(&Place) -> anyhow::Result<Engine>,
) -> anyhow::Result<String> {
    let place = place(
        "logs",
        "file_match = 'app\\.log\\.?(?P<Seq>\\d*)(\\.gz)?'\npriority = ['^Seq']\nrescan_interval = '200ms'",
    )?;
    place.write("logs/app.log", "")?;
    let folder = place.path("").display().to_string();
    let user = if nix::unistd::geteuid().is_root() { " su root root\n" } else { "" };
    place.write(
        "rotate.conf",
        &format!(
            "{folder}/logs/app.log {{\n{user} rotate 9\n {mode}\n {packing}\n missingok\n}}\n"
        ),
    )?;
    let mut engine = run(&place)?;
    let mut written = String::new();
    for round in 0..5 {
        let lines: String = (0..50).map(|line| format!("line {round}.{line}\n")).collect();
        append(&place, "app.log", &lines)?;
        written += &lines;
        // What is written while logrotate copies and cuts is lost by it, and not by us.
        wait_for_lines(&mut engine, &place, (round + 1) * 50)?;
        let output = Command::new("logrotate")
            .args(["-f", "-s", &format!("{folder}/rotate.state"), &format!("{folder}/rotate.conf")])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "logrotate: {stderr}");
    }
    let stderr = engine.stop()?.expect_code(0)?.stderr;
    anyhow::ensure!(place.read("out") == written, "{mode} {packing}:\n{}", place.read("out"));
    Ok(stderr)
}

fn many_files() -> anyhow::Result<()> {
    const FILES: usize = 5000;
    let place = place(
        "logs",
        "file_match = '(?P<Name>f\\d+)\\.log'\ndifferentiator = ['Name']\nrescan_interval = '1s'",
    )?;
    std::fs::create_dir_all(place.path("logs"))?;
    for file in 0..FILES {
        append(&place, &format!("f{file}.log"), &format!("{file} first\n"))?;
    }
    let mut engine = place.run(&[])?;
    wait_for_lines(&mut engine, &place, FILES)?;
    for file in 0..FILES {
        append(&place, &format!("f{file}.log"), &format!("{file} second\n"))?;
    }
    wait_for_lines(&mut engine, &place, 2 * FILES)?;
    engine.stop()?.expect_code(0)?;
    let out = place.read("out");
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    anyhow::ensure!(lines.len() == 2 * FILES, "{} lines", lines.len());
    anyhow::ensure!(out.lines().count() == 2 * FILES, "some lines came twice");
    Ok(())
}
