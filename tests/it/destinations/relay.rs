//! From one engine through a server to another, while the server is killed under load.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::server::Server;

/// How many lines are sent.
const LINES: usize = 20_000;

/// How often a line may arrive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrives {
    /// Once: the far side knows again what it has.
    Once,
    /// At least once.
    AtLeastOnce,
}

/// An engine that sends the lines it is sent, as messages of the type `lines`, to an output.
pub(super) fn sender(output: &str) -> anyhow::Result<Place> {
    Place::new(&sender_config(output))
}

/// The configuration of [`sender`].
pub(super) fn sender_config(output: &str) -> String {
    format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n\
         [out]\nmessage_matcher = \"Type == 'lines'\"\n\
         retries = {{ delay = '50ms', max_delay = '500ms' }}\n{output}\n"
    )
}

/// An engine that reads from an input and writes the payloads into the file `out`.
pub(super) fn reader(input: &str) -> anyhow::Result<Place> {
    Place::new(&format!(
        "[in]\nretries = {{ delay = '50ms', max_delay = '500ms' }}\n{input}\n\
         [file]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         encoder = 'PayloadEncoder'\npath = 'DIR/out'\n"
    ))
}

/// How often each line has arrived.
pub(super) fn arrived(reader: &Place) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    let text = reader.read("out");
    // The last line may still be written.
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    for line in whole.lines().filter(|line| !line.is_empty()) {
        *lines.entry(line.to_owned()).or_insert(0) += 1;
    }
    lines
}

/// Waits until an engine says something about what is wrong.
pub(super) fn told(engine: &mut Engine, text: &str) -> anyhow::Result<()> {
    engine.wait_for(text, |engine| engine.stderr().contains(text).then_some(()))
}

/// Sends lines from `sender` to `reader`, both running, while `server` is killed and started again.
pub(super) fn survives_a_kill(
    (mut sender, mut reader): (Engine, Engine),
    place: &Place,
    server: Server,
    start: impl Fn() -> anyhow::Result<Server>,
    arrives: Arrives,
) -> anyhow::Result<Server> {
    let mut stream = TcpStream::connect(sender.address("lines")?)?;
    let mut write = |numbers: std::ops::Range<usize>| -> anyhow::Result<()> {
        let lines: String = numbers.map(|number| format!("line {number}\n")).collect();
        Ok(stream.write_all(lines.as_bytes())?)
    };
    write(0..LINES / 2)?;
    reader.wait_for("the first lines", |_| {
        arrived(place).keys().any(|line| line.starts_with("line ")).then_some(())
    })?;
    drop(server);
    write(LINES / 2..LINES)?;
    let server = start()?;
    let all = reader.wait_for("all lines", |_| {
        let lines = arrived(place);
        (lines.keys().filter(|line| line.starts_with("line ")).count() >= LINES).then_some(lines)
    });
    let all = all.map_err(|error| {
        let count = arrived(place).len();
        error.context(format!("{count} lines; the sender says:\n{}", sender.stderr()))
    })?;
    let twice = all.values().filter(|count| **count > 1).count();
    println!("{twice} of {LINES} lines arrived twice");
    anyhow::ensure!(arrives == Arrives::AtLeastOnce || twice == 0, "{twice} lines came twice");
    sender.stop()?.expect_code(0)?;
    reader.stop()?.expect_code(0)?;
    Ok(server)
}
