//! The processes that take most of the processors and most memory.

use std::collections::BTreeMap;

use super::look::Report;
use super::look::finish;
use super::look::read;
use super::look::whole;

/// The longest command that is told, in bytes.
const MAX_COMMAND: usize = 512;

/// The ticks of the last look, by process and when it started.
pub(super) type Seen = BTreeMap<(u64, u64), u64>;

/// A process.
#[derive(Clone, Debug, Default, PartialEq)]
struct Process {
    id: u64,
    name: String,
    state: char,
    /// What it took of the processors since its start, in ticks.
    ticks: u64,
    threads: u64,
    /// When it started, in ticks since the start of the machine.
    started: u64,
    /// Memory it has in use, in pages.
    pages: u64,
    /// What it took of a processor since the last look, in percent.
    share: Option<f64>,
}

pub(super) fn put(seen: &mut Seen, report: &mut Report<'_>) {
    let Ok(folder) = std::fs::read_dir(&report.settings.proc_path) else { return };
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    let mut all = Vec::new();
    let mut states: BTreeMap<char, u64> = BTreeMap::new();
    for entry in folder.flatten() {
        let name = entry.file_name();
        let is_process = name.to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()));
        let text = if is_process { read(&entry.path().join("stat")) } else { None };
        let Some(mut process) = text.as_deref().and_then(parse) else { continue };
        let before = seen.get(&(process.id, process.started));
        if let (Some(before), Some(elapsed)) = (before, report.elapsed) {
            let ticks = process.ticks.saturating_sub(*before) as f64;
            process.share = Some(ticks / ticks_per_second * 100.0 / elapsed);
        }
        *states.entry(process.state).or_default() += 1;
        all.push(process);
    }
    *seen = all.iter().map(|one| ((one.id, one.started), one.ticks)).collect();
    put_counts(&states, report);
    let most = report.settings.top_processes;
    let by_share = ranked(&all, most, |one| one.share.filter(|share| *share > 0.0));
    let by_memory = ranked(&all, most, |one| Some(one.pages as f64).filter(|pages| *pages > 0.0));
    for (index, process) in all.iter().enumerate() {
        let rank = |ranks: &[usize]| ranks.iter().position(|at| *at == index);
        let (cpu_rank, memory_rank) = (rank(&by_share), rank(&by_memory));
        if cpu_rank.is_some() || memory_rank.is_some() {
            put_process(process, [cpu_rank, memory_rank], report);
        }
    }
}

/// How many processes there are in each state.
fn put_counts(states: &BTreeMap<char, u64>, report: &mut Report<'_>) {
    let mut message = report.begin("stats.processes");
    let names = [
        ('R', "running"),
        ('S', "sleeping"),
        ('D', "blocked"),
        ('Z', "zombies"),
        ('T', "stopped"),
        ('I', "idle"),
    ];
    for (state, name) in names {
        message.integer(name, "", whole(states.get(&state).copied().unwrap_or(0)));
    }
    message.integer("total", "", whole(states.values().sum()));
    finish(message);
}

/// The places of those with most of something, most first.
fn ranked(all: &[Process], most: usize, of: impl Fn(&Process) -> Option<f64>) -> Vec<usize> {
    let mut ranked: Vec<(usize, f64)> =
        all.iter().enumerate().filter_map(|(at, one)| Some((at, of(one)?))).collect();
    ranked.sort_by(|one, other| other.1.total_cmp(&one.1));
    ranked.truncate(most);
    ranked.into_iter().map(|(at, _)| at).collect()
}

fn put_process(process: &Process, ranks: [Option<usize>; 2], report: &mut Report<'_>) {
    let command = report.proc(&format!("{}/cmdline", process.id)).unwrap_or_default();
    let page = rustix::param::page_size() as u64;
    let mut message = report.begin("stats.process");
    message.integer("pid", "", whole(process.id)).string("name", "", process.name.as_bytes());
    let command = command.replace('\0', " ");
    if !command.trim().is_empty() {
        let end = command.floor_char_boundary(MAX_COMMAND);
        message.string("command", "", command[..end].trim_end().as_bytes());
    }
    message.string("state", "", process.state.encode_utf8(&mut [0; 4]).as_bytes());
    message.integer("threads", "", whole(process.threads));
    message.integer("memory", "B", whole(process.pages.saturating_mul(page)));
    if let Some(share) = process.share {
        message.double("cpu", "%", share);
    }
    for (name, rank) in ["cpu_rank", "memory_rank"].iter().zip(ranks) {
        if let Some(rank) = rank {
            message.integer(name, "", whole(rank as u64 + 1));
        }
    }
    finish(message);
}

/// Reads `/proc/ID/stat`: `7 (name) S …`; the name may have spaces and brackets in it.
fn parse(text: &str) -> Option<Process> {
    let (head, rest) = text.rsplit_once(") ")?;
    let (id, name) = head.split_once(" (")?;
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The state is the third column.
    let column = |number: usize| words.get(number - 3)?.parse::<u64>().ok();
    Some(Process {
        id: id.parse().ok()?,
        name: name.to_owned(),
        state: words.first()?.chars().next()?,
        ticks: column(14)? + column(15)?,
        threads: column(20)?,
        started: column(22)?,
        pages: column(24)?,
        share: None,
    })
}
