//! Many swaps of a filter with a large state while messages stream in.
//!
//! `HEKA_ROUNDS=1000 cargo test --release --test it swaps` measures; a plain run makes a few. What it
//! shows of the pauses and of the rate of the stream is printed, and held to the limits where there
//! are enough rounds to tell.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use libtest_mimic::Trial;

use super::Counting;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![test("sandboxes::swaps_of_a_large_state_lose_and_double_nothing", swaps)]
}

const CONFIG: &str = "[hekad]\nbase_dir = 'DIR/state'\n[hekad.admin]\naddress = '127.0.0.1:0'\n\
    [hekad.journal]\nmax_bytes = '8GiB'\n\
    [lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\ndecoder = ''\n\
    splitter = 'TokenSplitter'\n\
    [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\nmemory_limit = '64MiB'\n\
    message_matcher = \"Type == 'lines'\"\ntimer_event_on_shutdown = true\n\
    [PayloadEncoder]\n[out]\ntype = 'FileOutput'\n\
    message_matcher = \"Type == 'heka.sandbox-output'\"\npath = 'DIR/out'\n\
    flush_interval = 10\nencoder = 'PayloadEncoder'\n";

/// The longest that one pause in a hundred may take, in microseconds.
const MAX_PAUSE: u64 = 20_000;
/// Messages a second of the stream.
const RATE: u32 = 50_000;
/// From so many rounds on pauses and rate are held to their limits.
const MEASURED: usize = 100;

/// Lines at [`RATE`], from a thread of its own.
struct Stream {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<(usize, Duration)>>,
}

impl Stream {
    fn start(mut peer: TcpStream) -> Stream {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let thread = std::thread::spawn(move || {
            let begun = Instant::now();
            let mut sent = 0;
            let mut lines = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let due = begun.elapsed().as_micros() * u128::from(RATE) / 1_000_000;
                let due = usize::try_from(due)?;
                lines.clear();
                for number in sent..due {
                    writeln!(lines, "line {number:012} {:*<82}", "")?;
                }
                peer.write_all(&lines)?;
                sent = due;
                std::thread::park_timeout(Duration::from_millis(1));
            }
            Ok((sent, begun.elapsed()))
        });
        Stream { is_over, thread }
    }

    /// How many lines it has sent, and in what time.
    fn end(self) -> anyhow::Result<(usize, Duration)> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the stream has panicked"))?
    }
}

/// Counts, with 10 MiB of circular buffers and 256 KiB of tables, and says every hundredth.
fn script(version: u32) -> String {
    format!(
        "-- {version}\n\
         require 'circular_buffer'\n\
         local count, names, buffers = 0, {{}}, {{}}\n\
         for i = 1, 4 do buffers[i] = circular_buffer.new(32768, 10, 1) end\n\
         for i = 1, 4000 do names['name ' .. i] = i end\n\
         function process_message(msg)\n\
         \x20 count = count + 1\n\
         \x20 buffers[count % 4 + 1]:add(msg.Timestamp, 1, 1)\n\
         \x20 names['name ' .. (count % 4000 + 1)] = count\n\
         \x20 if count % 100 == 0 then inject_payload('txt', 'n', count / 100, '\\n') end\n\
         \x20 return 0\n\
         end\n\
         function timer_event(ns, is_shutdown)\n\
         \x20 if is_shutdown then inject_payload('txt', 'total', 'total ', count, '\\n') end\n\
         end\n"
    )
}

fn swaps() -> anyhow::Result<()> {
    let rounds = std::env::var("HEKA_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(12);
    let place = crate::harness::Place::new(CONFIG)?;
    place.write("count.lua", &script(0))?;
    let mut counting = Counting::start_in(place, 0)?;
    let stream = Stream::start(TcpStream::connect(counting.engine.address("lines")?)?);
    counting.engine.wait_for("the stream", |_| {
        (counting.place.read("out").lines().count() > 10).then_some(())
    })?;
    let kept = |counting: &Counting| -> anyhow::Result<(String, String)> {
        let status = counting.status("count")?;
        let hash = |index: usize| status["versions"][index]["hash"].as_str().map(str::to_owned);
        Ok((hash(0).context("no version")?, hash(1).unwrap_or_default()))
    };
    counting.place.write("count.lua", &script(1))?;
    counting.engine.wait_for("the second version", |engine| {
        engine.stderr().contains("has taken over").then_some(())
    })?;
    let (first, second) = kept(&counting)?;
    for round in 1..rounds {
        let hash = if round % 2 == 1 { &first } else { &second };
        counting.sandbox(&["rollback", "count", hash])?.expect_code(0)?;
        anyhow::ensure!(counting.status("count")?["version"] == hash.as_str());
        if round == rounds / 2 {
            // A failed swap leaves the old one running.
            counting.place.write("bad.lua", "function process_message( end\n")?;
            counting.sandbox(&["shadow", "count", "bad.lua"])?.expect_code(1)?;
        }
    }
    let (sent, took) = stream.end()?;
    let hundreds = (sent / 100).to_string();
    counting.engine.wait_for("the last hundred", |_| {
        counting.place.read("out").lines().any(|line| line == hundreds).then_some(())
    })?;
    let stderr = counting.engine.stop()?.expect_code(0)?.stderr;
    check_pauses(&stderr, rounds)?;
    let rate = sent as f64 / took.as_secs_f64();
    println!("{sent} messages, {rate:.0} a second");
    anyhow::ensure!(
        rounds < MEASURED || rate > 0.98 * f64::from(RATE),
        "{rate:.0} messages a second"
    );
    let out = counting.place.read("out");
    let total = out.lines().last().and_then(|line| line.strip_prefix("total "));
    let total = total.with_context(|| format!("no total; {stderr}"))?;
    anyhow::ensure!(total == sent.to_string(), "{total} were counted of {sent}");
    let mut expected = 0;
    for line in out.lines().filter(|line| !line.starts_with("total")) {
        expected += 1;
        anyhow::ensure!(line == expected.to_string(), "{line} is not {expected}");
    }
    anyhow::ensure!(total.parse::<u64>()? / 100 == expected, "{total} and {expected} hundreds");
    Ok(())
}

fn check_pauses(stderr: &str, rounds: usize) -> anyhow::Result<()> {
    let mut pauses: Vec<u64> = stderr
        .lines()
        .filter(|line| line.contains("has taken over"))
        .filter_map(|line| {
            let behind = line.split_once("pause_us=")?.1;
            behind.split(' ').next()?.parse().ok()
        })
        .collect();
    pauses.sort_unstable();
    anyhow::ensure!(pauses.len() == rounds, "{} of {rounds} swaps", pauses.len());
    let at = |part: usize| pauses[(pauses.len() * part / 100).min(pauses.len() - 1)];
    println!("{rounds} swaps, pauses in us: p50 {}, p99 {}, max {}", at(50), at(99), at(100));
    anyhow::ensure!(rounds < MEASURED || at(99) < MAX_PAUSE, "p99 is {} us", at(99));
    Ok(())
}
