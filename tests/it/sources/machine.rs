//! What is told of this machine, held against what `free`, `vmstat` and `iostat` show: read before and
//! after, they enclose what was told in between.

use std::process::Command;

use anyhow::Context;
use libtest_mimic::Trial;

use super::daemons::Told;
use super::daemons::shipped;
use super::daemons::told;
use crate::harness::Place;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    let programs = ["free", "vmstat", "iostat"];
    vec![test_with(&programs, "sources::this_machine_is_told_as_its_tools_show_it", tools)]
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What the tools show at one time.
#[derive(Debug)]
struct Shown {
    /// Of `free -k`: all and available memory, all swap, in KiB.
    memory: [f64; 3],
    /// Of `vmstat -s`: context switches, forks, and when the machine was started.
    counts: [f64; 3],
    /// Of `iostat -d -k`: each device with what was read and written, in KiB.
    disks: Vec<(String, f64, f64)>,
}

fn shown() -> anyhow::Result<Shown> {
    let free = run("free", &["-k"])?;
    let cell = |line: &str, column: usize| -> anyhow::Result<f64> {
        let row = free.lines().find(|row| row.starts_with(line)).context("no such row in free")?;
        Ok(row.split_ascii_whitespace().nth(column).context("no such column")?.parse()?)
    };
    let vmstat = run("vmstat", &["-s"])?;
    let count = |name: &str| -> anyhow::Result<f64> {
        let row = vmstat.lines().find(|row| row.trim().ends_with(name));
        let row = row.with_context(|| format!("vmstat shows no {name}"))?;
        Ok(row.split_ascii_whitespace().next().context("an empty row")?.parse()?)
    };
    let iostat = run("iostat", &["-d", "-k"])?;
    let rows = iostat.lines().skip_while(|row| !row.starts_with("Device")).skip(1);
    let disks = rows.filter_map(|row| {
        let words: Vec<&str> = row.split_ascii_whitespace().collect();
        // The last three are what was read, written and discarded.
        let [name, .., read, written, _] = words[..] else { return None };
        Some((name.to_owned(), read.parse().ok()?, written.parse().ok()?))
    });
    Ok(Shown {
        memory: [cell("Mem:", 1)?, cell("Mem:", 6)?, cell("Swap:", 1)?],
        counts: [count("CPU context switches")?, count("forks")?, count("boot time")?],
        disks: disks.collect(),
    })
}

fn field(message: &Told, name: &str) -> anyhow::Result<f64> {
    let (value, _) = message.fields.get(name).with_context(|| format!("no {name}"))?;
    Ok(value.parse()?)
}

/// Fails unless the value lies between two others, give or take `tolerance`.
fn within(what: &str, value: f64, ends: [f64; 2], tolerance: f64) -> anyhow::Result<()> {
    let (low, high) = (ends[0].min(ends[1]) - tolerance, ends[0].max(ends[1]) + tolerance);
    anyhow::ensure!((low..=high).contains(&value), "{what}: {value} is not in {low}..={high}");
    Ok(())
}

fn tools() -> anyhow::Result<()> {
    let all = "message_matcher = \"Type =~ /^stats\\\\.(memstats|procstat|diskstats)$/\"";
    let changes =
        [("message_matcher = \"Type =~ /^stats\\\\.(loadavg|memstats|cpu|filesystem)$/\"", all)];
    let place = Place::new(&shipped("machine.toml", &changes)?)?;
    let before = shown()?;
    let mut engine = place.run(&[])?;
    let messages = engine.wait_for("all messages", |engine| {
        let messages = told(engine);
        let kinds = ["stats.memstats", "stats.procstat", "stats.diskstats"];
        let is_there = |kind: &&str| messages.iter().any(|it| it.kind == **kind);
        // Disks come after processors: those of the first round are there once memory comes again.
        let rounds = messages.iter().filter(|it| it.kind == "stats.memstats").count();
        (rounds > 1 && kinds.iter().all(is_there)).then_some(messages)
    })?;
    let after = shown()?;
    engine.stop()?.expect_code(0)?;
    let first = |kind: &str| messages.iter().find(|it| it.kind == kind).context("not told");
    let memory = first("stats.memstats")?;
    let [total, _, swap] = before.memory;
    within("MemTotal", field(memory, "MemTotal")?, [total; 2], 0.0)?;
    within("SwapTotal", field(memory, "SwapTotal")?, [swap; 2], 0.0)?;
    // Memory comes and goes between two looks, by no more than others take in that time.
    let available = [before.memory[1], after.memory[1]];
    within("MemAvailable", field(memory, "MemAvailable")?, available, total / 4.0)?;
    let counts = first("stats.procstat")?;
    for (index, name) in ["ctxt", "processes", "btime"].into_iter().enumerate() {
        // The start is counted back from now, and may be a second off.
        let tolerance = if name == "btime" { 1.0 } else { 0.0 };
        let ends = [before.counts[index], after.counts[index]];
        within(name, field(counts, name)?, ends, tolerance)?;
    }
    anyhow::ensure!(!before.disks.is_empty(), "iostat shows no disk");
    for (name, read, written) in &before.disks {
        let is_it = |it: &&Told| {
            it.kind == "stats.diskstats" && it.fields.get("device").is_some_and(|it| it.0 == *name)
        };
        let message = messages.iter().find(is_it);
        let message = message.with_context(|| format!("nothing is told of {name}"))?;
        let later = after.disks.iter().find(|it| it.0 == *name).context("a disk has gone")?;
        let kilobytes = |sectors: f64| sectors / 2.0;
        let sectors_read = kilobytes(field(message, "SectorsRead")?);
        within("read", sectors_read, [*read, later.1], 1.0)?;
        let sectors_written = kilobytes(field(message, "SectorsWritten")?);
        within("written", sectors_written, [*written, later.2], 1.0)?;
    }
    Ok(())
}
