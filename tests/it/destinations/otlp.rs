//! Messages to a collector of OTLP: another engine, which is killed under load.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::harness::server::free_port;
use crate::suite::test;

pub(super) fn trials() -> Vec<Trial> {
    vec![test("destinations::otlp_passes_each_message_on_over_a_kill", passes_on_over_a_kill)]
}

fn passes_on_over_a_kill() -> anyhow::Result<()> {
    const LINES: usize = 3000;
    let port = free_port()?;
    let collector = Place::new(&format!(
        "[otlp]\ntype = 'OtlpInput'\naddress = '127.0.0.1:{port}'\n\
         [told]\ntype = 'LogOutput'\nmessage_matcher = \"Type == 'otlp.log' && \
         Fields[resource.service.name] == 'lines' && Severity == 7\"\nencoder = 'lines'\n\
         [lines]\ntype = 'PayloadEncoder'\nappend_newlines = true\n"
    ))?;
    let place = Place::new(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n\
         [out]\ntype = 'OtlpOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         address = 'http://127.0.0.1:{port}'\nflush_count = 100\nflush_interval = '20ms'\n\
         retries = {{ delay = '50ms', max_delay = '200ms' }}\n"
    ))?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    let mut taker = collector.run(&[])?;
    for number in 0..LINES / 2 {
        writeln!(stream, "a{number}")?;
    }
    taker.wait_for("the first", |taker| taker.stdout().contains("a0").then_some(()))?;
    for number in LINES / 2..LINES * 3 / 4 {
        writeln!(stream, "a{number}")?;
    }
    let before = taker.kill()?;
    for number in LINES * 3 / 4..LINES {
        writeln!(stream, "a{number}")?;
    }
    engine.wait_for("it to be missed", |engine| {
        engine.stderr().contains("cannot reach").then_some(())
    })?;
    let mut taker = collector.run(&[])?;
    taker.wait_for("all lines", |taker| {
        let after = taker.stdout();
        let lines: BTreeSet<&str> = before.stdout.lines().chain(after.lines()).collect();
        (lines.iter().filter(|line| line.starts_with('a')).count() >= LINES).then_some(())
    })?;
    engine.stop()?.expect_code(0)?;
    taker.stop()?.expect_code(0)?;
    Ok(())
}
