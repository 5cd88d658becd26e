//! No room, an error of the disk, read-only: injected into whatever agent or aggregator write, sync,
//! rename and make. What the agent was told to be durable is, and nothing is missing at the end.
//!
//! `HEKA_ROUNDS` says how many rounds there are, `HEKA_SEED` which faults.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::Context;
use libtest_mimic::Trial;

use super::agent_place;
use super::lines;
use super::start_aggregator;
use crate::harness::Engine;
use crate::harness::Finished;
use crate::harness::Place;
use crate::harness::moments;
use crate::harness::moments::Moments;
use crate::suite::test_with;

/// Lines that each round adds.
const LINES: usize = 3_000;
/// Which calls of the system fail.
const CALLS: [&str; 5] =
    ["fsync,fdatasync", "pwrite64", "rename,renameat,renameat2", "fallocate", "ftruncate"];
const ERRORS: [&str; 3] = ["ENOSPC", "EIO", "EROFS"];

pub(super) fn trials() -> Vec<Trial> {
    vec![test_with(&["strace"], "agents::failing_disks_lose_nothing", nothing_is_lost)]
}

fn nothing_is_lost() -> anyhow::Result<()> {
    let (mut moments, rounds) = (Moments::new()?, moments::rounds(4)?);
    let (place, first, address) = start_aggregator("")?;
    first.stop()?.expect_code(0)?;
    let agent = agent_place(&[address], "", 0)?;
    let mut told = String::new();
    for round in 0..=rounds {
        let mut log = std::fs::OpenOptions::new().append(true).open(agent.path("logs/log"))?;
        log.write_all(lines(round * LINES, (round + 1) * LINES).as_bytes())?;
        // In the last one nothing fails.
        let is_agent = moments.below(2) == 0;
        let inject = (round < rounds).then(|| inject(&mut moments));
        let victim = if is_agent { "agent" } else { "aggregator" };
        writeln!(told, "round {round}, the {victim}: {inject:?}")?;
        let (to_agent, to_aggregator) = if is_agent { (inject, None) } else { (None, inject) };
        let aggregator = start(&place, to_aggregator.as_deref(), &[])?;
        let ended = start(&agent, to_agent.as_deref(), &["--until-done"])?.finish()?;
        writeln!(told, "the agent: {}", ended.stderr)?;
        let what = || format!("HEKA_SEED={} HEKA_ROUNDS={rounds}: {told}", moments.seed);
        let is_well = ended.status.success() && !ended.stderr.contains("panicked");
        anyhow::ensure!(is_well, what());
        let count = (round + 1) * LINES;
        let ended = check(&place, aggregator, (round == rounds).then_some(count));
        let ended = ended.with_context(what)?;
        writeln!(told, "the aggregator: {}", ended.stderr)?;
    }
    Ok(())
}

/// Which calls fail, and from which on until which.
fn inject(moments: &mut Moments) -> String {
    let pick = |moments: &mut Moments, count: usize| {
        usize::try_from(moments.below(count as u64)).unwrap_or(0)
    };
    let calls = CALLS[pick(moments, CALLS.len())];
    let error = ERRORS[pick(moments, ERRORS.len())];
    let from = 1 + moments.below(8);
    let to = from + moments.below(4);
    format!("inject={calls}:error={error}:when={from}..{to}")
}

/// Starts an engine, with faults where there are some; once more without, where they end its start.
fn start(place: &Place, inject: Option<&str>, arguments: &[&str]) -> anyhow::Result<Engine> {
    let Some(inject) = inject else { return place.run(arguments) };
    let calls = inject.split([':', '=']).nth(1).unwrap_or_default();
    let trace = format!("trace={calls}");
    let under = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", inject];
    let mut engine = place.run_under(&under, arguments)?;
    let began = engine
        .wait_for("a start", |engine| engine.stderr().contains("heka has started").then_some(()));
    if began.is_ok() {
        return Ok(engine);
    }
    // What fails while it starts is told, and ends it.
    engine.finish()?.expect_code(1)?;
    place.run(arguments)
}

/// Waits for all lines where they are due; some may come again, in a run from some line on. Ends the
/// aggregator.
fn check(place: &Place, mut aggregator: Engine, due: Option<usize>) -> anyhow::Result<Finished> {
    if let Some(count) = due {
        let last = lines(count - 1, count);
        aggregator
            .wait_for("the last line", |_| place.read("out").ends_with(&last).then_some(()))?;
        let gaps = super::metric(&mut aggregator, "heka_agent_gaps_total")?;
        anyhow::ensure!(gaps == 0.0, "{gaps} gaps; {}", aggregator.stderr());
    }
    let ended = aggregator.stop()?;
    anyhow::ensure!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let mut next = 0;
    for line in place.read("out").lines() {
        let number = line.strip_prefix("line ").and_then(|rest| rest.get(..8));
        let number: usize = number.with_context(|| format!("a torn line: {line}"))?.parse()?;
        anyhow::ensure!(lines(number, number + 1).trim_end() == line, "a torn line: {line}");
        anyhow::ensure!(number <= next, "{next} to {number} are missing; {}", ended.stderr);
        next = next.max(number + 1);
    }
    anyhow::ensure!(due.is_none_or(|count| next == count), "{next} lines; {}", ended.stderr);
    Ok(ended)
}
