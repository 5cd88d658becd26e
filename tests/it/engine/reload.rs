//! Changes while the engine runs: a script, the configuration, and mistakes in both.

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::http::ask;
use crate::suite::test;

const CONFIG: &str = "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
    splitter = 'TokenSplitter'\ndecoder = ''\n\
    [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
    message_matcher = \"Type == 'lines'\"\n\
    [PayloadEncoder]\n[out]\ntype = 'FileOutput'\n\
    message_matcher = \"Type == 'heka.sandbox-output'\"\npath = 'DIR/out'\n\
    flush_interval = 10\nencoder = 'PayloadEncoder'\n";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("reload::an_edited_script_keeps_its_state", an_edited_script_keeps_its_state),
        test("reload::a_script_that_fails_leaves_the_old_one", a_failing_script_leaves_the_old_one),
        test("reload::a_script_edited_in_a_stream_counts_every_message", edited_in_a_stream),
        test("reload::sighup_leaves_sockets_and_states_alone", sighup_leaves_the_rest_alone),
        test("reload::a_configuration_with_mistakes_changes_nothing", mistakes_change_nothing),
    ]
}

/// A filter that counts, and says so with a word in front.
fn script(word: &str) -> String {
    format!(
        "local count = 0\nfunction process_message()\n  count = count + 1\n\
         \x20 inject_payload('txt', 'count', '{word} ', count, '\\n')\n  return 0\nend\n"
    )
}

fn started(place: &Place) -> anyhow::Result<(Engine, TcpStream)> {
    place.write("count.lua", &script("first"))?;
    let mut engine = place.run(&[])?;
    let address = engine.address("lines")?;
    let stream = TcpStream::connect(address)?;
    Ok((engine, stream))
}

/// Sends a line and waits until the filter has said `answer`.
fn expect(
    place: &Place,
    engine: &mut Engine,
    stream: &mut TcpStream,
    answer: &str,
) -> anyhow::Result<()> {
    stream.write_all(b"a line\n")?;
    engine.wait_for(answer, |_| place.read("out").lines().any(|line| line == answer).then_some(()))
}

fn an_edited_script_keeps_its_state() -> anyhow::Result<()> {
    let place = Place::new(CONFIG)?;
    let (mut engine, mut stream) = started(&place)?;
    expect(&place, &mut engine, &mut stream, "first 1")?;
    place.write("count.lua", &script("second"))?;
    engine.wait_for("the reload", |engine| engine.stderr().contains("reloaded").then_some(()))?;
    expect(&place, &mut engine, &mut stream, "second 2")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// Framed messages stream in while the script is edited: what the old version has counted and what
/// the new one has is all there was.
fn edited_in_a_stream() -> anyhow::Result<()> {
    const MESSAGES: usize = 100_000;
    let place = Place::new(
        "[hekad]\nbase_dir = 'DIR/state'\nmax_timer_inject = 10\n\
         [hekad.admin]\naddress = '127.0.0.1:0'\n\
         [framed]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\ndecoder = 'ProtobufDecoder'\n\
         splitter = 'HekaFramingSplitter'\n\
         [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
         message_matcher = \"Type == 'hekabench'\"\ntimer_event_on_shutdown = true\n\
         [PayloadEncoder]\n[out]\ntype = 'FileOutput'\n\
         message_matcher = \"Type == 'heka.sandbox-output'\"\npath = 'DIR/out'\n\
         flush_interval = 10\nencoder = 'PayloadEncoder'\n",
    )?;
    let script = |version: &str| {
        format!(
            "first, second = 0, 0\nfunction process_message(msg)\n  {version} = {version} + 1\n\
             \x20 if {version} % 500 == 1 then inject_payload('txt', 'now', '{version}\\n') end\n\
             \x20 return 0\nend\n\
             function timer_event(ns)\n\
             \x20 inject_payload('txt', 'total', 'total ', first, ' ', second, '\\n')\nend\n"
        )
    };
    place.write("count.lua", &script("first"))?;
    let mut engine = place.run(&[])?;
    let address = engine.address("framed")?.to_string();
    let count = MESSAGES.to_string();
    let flood =
        place.start(&["flood", "-n", &count, "--size", "60", "--interval", "20us", &address])?;
    let says = |word: &str| place.read("out").lines().any(|line| line == word);
    engine.wait_for("the first version", |_| says("first").then_some(()))?;
    place.write("count.lua", &script("second"))?;
    let edited = Instant::now();
    engine.wait_for("the second version", |_| says("second").then_some(()))?;
    let took = edited.elapsed();
    flood.finish()?.expect_code(0)?;
    let port = engine.address("the admin port")?;
    let row = "heka_input_messages_total{plugin=\"framed\"} ";
    engine.wait_for("all messages", |_| {
        let metrics = ask(port, "GET /metrics", "").ok()?.body;
        let sum = metrics.lines().find_map(|line| line.strip_prefix(row))?;
        (sum == count).then_some(())
    })?;
    engine.stop()?.expect_code(0)?;
    let out = place.read("out");
    let total = out.lines().rfind(|line| line.starts_with("total ")).unwrap_or_default();
    let counts: Vec<usize> = total.split(' ').skip(1).flat_map(str::parse).collect();
    anyhow::ensure!(counts.iter().sum::<usize>() == MESSAGES, "{total} of {MESSAGES}");
    anyhow::ensure!(counts.iter().all(|count| *count > 0), "{total}");
    // On a machine that is busy the stream itself may take longer than the second it should.
    anyhow::ensure!(took.as_secs() < 10, "the new version took {took:?}");
    println!("the new version took effect after {took:?}");
    Ok(())
}

fn a_failing_script_leaves_the_old_one() -> anyhow::Result<()> {
    let place = Place::new(CONFIG)?;
    let (mut engine, mut stream) = started(&place)?;
    expect(&place, &mut engine, &mut stream, "first 1")?;
    place.write("count.lua", "function process_message() retrun 0 end\n")?;
    engine.wait_for("the failure", |engine| {
        engine.stderr().contains("the old version goes on").then_some(())
    })?;
    expect(&place, &mut engine, &mut stream, "first 2")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn sighup_leaves_the_rest_alone() -> anyhow::Result<()> {
    let place = Place::new(CONFIG)?;
    let (mut engine, mut stream) = started(&place)?;
    expect(&place, &mut engine, &mut stream, "first 1")?;
    place.configure(&format!(
        "{CONFIG}[copy]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         path = 'DIR/copy'\nflush_interval = 10\nencoder = 'PayloadEncoder'\n"
    ))?;
    engine.signal(Signal::SIGHUP)?;
    engine.wait_for("the reload", |engine| engine.stderr().contains("reloaded").then_some(()))?;
    // The same connection, the same count.
    expect(&place, &mut engine, &mut stream, "first 2")?;
    engine.wait_for("the new output", |_| (place.read("copy") == "a line\n").then_some(()))?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn mistakes_change_nothing() -> anyhow::Result<()> {
    let place = Place::new(CONFIG)?;
    let (mut engine, mut stream) = started(&place)?;
    place.configure(&CONFIG.replace("filename", "filname"))?;
    engine.signal(Signal::SIGHUP)?;
    engine.wait_for("the mistake", |engine| {
        engine.stderr().contains("nothing was changed").then_some(())
    })?;
    expect(&place, &mut engine, &mut stream, "first 1")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
