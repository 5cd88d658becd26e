//! `kill -9` at random moments: every line is delivered once, and what filters count is exact.
//!
//! Each round adds to a log, starts the engine on what the last one left, and ends it at once, at a
//! random time or when it is a random way through the log. `HEKA_ROUNDS` says how many rounds there
//! are, `HEKA_SEED` which moments.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::moments;
use crate::harness::moments::Moments;
use crate::suite::test;

/// Lines that each round adds.
const LINES: usize = 30_000;
/// After so many messages the filter says how far it is.
const STEP: usize = 500;
/// The longest time until a kill, where time decides.
const LONGEST: u64 = 700;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("crash::every_line_is_delivered_once", every_line_is_delivered_once),
        test("crash::counts_in_globals_are_exact", || counts_are_exact("")),
        test("crash::counts_in_file_level_locals_are_exact", || counts_are_exact("local ")),
        test("crash::counts_of_many_filters_are_exact", counts_of_many_are_exact),
    ]
}

/// Runs all rounds, then once to the end; gives what the last run said and how many lines there
/// are. `line` writes a line of the log, `progress` says how many lines are done by what came out.
fn run_through_kills(
    place: &Place,
    line: fn(&mut String, usize),
    progress: fn(&Place) -> usize,
) -> anyhow::Result<(String, usize)> {
    let mut moments = Moments::new()?;
    let rounds = moments::rounds(3)?;
    place.write("logs/log", "")?;
    for round in 0..rounds {
        let mut more = String::new();
        (round * LINES..(round + 1) * LINES).for_each(|number| line(&mut more, number));
        let mut log = std::fs::OpenOptions::new().append(true).open(place.path("logs/log"))?;
        log.write_all(more.as_bytes())?;
        let mut engine = place.run(&["--until-done"])?;
        wait_for_the_moment(&mut moments, &mut engine, || {
            ((round + 1) * LINES).saturating_sub(progress(place))
        });
        let stderr = engine.stderr();
        let what = || format!("round {round} with HEKA_SEED={}: {stderr}", moments.seed);
        anyhow::ensure!(!stderr.contains("ERROR") && !stderr.contains("panicked"), what());
        // This kills it, if it has not come to its end.
        drop(engine);
    }
    let last = place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    let seed = format!("HEKA_SEED={} HEKA_ROUNDS={rounds}\n", moments.seed);
    Ok((seed + &last.stderr, rounds * LINES))
}

fn wait_for_the_moment(moments: &mut Moments, engine: &mut Engine, left: impl Fn() -> usize) {
    let by_time = moments.below(2) == 0;
    let until = Instant::now() + Duration::from_millis(moments.below(LONGEST));
    let at_most = usize::try_from(moments.below(left() as u64 + 1)).unwrap_or(0);
    // That it comes to its end before is as well.
    let _ = engine.wait_for("the moment", |_| {
        let has_come = if by_time { Instant::now() >= until } else { left() <= at_most };
        has_come.then_some(())
    });
}

/// Bytes of a numbered line.
const LINE: usize = 38;

fn numbered_line(out: &mut String, number: usize) {
    let _ = writeln!(out, "line {number:08} of a log that is copied");
}

fn every_line_is_delivered_once() -> anyhow::Result<()> {
    let place = Place::new(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = 'TRUE'\npath = 'DIR/out'\n\
         encoder = 'PayloadEncoder'\n",
    )?;
    let progress = |place: &Place| {
        let out = std::fs::metadata(place.path("out")).map_or(0, |out| out.len());
        usize::try_from(out).unwrap_or(0) / LINE
    };
    let (said, lines) = run_through_kills(&place, numbered_line, progress)?;
    let (log, out) = (place.read("logs/log"), place.read("out"));
    if log != out {
        let differs = log.lines().zip(out.lines()).position(|(log, out)| log != out);
        let counts = (out.lines().count(), lines);
        anyhow::bail!("{counts:?} lines, differing from line {differs:?} on; {said}");
    }
    Ok(())
}

/// The minute and the status of a request.
fn request(number: usize) -> (usize, usize) {
    let status = match number % 97 {
        0 => 500,
        1..10 => 404,
        10..20 => 301,
        _ => 200,
    };
    (number / 1_000, status)
}

fn access_line(out: &mut String, number: usize) {
    let (minute, status) = request(number);
    let (day, hour, minute) = (1 + minute / 1440, minute / 60 % 24, minute % 60);
    let second = number % 1_000 * 60 / 1_000;
    let _ = writeln!(
        out,
        "10.0.0.1 - - [{day:02}/Jan/2026:{hour:02}:{minute:02}:{second:02} +0000] \
         \"GET /{number} HTTP/1.1\" {status} {number} \"-\" \"curl/8.0\"",
    );
}

const FILTER: &str = "require 'circular_buffer'
SCOPEstatus = circular_buffer.new(1440, 1, 60)
SCOPEmessages, SCOPEevery = 0, {}
function process_message(msg)
  messages = messages + 1
  local key = tostring(msg.Fields.status)
  every[key] = (every[key] or 0) + 1
  status:add(msg.Timestamp, 1, msg.Fields.status)
  if messages % 500 == 0 then inject_payload('txt', 'step', 'step ', messages, '\\n') end
  return 0
end
function timer_event(ns)
  local keys = {}
  for key in pairs(every) do keys[#keys + 1] = key end
  table.sort(keys)
  local said = { 'total', messages }
  for _, key in ipairs(keys) do said[#said + 1] = key .. '=' .. every[key] end
  inject_payload('txt', 'total', table.concat(said, ' '), '\\n')
  inject_payload('cbuf', 'status', status)
end
";

fn counts_are_exact(scope: &str) -> anyhow::Result<()> {
    let place = Place::new(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         decoder = 'combined'\n\
         [combined]\ntype = 'AccessLogDecoder'\nlog_format = 'combined'\nmessage_type = 'access'\n\
         [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
         message_matcher = \"Type == 'access'\"\ntimer_event_on_shutdown = true\n\
         output_limit = 262144\n\
         [totals]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.sandbox-output'\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\n",
    )?;
    place.write(
        "count.lua",
        &FILTER
            .replace("SCOPEmessages, SCOPE", &format!("{scope}messages, "))
            .replace("SCOPE", scope),
    )?;
    let progress = |place: &Place| place.read("out").matches("step ").count() * STEP;
    let (said, lines) = run_through_kills(&place, access_line, progress)?;
    let out = place.read("out");
    check_totals(&out, lines).with_context(|| format!("{out}\n{said}"))
}

/// So many that a filter goes over several entries at a time.
const MANY: usize = 64;

const ONE_OF_MANY: &str = "local name, messages = read_config('name'), 0
function process_message()
  messages = messages + 1
  if messages % 10 == 0 then inject_payload('txt', '', name, ' step ', messages, '\\n') end
  return 0
end
";

fn counts_of_many_are_exact() -> anyhow::Result<()> {
    let mut text = "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\n\
        file_match = 'log'\ndecoder = 'combined'\n\
        [combined]\ntype = 'AccessLogDecoder'\nlog_format = 'combined'\nmessage_type = 'access'\n\
        [totals]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.sandbox-output'\"\n\
        path = 'DIR/out'\nencoder = 'PayloadEncoder'\n"
        .to_owned();
    for number in 0..MANY {
        let _ = write!(
            text,
            "[many_{number}]\ntype = 'SandboxFilter'\nfilename = 'DIR/many.lua'\n\
             message_matcher = 'Fields[status] == 500'\n\
             [many_{number}.config]\nname = 'many_{number}'\n"
        );
    }
    let place = Place::new(&text)?;
    place.write("many.lua", ONE_OF_MANY)?;
    let progress = |place: &Place| place.read("out").lines().count() * 10 * 97 / MANY;
    let (said, lines) = run_through_kills(&place, access_line, progress)?;
    let mut steps = BTreeMap::<&str, Vec<usize>>::new();
    let out = place.read("out");
    for line in out.lines() {
        let (name, step) = line.split_once(" step ").with_context(|| line.to_owned())?;
        steps.entry(name).or_default().push(step.parse()?);
    }
    let matched = (0..lines).filter(|number| request(*number).1 == 500).count();
    let expected: Vec<usize> = (1..=matched / 10).map(|step| step * 10).collect();
    anyhow::ensure!(steps.len() == MANY, "{} filters; {said}", steps.len());
    for (name, steps) in steps {
        anyhow::ensure!(steps == expected, "{name} has {steps:?}, not {expected:?}; {said}");
    }
    Ok(())
}

/// Every step once and in order, and at the end the totals and the sums of every minute.
fn check_totals(out: &str, lines: usize) -> anyhow::Result<()> {
    let steps: Vec<&str> = out.lines().filter(|line| line.starts_with("step ")).collect();
    let expected: Vec<String> =
        (1..=lines / STEP).map(|step| format!("step {}", step * STEP)).collect();
    anyhow::ensure!(steps == expected, "the steps are {steps:?}");
    let mut every = BTreeMap::<usize, usize>::new();
    let mut minutes = BTreeMap::<usize, usize>::new();
    for (minute, status) in (0..lines).map(request) {
        *every.entry(status).or_default() += 1;
        *minutes.entry(minute).or_default() += status;
    }
    let mut total = format!("total {lines}");
    for (status, count) in &every {
        let _ = write!(total, " {status}={count}");
    }
    let last = out.lines().rfind(|line| line.starts_with("total ")).context("no total")?;
    anyhow::ensure!(last == total, "{last}, not {total}");
    // The newest minute comes last; there are as many as in a day.
    let shown = minutes.len().min(1440);
    let sums: Vec<&str> = out.lines().rev().take(shown).collect();
    let expected: Vec<String> = minutes.values().rev().take(shown).map(usize::to_string).collect();
    anyhow::ensure!(sums == expected, "the sums are {sums:?}, not {expected:?}");
    Ok(())
}
