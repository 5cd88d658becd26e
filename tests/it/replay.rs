//! `heka replay`: scripts over history.

use std::fmt::Write as _;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("replay::differences_of_two_versions_are_told", differences_are_told),
        test("replay::json_is_the_same_on_every_run", json_is_the_same_on_every_run),
        test("replay::a_journal_is_played_with_its_ticks", a_journal_is_played_with_its_ticks),
        test("replay::a_section_says_what_the_filter_is", a_section_says_what_the_filter_is),
        test("replay::bad_input_is_named", bad_input_is_named),
        test("replay::what_a_limit_ends_is_set_aside", what_a_limit_ends_is_set_aside),
        test("replay::a_journal_is_played_from_a_moment", a_journal_is_played_from_a_moment),
        test("replay::memory_does_not_grow_with_history", memory_does_not_grow_with_history),
    ]
}

/// Tells of a second with more failures than it may have, and counts them every minute.
const ALERTS: &str = "local n, most, second = 0, 0, 0\n\
    function process_message(msg)\n\
      if msg.Fields.status < 500 then return 0 end\n\
      local now = math.floor(msg.Timestamp / 1e9)\n\
      if now ~= second then second, most = now, 0 end\n\
      most = most + 1\n\
      n = n + 1\n\
      if most == LIMIT then inject_payload('alert', 'failures', 'too many') end\n\
      return 0\n\
    end\n\
    function timer_event(ns) inject_payload('txt', 'count', n) n = 0 end\n";

/// Ten minutes of an access log with three failures in the first second of each third minute.
fn access_log() -> String {
    let mut log = String::new();
    for number in 0..600 {
        let (minute, second) = (number / 60, number % 60);
        let failures = if minute % 3 == 0 && second == 0 { 3 } else { 0 };
        for status in std::iter::repeat_n(500, failures).chain([200]) {
            let _ = writeln!(
                log,
                "10.0.0.1 - - [05/Oct/2026:13:{minute:02}:{second:02} +0000] \"GET / HTTP/1.1\" \
                 {status} 17 \"-\" \"-\""
            );
        }
    }
    log
}

fn place_with_log() -> anyhow::Result<Place> {
    let place = Place::new("")?;
    place.write("old.lua", &ALERTS.replace("LIMIT", "9"))?;
    place.write("new.lua", &ALERTS.replace("LIMIT", "2"))?;
    place.write("access.log", &access_log())?;
    Ok(place)
}

const READING: [&str; 5] =
    ["--ticker=60", "--decoder=AccessLogDecoder", "--set", "log_format=combined", "access.log"];

fn differences_are_told() -> anyhow::Result<()> {
    let place = place_with_log()?;
    let arguments = [&["replay", "--script=new.lua", "--against=old.lua"][..], &READING].concat();
    let finished = place.heka(&arguments, "")?.expect_code(0)?;
    let expected = "+ 2026-10-05T13:00:00Z ALERT failures: too many\n\
                    + 2026-10-05T13:03:00Z ALERT failures: too many\n\
                    + 2026-10-05T13:06:00Z ALERT failures: too many\n\
                    + 2026-10-05T13:09:00Z ALERT failures: too many\n";
    anyhow::ensure!(finished.stdout == expected, "{finished:?}");
    let summary = "added 4 (4 alerts), removed 0, moved 0, the same 10";
    anyhow::ensure!(finished.stderr.contains(summary), "{finished:?}");
    anyhow::ensure!(finished.stderr.contains("612 messages read, 612 matched"), "{finished:?}");
    let part = ["--from=2026-10-05T13:01:00Z", "--to=2026-10-05 13:05", "--alerts"];
    let finished = place.heka(&[&arguments[..], &part].concat(), "")?.expect_code(0)?;
    anyhow::ensure!(finished.stdout == expected.lines().nth(1).unwrap_or("").to_owned() + "\n");
    Ok(())
}

fn json_is_the_same_on_every_run() -> anyhow::Result<()> {
    let place = place_with_log()?;
    // What reads the clock and draws lots is the same too.
    place.write(
        "lots.lua",
        "function process_message() return 0 end\n\
         function timer_event() inject_message({Payload = os.date() .. math.random()}) end\n",
    )?;
    for script in ["--script=new.lua", "--script=lots.lua"] {
        let arguments = [&["replay", script, "--json", "--against=old.lua"][..], &READING].concat();
        let first = place.heka(&arguments, "")?.expect_code(0)?;
        let second = place.heka(&arguments, "")?.expect_code(0)?;
        anyhow::ensure!(first.stdout == second.stdout, "{first:?}\n{second:?}");
        for line in first.stdout.lines() {
            let _: serde_json::Value = serde_json::from_str(line)?;
        }
    }
    let arguments = [&["replay", "--script=new.lua", "--json"][..], &READING].concat();
    let finished = place.heka(&arguments, "")?.expect_code(0)?;
    let last: serde_json::Value =
        serde_json::from_str(finished.stdout.lines().last().unwrap_or_default())?;
    anyhow::ensure!(last["summary"]["new"]["injected"] == 14, "{last}");
    anyhow::ensure!(last["summary"]["new"]["alerts"] == 4, "{last}");
    Ok(())
}

/// A place whose engine has read some lines with a filter that counts.
fn place_with_journal() -> anyhow::Result<Place> {
    let place = Place::new(
        "[log]\ntype = \"LogstreamerInput\"\nlog_directory = \"DIR/log\"\nfile_match = 'a\\.log'\n\
         [Count]\ntype = \"SandboxFilter\"\nmessage_matcher = \"Type == 'logfile'\"\n\
         filename = \"DIR/count.lua\"\nticker_interval = 1\n[Count.config]\nwhat = \"lines\"\n\
         [out]\ntype = \"LogOutput\"\nmessage_matcher = \"Fields[payload_name] == 'count'\"\n\
         encoder = \"PayloadEncoder\"\n",
    )?;
    place.write("count.lua", COUNTER)?;
    place.write("log/a.log", "one\ntwo\nthree\n")?;
    let mut engine = place.run(&[])?;
    engine.wait_for("the count", |it| it.stdout().contains("3 lines").then_some(()))?;
    engine.stop()?;
    Ok(place)
}

const COUNTER: &str = "n = 0\n\
    function process_message() n = n + 1 return 0 end\n\
    function timer_event(ns) inject_payload('txt', 'count', n, ' ', read_config('what')) end\n";

fn a_journal_is_played_with_its_ticks() -> anyhow::Result<()> {
    let place = place_with_journal()?;
    let arguments = ["replay", "--script=count.lua", "--config=what=lines", "state"];
    let by_hand = ["--match=Type == 'logfile'", "--ticker=1"];
    let finished = place.heka(&[&arguments[..], &by_hand].concat(), "")?.expect_code(0)?;
    anyhow::ensure!(finished.stdout.contains(" count (txt)\n    3 lines\n"), "{finished:?}");
    anyhow::ensure!(finished.stderr.contains(", 3 matched"), "{finished:?}");
    // From the state at its end on there is nothing to count, and what was counted is there.
    let state = ["--state=Count", "--config=heka.toml"];
    let finished = place.heka(&[&arguments[..], &state].concat(), "")?.expect_code(0)?;
    anyhow::ensure!(!finished.stdout.contains(" 0 lines"), "{finished:?}");
    anyhow::ensure!(finished.stderr.contains(" 0 failures"), "{finished:?}");
    let unknown = [&arguments[..], &["--state=Other"]].concat();
    let finished = place.heka(&unknown, "")?.expect_code(2)?;
    anyhow::ensure!(finished.stderr.contains("filter Other; there are Count"), "{finished:?}");
    Ok(())
}

fn a_section_says_what_the_filter_is() -> anyhow::Result<()> {
    let place = place_with_journal()?;
    let arguments = ["replay", "--script=count.lua", "--config=heka.toml", "state"];
    let finished = place.heka(&arguments, "")?.expect_code(0)?;
    anyhow::ensure!(finished.stdout.contains(" count (txt)\n    3 lines\n"), "{finished:?}");
    let finished = place.heka(&[&arguments[..], &["--section=No"]].concat(), "")?.expect_code(2)?;
    let expected = "there is no SandboxFilter [No]; there are Count";
    anyhow::ensure!(finished.stderr.contains(expected), "{finished:?}");
    Ok(())
}

fn bad_input_is_named() -> anyhow::Result<()> {
    let place = place_with_log()?;
    place.write("wrong.lua", "function process_message()\n  return +\nend\n")?;
    place.write("loop.lua", "function process_message() while true do end end\n")?;
    place.write("broken", "\u{1e}\u{2}\u{8}\u{3}\u{1f}abc")?;
    place.write("empty/x", "")?;
    for (arguments, code, expected) in [
        (&["--script=new.lua", "none.log"][..], 2, "cannot read none.log"),
        (&["--script=new.lua", "empty"], 2, "empty: cannot open the journal"),
        (&["--script=none.lua", "access.log"], 2, "none.lua"),
        (&["--script=wrong.lua", "access.log"], 2, "wrong.lua:2: "),
        (&["--script=new.lua", "--against=wrong.lua", "access.log"], 2, "wrong.lua:2: "),
        (&["--script=new.lua", "--from=soon", "access.log"], 2, "expected a time such as"),
        (&["--script=new.lua", "--config=none.toml", "access.log"], 2, "none.toml"),
        (&["--script=new.lua", "--match=Type ==", "access.log"], 2, "^"),
        (&["--script=loop.lua", "--cpu-limit=20ms", "access.log"], 1, "cpu_limit exceeded"),
        (&["--script=new.lua", "broken"], 3, "broken, byte 0: "),
    ] {
        let arguments = [&["replay"][..], arguments].concat();
        let finished = place.heka(&arguments, "")?.expect_code(code)?;
        anyhow::ensure!(finished.stderr.contains(expected), "{arguments:?}: {finished:?}");
    }
    Ok(())
}

fn memory_does_not_grow_with_history() -> anyhow::Result<()> {
    let place = Place::new("")?;
    // A version says something for each line that the other does not: nothing goes with anything.
    let script = "local n = 0\nfunction process_message() n = n + 1\n\
        inject_payload('txt', 'SIDE', n, string.rep('x', 16000)) return 0 end\n";
    place.write("old.lua", &script.replace("SIDE", "old"))?;
    place.write("new.lua", &script.replace("SIDE", "new"))?;
    place.write("log", &"a line\n".repeat(12_000))?;
    let command = format!(
        "ulimit -v 400000; exec {} replay --script=new.lua --against=old.lua log >told",
        crate::harness::binary().display()
    );
    let mut shell = std::process::Command::new("sh");
    let done = shell.args(["-c", &command]).current_dir(place.path(".")).output()?;
    anyhow::ensure!(done.status.success(), "{done:?}");
    let summary = String::from_utf8_lossy(&done.stderr).into_owned();
    anyhow::ensure!(summary.contains("added 12000, removed 12000, moved 0"), "{summary}");
    Ok(())
}

/// A script loops at some messages: they are passed over, with the state as it was before each.
fn what_a_limit_ends_is_set_aside() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write(
        "sum.lua",
        "local sum, seen = 0, {}\n\
         function process_message()\n\
           local word = string.match(read_message('Payload'), '%w+')\n\
           seen[#seen + 1] = word\n\
           sum = sum + 1\n\
           if word == 'wrong' then error('no good') end\n\
           while word == 'loop' do end\n\
           return 0\n\
         end\n\
         function timer_event() inject_payload('txt', 'sum', sum, ' ', table.concat(seen, ',')) end\n",
    )?;
    place.write("log", "a\nwrong\nloop\nb\nloop\nc\n")?;
    let arguments = ["replay", "--script=sum.lua", "--cpu-limit=20ms", "log"];
    let finished = place.heka(&arguments, "")?.expect_code(0)?;
    anyhow::ensure!(finished.stdout.contains("4 a,wrong,b,c"), "{finished:?}");
    anyhow::ensure!(finished.stderr.matches("cpu_limit exceeded").count() == 2, "{finished:?}");
    anyhow::ensure!(finished.stderr.contains("3 failures"), "{finished:?}");
    Ok(())
}

fn a_journal_is_played_from_a_moment() -> anyhow::Result<()> {
    let place = place_with_journal()?;
    let arguments = ["replay", "--script=count.lua", "--config=heka.toml", "state"];
    let all = place.heka(&[&arguments[..], &["--from=-1h"]].concat(), "")?.expect_code(0)?;
    anyhow::ensure!(all.stdout.contains("3 lines"), "{all:?}");
    let none =
        place.heka(&[&arguments[..], &["--from=2100-01-01"]].concat(), "")?.expect_code(0)?;
    anyhow::ensure!(none.stderr.contains("0 messages read"), "{none:?}");
    Ok(())
}
