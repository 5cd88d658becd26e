//! Texts to a web hook: a server in Python, which is killed under load.

use std::collections::HashSet;
use std::io::Write;
use std::net::TcpStream;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::interpreter;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    vec![test_with(
        &["python3"],
        "destinations::a_web_hook_is_told_everything_over_a_kill",
        everything_over_a_kill,
    )]
}

const LINES: usize = 400;

/// Writes down the text of each body, and answers; the text `refused` it does not take.
const SERVER: &str = r"
import http.server, json, sys
class Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers['Content-Length'])))['text'].strip()
        if text == 'refused':
            self.send_response(400)
        else:
            with open(sys.argv[2], 'a') as file:
                print(text, file=file, flush=True)
            self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Hook).serve_forever()
";

fn everything_over_a_kill() -> anyhow::Result<()> {
    let port = free_port()?;
    let place = Place::new(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n\
         [hook]\ntype = 'HttpOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         address = 'http://127.0.0.1:{port}/services/T0/B0/x'\nencoder = 'text'\n\
         retries = {{ delay = '50ms', max_delay = '200ms' }}\n\
         [text]\ntype = 'TemplateEncoder'\nescape = 'json'\ntemplate = '{{\"text\": \"%{{Payload}}\"}}'\n"
    ))?;
    place.write("server.py", SERVER)?;
    let start = || {
        let mut command = interpreter("python3");
        command.arg(place.path("server.py")).arg(port.to_string()).arg(place.path("texts"));
        Server::start(command, port)
    };
    let server = start()?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    writeln!(stream, "refused")?;
    engine.wait_for("it to be refused", |engine| {
        engine.stderr().contains("a record was refused").then_some(())
    })?;
    for number in 0..LINES / 2 {
        writeln!(stream, "n{number} \"quoted\"")?;
    }
    let has = |number| {
        let texts = place.read("texts");
        let texts: HashSet<&str> = texts.lines().collect();
        texts.contains(&*format!("n{number} \"quoted\""))
    };
    engine.wait_for("the first", |_| has(0).then_some(()))?;
    drop(server);
    for number in LINES / 2..LINES {
        writeln!(stream, "n{number} \"quoted\"")?;
    }
    engine.wait_for("it to be missed", |engine| {
        engine.stderr().contains("cannot reach").then_some(())
    })?;
    let _server = start()?;
    engine.wait_for("everything", |_| (0..LINES).all(has).then_some(()))?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
