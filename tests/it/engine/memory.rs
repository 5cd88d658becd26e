//! The journal in memory: nothing waits for a disk, and a clean stop still loses nothing.

use std::io::Write;
use std::net::TcpStream;

use libtest_mimic::Trial;

use super::numbered_lines;
use crate::harness::Place;
use crate::suite::test;

const ENGINE: &str = "[hekad]\nbase_dir = \"DIR/state\"\n[hekad.admin]\naddress = \"127.0.0.1:0\"\n\
    [hekad.journal]\nstorage = 'memory'\nmax_bytes = '4MiB'\n";
const COUNT: &str = "[count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
    message_matcher = \"Type == 'logfile' || Type == 'lines'\"\ntimer_event_on_shutdown = true\n\
    [totals]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.sandbox-output'\"\n\
    path = 'DIR/totals'\nencoder = 'PayloadEncoder'\nflush_interval = 10\n";
const SCRIPT: &str = "messages = 0\nfunction process_message() messages = messages + 1 return 0 end\n\
    function timer_event() inject_payload('txt', 'total', messages, '\\n') end\n";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("memory::more_than_the_budget_passes_through", more_than_the_budget),
        test("memory::a_restart_goes_on_where_it_was", a_restart_goes_on),
        test("memory::a_killed_engine_reads_its_files_again", killed),
    ]
}

fn files(extra: &str) -> anyhow::Result<Place> {
    let place = Place::new(&format!(
        "{ENGINE}[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'logfile'\"\npath = 'DIR/out'\n\
         encoder = 'PayloadEncoder'\nflush_interval = 10\n{extra}"
    ))?;
    place.write("count.lua", SCRIPT)?;
    Ok(place)
}

/// Far more than 4 MiB as messages; the filter takes no snapshot meanwhile.
fn more_than_the_budget() -> anyhow::Result<()> {
    const LINES: usize = 150_000;
    let place = files(COUNT)?;
    let log = numbered_lines(LINES);
    place.write("logs/log", &log)?;
    let finished = place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    anyhow::ensure!(place.read("out") == log, "the copy differs; {}", finished.stderr);
    anyhow::ensure!(place.read("totals") == format!("{LINES}\n"), "{}", place.read("totals"));
    Ok(())
}

fn a_restart_goes_on() -> anyhow::Result<()> {
    let place = Place::new(&format!(
        "{ENGINE}[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
         splitter = 'TokenSplitter'\ndecoder = ''\n{COUNT}"
    ))?;
    place.write("count.lua", SCRIPT)?;
    for total in ["1000", "2000"] {
        let mut engine = place.run(&[])?;
        let mut stream = TcpStream::connect(engine.address("lines")?)?;
        stream.write_all("a line\n".repeat(1_000).as_bytes())?;
        drop(stream);
        engine.wait_for("the messages", |engine| {
            engine.signal(nix::sys::signal::Signal::SIGUSR1).ok()?;
            let stdout = engine.stdout();
            stdout.lines().any(|line| line.starts_with("filter  1000")).then_some(())
        })?;
        engine.stop()?.expect_code(0)?;
        let totals = place.read("totals");
        anyhow::ensure!(totals.lines().last() == Some(total), "{totals}, not {total}");
    }
    Ok(())
}

fn killed() -> anyhow::Result<()> {
    const LINES: usize = 60_000;
    let place = files("")?;
    let log = numbered_lines(LINES);
    place.write("logs/log", &log)?;
    for _ in 0..3 {
        let mut engine = place.run(&["--until-done"])?;
        engine.wait_for("something to come out", |_| {
            std::fs::metadata(place.path("out")).is_ok_and(|out| out.len() > 0).then_some(())
        })?;
        engine.kill()?;
    }
    place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    let out = place.read("out");
    let lines: std::collections::HashSet<_> = out.lines().collect();
    anyhow::ensure!(log.lines().all(|line| lines.contains(line)), "{} lines came", lines.len());
    Ok(())
}
