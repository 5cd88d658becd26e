//! `kill -9` at random moments: every line is delivered, and what filters count is exact.

use std::collections::HashSet;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use libtest_mimic::Trial;

use super::numbered_lines;
use crate::harness::Place;
use crate::suite::test;

const LINES: usize = 60_000;
const KILLS: u32 = 5;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("crash::every_line_is_delivered", every_line_is_delivered),
        test("crash::counts_in_globals_are_exact", || counts_are_exact("")),
        test("crash::counts_in_file_level_locals_are_exact", || counts_are_exact("local ")),
    ]
}

/// Starts the engine again and again and ends it at once, each time a little later; then lets it
/// get to the end.
fn run_through_kills(place: &Place) -> anyhow::Result<String> {
    for kill in 1..=KILLS {
        let engine = place.run(&["--until-done"])?;
        let until = Instant::now() + Duration::from_millis(u64::from(kill) * 60);
        while Instant::now() < until {
            std::thread::yield_now();
        }
        engine.kill()?;
    }
    let finished = place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    Ok(finished.stderr)
}

fn every_line_is_delivered() -> anyhow::Result<()> {
    let place = Place::new(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = 'TRUE'\npath = 'DIR/out'\n\
         encoder = 'PayloadEncoder'\n",
    )?;
    place.write("logs/log", &numbered_lines(LINES))?;
    run_through_kills(&place)?;
    let out = place.read("out");
    let lines: HashSet<&str> = out.lines().collect();
    for number in 0..LINES {
        let line = format!("line {number} of the log");
        anyhow::ensure!(lines.contains(&*line), "{line} is missing of {} lines", lines.len());
    }
    anyhow::ensure!(lines.len() == LINES, "there are lines that never were in the log");
    Ok(())
}

fn counts_are_exact(scope: &str) -> anyhow::Result<()> {
    let place = Place::new(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
         message_matcher = \"Type == 'logfile'\"\ntimer_event_on_shutdown = true\n\
         [totals]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.sandbox-output'\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\n",
    )?;
    place.write("logs/log", &numbered_lines(LINES))?;
    let script = format!(
        "{scope}messages = 0\n{scope}every = {{}}\n\
         function process_message(msg)\n\
         \x20 messages = messages + 1\n\
         \x20 local last = msg.Payload:sub(6, 6)\n\
         \x20 every[last] = (every[last] or 0) + 1\n\
         \x20 if messages % 10000 == 0 then inject_payload('txt', 'step', 'step ', messages, '\\n') end\n\
         \x20 return 0\n\
         end\n\
         function timer_event(ns)\n\
         \x20 local sum = 0\n\
         \x20 for _, count in pairs(every) do sum = sum + count end\n\
         \x20 inject_payload('txt', 'total', 'total ', messages, ' ', sum, '\\n')\n\
         end\n"
    );
    place.write("count.lua", &script)?;
    let stderr = run_through_kills(&place)?;
    let out = place.read("out");
    let total =
        out.lines().rfind(|line| line.starts_with("total ")).context("there is no total")?;
    anyhow::ensure!(total == format!("total {LINES} {LINES}"), "{total}; stderr:\n{stderr}");
    for step in (1..=LINES / 10_000).map(|step| format!("step {}", step * 10_000)) {
        anyhow::ensure!(out.lines().any(|line| line == step), "{step} is missing in:\n{out}");
    }
    Ok(())
}
