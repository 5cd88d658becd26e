//! Records that are too long or cannot be decoded: counted and told of, or sent on where that is
//! asked for, and the next record is none the worse.

use std::fmt::Write as _;
use std::io::Write;
use std::net::TcpStream;
use std::net::UdpSocket;

use anyhow::Context;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::http::ask;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("records::undecodable_ones_are_sent_on_where_asked_for", undecodable_ones_are_sent_on),
        test("records::undecodable_ones_are_counted_otherwise", undecodable_ones_are_counted),
        test("records::those_too_long_are_counted_and_the_next_is_whole", those_too_long),
        test("records::those_too_long_are_cut_where_asked_for", those_too_long_are_cut),
    ]
}

/// Decoders, and a record that each can decode; none can decode `not this one`, and each says why.
const DECODERS: &[(&str, &str, &str, &str)] = &[
    ("regex", "type = 'PayloadRegexDecoder'\nmatch_regex = '^(?P<Word>good)$'\n", "good", "match"),
    ("json", "type = 'JsonDecoder'\n", "{\"a\": 1}", "expected"),
    (
        "access",
        "type = 'AccessLogDecoder'\nlog_format = '$remote_addr - $status'\n",
        "10.0.0.1 - 200",
        "expected",
    ),
    ("returns", "type = 'SandboxDecoder'\nfilename = 'DIR/returns.lua'\n", "good", "is not good"),
    ("throws", "type = 'SandboxDecoder'\nfilename = 'DIR/throws.lua'\n", "good", "throws.lua:2"),
    (
        "multi",
        "type = 'MultiDecoder'\nsubs = ['regex', 'json']\n",
        "good",
        "all subdecoders failed",
    ),
    ("protobuf", "type = 'ProtobufDecoder'\n", "", "message"),
];

const BAD: &str = "not this one";

/// A place with an input for each decoder, which reads a good record, a bad one and a good one.
fn place(settings: &str) -> anyhow::Result<Place> {
    let mut config = String::from(
        "[write]\ntype = 'FileOutput'\nmessage_matcher = \"Logger != 'hekad'\"\npath = 'DIR/out'\n\
         encoder = 'JsonEncoder'\n[JsonEncoder]\n\
         [bare]\ntype = 'RegexSplitter'\ndelimiter = '\\n'\n",
    );
    for (name, decoder, _, _) in DECODERS {
        write!(
            config,
            "[in_{name}]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\n\
             file_match = '{name}'\ndecoder = '{name}'\nsplitter = 'bare'\n{settings}\
             [{name}]\n{decoder}"
        )?;
    }
    let place = Place::new(&config)?;
    for (name, _, good, _) in DECODERS {
        let good = if good.is_empty() { String::new() } else { format!("{good}\n") };
        place.write(&format!("logs/{name}"), &format!("{good}{BAD}\n{good}"))?;
    }
    let script = |line: &str| {
        format!(
            "function process_message()\n  if read_message('Payload') ~= 'good' then {line} end\n  \
             return 0\nend\n"
        )
    };
    place.write("returns.lua", &script("return -1, 'it is not good'"))?;
    place.write("throws.lua", &script("error('it throws')"))?;
    Ok(place)
}

/// The messages of an input.
fn messages(place: &Place, input: &str) -> Vec<Value> {
    let out = place.read("out");
    let all = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_theirs = |logger: &str| logger.strip_suffix(".stdout").unwrap_or(logger) == input;
    all.filter(|message| message["Logger"].as_str().is_some_and(is_theirs)).collect()
}

fn undecodable_ones_are_sent_on() -> anyhow::Result<()> {
    let place = place("send_decode_failures = true\nlog_decode_failures = false\n")?;
    let finished = place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    for (name, _, good, reason) in DECODERS {
        let input = format!("in_{name}");
        let messages = messages(&place, &input);
        let expected = if good.is_empty() { 1 } else { 3 };
        anyhow::ensure!(messages.len() == expected, "{name}: {messages:?}");
        let is_failure = |message: &&Value| message["Fields"]["decode_failure"] == true;
        let failures: Vec<_> = messages.iter().filter(is_failure).collect();
        anyhow::ensure!(failures.len() == 1, "{name}: {messages:?}");
        let failure = failures[0];
        anyhow::ensure!(failure["Payload"] == BAD && failure["Type"] == "logfile", "{failure}");
        let error = failure["Fields"]["decode_error"].as_str().context("no decode_error")?;
        anyhow::ensure!(error.contains(reason), "{name}: {error}");
        let told = format!("heka: input {input}: 1 failed\n");
        anyhow::ensure!(finished.stderr.contains(&told), "{told}{}", finished.stderr);
    }
    let logged = finished.stderr.contains("cannot decode a record");
    anyhow::ensure!(!logged, "what is not to be logged was: {}", finished.stderr);
    Ok(())
}

fn undecodable_ones_are_counted() -> anyhow::Result<()> {
    let place = place("")?;
    let finished = place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    for (name, _, good, reason) in DECODERS {
        let input = format!("in_{name}");
        let messages = messages(&place, &input);
        let expected = if good.is_empty() { 0 } else { 2 };
        anyhow::ensure!(messages.len() == expected, "{name}: {messages:?}");
        let mut lines = finished.stderr.lines();
        let logged = lines.find(|line| {
            line.contains("cannot decode a record") && line.contains(&format!("\"{input}\""))
        });
        let logged = logged.with_context(|| format!("{name} is not in {}", finished.stderr))?;
        anyhow::ensure!(logged.contains(reason), "{logged}");
        let told = format!("heka: input {input}: 1 failed\n");
        anyhow::ensure!(finished.stderr.contains(&told), "{told}{}", finished.stderr);
    }
    Ok(())
}

/// Inputs with room for messages of 2 KiB.
const SMALL: &str = "[hekad]\nbase_dir = 'DIR/state'\nmax_message_size = 2048\n\
    [hekad.admin]\naddress = '127.0.0.1:0'\n\
    [write]\ntype = 'FileOutput'\nmessage_matcher = \"Logger != 'hekad'\"\npath = 'DIR/out'\n\
    encoder = 'JsonEncoder'\n[JsonEncoder]\n\
    [framed]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
    [tcp]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\ndecoder = ''\n\
    [udp]\ntype = 'UdpInput'\naddress = '127.0.0.1:0'\n\
    [http]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:0'\n\
    [http_lines]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
    [log]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
    [process]\ntype = 'ProcessInput'\nsplitter = 'TokenSplitter'\nticker_interval = 3600\n\
    immediate_start = true\n[process.command.0]\nbin = '/bin/cat'\nargs = ['DIR/logs/log']\n\
    [stdin]\ntype = 'StdinInput'\n\
    [polled]\ntype = 'FilePollingInput'\nfile_path = 'DIR/polled'\nticker_interval = 1\n";

const INPUTS: [&str; 9] =
    ["framed", "tcp", "udp", "http", "http_lines", "log", "process", "stdin", "polled"];

/// A record that is too long between two that are not.
fn three() -> [String; 3] {
    ["before\n".to_owned(), "x".repeat(5_000) + "\n", "behind\n".to_owned()]
}

fn post(engine: &mut Engine, input: &str, body: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(engine.address(&format!("\"{input}\""))?)?;
    let length = body.len();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: heka\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer)?;
    anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}

/// A frame as Heka makes it, with this payload.
fn frame(payload: &str) -> anyhow::Result<Vec<u8>> {
    let mut batch = heka::message::Batch::new();
    let mut message = batch.begin();
    message.uuid(&[7; 16]).timestamp(1).logger(b"framed").payload(payload.as_bytes());
    message.finish()?;
    Ok(batch.bytes().to_vec())
}

/// Sends the three records to every input that listens; the others read them by themselves.
fn send(place: &Place, engine: &mut Engine) -> anyhow::Result<()> {
    let three = three();
    let mut framed = TcpStream::connect(engine.address("\"framed\"")?)?;
    for text in &three {
        framed.write_all(&frame(text)?)?;
    }
    TcpStream::connect(engine.address("\"tcp\"")?)?.write_all(three.concat().as_bytes())?;
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    for text in &three {
        udp.send_to(text.as_bytes(), engine.address("\"udp\"")?)?;
        post(engine, "http", text)?;
    }
    post(engine, "http_lines", &three.concat())?;
    // A file that is read as a whole: what is too long at first is not later.
    engine.wait_for("the long file to be read", |engine| {
        let stderr = engine.stderr();
        let mut lines = stderr.lines().filter(|line| line.contains("\"polled\""));
        lines.any(|line| line.contains("exceeds the largest")).then_some(())
    })?;
    place.write("polled", "behind\n")
}

fn small() -> anyhow::Result<(Place, Engine)> {
    let place = Place::new("")?;
    place.write("logs/log", &three().concat())?;
    place.write("polled", &three()[1])?;
    place.configure(SMALL)?;
    let stdin = three().concat();
    let engine = place.run_with(&[], &stdin)?;
    Ok((place, engine))
}

fn those_too_long() -> anyhow::Result<()> {
    let (place, mut engine) = small()?;
    send(&place, &mut engine)?;
    for input in INPUTS {
        engine.wait_for(&format!("the record behind, of {input}"), |_| {
            let found = messages(&place, input);
            found
                .iter()
                .any(|message| message["Payload"].as_str() == Some("behind\n"))
                .then_some(())
        })?;
        let found = messages(&place, input);
        let long = found.iter().filter(|message| message["Payload"].to_string().len() > 100);
        anyhow::ensure!(long.count() == 0, "{input}: {found:?}");
    }
    let metrics = ask(engine.address("the admin port")?, "GET /metrics", "")?.body;
    for input in INPUTS {
        let dropped = format!("heka_input_dropped_total{{plugin=\"{input}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&dropped));
        let count: u64 = count.context("no such number")?.parse()?;
        let is_right = if input == "polled" { count >= 1 } else { count == 1 };
        anyhow::ensure!(is_right, "{input} has dropped {count}");
    }
    drop(engine);
    Ok(())
}

fn those_too_long_are_cut() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write("logs/log", &three().concat())?;
    place.configure(
        "[hekad]\nbase_dir = 'DIR/state'\nmax_message_size = 2048\n\
         [hekad.admin]\naddress = ''\n\
         [write]\ntype = 'FileOutput'\nmessage_matcher = \"Logger == 'log'\"\npath = 'DIR/out'\n\
         encoder = 'JsonEncoder'\n[JsonEncoder]\n\
         [TokenSplitter]\nkeep_truncated = true\n\
         [log]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n",
    )?;
    let finished = place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    anyhow::ensure!(finished.stderr.contains("was truncated"), "{}", finished.stderr);
    let lengths: Vec<usize> = messages(&place, "log")
        .iter()
        .filter_map(|message| Some(message["Payload"].as_str()?.len()))
        .collect();
    anyhow::ensure!(lengths == [7, 2048, 7], "{lengths:?}");
    Ok(())
}
