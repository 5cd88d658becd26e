//! Two machines with one journal, as copies of an image are, and agents that were put back.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;

use libtest_mimic::Trial;

use super::agent;
use super::agent_place;
use super::expect_lines;
use super::lines;
use super::metric;
use super::start_aggregator;
use crate::harness::Engine;
use crate::harness::Place;
use crate::suite::test;

const TOLD: &str = "[alerts]\ntype = 'LogOutput'\nmessage_matcher = \"Type =~ /^heka\\\\.agent/\"\n\
    encoder = 'PayloadEncoder'\n";

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test("agents::a_copied_journal_takes_nothing_from_its_twin", twins),
        test("agents::an_agent_that_was_put_back_sends_what_is_new", put_back),
        test("agents::an_agent_whose_journal_was_deleted_goes_on", deleted),
    ]
}

/// An agent with the state of another and lines of its own.
fn copy_of(other: &Place, addresses: &[SocketAddr], own: &str) -> anyhow::Result<Place> {
    let place = Place::new(&agent(addresses, ""))?;
    place.write("logs/log", own)?;
    copy(other, "state", &place, "state")?;
    Ok(place)
}

fn copy(from: &Place, name: &str, to: &Place, other: &str) -> anyhow::Result<()> {
    let mut command = std::process::Command::new("cp");
    let status = command.arg("-a").arg(from.path(name)).arg(to.path(other)).status()?;
    anyhow::ensure!(status.success(), "cannot copy {name}");
    Ok(())
}

fn add(agent: &Place, text: &str) -> anyhow::Result<()> {
    let mut log = std::fs::OpenOptions::new().append(true).open(agent.path("logs/log"))?;
    Ok(log.write_all(text.as_bytes())?)
}

/// Waits until each of these lines is there at least once.
fn expect_all(place: &Place, aggregator: &mut Engine, texts: &[String]) -> anyhow::Result<()> {
    let wanted: BTreeSet<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    let missing = |found: &str| {
        let found: BTreeSet<&str> = found.lines().collect();
        wanted.difference(&found).count()
    };
    let waited =
        aggregator.wait_for("all lines", |_| (missing(&place.read("out")) == 0).then_some(()));
    let count = missing(&place.read("out"));
    anyhow::ensure!(count == 0, "{count} lines of {} are missing", wanted.len());
    waited
}

/// Runs an agent that reaches nobody until it has read `count` lines.
fn read_alone(agent: &Place, count: usize) -> anyhow::Result<Engine> {
    let mut engine = agent.run(&[])?;
    let count = count as f64;
    while metric(&mut engine, "heka_input_messages_total{plugin=\"lines\"}")? < count {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(engine)
}

fn twins() -> anyhow::Result<()> {
    let (place, mut aggregator, address) = start_aggregator(TOLD)?;
    let one = agent_place(&[address], "", 1_000)?;
    one.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 1_000)?;
    let of_other = |from: usize, to: usize| lines(50_000 + from, 50_000 + to);
    let other = copy_of(&one, &[address], &of_other(0, 5_000))?;
    // One goes on; the other's journal has grown beyond that when it comes.
    add(&one, &lines(1_000, 2_000))?;
    one.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 2_000)?;
    aggregator.stop()?.expect_code(0)?;
    let mut second = read_alone(&other, 5_000)?;
    let mut aggregator = place.run(&[])?;
    let mut expected = vec![lines(0, 2_000), of_other(0, 5_000)];
    expect_all(&place, &mut aggregator, &expected)?;
    // Both at once, and started anew, by turns.
    let mut first = one.run(&[])?;
    for round in 0..4 {
        let (from, to) = (5_000 + round * 500, 5_500 + round * 500);
        add(&one, &lines(from, to))?;
        add(&other, &of_other(from, to))?;
        expected.extend([lines(from, to), of_other(from, to)]);
        expect_all(&place, &mut aggregator, &expected)?;
        match round {
            0 => {
                aggregator.wait_for("the two to be told", |engine| {
                    engine.stdout().contains("two machines are agent shop-1 (send)").then_some(())
                })?;
            }
            1 => {
                second.kill()?;
                second = other.run(&[])?;
            }
            _ => {
                first.kill()?;
                first = one.run(&[])?;
            }
        }
    }
    Ok(())
}

/// As a machine is that goes back to a snapshot: what is new has numbers that were given before.
fn put_back() -> anyhow::Result<()> {
    let (place, mut aggregator, address) = start_aggregator(TOLD)?;
    let agent = agent_place(&[address], "", 1_000)?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 1_000)?;
    copy(&agent, "state", &agent, "old")?;
    add(&agent, &lines(1_000, 2_000))?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 2_000)?;
    aggregator.stop()?.expect_code(0)?;
    std::fs::remove_dir_all(agent.path("state"))?;
    std::fs::rename(agent.path("old"), agent.path("state"))?;
    agent.write("logs/log", &(lines(0, 1_000) + &lines(7_000, 12_000)))?;
    let mut sender = read_alone(&agent, 5_000)?;
    let mut aggregator = place.run(&[])?;
    expect_all(&place, &mut aggregator, &[lines(0, 2_000), lines(7_000, 12_000)])?;
    let stderr = sender.stderr();
    anyhow::ensure!(stderr.contains("that it did not get from here"), "{stderr}");
    sender.wait_for("nothing", |_| Some(()))
}

/// What was read before is read again: nobody knows any more that it was.
fn deleted() -> anyhow::Result<()> {
    let (place, mut aggregator, address) = start_aggregator(TOLD)?;
    let agent = agent_place(&[address], "", 1_000)?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 1_000)?;
    std::fs::remove_dir_all(agent.path("state"))?;
    agent.write("logs/log", &lines(1_000, 3_000))?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 3_000)?;
    anyhow::ensure!(!aggregator.stdout().contains("agent"), "{}", aggregator.stdout());
    Ok(())
}
