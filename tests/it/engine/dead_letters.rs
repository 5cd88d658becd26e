//! What the far side refuses comes as a message, and goes wherever a matcher takes it.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;

use anyhow::Context;
use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("dead_letters::a_refused_request_is_a_message_once", || {
            refused("type = 'HttpOutput'\naddress = 'http://SERVER/http'\n", "answered 400", 1_000)
        }),
        test("dead_letters::a_refused_document_is_a_message_once", || {
            refused(
                "type = 'ElasticSearchOutput'\nserver = 'http://SERVER/es/'\n",
                "no number",
                1_000,
            )
        }),
        test("dead_letters::one_that_is_refused_again_comes_to_an_end", refused_again),
    ]
}

/// Answers by what is in the body: a line with `bad` in it is refused.
fn serve(mut connection: TcpStream) -> anyhow::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.split_once("content-length: ").context("no length")?.1;
        let length = length.split("\r\n").next().unwrap_or_default().parse()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let (status, answer) = if head.contains("/es/") {
            ("200 OK", bulk(&body))
        } else if body.contains("bad") {
            ("400 Bad Request", "x".repeat(100_000))
        } else {
            ("200 OK", String::new())
        };
        let length = answer.len();
        write!(connection, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{answer}")?;
    }
}

/// What Elasticsearch says of each document.
fn bulk(body: &str) -> String {
    let item = |document: &str| {
        if document.contains("bad") {
            r#"{"index":{"_index":"a","status":400,"error":{"type":"mapper","reason":"no number"}}}"#
        } else {
            r#"{"index":{"_index":"a","status":201}}"#
        }
    };
    let items: Vec<&str> = body.lines().skip(1).step_by(2).map(item).collect();
    let errors = body.contains("bad");
    format!(r#"{{"took":1,"errors":{errors},"items":[{}]}}"#, items.join(","))
}

/// A server that refuses; it ends with the process.
fn server() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || serve(connection));
        }
    });
    Ok(address)
}

/// Lines to an output that is refused some, and a filter that says why.
fn place(output: &str, more: &str) -> anyhow::Result<Place> {
    let place = Place::new(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n\
         [PayloadEncoder]\n[ESJsonEncoder]\n\
         [sender]\n{output}message_matcher = \"Type == 'lines'\"\nencoder = 'ENCODER'\n{more}\
         [letters]\ntype = 'SandboxFilter'\nfilename = 'DIR/letters.lua'\n\
         message_matcher = \"Type == 'heka.dead-letter' && Logger == 'sender'\"\n\
         [out]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.sandbox-output'\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\nflush_interval = 10\n"
    ))?;
    place.write(
        "letters.lua",
        "function process_message(msg)\n\
         \x20 local number = msg.Payload:match('bad (%d+)')\n\
         \x20 local reason = msg.Fields.reason\n\
         \x20 inject_payload('txt', '', number, ' ', #reason, ' ', reason, '\\n')\n  return 0\nend\n",
    )?;
    Ok(place)
}

fn configured(output: &str, more: &str) -> anyhow::Result<Place> {
    let output = output.replace("SERVER", &server()?.to_string());
    let place = place(&output, more)?;
    let encoder = if output.contains("Elastic") { "ESJsonEncoder" } else { "PayloadEncoder" };
    let whole = place.read("heka.toml").replace("ENCODER", encoder);
    place.write("heka.toml", &whole)?;
    Ok(place)
}

/// The numbers of the lines that came as dead letters, in order.
fn numbers(place: &Place) -> Vec<usize> {
    let out = place.read("out");
    out.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
}

/// Starts the engine, sends good and bad lines, and waits until the last bad one is back.
fn round(place: &Place, from: usize, to: usize) -> anyhow::Result<Engine> {
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    for number in from..to {
        write!(stream, "good {number}\nbad {number}\n")?;
    }
    engine.wait_for("the dead letters", |_| numbers(place).contains(&(to - 1)).then_some(()))?;
    Ok(engine)
}

/// Over a clean stop each comes once, over a kill at least once.
fn refused(output: &str, reason: &str, longest: usize) -> anyhow::Result<()> {
    let place = configured(output, "")?;
    round(&place, 0, 20)?.stop()?.expect_code(0)?;
    let engine = round(&place, 20, 40)?;
    let once: Vec<usize> = (0..40).collect();
    anyhow::ensure!(numbers(&place) == once, "{}", place.read("out"));
    engine.kill()?;
    let engine = round(&place, 40, 60)?;
    let mut found = numbers(&place);
    found.sort_unstable();
    found.dedup();
    let all: Vec<usize> = (0..60).collect();
    anyhow::ensure!(found == all, "{}", place.read("out"));
    for line in place.read("out").lines() {
        let bytes: usize = line.split(' ').nth(1).context("no length")?.parse()?;
        anyhow::ensure!(line.contains(reason) && bytes <= longest, "{line}");
    }
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// Two outputs take dead letters, and what they send is refused too.
fn refused_again() -> anyhow::Result<()> {
    let again = |name: &str| {
        format!(
            "[{name}]\ntype = 'HttpOutput'\naddress = 'http://SERVER/http'\n\
             message_matcher = \"Type == 'heka.dead-letter'\"\nencoder = 'PayloadEncoder'\n"
        )
    };
    let address = server()?.to_string();
    let more = (again("one") + &again("two")).replace("SERVER", &address);
    let place = configured("type = 'HttpOutput'\naddress = 'http://SERVER/http'\n", &more)?;
    let mut engine = round(&place, 0, 10)?;
    engine.wait_for("all refusals", |engine| {
        (engine.stderr().matches("a record was refused").count() >= 30).then_some(())
    })?;
    let stderr = engine.stop()?.expect_code(0)?.stderr;
    let refusals = stderr.matches("a record was refused").count();
    anyhow::ensure!(refusals == 30, "{refusals}: {stderr}");
    // Started again, there is nothing left to refuse.
    let mut engine = place.run(&["--idle", "200ms"])?;
    engine.address("lines")?;
    let stderr = engine.finish()?.expect_code(0)?.stderr;
    anyhow::ensure!(!stderr.contains("a record was refused"), "{stderr}");
    Ok(())
}
