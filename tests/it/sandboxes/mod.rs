//! `heka sandbox`: the filters of a running engine, changed from outside.

mod load;
mod managed;
mod rollback;
mod shadow;
mod swaps;

use std::io::Write;
use std::net::TcpStream;

use anyhow::Context;
use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Finished;
use crate::harness::Place;

pub(crate) fn trials() -> Vec<Trial> {
    [load::trials(), managed::trials(), rollback::trials(), shadow::trials(), swaps::trials()]
        .into_iter()
        .flatten()
        .collect()
}

/// Lines over TCP, counted by a script, and what the script says in a file.
const CONFIG: &str = "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
    splitter = 'TokenSplitter'\ndecoder = ''\n\
    [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
    message_matcher = \"Type == 'lines'\"\n\
    [PayloadEncoder]\n[out]\ntype = 'FileOutput'\n\
    message_matcher = \"Type == 'heka.sandbox-output'\"\npath = 'DIR/out'\n\
    flush_interval = 10\nencoder = 'PayloadEncoder'\n";

/// A filter that counts, and says so with a word in front.
fn script(word: &str) -> String {
    format!(
        "count = 0\nfunction process_message()\n  count = count + 1\n\
         \x20 inject_payload('txt', 'count', '{word} ', count, '\\n')\n  return 0\nend\n"
    )
}

/// An engine that runs, and a way to have it count.
struct Counting {
    place: Place,
    engine: Engine,
    stream: TcpStream,
    /// Lines sent so far.
    sent: usize,
}

impl Counting {
    fn start(config: &str) -> anyhow::Result<Counting> {
        let place = Place::new(config)?;
        place.write("count.lua", &script("first"))?;
        Counting::start_in(place, 0)
    }

    fn start_in(place: Place, sent: usize) -> anyhow::Result<Counting> {
        let mut engine = place.run(&[])?;
        let stream = TcpStream::connect(engine.address("lines")?)?;
        engine.wait_for("the start", |engine| {
            engine.stderr().contains("heka has started").then_some(())
        })?;
        Ok(Counting { place, engine, stream, sent })
    }

    /// Ends the engine at once and starts it again.
    fn kill(self) -> anyhow::Result<Counting> {
        let Counting { place, engine, sent, .. } = self;
        engine.kill()?;
        Counting::start_in(place, sent)
    }

    /// Sends a line and waits until it is counted, with this word in front.
    fn expect(&mut self, word: &str) -> anyhow::Result<()> {
        self.stream.write_all(b"a line\n")?;
        self.sent += 1;
        let expected = format!("{word} {}", self.sent);
        let waited = self.engine.wait_for(&expected, |_| {
            self.place.read("out").lines().any(|line| line == expected).then_some(())
        });
        waited.with_context(|| self.place.read("out"))
    }

    /// Every line was counted once, in order.
    fn check_counts(&self) -> anyhow::Result<()> {
        let out = self.place.read("out");
        let numbers: Vec<usize> =
            out.lines().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect();
        let expected: Vec<usize> = (1..=self.sent).collect();
        anyhow::ensure!(numbers == expected, "{out}");
        Ok(())
    }

    /// Edits the script and waits until that has taken over.
    fn edit(&mut self, text: &str) -> anyhow::Result<()> {
        let said = |engine: &Engine| engine.stderr().matches("INFO reloaded").count();
        let before = said(&self.engine);
        self.place.write("count.lua", text)?;
        self.engine.wait_for("the reload", |engine| (said(engine) > before).then_some(()))
    }

    /// `heka sandbox …`
    fn sandbox(&self, arguments: &[&str]) -> anyhow::Result<Finished> {
        let state = self.place.path("state");
        let state = state.to_string_lossy();
        let mut all = vec!["sandbox"];
        all.extend(arguments);
        all.extend(["--base-dir", &state]);
        self.place.heka(&all, "")
    }

    /// What `heka sandbox list --json` says of a filter.
    fn status(&self, name: &str) -> anyhow::Result<serde_json::Value> {
        let shown = self.sandbox(&["list", name, "--json"])?.expect_code(0)?.stdout;
        let reply: serde_json::Value = serde_json::from_str(&shown)?;
        reply["sandboxes"].get(0).cloned().context(shown)
    }
}
