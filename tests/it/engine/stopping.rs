//! When and how the engine ends: what fails is named, what is stuck holds nothing up for ever.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;

use super::numbered_lines;
use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("stopping::until_done_names_an_output_that_fails", failing_output_is_named),
        test("stopping::after_a_kill_there_may_be_nothing_to_do", nothing_to_do_after_a_kill),
        test("stopping::a_full_journal_does_not_hold_the_stop", stop_with_a_full_journal),
        test("stopping::a_full_journal_stops_the_engine_where_asked", shutdown_when_full),
        test("stopping::drop_oldest_lets_the_inputs_go_on", drop_oldest_when_full),
        test("stopping::a_buffer_of_its_own_holds_the_inputs", own_buffer_blocks),
        test("stopping::the_second_signal_ends_it_at_once", second_signal),
        test("stopping::many_open_connections_do_not_hold_the_stop", many_connections),
        test("stopping::half_a_request_does_not_hold_the_stop", half_a_request),
        test("stopping::a_folder_belongs_to_one_engine", two_engines),
    ]
}

/// More than sockets, queues and 4 MiB of journal hold.
const LINES_THAT_FILL: usize = 500_000;
const LINES: &str = "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\n\
    file_match = 'log'\n";
const COPY: &str = "[copy]\ntype = 'FileOutput'\nmessage_matcher = 'TRUE'\npath = 'DIR/out'\n\
    encoder = 'PayloadEncoder'\nflush_interval = 10\n";

fn engine(settings: &str, journal: &str) -> String {
    format!(
        "[hekad]\nbase_dir = 'DIR/state'\n{settings}[hekad.admin]\naddress = '127.0.0.1:0'\n\
         [hekad.journal]\n{journal}"
    )
}

/// An output whose peer takes connections and never reads.
fn stuck(address: &str, settings: &str) -> String {
    format!(
        "[stuck]\ntype = 'TcpOutput'\naddress = '{address}'\nmessage_matcher = 'TRUE'\n\
         encoder = 'PayloadEncoder'\nuse_framing = false\n{settings}"
    )
}

/// An address where nobody listens.
fn nowhere() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn failing_output_is_named() -> anyhow::Result<()> {
    // That the other one fails is a message too.
    let copy = COPY.replace("'TRUE'", "\"Type == 'logfile'\"");
    let config = engine("shutdown_timeout = '1s'\n", "") + LINES + &copy;
    let place = Place::new(&(config + &stuck(&nowhere()?, "")))?;
    let log = numbered_lines(2_000);
    place.write("logs/log", &log)?;
    let stderr = place.run(&["--until-done"])?.finish()?.expect_code(1)?.stderr;
    anyhow::ensure!(stderr.contains("stuck has not"), "{stderr}");
    anyhow::ensure!(!stderr.contains("copy has not"), "{stderr}");
    anyhow::ensure!(place.read("out") == log, "the other output is not done");
    Ok(())
}

/// Positions jump after a kill: nobody is to wait for entries that never were.
fn nothing_to_do_after_a_kill() -> anyhow::Result<()> {
    let count = "[count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
        message_matcher = 'TRUE'\n";
    let place = Place::new(&format!("{LINES}{COPY}{count}"))?;
    place.write("count.lua", "function process_message() return 0 end\n")?;
    place.write("logs/log", &numbered_lines(1_000))?;
    let mut running = place.run(&[])?;
    running.wait_for("the copy", |_| (place.read("out").lines().count() == 1_000).then_some(()))?;
    running.kill()?;
    for _ in 0..3 {
        let begun = Instant::now();
        place.run(&["--until-done"])?.finish()?.expect_code(0)?;
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(8), "took {:?}", begun.elapsed());
    }
    Ok(())
}

/// The inputs wait in the journal, the output never answers.
fn stop_with_a_full_journal() -> anyhow::Result<()> {
    let peer = TcpListener::bind("127.0.0.1:0")?;
    let config = engine("shutdown_timeout = '6s'\n", "max_bytes = '4MiB'\n") + LINES;
    let place = Place::new(&(config + &stuck(&peer.local_addr()?.to_string(), "")))?;
    let log = numbered_lines(250_000);
    place.write("logs/log", &log)?;
    let mut running = place.run(&[])?;
    let (mut reader, _) = peer.accept()?;
    running.wait_for("a full journal", |engine| {
        engine.stderr().contains("the journal is full").then_some(())
    })?;
    let begun = Instant::now();
    running.stop()?.expect_code(0)?;
    anyhow::ensure!(begun.elapsed() < Duration::from_secs(15), "took {:?}", begun.elapsed());
    let mut received = Vec::new();
    reader.read_to_end(&mut received)?;
    // All that did not arrive is still there.
    let running = place.run(&["--until-done"])?;
    let (mut reader, _) = peer.accept()?;
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest)?;
    running.finish()?.expect_code(0)?;
    received.extend(rest);
    let received = String::from_utf8_lossy(&received).into_owned();
    let lines: std::collections::HashSet<_> = received.lines().collect();
    let missing = log.lines().find(|line| !lines.contains(line));
    anyhow::ensure!(missing.is_none(), "{missing:?} is missing of {} lines", lines.len());
    Ok(())
}

/// With no loss: the next run reads on where the journal was full.
fn shutdown_when_full() -> anyhow::Result<()> {
    let peer = TcpListener::bind("127.0.0.1:0")?;
    let address = peer.local_addr()?.to_string();
    let journal = "max_bytes = '4MiB'\nfull_action = 'shutdown'\n";
    let config = engine("shutdown_timeout = '2s'\n", journal) + LINES + COPY;
    let place = Place::new(&(config + &stuck(&address, "")))?;
    let log = numbered_lines(LINES_THAT_FILL);
    place.write("logs/log", &log)?;
    let stderr = place.run(&[])?.finish()?.expect_code(1)?.stderr;
    anyhow::ensure!(stderr.contains("`full_action` of stuck"), "{stderr}");
    place.configure(&(engine("", "") + LINES + COPY))?;
    place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    anyhow::ensure!(place.read("out") == log, "{} lines", place.read("out").lines().count());
    Ok(())
}

fn drop_oldest_when_full() -> anyhow::Result<()> {
    let peer = TcpListener::bind("127.0.0.1:0")?;
    let address = peer.local_addr()?.to_string();
    let config = engine("shutdown_timeout = '1s'\n", "max_bytes = '4MiB'\n") + LINES + COPY;
    let buffering = "[stuck.buffering]\nfull_action = 'drop_oldest'\n";
    let place = Place::new(&(config + &stuck(&address, buffering)))?;
    let log = numbered_lines(LINES_THAT_FILL);
    place.write("logs/log", &log)?;
    let mut running = place.run(&[])?;
    running.wait_for("the other output to be done", |_| {
        (place.read("out").len() == log.len()).then_some(())
    })?;
    let stderr = running.stop()?.expect_code(0)?.stderr;
    anyhow::ensure!(stderr.contains("a reader loses its oldest entries"), "{stderr}");
    anyhow::ensure!(place.read("out") == log, "the copy differs");
    Ok(())
}

/// `max_buffer_size` is for its reader what the budget is for all.
fn own_buffer_blocks() -> anyhow::Result<()> {
    let peer = TcpListener::bind("127.0.0.1:0")?;
    let address = peer.local_addr()?.to_string();
    let config = engine("shutdown_timeout = '1s'\n", "max_bytes = '256MiB'\n") + LINES;
    let buffering = "[stuck.buffering]\nmax_buffer_size = 3000000\nfull_action = 'block'\n";
    let place = Place::new(&(config + &stuck(&address, buffering)))?;
    place.write("logs/log", &numbered_lines(400_000))?;
    let mut running = place.run(&[])?;
    running.wait_for("the inputs to be held", |engine| {
        engine.stderr().contains("inputs wait for it").then_some(())
    })?;
    running.stop()?.expect_code(0)?;
    Ok(())
}

fn second_signal() -> anyhow::Result<()> {
    let peer = TcpListener::bind("127.0.0.1:0")?;
    let place = Place::new(&format!("{LINES}{}", stuck(&peer.local_addr()?.to_string(), "")))?;
    place.write("logs/log", &numbered_lines(400_000))?;
    let mut running = place.run(&[])?;
    let _open = peer.accept()?;
    running.wait_for("the end of the log", |engine| {
        engine.signal(Signal::SIGUSR1).ok()?;
        engine.stdout().lines().any(|line| line.starts_with("input   400000")).then_some(())
    })?;
    running.signal(Signal::SIGTERM)?;
    let begun = Instant::now();
    // Signals that come together count once.
    let mut ended = false;
    while !ended && begun.elapsed() < Duration::from_secs(5) {
        running.signal(Signal::SIGTERM)?;
        ended = running.stderr().contains("stopped at once");
        std::thread::yield_now();
    }
    running.finish()?.expect_code(1)?;
    anyhow::ensure!(begun.elapsed() < Duration::from_secs(10), "took {:?}", begun.elapsed());
    Ok(())
}

fn many_connections() -> anyhow::Result<()> {
    const CONNECTIONS: usize = 300;
    let place = Place::new(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n{COPY}"
    ))?;
    let mut running = place.run(&[])?;
    let address = running.address("lines")?;
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        let mut connection = TcpStream::connect(address)?;
        write!(connection, "line {number}\nsecond {number}\nhalf")?;
        connections.push(connection);
    }
    running.wait_for("all lines", |_| {
        (place.read("out").lines().count() == 2 * CONNECTIONS).then_some(())
    })?;
    let begun = Instant::now();
    let stderr = running.stop()?.expect_code(0)?.stderr;
    anyhow::ensure!(begun.elapsed() < Duration::from_secs(8), "took {:?}", begun.elapsed());
    anyhow::ensure!(stderr.contains("600 messages in"), "{stderr}");
    // What was cut off is counted.
    anyhow::ensure!(stderr.contains("input lines: 300 failed"), "{stderr}");
    Ok(())
}

fn half_a_request() -> anyhow::Result<()> {
    let place = Place::new(&format!("{LINES}{COPY}"))?;
    place.write("logs/log", "a line\n")?;
    let mut running = place.run(&[])?;
    let address = running.wait_for("the admin port", |engine| {
        let stderr = engine.stderr();
        let line = stderr.lines().find(|line| line.contains("admin port"))?;
        line.split("address=").nth(1)?.trim().parse::<std::net::SocketAddr>().ok()
    })?;
    let mut request = TcpStream::connect(address)?;
    request.write_all(b"GET /metrics HTT")?;
    running.wait_for("the copy", |_| (place.read("out") == "a line\n").then_some(()))?;
    let begun = Instant::now();
    running.stop()?.expect_code(0)?;
    anyhow::ensure!(begun.elapsed() < Duration::from_secs(5), "took {:?}", begun.elapsed());
    Ok(())
}

fn two_engines() -> anyhow::Result<()> {
    let place = Place::new(&format!("{LINES}{COPY}"))?;
    place.write("logs/log", "a line\n")?;
    let mut first = place.run(&[])?;
    first.wait_for("the copy", |_| (place.read("out") == "a line\n").then_some(()))?;
    let second = place.run(&[])?.finish()?.expect_code(1)?;
    anyhow::ensure!(second.stderr.contains("in use by process"), "{}", second.stderr);
    anyhow::ensure!(place.path("state/heka.sock").exists(), "the first has lost its socket");
    first.stop()?.expect_code(0)?;
    Ok(())
}
