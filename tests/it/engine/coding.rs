//! Scripts of decoders and encoders that change while the engine runs.

use std::io::Write;
use std::net::TcpStream;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;

use crate::harness::Engine;
use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("coding::a_decoder_is_swapped_within_a_connection", a_decoder_is_swapped),
        test("coding::a_broken_decoder_leaves_the_old_one", a_broken_decoder_leaves_the_old_one),
        test("coding::an_encoder_is_swapped_between_two_records", an_encoder_is_swapped),
        test("coding::a_broken_encoder_leaves_the_old_one", a_broken_encoder_leaves_the_old_one),
        test("coding::an_input_stays_when_another_s_decoder_changes", an_input_stays),
    ]
}

const LINES: usize = 3_000;

/// A decoder that numbers what it has seen; what stands for `VERSION` says which it is.
const DECODER: &str = "local names = require 'names'\nlocal n = 0\n\
    function process_message(msg)\n  n = n + 1\n\
    write_message('Payload', 'VERSION ' .. names.of(n))\n  return 0\nend\n";
const NAMES: &str =
    "local names = {}\nfunction names.of(n) return 'number ' .. n end\nreturn names\n";

fn place() -> anyhow::Result<Place> {
    let place = Place::new(
        "[take]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = 'number'\n\
         [number]\ntype = 'SandboxDecoder'\nfilename = 'DIR/number.lua'\n\
         module_directory = 'DIR/modules'\n\
         [write]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'take'\"\npath = 'DIR/out'\n\
         encoder = 'PayloadEncoder'\n",
    )?;
    place.write("number.lua", &DECODER.replace("VERSION", "first"))?;
    place.write("modules/names.lua", NAMES)?;
    Ok(place)
}

fn send(stream: &mut TcpStream, lines: usize) -> anyhow::Result<()> {
    Ok(stream.write_all("a line\n".repeat(lines).as_bytes())?)
}

fn wait_for_lines(engine: &mut Engine, place: &Place, count: usize) -> anyhow::Result<()> {
    let what = format!("{count} lines");
    engine.wait_for(&what, |_| (place.read("out").lines().count() >= count).then_some(()))
}

/// Waits until the log says so `times` times.
fn wait_for_log(engine: &mut Engine, text: &str, times: usize) -> anyhow::Result<()> {
    engine.wait_for(text, |engine| (engine.stderr().matches(text).count() >= times).then_some(()))
}

/// The script, then a module it requires, change while lines come on one connection: every line is
/// numbered by one of them, and the numbers go on.
fn a_decoder_is_swapped() -> anyhow::Result<()> {
    let place = place()?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("take")?)?;
    wait_for_log(&mut engine, "heka has started", 1)?;
    send(&mut stream, LINES)?;
    wait_for_lines(&mut engine, &place, LINES)?;
    place.write("number.lua", &DECODER.replace("VERSION", "second"))?;
    wait_for_log(&mut engine, "changed=[\"number\"]", 1)?;
    send(&mut stream, LINES)?;
    wait_for_lines(&mut engine, &place, 2 * LINES)?;
    place.write("modules/names.lua", &NAMES.replace("'number '", "'NUMBER '"))?;
    engine.signal(Signal::SIGHUP)?;
    wait_for_log(&mut engine, "changed=[\"number\"]", 2)?;
    send(&mut stream, LINES)?;
    wait_for_lines(&mut engine, &place, 3 * LINES)?;
    engine.stop()?.expect_code(0)?;
    let expected: String = (1..=3 * LINES)
        .map(|number| match (number - 1) / LINES {
            0 => format!("first number {number}\n"),
            1 => format!("second number {number}\n"),
            _ => format!("second NUMBER {number}\n"),
        })
        .collect();
    anyhow::ensure!(place.read("out") == expected, "lines are lost, doubled or numbered wrongly");
    Ok(())
}

/// Streams that are open go on, and those opened later are decoded by the version that works.
fn a_broken_decoder_leaves_the_old_one() -> anyhow::Result<()> {
    let place = place()?;
    let mut engine = place.run(&[])?;
    let address = engine.address("take")?;
    let mut stream = TcpStream::connect(address)?;
    wait_for_log(&mut engine, "heka has started", 1)?;
    send(&mut stream, 1)?;
    wait_for_lines(&mut engine, &place, 1)?;
    place.write("modules/names.lua", "return nothing.of\n")?;
    wait_for_log(&mut engine, "not reloaded: the old version goes on", 1)?;
    place.write("number.lua", "function process_message(\n")?;
    engine.wait_for("the file and line of the mistake", |engine| {
        engine.stderr().contains("number.lua:2: ").then_some(())
    })?;
    send(&mut stream, 1)?;
    wait_for_lines(&mut engine, &place, 2)?;
    send(&mut TcpStream::connect(address)?, 1)?;
    wait_for_lines(&mut engine, &place, 3)?;
    let expected = "first number 1\nfirst number 2\nfirst number 1\n";
    anyhow::ensure!(place.read("out") == expected, "{}", place.read("out"));
    engine.stop()?.expect_code(0)?;
    Ok(())
}

const ENCODER: &str = "local n = 0\nfunction process_message()\n  n = n + 1\n\
    inject_payload('txt', '', 'VERSION ' .. n .. '\\n')\n  return 0\nend\n";

fn encoded() -> anyhow::Result<Place> {
    let place = Place::new(
        "[take]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n\
         [number]\ntype = 'SandboxEncoder'\nfilename = 'DIR/number.lua'\n\
         [write]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'take'\"\npath = 'DIR/out'\n\
         encoder = 'number'\n",
    )?;
    place.write("number.lua", &ENCODER.replace("VERSION", "0"))?;
    Ok(place)
}

/// Versions follow each other while messages come without a pause; every message is encoded once.
fn an_encoder_is_swapped() -> anyhow::Result<()> {
    let place = encoded()?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("take")?)?;
    wait_for_log(&mut engine, "heka has started", 1)?;
    let mut sent = 0;
    for version in 1..=3 {
        place.write("number.lua", &ENCODER.replace("VERSION", &version.to_string()))?;
        let mut is_swapped = false;
        while !is_swapped {
            send(&mut stream, 100)?;
            sent += 100;
            wait_for_lines(&mut engine, &place, sent)?;
            is_swapped = engine.stderr().matches("changed=[\"number\"]").count() >= version;
        }
        send(&mut stream, 100)?;
        sent += 100;
        wait_for_lines(&mut engine, &place, sent)?;
    }
    engine.stop()?.expect_code(0)?;
    let out = place.read("out");
    let mut last = 0;
    for (line, number) in out.lines().zip(1..) {
        let (version, counted) = line.split_once(' ').unwrap_or_default();
        let version: usize = version.parse()?;
        anyhow::ensure!(counted == number.to_string(), "{line} is the message {number}");
        anyhow::ensure!(version >= last, "{line} is encoded by an older version");
        last = version;
    }
    anyhow::ensure!(last == 3 && out.lines().count() == sent, "{} of {sent}", out.lines().count());
    Ok(())
}

fn a_broken_encoder_leaves_the_old_one() -> anyhow::Result<()> {
    let place = encoded()?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("take")?)?;
    wait_for_log(&mut engine, "heka has started", 1)?;
    send(&mut stream, 1)?;
    wait_for_lines(&mut engine, &place, 1)?;
    place.write("number.lua", "function process_message()\n  return +\nend\n")?;
    engine.wait_for("the file and line of the mistake", |engine| {
        let stderr = engine.stderr();
        (stderr.contains("not reloaded") && stderr.contains("number.lua:2: ")).then_some(())
    })?;
    send(&mut stream, 1)?;
    wait_for_lines(&mut engine, &place, 2)?;
    anyhow::ensure!(place.read("out") == "0 1\n0 2\n", "{}", place.read("out"));
    place.write("number.lua", &ENCODER.replace("VERSION", "mended"))?;
    wait_for_log(&mut engine, "changed=[\"number\"]", 1)?;
    send(&mut stream, 1)?;
    wait_for_lines(&mut engine, &place, 3)?;
    anyhow::ensure!(place.read("out").ends_with("mended 3\n"), "{}", place.read("out"));
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// A decoder that an input does not use changes, comes and goes: the input's connection stays.
fn an_input_stays() -> anyhow::Result<()> {
    let place = encoded()?;
    let config = place.read("heka.toml");
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("take")?)?;
    wait_for_log(&mut engine, "heka has started", 1)?;
    send(&mut stream, 1)?;
    wait_for_lines(&mut engine, &place, 1)?;
    for (round, type_of) in ["one", "two"].iter().enumerate() {
        place.write(
            "heka.toml",
            &format!(
                "{config}\n[other]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
                 decoder = 'scribble'\n[scribble]\ntype = 'ScribbleDecoder'\n\
                 [scribble.message_fields]\nType = '{type_of}'\n"
            ),
        )?;
        engine.signal(Signal::SIGHUP)?;
        let told = ["added=[\"other\"]", "changed=[\"scribble\"]"][round];
        wait_for_log(&mut engine, told, 1)?;
        send(&mut stream, 1)?;
        wait_for_lines(&mut engine, &place, round + 2)?;
    }
    let listened = engine.stderr().matches("listening input=\"take\"").count();
    anyhow::ensure!(listened == 1, "the input was started {listened} times");
    engine.stop()?.expect_code(0)?;
    Ok(())
}
