//! What the service manager is told that has started the engine: ready, alive, reloading, stopping.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::binary;
use crate::suite::test;
use crate::suite::test_with;

/// After so long without a word the engine is taken for dead.
const WATCHDOG: Duration = Duration::from_secs(1);
/// How exposed the unit may be, of 100.
const EXPOSURE: &str = "22";
/// Words that it is alive, of which the time between them is looked at.
const BEATS: usize = 7;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("supervisor::is_told_of_start_life_reload_and_stop", told),
        test("supervisor::hears_nothing_of_life_where_it_does_not_watch", not_watched),
        test_with(&["systemd-analyze"], "supervisor::the_unit_of_systemd_is_sound_and_tight", unit),
    ]
}

/// All that is heard, with the moment.
struct Ear {
    socket: UnixDatagram,
    heard: Vec<(String, Instant)>,
}

impl Ear {
    fn listen(&mut self) {
        let mut buffer = [0; 256];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            self.heard.push((text, Instant::now()));
        }
    }

    /// How often this was heard.
    fn count(&mut self, word: &str) -> usize {
        self.listen();
        self.heard.iter().filter(|(text, _)| text.contains(word)).count()
    }

    fn expect(&mut self, engine: &mut Engine, word: &str, times: usize) -> anyhow::Result<()> {
        engine.wait_for(word, |_| (self.count(word) >= times).then_some(()))
    }
}

fn start(watchdog: bool) -> anyhow::Result<(Place, Engine, Ear)> {
    let place = Place::new(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n[PayloadEncoder]\n\
         [out]\ntype = 'FileOutput'\nmessage_matcher = 'FALSE'\npath = 'DIR/out'\n\
         encoder = 'PayloadEncoder'\n",
    )?;
    let path = place.path("notify");
    let socket = UnixDatagram::bind(&path)?;
    socket.set_nonblocking(true)?;
    let micros = WATCHDOG.as_micros().to_string();
    let path = path.to_string_lossy().into_owned();
    let mut environment = vec![("NOTIFY_SOCKET", path.as_str())];
    if watchdog {
        environment.push(("WATCHDOG_USEC", &micros));
    }
    let engine = place.run_where(&environment)?;
    Ok((place, engine, Ear { socket, heard: Vec::new() }))
}

fn told() -> anyhow::Result<()> {
    let (_place, mut engine, mut ear) = start(true)?;
    ear.expect(&mut engine, "READY=1", 1)?;
    anyhow::ensure!(ear.heard[0].0 == "READY=1\n", "{:?}", ear.heard);
    ear.expect(&mut engine, "WATCHDOG=1", BEATS)?;
    let moments: Vec<_> =
        ear.heard.iter().filter(|it| it.0 == "WATCHDOG=1\n").map(|it| it.1).collect();
    let mut gaps: Vec<_> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    // Twice in the time that is given; one that came late on a busy machine says nothing.
    anyhow::ensure!(gaps[BEATS / 2] < WATCHDOG * 3 / 4, "{gaps:?}");
    engine.signal(Signal::SIGHUP)?;
    ear.expect(&mut engine, "READY=1", 2)?;
    let words: Vec<_> =
        ear.heard.iter().map(|it| it.0.as_str()).filter(|it| *it != "WATCHDOG=1\n").collect();
    let is_told = words.len() == 3
        && words[1].starts_with("RELOADING=1\nMONOTONIC_USEC=")
        && words[2] == "READY=1\n";
    anyhow::ensure!(is_told, "{words:?}");
    engine.stop()?.expect_code(0)?;
    anyhow::ensure!(ear.count("STOPPING=1") == 1, "{:?}", ear.heard);
    Ok(())
}

fn not_watched() -> anyhow::Result<()> {
    let (_place, mut engine, mut ear) = start(false)?;
    ear.expect(&mut engine, "READY=1", 1)?;
    engine.stop()?.expect_code(0)?;
    ear.listen();
    let words: Vec<_> = ear.heard.iter().map(|it| it.0.as_str()).collect();
    anyhow::ensure!(words == ["READY=1\n", "STOPPING=1\n"], "{words:?}");
    Ok(())
}

fn unit() -> anyhow::Result<()> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/systemd/heka.service");
    let shipped = std::fs::read_to_string(shipped)?;
    let place = Place::new("")?;
    let here = shipped.replace("/usr/bin/heka", &binary().to_string_lossy());
    place.write("heka.service", &here)?;
    let path = place.path("heka.service");
    let judge = |arguments: &[&str]| -> anyhow::Result<String> {
        let told = Command::new("systemd-analyze").args(arguments).arg(&path).output()?;
        let (stdout, stderr) = (&told.stdout, &told.stderr);
        let text = String::from_utf8_lossy(stdout).into_owned() + &String::from_utf8_lossy(stderr);
        anyhow::ensure!(told.status.success(), "{arguments:?}: {text}");
        Ok(text)
    };
    let verified = judge(&["verify", "--man=no"])?;
    let complaint = verified.lines().find(|line| line.contains("heka.service"));
    anyhow::ensure!(complaint.is_none(), "{complaint:?}");
    judge(&["security", "--offline=yes", "--no-pager", "--threshold", EXPOSURE])?;
    Ok(())
}
