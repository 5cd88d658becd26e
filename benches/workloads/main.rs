//! Runs the workloads that the engine is measured by, and prints what they cost.
//!
//! `cargo bench --bench workloads -- [--log FILE] [--only W1,W3] [--messages N]`
//!
//! Each configuration beside this file runs in a process of its own, from an empty state; what
//! comes out is held against what went in. Beside the CPU seconds for a million messages stands the
//! same figure as the reference machine would have it: there `gzip -1` takes 2.40 seconds over the
//! same log.

#![allow(clippy::cast_possible_truncation, reason = "counts are far below 2^52")]

mod log;
mod measure;
mod messages;
mod workload;

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use measure::Cost;
use workload::Given;
use workload::WORKLOADS;
use workload::Workload;

/// CPU seconds that `gzip -1` takes for a million lines on the reference machine.
const REFERENCE: f64 = 2.40;
/// The log is always the same.
const SEED: u64 = 2026;

/// Runs the workloads and prints what they cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// An access log in combined format, repeated until it is long enough [default: made anew]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Only these workloads, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// How many lines or messages
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// The binary to be measured
    #[arg(long, default_value = env!("CARGO_BIN_EXE_heka"))]
    bin: PathBuf,
    /// Where logs and journals are put; half a gigabyte each
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    folder: PathBuf,
    /// What cargo says to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == measure::MEASURE) {
        return measure::measure(&arguments[2..]);
    }
    run(&Arguments::parse())
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let chosen: Vec<&Workload> = WORKLOADS
        .iter()
        .filter(|one| {
            arguments.only.is_empty() || arguments.only.iter().any(|name| name == one.name)
        })
        .collect();
    anyhow::ensure!(!chosen.is_empty(), "there is no workload called {:?}", arguments.only);
    let folder = tempfile::tempdir_in(&arguments.folder)?;
    let folder = folder.path();
    let log = folder.join("log");
    match &arguments.log {
        Some(given) => log::repeat(given, &log, arguments.messages)?,
        None => log::make(&log, arguments.messages, SEED)?,
    }
    let gzip = gzip(folder, &log)?;
    let per_million = 1e6 / arguments.messages as f64;
    let scale = REFERENCE / (gzip.cpu * per_million);
    println!(
        "{} lines, {} bytes; gzip -1 takes {:.2} CPU-s, a factor of {scale:.2} to the reference",
        arguments.messages,
        std::fs::metadata(&log)?.len(),
        gzip.cpu
    );
    let needs_stream = chosen.iter().any(|one| one.is_sent());
    let stream =
        needs_stream.then(|| messages::make(&log, &folder.join("messages"))).transpose()?;
    if let Some(stream) = &stream {
        println!("{} messages, {} bytes", stream.messages, stream.bytes);
    }
    let heka = &arguments.bin;
    let given = Given { heka, folder, lines: arguments.messages, stream: stream.as_ref() };
    table(&chosen, &given, scale)
}

/// Runs the workloads, and prints a row for each as it is done.
fn table(chosen: &[&Workload], given: &Given<'_>, scale: f64) -> anyhow::Result<ExitCode> {
    let per_million = 1e6 / given.lines as f64;
    println!(
        "\n| workload | wall s | CPU-s/M | as reference | at most | peak MiB | at most | output bytes |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut is_wrong = false;
    for workload in chosen {
        match workload.run(given) {
            Ok((cost, bytes)) => {
                let cpu = cost.cpu * per_million;
                let memory = workload.memory.map_or("–".to_owned(), |most| most.to_string());
                println!(
                    "| {} | {:.2} | {cpu:.2} | {:.2} | {:.2} | {} | {memory} | {bytes} |",
                    workload.name,
                    cost.wall,
                    cpu * scale,
                    workload.cpu,
                    cost.peak_memory >> 20,
                );
            }
            Err(error) => {
                is_wrong = true;
                println!("| {} | failed: {error:#} |", workload.name);
            }
        }
    }
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What `gzip -1` over the log takes.
fn gzip(folder: &Path, log: &Path) -> anyhow::Result<Cost> {
    let result = folder.join("gzip.json");
    let command = ["gzip", "-1", "-c", &log.to_string_lossy()];
    let cost = Cost::read(measure::start(&command, &result, Path::new("/dev/null"))?, &result);
    cost.context("cannot measure gzip")
}
