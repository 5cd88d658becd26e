//! Many swaps of a filter with a large state while messages stream in.
//!
//! `HEKA_ROUNDS=1000 cargo test --release --test it swaps` measures; a plain run makes a few. What it
//! shows of the pauses is printed, and held to the limit where there are enough rounds to tell.

use anyhow::Context;
use libtest_mimic::Trial;

use super::Counting;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![test("sandboxes::swaps_of_a_large_state_lose_and_double_nothing", swaps)]
}

const CONFIG: &str = "[hekad]\nbase_dir = 'DIR/state'\n[hekad.admin]\naddress = '127.0.0.1:0'\n\
    [hekad.journal]\nmax_bytes = '8GiB'\n\
    [lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\ndecoder = 'ProtobufDecoder'\n\
    splitter = 'HekaFramingSplitter'\n\
    [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\nmemory_limit = '64MiB'\n\
    message_matcher = \"Type == 'hekabench'\"\ntimer_event_on_shutdown = true\n\
    [PayloadEncoder]\n[out]\ntype = 'FileOutput'\n\
    message_matcher = \"Type == 'heka.sandbox-output'\"\npath = 'DIR/out'\n\
    flush_interval = 10\nencoder = 'PayloadEncoder'\n";

/// The longest that one pause in a hundred may take, in microseconds.
const MAX_PAUSE: u64 = 20_000;

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
    let address = counting.engine.address("lines")?.to_string();
    let flood = ["flood", "--size", "200", "--interval", "20us", &address];
    let flood = counting.place.start(&flood)?;
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
    flood.kill()?;
    let stderr = counting.engine.stop()?.expect_code(0)?.stderr;
    check_pauses(&stderr, rounds)?;
    let out = counting.place.read("out");
    let total = out.lines().last().and_then(|line| line.strip_prefix("total "));
    let total = total.with_context(|| format!("no total; {stderr}"))?;
    let received =
        stderr.lines().find_map(|line| line.split_once(" messages in")?.0.split(' ').next_back());
    anyhow::ensure!(received == Some(total), "{total} were counted of {received:?}");
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
    anyhow::ensure!(rounds < 100 || at(99) < MAX_PAUSE, "p99 is {} us", at(99));
    Ok(())
}
