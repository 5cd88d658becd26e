//! Measures what destinations cost, and how much statsd is taken in.
//!
//! `cargo bench --features full --bench destinations -- [--only graphite,statsd] [--messages N]`
//!
//! Each destination is a peer in this process that only acknowledges, fed with `--rate` messages a second.
//! Where the address of a real server is given (`--graphite 127.0.0.1:2003`, `--elasticsearch
//! http://127.0.0.1:9200`, `--kafka 127.0.0.1:9092`, `--cassandra 127.0.0.1:9042`), it is fed as fast as it
//! takes them, too. Cassandra has no peer without a node: a proxy before it answers what writes.
//!
//! What is counted is the CPU time of the engine alone, user and system, from its start on until the last
//! message is acknowledged.

#![allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
#![allow(clippy::print_stdout, reason = "that is what it is for")]

mod cassandra;
mod engine;
mod feed;
#[path = "../workloads/log.rs"]
#[allow(dead_code, reason = "the workloads need more of it")]
mod log;
mod peers;
mod rows;
mod statsd;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;

use engine::Engine;
use rows::Row;

/// Measures what destinations cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these, separated by commas: graphite, elasticsearch, kafka, cassandra, statsd
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// How many messages each gets
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// How many a second come in where the peer only acknowledges
    #[arg(long, default_value_t = 50_000)]
    rate: u64,
    /// For how many seconds statsd is fed
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// A real carbon-cache
    #[arg(long, value_name = "HOST:PORT")]
    graphite: Option<String>,
    /// A real Elasticsearch or OpenSearch
    #[arg(long, value_name = "URL")]
    elasticsearch: Option<String>,
    /// A real broker of Kafka, which makes topics by itself
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// A real node of Cassandra
    #[arg(long, value_name = "HOST:PORT")]
    cassandra: Option<String>,
    /// Who the node lets in, where it asks: `user:password`
    #[arg(long, value_name = "USER:PASSWORD")]
    cassandra_user: Option<String>,
    /// The binary to be measured
    #[arg(long, default_value = env!("CARGO_BIN_EXE_heka"))]
    bin: PathBuf,
    /// Where the journal is put; half a gigabyte
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    folder: PathBuf,
    /// What cargo says to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let is_wanted =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    println!("{:<15} {:<20} {:>12} {:>18}", "destination", "peer", "a second", "CPU s a million");
    for row in rows::all(&arguments) {
        if is_wanted(row.name) {
            measure(&arguments, &row).with_context(|| row.name)?;
        }
    }
    if is_wanted("statsd") {
        println!("\n{:<33} {:>12} {:>12} {:>18}", "statsd", "a second", "lost", "CPU s a million");
        statsd::measure(&arguments)?;
    }
    Ok(())
}

/// Measures one destination: the real server first, where there is one.
fn measure(arguments: &Arguments, row: &Row) -> anyhow::Result<()> {
    let lines = (row.lines)(&arguments.folder)?;
    if let Some(server) = &row.server {
        let (rate, cpu) = run(arguments, row, server, &lines, None)?;
        println!("{:<15} {:<20} {rate:>12.0} {cpu:>18.2}", row.name, "the real server");
    }
    match (row.peer)(row.server.as_deref())? {
        Some(peer) => {
            let rate = Some(arguments.rate);
            let (rate, cpu) = run(arguments, row, &peer.address, &lines, rate)?;
            println!("{:<15} {:<20} {rate:>12.0} {cpu:>18.2}", row.name, "only acknowledges");
        }
        None => println!("{:<15} {}", row.name, row.why_not),
    }
    Ok(())
}

/// Messages a second, and CPU seconds for a million of them.
fn run(
    arguments: &Arguments,
    row: &Row,
    address: &str,
    lines: &feed::Lines,
    rate: Option<u64>,
) -> anyhow::Result<(f64, f64)> {
    let folder = tempfile::tempdir_in(&arguments.folder)?;
    let config = row.config(address, arguments.cassandra_user.as_deref());
    let mut engine = Engine::start(&arguments.bin, folder.path(), &config)?;
    let to = engine.address("lines")?;
    let before = engine.cpu()?;
    let started = Instant::now();
    let total = arguments.messages;
    std::thread::scope(|scope| {
        let feeding = scope.spawn(|| feed::over_tcp(to, lines, total, rate));
        engine.wait_until_sent("out", total)?;
        feeding.join().map_err(|_| anyhow::anyhow!("the feeder has panicked"))?
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = engine.cpu()? - before;
    Ok((total as f64 / seconds, cpu * 1e6 / total as f64))
}
