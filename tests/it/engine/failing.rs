//! Filters that fail: they alone are stopped, nothing waits for them, and what they count is exact.

use std::io::Write;
use std::net::TcpStream;

use libtest_mimic::Trial;

use super::numbered_lines;
use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("failing::a_limit_sets_one_message_aside", a_limit_sets_one_message_aside),
        test("failing::a_limit_before_any_snapshot_keeps_the_count", limit_without_snapshot),
        test("failing::too_many_failures_pause_and_go_on", too_many_failures),
        test("failing::until_done_names_a_filter_that_stays_paused", stays_paused),
        test("failing::a_stop_does_not_wait_for_a_paused_filter", stop_while_paused),
        test("failing::a_return_above_zero_ends_it_alone", ends_alone),
        test("failing::what_came_before_an_end_comes_once", ends_within_an_entry),
        test("failing::filters_that_feed_each_other_come_to_an_end", feed_each_other),
        test("failing::a_filter_cannot_inject_to_itself", inject_to_itself),
    ]
}

/// A log, a filter made of `script`, and what it injects in `out`.
fn place(lines: usize, script: &str, settings: &str) -> anyhow::Result<Place> {
    let place = Place::new(&format!(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
         message_matcher = \"Type == 'logfile'\"\ntimer_event_on_shutdown = true\n{settings}\
         [out]\ntype = 'FileOutput'\nmessage_matcher = \"Type =~ /^heka.sandbox/\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\nflush_interval = 10\n"
    ))?;
    place.write("logs/log", &numbered_lines(lines))?;
    place.write("count.lua", script)?;
    Ok(place)
}

/// Counts; does what `special` says at some lines, and says the total at the end.
fn script(special: &str) -> String {
    format!(
        "messages = 0\nfunction process_message(msg)\n\
         \x20 local number = tonumber(msg.Payload:match('%d+'))\n{special}\n\
         \x20 messages = messages + 1\n\
         \x20 if messages % 1000 == 0 then inject_payload('txt', 'step', 'step ', messages, '\\n') end\n\
         \x20 return 0\nend\n\
         function timer_event() inject_payload('txt', 'total', 'total ', messages, '\\n') end\n"
    )
}

/// Every step once, in order, then the total.
fn expect_steps(place: &Place, total: usize, stderr: &str) -> anyhow::Result<()> {
    let steps = (1..=total / 1000).map(|step| format!("step {}\n", step * 1000));
    let expected: String = steps.chain([format!("total {total}\n")]).collect();
    let out = place.read("out");
    anyhow::ensure!(out == expected, "{out}\nnot\n{expected}\nstderr:\n{stderr}");
    Ok(())
}

fn a_limit_sets_one_message_aside() -> anyhow::Result<()> {
    let special = "if number == 2500 then while true do end end\n\
                   if number == 3500 then local t = {} for i = 1, 1e9 do t[i] = 'x' .. i end end";
    let place = place(5_000, &script(special), "memory_limit = 4000000\n")?;
    let stderr = place.run(&["--until-done"])?.finish()?.expect_code(0)?.stderr;
    anyhow::ensure!(stderr.matches("reached a limit").count() == 2, "{stderr}");
    expect_steps(&place, 4_998, &stderr)
}

/// The filter first catches up, from the oldest entry on, and then fails where it is level.
fn limit_without_snapshot() -> anyhow::Result<()> {
    let place = place(3_000, &script("if number == 3100 then while true do end end"), "")?;
    let whole = std::fs::read_to_string(place.path("heka.toml"))?;
    let begin = whole.find("[count]").unwrap_or_default();
    let end = whole.find("[out]").unwrap_or_default();
    let without = format!("{}{}", &whole[..begin], &whole[end..]);
    place.write("heka.toml", &without)?;
    place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    let later = whole.replace("timer_event_on", "start = 'oldest'\ntimer_event_on");
    place.write("heka.toml", &later)?;
    let mut engine = place.run(&[])?;
    engine.wait_for("the filter to be level", |_| {
        place.read("out").contains("step 3000").then_some(())
    })?;
    let more: String = (3_000..3_500).map(|number| format!("line {number} of the log\n")).collect();
    let mut log = std::fs::OpenOptions::new().append(true).open(place.path("logs/log"))?;
    log.write_all(more.as_bytes())?;
    engine.wait_for("the limit", |engine| {
        engine.stderr().contains("reached a limit").then_some(())
    })?;
    log.write_all(
        (3_500..4_000).map(|n| format!("line {n} of the log\n")).collect::<String>().as_bytes(),
    )?;
    engine.wait_for("all lines", |engine| {
        engine.signal(nix::sys::signal::Signal::SIGUSR1).ok()?;
        engine.stdout().lines().any(|line| line.starts_with("input   1000 ")).then_some(())
    })?;
    let stderr = engine.stop()?.expect_code(0)?.stderr;
    expect_steps(&place, 3_999, &stderr)
}

fn too_many_failures() -> anyhow::Result<()> {
    let special = "if number % 10 == 0 then error('no tens') end";
    let settings = "max_failures = 20\nretries = { delay = '10ms', max_delay = '20ms' }\n";
    let place = place(5_000, &script(special), settings)?;
    let stderr = place.run(&["--until-done"])?.finish()?.expect_code(0)?.stderr;
    anyhow::ensure!(stderr.contains("is stopped and will start again"), "{stderr}");
    expect_steps(&place, 4_500, &stderr)
}

fn stays_paused() -> anyhow::Result<()> {
    let settings = "max_failures = 5\nretries = { delay = '1h', max_delay = '1h' }\n";
    let place = place(1_000, &script("error('never')"), settings)?;
    let config = std::fs::read_to_string(place.path("heka.toml"))?;
    place.write("heka.toml", &config.replace("[hekad]\n", "[hekad]\nshutdown_timeout = '2s'\n"))?;
    let stderr = place.run(&["--until-done"])?.finish()?.expect_code(1)?.stderr;
    anyhow::ensure!(stderr.contains("count has not"), "{stderr}");
    Ok(())
}

fn stop_while_paused() -> anyhow::Result<()> {
    let settings = "max_failures = 5\nretries = { delay = '1h', max_delay = '1h' }\n";
    let place = place(1_000, &script("error('never')"), settings)?;
    let mut engine = place.run(&[])?;
    engine.wait_for("the pause", |engine| {
        engine.stderr().contains("will start again").then_some(())
    })?;
    let begun = std::time::Instant::now();
    engine.stop()?.expect_code(0)?;
    anyhow::ensure!(begun.elapsed().as_secs() < 10, "the stop took {:?}", begun.elapsed());
    Ok(())
}

fn ends_alone() -> anyhow::Result<()> {
    let special = "if number == 1500 then return 1, 'it is enough' end";
    let place = place(3_000, &script(special), "")?;
    let stderr = place.run(&["--until-done"])?.finish()?.expect_code(0)?.stderr;
    let out = place.read("out");
    anyhow::ensure!(out == "step 1000\nit is enough\n", "{out}\nstderr:\n{stderr}");
    Ok(())
}

fn feed_each_other() -> anyhow::Result<()> {
    let filter = |name: &str, other: &str| {
        format!(
            "[{name}]\ntype = 'SandboxFilter'\nfilename = 'DIR/echo.lua'\n\
             message_matcher = \"Type == 'lines' || Logger == '{other}'\"\nmax_failures = 100000\n"
        )
    };
    let place = Place::new(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n{}{}\
         [out]\ntype = 'FileOutput'\nmessage_matcher = \"Logger == 'one' || Logger == 'two'\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\nflush_interval = 10\n",
        filter("one", "two"),
        filter("two", "one")
    ))?;
    place.write(
        "echo.lua",
        "function process_message(msg)\n\
         \x20 inject_payload('txt', 'echo', msg.Payload, '.\\n')\n  return 0\nend\n",
    )?;
    let mut engine = place.run(&["--idle", "500ms"])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    stream.write_all(b"line\n")?;
    let finished = engine.finish()?.expect_code(0)?;
    let rounds = place.read("out").matches("line").count();
    anyhow::ensure!((2..=16).contains(&rounds), "{rounds} rounds; {}", finished.stderr);
    Ok(())
}

/// Neither when it processes a message nor at the timer.
fn inject_to_itself() -> anyhow::Result<()> {
    let special = "if number == 7 then\n\
                   inject_message({Type = 'logfile', Payload = 'line 1 of the log'}) end";
    let script = script(special).replace(
        "function timer_event()",
        "function timer_event() inject_message({Type = 'logfile', Payload = 'line 2'})",
    );
    let place = place(1_500, &script, "")?;
    // What a filter injects has `heka.sandbox.` before its type.
    let config = std::fs::read_to_string(place.path("heka.toml"))?;
    place.write("heka.toml", &config.replace("Type == 'logfile'", "Type =~ /logfile$/"))?;
    let stderr = place.run(&["--until-done"])?.finish()?.expect_code(0)?.stderr;
    anyhow::ensure!(stderr.contains("filter's own matcher"), "{stderr}");
    let out = place.read("out");
    anyhow::ensure!(out.contains("step 1000\ntotal 1500\n"), "{out}");
    Ok(())
}

/// The lines come at once, and so are one entry.
fn ends_within_an_entry() -> anyhow::Result<()> {
    let place = Place::new(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n\
         [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
         message_matcher = \"Type == 'lines'\"\n\
         [out]\ntype = 'FileOutput'\nmessage_matcher = \"Type =~ /^heka.sandbox/\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\nflush_interval = 10\n[PayloadEncoder]\n",
    )?;
    place.write(
        "count.lua",
        "function process_message(msg)\n\
         \x20 if msg.Payload:match('end') then return 1, 'that is all\\n' end\n\
         \x20 inject_payload('txt', '', msg.Payload, '\\n')\n  return 0\nend\n",
    )?;
    for _ in 0..2 {
        let mut engine = place.run(&[])?;
        let mut stream = TcpStream::connect(engine.address("lines")?)?;
        if place.read("out").is_empty() {
            stream.write_all(b"one\ntwo\nend\n")?;
        }
        engine.wait_for("the end", |engine| {
            engine.stderr().contains("a filter has ended").then_some(())
        })?;
        engine.stop()?.expect_code(0)?;
        let out = place.read("out");
        let injected: Vec<&str> =
            out.lines().filter(|line| ["one", "two"].contains(line)).collect();
        anyhow::ensure!(injected == ["one", "two"], "{out}");
    }
    Ok(())
}
