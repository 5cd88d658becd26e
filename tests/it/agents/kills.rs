//! `kill -9` of agent, aggregator or both, at random moments under load.
//!
//! `HEKA_ROUNDS` says how many rounds there are, `HEKA_SEED` which moments.

use std::io::Write;
use std::time::Duration;
use std::time::Instant;

use libtest_mimic::Trial;

use super::agent_place;
use super::expect_lines;
use super::lines;
use super::start_aggregator;
use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::moments;
use crate::harness::moments::Moments;
use crate::suite::test;

/// Lines that each round adds.
const LINES: usize = 10_000;
/// The longest time until a kill.
const LONGEST: u64 = 400;

pub(super) fn trials() -> Vec<Trial> {
    vec![test("agents::nothing_is_lost_or_doubled_whoever_is_killed", whoever_is_killed)]
}

fn add(agent: &Place, from: usize) -> anyhow::Result<()> {
    let mut log = std::fs::OpenOptions::new().append(true).open(agent.path("logs/log"))?;
    Ok(log.write_all(lines(from, from + LINES).as_bytes())?)
}

fn whoever_is_killed() -> anyhow::Result<()> {
    let mut moments = Moments::new()?;
    let rounds = moments::rounds(6)?;
    let (place, mut aggregator, address) = start_aggregator("")?;
    let agent = agent_place(&[address], "", LINES)?;
    let mut sender = agent.run(&[])?;
    for round in 1..rounds {
        add(&agent, round * LINES)?;
        let until = Instant::now() + Duration::from_millis(moments.below(LONGEST));
        aggregator.wait_for("the moment", |_| (Instant::now() >= until).then_some(()))?;
        let victims = moments.below(3);
        let what = |engine: &Engine| {
            let stderr = engine.stderr();
            let is_well = !stderr.contains("ERROR") && !stderr.contains("panicked");
            anyhow::ensure!(is_well, "round {round}, HEKA_SEED={}: {stderr}", moments.seed);
            Ok(())
        };
        if victims != 0 {
            what(&aggregator)?;
            aggregator.kill()?;
            aggregator = place.run(&[])?;
        }
        if victims != 1 {
            what(&sender)?;
            sender.kill()?;
            sender = agent.run(&[])?;
        }
    }
    let arrived = expect_lines(&place, &mut aggregator, rounds * LINES);
    arrived.map_err(|error| {
        let (seed, sender) = (moments.seed, sender.stderr());
        error.context(format!("HEKA_SEED={seed} HEKA_ROUNDS={rounds}; the agent: {sender}"))
    })?;
    let gaps = super::metric(&mut aggregator, "heka_agent_gaps_total")?;
    anyhow::ensure!(gaps == 0.0, "{gaps} gaps");
    sender.stop()?.expect_code(0)?;
    aggregator.stop()?.expect_code(0)?;
    Ok(())
}
