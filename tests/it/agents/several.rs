//! Several aggregators, gaps, silence, and agents that send now and then.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use libtest_mimic::Trial;

use super::agent_place;
use super::expect_lines;
use super::lines;
use super::metric;
use super::start_aggregator;
use crate::harness::Place;
use crate::suite::test;

const LINES: usize = 20_000;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test("agents::another_aggregator_takes_over", another_takes_over),
        test("agents::agents_change_over_now_and_then", change_over),
        test("agents::a_gap_is_named", gap_is_named),
        test("agents::a_silent_agent_is_reported", silence),
        test("agents::messages_are_gathered_for_a_while", gathered),
        test("agents::what_an_aggregator_has_lost_comes_again", lost_comes_again),
        test("agents::the_configurations_shipped_run_together", shipped),
    ]
}

fn add(agent: &Place, from: usize, to: usize) -> anyhow::Result<()> {
    let mut log = std::fs::OpenOptions::new().append(true).open(agent.path("logs/log"))?;
    Ok(log.write_all(lines(from, to).as_bytes())?)
}

/// The lines that have arrived at either.
fn union(places: &[&Place]) -> BTreeSet<String> {
    places
        .iter()
        .flat_map(|place| place.read("out").lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

fn another_takes_over() -> anyhow::Result<()> {
    let (one, first, one_address) = start_aggregator("")?;
    let (two, second, two_address) = start_aggregator("")?;
    let agent = agent_place(&[one_address, two_address], "ack_timeout = '2s'", LINES)?;
    let mut sender = agent.run(&[])?;
    let mut left = [(&one, Some(first)), (&two, Some(second))];
    for round in 1..4 {
        let count = round * LINES;
        sender.wait_for("what was read so far", |_| {
            (union(&[&one, &two]).len() >= count).then_some(())
        })?;
        // One of them goes, the other has come back.
        if let Some(engine) = left[round % 2].1.take() {
            engine.kill()?;
        }
        let (place, engine) = &mut left[(round + 1) % 2];
        if engine.is_none() {
            *engine = Some(place.run(&[])?);
        }
        add(&agent, count, count + LINES)?;
    }
    let all: BTreeSet<String> = lines(0, 4 * LINES).lines().map(str::to_owned).collect();
    sender.wait_for("all lines", |_| (union(&[&one, &two]) == all).then_some(()))?;
    Ok(())
}

fn change_over() -> anyhow::Result<()> {
    let (one, mut first, one_address) = start_aggregator("")?;
    let (two, mut second, two_address) = start_aggregator("")?;
    let settings = "rebalance_interval = '100ms'";
    let agent = agent_place(&[one_address, two_address], settings, LINES)?;
    let mut sender = agent.run(&[])?;
    sender.wait_for("both to be connected to", |engine| {
        let stderr = engine.stderr();
        let is_in = |address: &std::net::SocketAddr| stderr.contains(&address.to_string());
        (is_in(&one_address) && is_in(&two_address)).then_some(())
    })?;
    add(&agent, LINES, 2 * LINES)?;
    let all = lines(0, 2 * LINES).len();
    sender.wait_for("all lines", |_| {
        (one.read("out").len() + two.read("out").len() >= all).then_some(())
    })?;
    // Nothing failed, so nothing was sent twice.
    let arrived = one.read("out").len() + two.read("out").len();
    anyhow::ensure!(arrived == all, "{arrived} bytes of {all}; {}", sender.stderr());
    anyhow::ensure!(!sender.stderr().contains("failed"), "{}", sender.stderr());
    for engine in [&mut first, &mut second] {
        let gaps = metric(engine, "heka_agent_gaps_total")?;
        anyhow::ensure!(gaps == 0.0, "{gaps} gaps");
    }
    Ok(())
}

const ALERTS: &str = "[alerts]\ntype = 'LogOutput'\nmessage_matcher = \"Type =~ /^heka\\\\.agent/\"\n\
    encoder = 'PayloadEncoder'\n";

/// The aggregator is down for so long that the agent's journal gives up what it has not got.
fn gap_is_named() -> anyhow::Result<()> {
    let (place, mut aggregator, address) = start_aggregator(ALERTS)?;
    let agent = agent_place(&[address], "", 100)?;
    let config = agent.read("heka.toml");
    let journal = "[hekad.journal]\nmax_bytes = 2097152\nfull_action = 'drop_oldest'\n";
    agent.write("heka.toml", &config.replace("[lines]", &format!("{journal}[lines]")))?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 100)?;
    aggregator.stop()?.expect_code(0)?;
    let mut sender = agent.run(&[])?;
    add(&agent, 100, 100_000)?;
    // Some of what is given up first waits in the output's queue already, and is sent.
    let began = Instant::now();
    while metric(&mut sender, "heka_input_messages_total")? < 99_900.0 {
        anyhow::ensure!(began.elapsed() < Duration::from_mins(1), "the log is not read");
        std::thread::sleep(Duration::from_millis(20));
    }
    anyhow::ensure!(
        sender.stderr().contains("a reader loses its oldest entries"),
        "nothing is lost"
    );
    let mut aggregator = place.run(&[])?;
    let said = aggregator.wait_for("the gap", |engine| {
        let stdout = engine.stdout();
        stdout.lines().find(|line| line.contains("were missed")).map(str::to_owned)
    });
    let said = said.with_context(|| format!("the agent says:\n{}", sender.stderr()))?;
    anyhow::ensure!(said.contains("agent shop-1 (send): entries"), "{said}");
    let last = lines(99_999, 100_000);
    aggregator.wait_for("the last line", |_| place.read("out").ends_with(&last).then_some(()))?;
    let missing = metric(&mut aggregator, "heka_agent_missing_entries_total")?;
    anyhow::ensure!(missing > 0.0, "{missing} entries");
    Ok(())
}

fn silence() -> anyhow::Result<()> {
    let settings = format!("silent_after = '200ms'\n{ALERTS}");
    let (place, mut aggregator, address) = start_aggregator(&settings)?;
    let agent = agent_place(&[address], "", 10)?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 10)?;
    aggregator.wait_for("the silence", |engine| {
        engine.stdout().contains("agent shop-1 (send) was not heard of").then_some(())
    })?;
    let silent = metric(&mut aggregator, "heka_agents_silent")?;
    anyhow::ensure!(silent == 1.0, "{silent} are silent");
    add(&agent, 10, 20)?;
    let _sender = agent.run(&[])?;
    aggregator.wait_for("its return", |engine| {
        engine.stdout().contains("agent shop-1 (send) is heard of again").then_some(())
    })?;
    expect_lines(&place, &mut aggregator, 20)
}

fn gathered() -> anyhow::Result<()> {
    let (place, mut aggregator, address) = start_aggregator("")?;
    let agent = agent_place(&[address], "flush_interval = '2s'", 10)?;
    let mut sender = agent.run(&[])?;
    expect_lines(&place, &mut aggregator, 10)?;
    add(&agent, 10, 50)?;
    expect_lines(&place, &mut aggregator, 50)?;
    // Two batches, and no more: the second when the time had come.
    let batches = metric(&mut aggregator, "heka_agent_batches_total")?;
    anyhow::ensure!(batches == 2.0, "{batches} batches");
    sender.wait_for("nothing", |_| Some(()))
}

/// The aggregator's state is put back to what it was some time ago.
fn lost_comes_again() -> anyhow::Result<()> {
    let (place, mut aggregator, address) = start_aggregator("")?;
    let agent = agent_place(&[address], "", 5_000)?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 5_000)?;
    aggregator.stop()?.expect_code(0)?;
    let copy = |from: &str, to: &str| {
        let mut command = std::process::Command::new("cp");
        command.arg("-a").arg(place.path(from)).arg(place.path(to)).status().map(drop)
    };
    copy("state", "backup")?;
    copy("out", "out.backup")?;
    let mut aggregator = place.run(&[])?;
    add(&agent, 5_000, 10_000)?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 10_000)?;
    aggregator.kill()?;
    std::fs::remove_dir_all(place.path("state"))?;
    std::fs::remove_file(place.path("out"))?;
    std::fs::rename(place.path("backup"), place.path("state"))?;
    std::fs::rename(place.path("out.backup"), place.path("out"))?;
    let mut aggregator = place.run(&[])?;
    add(&agent, 10_000, 11_000)?;
    let _sender = agent.run(&[])?;
    expect_lines(&place, &mut aggregator, 11_000)
}

/// As they are, but for ports and folders that others may use.
fn shipped() -> anyhow::Result<()> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let read = |name: &str| std::fs::read_to_string(root.join(name).join(format!("{name}.toml")));
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let adapt = |text: String, state: &str| {
        text.replace("127.0.0.1:5565", &free)
            .replace("127.0.0.1:4352", "127.0.0.1:0")
            .replace("127.0.0.1:4353", "127.0.0.1:0")
            .replace("/var/log", "DIR/logs")
            .replace("base_dir = \"heka-agent\"", &format!("base_dir = \"{state}\""))
    };
    let aggregator = adapt(read("aggregator")?, "");
    let place = Place::new(&format!("[hekad]\nbase_dir = \"DIR/state\"\n{aggregator}"))?;
    let mut engine = place.run(&[])?;
    engine.address("agents")?;
    let agent = Place::new(&adapt(read("agent")?, "DIR/state"))?;
    agent.write("logs/syslog", "a line for the aggregator\n")?;
    let mut sender = agent.run(&[])?;
    engine.wait_for("the line", |_| {
        let files = std::fs::read_dir(place.path("state")).ok()?;
        let mut texts =
            files.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok());
        texts.any(|text| text.contains("a line for the aggregator")).then_some(())
    })?;
    let connected = metric(&mut engine, "heka_agents_connected")?;
    anyhow::ensure!(connected == 1.0, "{connected} agents");
    sender.wait_for("nothing", |_| Some(()))?;
    sender.stop()?.expect_code(0)?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
