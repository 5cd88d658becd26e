//! The workloads: what runs, what it may cost, and what must have come out.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;

use super::measure;
use super::measure::Cost;
use super::messages::BUCKETS;
use super::messages::SHARDS;
use super::messages::Stream;

/// How long an engine may take to listen.
const START: Duration = Duration::from_secs(30);
/// What a run without more to read waits for, as `heka run` takes it.
const IDLE: &str = "2s";

/// A configuration to be run, and what it may cost.
pub(crate) struct Workload {
    /// Its name, that of its configuration as well.
    pub(crate) name: &'static str,
    config: &'static str,
    /// That of the engine it sends to.
    receiver: Option<&'static str>,
    /// CPU seconds for a million messages, at most, on the reference machine.
    pub(crate) cpu: f64,
    /// MiB of memory, at most.
    pub(crate) memory: Option<u64>,
    expected: Expected,
}

/// What must have come out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// The log itself.
    Copy,
    /// As many lines as the log has.
    Lines,
    /// The total of the filter is the number of lines.
    Total,
    /// The totals of so many filters, each of which gets one message in so many.
    Totals { filters: u64, one_in: u64 },
}

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "W1",
        config: include_str!("W1.toml"),
        receiver: None,
        cpu: 0.7,
        memory: Some(64),
        expected: Expected::Copy,
    },
    Workload {
        name: "W1m",
        config: include_str!("W1m.toml"),
        receiver: None,
        cpu: 0.45,
        memory: Some(64),
        expected: Expected::Copy,
    },
    Workload {
        name: "W2",
        config: include_str!("W2.toml"),
        receiver: None,
        cpu: 1.6,
        memory: Some(64),
        expected: Expected::Lines,
    },
    Workload {
        name: "W3",
        config: include_str!("W3.toml"),
        receiver: None,
        cpu: 1.5,
        memory: Some(64),
        expected: Expected::Total,
    },
    Workload {
        name: "W4",
        config: include_str!("W4.toml"),
        receiver: None,
        cpu: 1.0,
        memory: Some(64),
        expected: Expected::Totals { filters: 1, one_in: 1 },
    },
    Workload {
        name: "W5",
        config: include_str!("W5.toml"),
        receiver: None,
        cpu: 2.5,
        memory: Some(96),
        expected: Expected::Totals { filters: 50, one_in: BUCKETS },
    },
    Workload {
        name: "W6",
        config: include_str!("W6.toml"),
        receiver: None,
        cpu: 3.0,
        memory: None,
        expected: Expected::Totals { filters: 1000, one_in: SHARDS },
    },
    Workload {
        name: "W7",
        config: include_str!("W7.toml"),
        receiver: Some(include_str!("W7-aggregator.toml")),
        cpu: 2.0,
        memory: Some(96),
        expected: Expected::Copy,
    },
];

/// What the workloads read.
pub(crate) struct Given<'a> {
    /// The binary.
    pub(crate) heka: &'a Path,
    /// A folder with the log, called `log`, and the messages, called `messages`.
    pub(crate) folder: &'a Path,
    /// How many lines the log has.
    pub(crate) lines: u64,
    /// What is in `messages`, where a workload needs them.
    pub(crate) stream: Option<&'a Stream>,
}

impl Workload {
    /// Tells whether it is sent messages instead of reading the log.
    pub(crate) fn is_sent(&self) -> bool {
        matches!(self.expected, Expected::Totals { .. })
    }

    /// Runs it; gives what it took and how many bytes came out.
    ///
    /// # Errors
    /// When something else came out than must.
    pub(crate) fn run(&self, given: &Given<'_>) -> anyhow::Result<(Cost, u64)> {
        let out = given.folder.join("out");
        let state = given.folder.join("state");
        for left in [&out, &state] {
            let _ = std::fs::remove_file(left);
            let _ = std::fs::remove_dir_all(left);
        }
        let port = free_port()?;
        let config = given.folder.join("config.toml");
        std::fs::write(&config, fill(self.config, given.folder, port))?;
        let receiver = self.start_receiver(given, port)?;
        let mut cost = self.run_engine(given, &config, port)?;
        if let Some((receiver, result)) = receiver {
            cost = cost.beside(&Cost::read(receiver, &result)?);
        }
        let log = std::fs::read_to_string(given.folder.join("engine.stderr")).unwrap_or_default();
        let tail = log.lines().rev().take(20).collect::<Vec<_>>().join("\n  ");
        anyhow::ensure!(
            cost.exit_code == Some(0),
            "{} ended with {:?}; last lines first:\n  {tail}",
            self.name,
            cost.exit_code
        );
        self.check(given, &out).with_context(|| format!("{}: wrong output", self.name))?;
        let bytes = std::fs::metadata(&out)?.len();
        let _ = std::fs::remove_dir_all(&state);
        Ok((cost, bytes))
    }

    fn run_engine(&self, given: &Given<'_>, config: &Path, port: u16) -> anyhow::Result<Cost> {
        let heka = given.heka.to_string_lossy();
        let config = config.to_string_lossy();
        let mut command = vec![&*heka, "run", "--until-done", &config];
        if self.is_sent() {
            command.extend(["--idle", IDLE]);
        }
        let result = given.folder.join("cost.json");
        let _ = std::fs::remove_file(&result);
        let mut engine = measure::start(&command, &result, &given.folder.join("engine.stdout"))?;
        if self.is_sent()
            && let Some(stream) = connect(&mut engine, port)?
        {
            send(&given.folder.join("messages"), stream)?;
        }
        Cost::read(engine, &result)
    }

    /// Starts the engine that is sent to, where there is one; gives where its cost will stand.
    fn start_receiver(
        &self,
        given: &Given<'_>,
        port: u16,
    ) -> anyhow::Result<Option<(Child, PathBuf)>> {
        let Some(config) = self.receiver else { return Ok(None) };
        let path = given.folder.join("receiver.toml");
        std::fs::write(&path, fill(config, given.folder, port))?;
        let (heka, path) = (given.heka.to_string_lossy(), path.to_string_lossy());
        let command = [&*heka, "run", "--until-done", &*path, "--idle", IDLE];
        let result = given.folder.join("receiver.json");
        let _ = std::fs::remove_file(&result);
        let stdout = given.folder.join("receiver.stdout");
        let mut receiver = measure::start(&command, &result, &stdout)?;
        connect(&mut receiver, port)?;
        Ok(Some((receiver, result)))
    }

    fn check(&self, given: &Given<'_>, out: &Path) -> anyhow::Result<()> {
        match self.expected {
            Expected::Copy => are_equal(&given.folder.join("log"), out),
            Expected::Lines => {
                let lines = BufReader::with_capacity(1 << 20, std::fs::File::open(out)?)
                    .split(b'\n')
                    .count() as u64;
                anyhow::ensure!(lines == given.lines, "{lines} lines instead of {}", given.lines);
                Ok(())
            }
            Expected::Total => {
                let (count, _) = totals(out)?;
                anyhow::ensure!(count == given.lines, "total {count} instead of {}", given.lines);
                Ok(())
            }
            Expected::Totals { filters, one_in } => {
                let stream = given.stream.context("there are no messages")?;
                let expected = (0..filters)
                    .map(|filter| stream.messages.saturating_sub(filter % one_in).div_ceil(one_in))
                    .sum::<u64>();
                let (count, sent) = totals(out)?;
                anyhow::ensure!(count == expected, "total {count} instead of {expected}");
                anyhow::ensure!(
                    filters > 1 || sent == stream.sent,
                    "sum {sent} instead of {}",
                    stream.sent
                );
                Ok(())
            }
        }
    }
}

/// A configuration for this folder and port.
fn fill(config: &str, folder: &Path, port: u16) -> String {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/workloads");
    repeat(config)
        .replace("DIR", &folder.to_string_lossy())
        .replace("HERE", here)
        .replace("PORT", &port.to_string())
}

/// Writes out what stands between `# repeat TIMES over COUNT` and `# end`, with `NUMBER` counting
/// from zero and `OVER` what is left of that divided by COUNT.
fn repeat(config: &str) -> String {
    let Some((before, rest)) = config.split_once("# repeat ") else { return config.to_owned() };
    let (times, rest) = rest.split_once('\n').unwrap_or_default();
    let (block, behind) = rest.split_once("# end\n").unwrap_or_default();
    let (times, over) = times.split_once(" over ").unwrap_or_default();
    let (times, over) = (times.parse().unwrap_or(0_u64), over.parse().unwrap_or(1_u64));
    let blocks = (0..times).map(|number| {
        block.replace("NUMBER", &number.to_string()).replace("OVER", &(number % over).to_string())
    });
    format!("{before}{}{behind}", blocks.collect::<String>())
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Connects to an engine that may still be starting; `None` when it has ended already.
fn connect(engine: &mut Child, port: u16) -> anyhow::Result<Option<TcpStream>> {
    let started = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return Ok(Some(stream)),
            Err(_) if engine.try_wait()?.is_some() => return Ok(None),
            Err(error) if started.elapsed() > START => {
                engine.kill()?;
                return Err(error).context("the engine does not listen");
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Sends the file at `path`, and waits until the other end has read all.
fn send(path: &Path, mut stream: TcpStream) -> anyhow::Result<()> {
    let mut messages = std::fs::File::open(path)?;
    let mut chunk = vec![0; 256 * 1024];
    loop {
        let count = messages.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        stream.write_all(&chunk[..count]).context("the engine hangs up")?;
    }
    stream.shutdown(Shutdown::Write)?;
    // The engine closes when it has read all.
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn are_equal(one: &Path, other: &Path) -> anyhow::Result<()> {
    let mut one = BufReader::with_capacity(1 << 20, std::fs::File::open(one)?);
    let mut other = BufReader::with_capacity(1 << 20, std::fs::File::open(other)?);
    let mut at = 0;
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let count = left.len().min(right.len());
        anyhow::ensure!(left[..count] == right[..count], "differs behind byte {at}");
        if count == 0 {
            anyhow::ensure!(left.len() == right.len(), "ends at byte {at}");
            return Ok(());
        }
        one.consume(count);
        other.consume(count);
        at += count;
    }
}

/// The sums over all filters of the last that each has told: messages, and bytes.
fn totals(out: &Path) -> anyhow::Result<(u64, u64)> {
    let mut last = BTreeMap::new();
    for line in BufReader::new(std::fs::File::open(out)?).lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        if let ["total", name, messages, bytes] = words[..] {
            last.insert(name.to_owned(), (messages.parse::<u64>()?, bytes.parse::<u64>()?));
        }
    }
    let sums = last.values().fold((0, 0), |sums, total| (sums.0 + total.0, sums.1 + total.1));
    Ok(sums)
}
