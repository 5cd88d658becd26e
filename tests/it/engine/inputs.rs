//! Inputs of a whole engine: rotation while it starts and stops, acknowledgements that hold.

use std::fs::OpenOptions;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("inputs::rotated_log_is_copied_once_over_restarts", rotated_log_is_copied_once),
        test("inputs::acknowledged_request_outlives_a_kill", acknowledged_request_outlives_a_kill),
        test("inputs::a_decoder_goes_on_with_what_a_script_makes", a_decoder_goes_on_with_a_script),
    ]
}

const ROUNDS: usize = 6;

/// Rotates a log while the engine runs, and while it does not; it is stopped in good order, so that
/// every line is there exactly once.
fn rotated_log_is_copied_once() -> anyhow::Result<()> {
    let place = Place::new(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\n\
         file_match = 'log(\\.(?P<Seq>\\d+))?'\npriority = ['^Seq']\ncheck_data_interval = '20ms'\n\
         [PayloadEncoder]\nappend_newlines = false\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = 'TRUE'\npath = 'DIR/out'\n\
         encoder = 'PayloadEncoder'\n",
    )?;
    place.write("logs/log", "")?;
    let log = place.path("logs/log");
    let mut expected = String::new();
    let mut write = |count: usize| -> anyhow::Result<()> {
        let first = expected.lines().count();
        let lines: String = (first..first + count).map(|at| format!("line {at}\n")).collect();
        expected.push_str(&lines);
        let mut file = OpenOptions::new().append(true).create(true).open(&log)?;
        Ok(file.write_all(lines.as_bytes())?)
    };
    for round in 0..ROUNDS {
        let mut engine = place.run(&[])?;
        write(100)?;
        rotate(&place)?;
        write(100)?;
        let wanted = format!("line {}\n", round * 300 + 199);
        engine.wait_for(&wanted, |_| place.read("out").ends_with(&wanted).then_some(()))?;
        engine.stop()?.expect_code(0)?;
        write(100)?;
        rotate(&place)?;
    }
    place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    let out = place.read("out");
    anyhow::ensure!(out == expected, "{} lines are not {}", out.lines().count(), ROUNDS * 300);
    Ok(())
}

/// Gives every file the next number; the log begins anew.
fn rotate(place: &Place) -> anyhow::Result<()> {
    for number in (1..4 * ROUNDS).rev() {
        let from = place.path(&format!("logs/log.{number}"));
        if from.exists() {
            std::fs::rename(from, place.path(&format!("logs/log.{}", number + 1)))?;
        }
    }
    Ok(std::fs::rename(place.path("logs/log"), place.path("logs/log.1"))?)
}

/// Ends the engine at once when it has answered: what the request held is delivered by the next.
fn acknowledged_request_outlives_a_kill() -> anyhow::Result<()> {
    let place = Place::new(
        "[http]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:0'\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.httpdata.request'\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\n",
    )?;
    for text in ["first", "second"] {
        let mut engine = place.run(&[])?;
        let answer = post(engine.address("http")?, text)?;
        engine.kill()?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let mut engine = place.run(&[])?;
    engine.wait_for("both bodies", |_| {
        let out = place.read("out");
        (out.contains("first\n") && out.contains("second\n")).then_some(())
    })?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn post(address: SocketAddr, text: &str) -> anyhow::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    let length = text.len();
    write!(
        connection,
        "POST / HTTP/1.1\r\nHost: heka\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The section of a `SandboxInput` may name a decoder, which sees what the script injects.
fn a_decoder_goes_on_with_a_script() -> anyhow::Result<()> {
    let place = Place::new(
        "[made]\ntype = 'SandboxInput'\nfilename = 'DIR/made.lua'\ndecoder = 'Pairs'\n\
         [Pairs]\ntype = 'SandboxDecoder'\nfilename = 'DIR/pairs.lua'\n\
         [shown]\ntype = 'LogOutput'\nmessage_matcher = 'Type == \"pair\"'\nencoder = 'Plain'\n\
         [Plain]\ntype = 'PayloadEncoder'\n",
    )?;
    place.write(
        "made.lua",
        "function process_message()
           inject_message({Type = 'raw', Payload = 'a=1'}, 1)
           inject_message({Type = 'raw', Payload = 'no pair'}, 2)
           inject_message({Type = 'raw', Payload = 'b=2'}, 3)
           return 0
         end",
    )?;
    place.write(
        "pairs.lua",
        "function process_message()
           local name, value = string.match(read_message('Payload'), '(%w+)=(%w+)')
           if not name or read_message('Logger') ~= 'made' then return -1, 'no pair' end
           inject_message({Type = 'pair', Payload = value .. ' is ' .. name})
           return 0
         end",
    )?;
    let mut engine = place.run(&[])?;
    engine.wait_for("both pairs", |it| it.stdout().contains("2 is b").then_some(()))?;
    let finished = engine.stop()?;
    anyhow::ensure!(finished.stdout == "1 is a\n2 is b\n", "{finished:?}");
    anyhow::ensure!(finished.stderr.contains("cannot decode a record"), "{finished:?}");
    Ok(())
}
