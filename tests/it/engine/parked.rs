//! A script that stands still where no limit ends it: in a module that never comes.
//!
//! The module is a pipe that nobody writes to, as a file on a share can be that does not answer.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;

use libtest_mimic::Trial;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::harness::Engine;
use crate::harness::Place;
use crate::suite::test;

const CONFIG: &str = "[hekad]\nbase_dir = 'DIR/state'\nanalysis_threads = 1\n\
    stuck_timeout = 'PATIENCE'\nshutdown_timeout = '1s'\n[hekad.admin]\naddress = '127.0.0.1:0'\n\
    [lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
    splitter = 'TokenSplitter'\ndecoder = ''\n\
    [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
    message_matcher = \"Type == 'lines'\"\n\
    [parked]\ntype = 'SandboxFilter'\nfilename = 'DIR/parked.lua'\n\
    message_matcher = \"Type == 'lines'\"\nmodule_directory = 'DIR/modules'\n\
    [PayloadEncoder]\n[out]\ntype = 'FileOutput'\n\
    message_matcher = \"Type == 'heka.sandbox-output' || Type == 'heka.sandbox-terminated'\"\n\
    path = 'DIR/out'\nflush_interval = 10\nencoder = 'PayloadEncoder'\n";

const COUNT: &str = "local count = 0\n\
    function process_message()\n  count = count + 1\n\
    \x20 inject_payload('txt', 'count', 'count ', count, '\\n')\n  return 0\nend\n";

/// Asks for the module by a name that is made only then.
const PARKED: &str = "function process_message(msg)\n\
    \x20 if msg.Payload == 'park\\n' or msg.Payload == 'park' then require('p' .. 'ipe') end\n\
    \x20 return 0\nend\n";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("parked::the_other_filters_go_on_without_a_stuck_one", go_on),
        test("parked::a_stuck_filter_leaves_the_engine_able_to_answer_and_stop", answers),
    ]
}

struct Parked {
    place: Place,
    engine: Engine,
    stream: TcpStream,
    sent: usize,
}

impl Parked {
    fn start(patience: &str) -> anyhow::Result<Parked> {
        let place = Place::new(&CONFIG.replace("PATIENCE", patience))?;
        place.write("count.lua", COUNT)?;
        place.write("parked.lua", PARKED)?;
        std::fs::create_dir(place.path("modules"))?;
        nix::unistd::mkfifo(&place.path("modules/pipe.lua"), Mode::S_IRWXU)?;
        let mut engine = place.run(&[])?;
        let stream = TcpStream::connect(engine.address("lines")?)?;
        Ok(Parked { place, engine, stream, sent: 0 })
    }

    fn send(&mut self, line: &str) -> anyhow::Result<()> {
        self.sent += 1;
        Ok(writeln!(self.stream, "{line}")?)
    }

    /// Waits until all lines are counted: each once, in order.
    fn expect_counts(&mut self) -> anyhow::Result<()> {
        let last = format!("count {}", self.sent);
        let out = || self.place.read("out");
        self.engine.wait_for(&last, |_| out().lines().any(|line| line == last).then_some(()))?;
        let out = out();
        let counts = out.lines().filter(|line| line.starts_with("count "));
        let expected = (1..=self.sent).map(|number| format!("count {number}"));
        anyhow::ensure!(counts.eq(expected), "{out}");
        Ok(())
    }

    fn wait_for_line(&mut self, line: &str) -> anyhow::Result<()> {
        self.engine.wait_for(line, |engine| engine.stderr().contains(line).then_some(()))
    }

    fn states(&self) -> anyhow::Result<Vec<(String, String)>> {
        let state = self.place.path("state").display().to_string();
        let list = ["sandbox", "list", "--json", "--base-dir", &state];
        let shown = self.place.heka(&list, "")?.expect_code(0)?.stdout;
        let reply: serde_json::Value = serde_json::from_str(&shown)?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let all = reply["sandboxes"].as_array().into_iter().flatten();
        Ok(all.map(|one| (text(&one["name"]), text(&one["state"]))).collect())
    }

    fn expect_state(&mut self, name: &str, state: &str) -> anyhow::Result<()> {
        let found = self.states()?;
        let expected = (name.to_owned(), state.to_owned());
        anyhow::ensure!(found.contains(&expected), "{found:?}");
        Ok(())
    }
}

fn go_on() -> anyhow::Result<()> {
    let mut parked = Parked::start("2s")?;
    for line in ["one", "two", "park"] {
        parked.send(line)?;
    }
    parked.wait_for_line("its thread given up")?;
    for line in ["three", "four"] {
        parked.send(line)?;
    }
    parked.expect_counts()?;
    parked.engine.wait_for("the report", |_| {
        parked.place.read("out").contains("it was stuck in a call").then_some(())
    })?;
    parked.expect_state("parked", "stuck")?;
    parked.expect_state("count", "running")?;
    // What was given up comes to life again, and does nothing more that anyone sees.
    drop(OpenOptions::new().write(true).open(parked.place.path("modules/pipe.lua"))?);
    parked.wait_for_line("that was given up has come to an end")?;
    parked.send("five")?;
    parked.expect_counts()?;
    // With what it needs it runs again.
    std::fs::remove_file(parked.place.path("modules/pipe.lua"))?;
    parked.place.write("modules/pipe.lua", "return {}\n")?;
    let state = parked.place.path("state").display().to_string();
    let reload = ["sandbox", "reload", "parked", "--base-dir", &state];
    parked.place.heka(&reload, "")?.expect_code(0)?;
    parked.send("park")?;
    parked.expect_counts()?;
    parked.expect_state("parked", "running")?;
    let Parked { engine, .. } = parked;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// Before the time is over that it has.
fn answers() -> anyhow::Result<()> {
    let mut parked = Parked::start("1h")?;
    parked.send("one")?;
    parked.expect_counts()?;
    parked.send("park")?;
    let pipe = parked.place.path("modules/pipe.lua");
    // It can be opened so when somebody has opened it to read.
    let _held = parked.engine.wait_for("the script to stand still", |_| {
        let flag = OFlag::O_NONBLOCK.bits();
        OpenOptions::new().write(true).custom_flags(flag).open(&pipe).ok()
    })?;
    parked.expect_state("parked", "stuck")?;
    let Parked { engine, .. } = parked;
    let stopped = engine.stop()?;
    anyhow::ensure!(stopped.stderr.contains("did not end in time"), "{}", stopped.stderr);
    Ok(())
}
