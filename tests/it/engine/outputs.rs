//! Outputs whose other side fails, and comes back.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("outputs::a_folder_that_vanishes_loses_nothing", folder_vanishes),
        test("outputs::a_server_that_fails_for_a_while_gets_everything", server_fails),
        test("outputs::a_peer_that_starts_anew_gets_what_comes_then", peer_starts_anew),
    ]
}

const INPUT: &str = "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
    splitter = 'TokenSplitter'\ndecoder = ''\n[PayloadEncoder]\n";
const RETRIES: &str = "retries = { delay = '20ms', max_delay = '100ms' }\n";

fn lines(from: usize, to: usize) -> String {
    (from..to).map(|number| format!("line {number:06}\n")).collect()
}

/// The folder is removed with the file in it, then something stands in its place, then it is free.
fn folder_vanishes() -> anyhow::Result<()> {
    const PART: usize = 5_000;
    let place = Place::new(&format!(
        "{INPUT}[out]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         path = 'DIR/logs/out'\nencoder = 'PayloadEncoder'\nflush_interval = 20\n{RETRIES}"
    ))?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    stream.write_all(lines(0, PART).as_bytes())?;
    engine.wait_for("the first part", |_| {
        (place.read("logs/out").lines().count() == PART).then_some(())
    })?;
    let mut removed = std::fs::File::open(place.path("logs/out"))?;
    std::fs::remove_dir_all(place.path("logs"))?;
    place.write("logs", "something else")?;
    stream.write_all(lines(PART, 2 * PART).as_bytes())?;
    engine.wait_for("the failure", |engine| {
        engine.stderr().contains("an output failed and will try again").then_some(())
    })?;
    stream.write_all(lines(2 * PART, 3 * PART).as_bytes())?;
    std::fs::remove_file(place.path("logs"))?;
    engine.wait_for("the last line", |_| {
        place.read("logs/out").ends_with(&lines(3 * PART - 1, 3 * PART)).then_some(())
    })?;
    let stderr = engine.stop()?.expect_code(0)?.stderr;
    anyhow::ensure!(stderr.contains("an output works again"), "{stderr}");
    let mut before = String::new();
    removed.read_to_string(&mut before)?;
    // What was certain is gone with the folder; all else is there, in order and once.
    let (out, all) = (place.read("logs/out"), lines(0, 3 * PART));
    anyhow::ensure!(all.ends_with(&out), "{} lines are no end of all", out.lines().count());
    let left = &all[..all.len() - out.len()];
    anyhow::ensure!(before.starts_with(left), "{} lines are lost", left.lines().count());
    Ok(())
}

/// Reads one request and gives its body.
fn request(stream: &TcpStream) -> anyhow::Result<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(String::from_utf8(body)?)
}

/// 500 for the first requests, 400 for one record, 200 for the others.
fn server_fails() -> anyhow::Result<()> {
    const RECORDS: usize = 40;
    const FAILURES: usize = 5;
    let server = TcpListener::bind("127.0.0.1:0")?;
    let address = server.local_addr()?;
    let place = Place::new(&format!(
        "{INPUT}[out]\ntype = 'HttpOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         address = 'http://{address}/'\nencoder = 'PayloadEncoder'\n{RETRIES}"
    ))?;
    let serving = std::thread::spawn(move || -> anyhow::Result<Vec<String>> {
        let mut taken = Vec::new();
        for number in 0..RECORDS + FAILURES {
            let (mut stream, _) = server.accept()?;
            let body = request(&stream)?;
            let status = match number {
                ..FAILURES => "500 Later",
                _ if body.starts_with("line 000007") => "400 Never",
                _ => {
                    taken.push(body);
                    "200 OK"
                }
            };
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        }
        Ok(taken)
    });
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    stream.write_all(lines(0, RECORDS).as_bytes())?;
    engine.wait_for("all requests", |_| serving.is_finished().then_some(()))?;
    let taken = serving.join().map_err(|_| anyhow::anyhow!("the server panicked"))??;
    let stderr = engine.stop()?.expect_code(0)?.stderr;
    let expected = lines(0, RECORDS).replace("line 000007\n", "");
    anyhow::ensure!(taken.concat() == expected, "{taken:?}; {stderr}");
    anyhow::ensure!(stderr.matches("a record was refused").count() == 1, "{stderr}");
    anyhow::ensure!(stderr.contains("answered 500"), "{stderr}");
    Ok(())
}

/// The peer goes away in the middle and comes back in the same place. What its system had not
/// acknowledged comes again. Known fault: the protocol acknowledges nothing, so what a peer's system
/// had taken and the peer not read is gone, a small buffer here.
fn peer_starts_anew() -> anyhow::Result<()> {
    const LINES: usize = 400_000;
    const BUFFER: usize = 64 * 1024;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_recv_buffer_size(BUFFER / 4)?;
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(1)?;
    let first = TcpListener::from(socket);
    let address = first.local_addr()?;
    let place = Place::new(&format!(
        "[logs]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [PayloadEncoder]\n\
         [out]\ntype = 'TcpOutput'\nmessage_matcher = \"Type == 'logfile'\"\naddress = '{address}'\n\
         encoder = 'PayloadEncoder'\nuse_framing = false\n{RETRIES}"
    ))?;
    let all = lines(0, LINES);
    place.write("logs/log", &all)?;
    let engine = place.run(&["--until-done"])?;
    let mut head = vec![0; 1 << 20];
    let (mut stream, _) = first.accept()?;
    stream.read_exact(&mut head)?;
    // What is unread is reset.
    drop((stream, first));
    let second = TcpListener::bind(address)?;
    let (mut stream, _) = second.accept()?;
    let mut tail = Vec::new();
    stream.read_to_end(&mut tail)?;
    let stderr = engine.finish()?.expect_code(0)?.stderr;
    anyhow::ensure!(all.as_bytes().starts_with(&head), "the first connection got something else");
    anyhow::ensure!(all.as_bytes().ends_with(&tail), "the second one lacks something");
    let lost = all.len().saturating_sub(head.len() + tail.len());
    anyhow::ensure!(lost <= BUFFER, "{lost} bytes are lost");
    anyhow::ensure!(stderr.contains("an output works again"), "{stderr}");
    Ok(())
}
