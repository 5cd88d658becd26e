//! How long an acknowledgement takes, and an alert.
//!
//! `HEKA_ROUNDS=1000 cargo test --release --test it limits::latency` measures and holds both to their
//! limits; a plain run is short and only prints, as a machine that is busy says nothing of latencies.
//! `TMPDIR` says on which disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use heka::journal::Journal;
use heka::journal::Settings;
use heka::message::Batch;
use heka::message::Source;
use heka::message::SourcePosition;
use heka::stdx::clock::System;
use libtest_mimic::Trial;

use crate::harness::Place;
use crate::harness::moments::Moments;
use crate::harness::moments::rounds;
use crate::suite::test;

/// From so many rounds on the figures are held to their limits.
const MEASURED: usize = 100;
/// Messages a second.
const RATE: u32 = 100_000;
/// Bytes of a message.
const MESSAGE: usize = 300;
/// How often journal and bare disk take turns, so that what else the disk does meets both.
const TURNS: usize = 5;
/// The longest that one alert in a hundred may take.
const ALERT: Duration = Duration::from_millis(250);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("limits::latency::acknowledged_within_three_syncs_of_the_disk", acknowledgements),
        test("limits::latency::an_alert_comes_within_a_quarter_of_a_second", alerts),
    ]
}

/// The median and what one in a hundred exceeds.
fn percentiles(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    (at(50), at(99))
}

/// So many batches at the pace of [`RATE`], each appended when the last of its messages is there;
/// a round is a hundredth of a second.
fn acknowledgements() -> anyhow::Result<()> {
    let rounds = rounds(100)?;
    let folder = tempfile::tempdir()?;
    let settings = Settings { max_bytes: Some(2 << 30), ..Settings::default() };
    let clock = Arc::new(System::new());
    let journal = Journal::open(&folder.path().join("journal"), &settings, clock)?.0;
    let turn = Duration::from_millis(10 * rounds as u64) / u32::try_from(TURNS)?;
    let (mut acknowledged, mut synced) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        synced.extend(bare_syncs(&folder.path().join("bare"), turn)?);
        acknowledged.extend(appended(&journal, turn)?);
    }
    journal.close()?;
    let (count, syncs) = (acknowledged.len(), synced.len());
    let (bare, own) = (percentiles(&mut synced), percentiles(&mut acknowledged));
    let ratio = own.1.as_secs_f64() / bare.1.as_secs_f64();
    println!(
        "{RATE} messages a second: {count} batches acknowledged after {own:?} (p50, p99), \
         {syncs} times fdatasync {bare:?}; p99 is {ratio:.2} of it"
    );
    anyhow::ensure!(rounds < MEASURED * 10 || ratio < 3.0, "p99 is {ratio:.2} of the disk's own");
    Ok(())
}

/// How long each fdatasync takes where as much is written as comes meanwhile, into space that is
/// there, as the journal has it.
fn bare_syncs(path: &Path, lasts: Duration) -> anyhow::Result<Vec<Duration>> {
    let bytes = due(lasts);
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    nix::fcntl::posix_fallocate(&file, 0, i64::try_from(bytes * 2)?)?;
    file.sync_all()?;
    let noise: Vec<u8> = (0..1 << 20).flat_map(u32::to_be_bytes).collect();
    let began = Instant::now();
    let (mut written, mut times) = (0, Vec::new());
    while began.elapsed() < lasts {
        let due = due(began.elapsed());
        let Some(mut more) = due.checked_sub(written).filter(|more| *more > 0) else { continue };
        written = due;
        while more > 0 {
            let part = more.min(noise.len());
            file.write_all(&noise[..part])?;
            more -= part;
        }
        let asked = Instant::now();
        file.sync_data()?;
        times.push(asked.elapsed());
    }
    Ok(times)
}

/// How many bytes come in this time.
fn due(time: Duration) -> usize {
    let messages = time.as_micros() * u128::from(RATE) / 1_000_000;
    usize::try_from(messages).unwrap_or(0) * MESSAGE
}

/// How long each batch takes from its append until it is durable.
fn appended(journal: &Journal, lasts: Duration) -> anyhow::Result<Vec<Duration>> {
    let (appended, waiting) = mpsc::sync_channel(1 << 16);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || -> anyhow::Result<Vec<Duration>> {
            let mut times = Vec::new();
            let mut batches = VecDeque::new();
            while let Ok(first) = waiting.recv() {
                batches.push_back(first);
                while let Some((position, when)) = batches.pop_front() {
                    let when: Instant = when;
                    let is_durable = journal.wait_durable(position, Duration::from_mins(1))?;
                    anyhow::ensure!(is_durable, "a batch is not durable after a minute");
                    times.push(when.elapsed());
                    batches.extend(waiting.try_iter());
                }
            }
            Ok(times)
        });
        let every = Duration::from_secs(1) * u32::try_from(Batch::MAX_MESSAGES)? / RATE;
        let began = Instant::now();
        for number in 1.. {
            let due = every * number;
            if due > lasts {
                break;
            }
            let batch = batch(number)?;
            while let Some(left) = due.checked_sub(began.elapsed()) {
                std::thread::park_timeout(left);
            }
            let when = Instant::now();
            appended.send((journal.append(batch)?, when))?;
        }
        drop(appended);
        waiter.join().map_err(|_| anyhow::anyhow!("the waiter has panicked"))?
    })
}

fn batch(number: u32) -> anyhow::Result<Batch> {
    let mut batch = Batch::new();
    for place in 0..Batch::MAX_MESSAGES {
        let text = format!("{number} {place} ");
        let mut message = batch.begin();
        message.payload(text.repeat(MESSAGE / text.len()).as_bytes());
        message.finish()?;
    }
    batch.reach(&Source::from("latency"), SourcePosition::at(u64::from(number)));
    Ok(batch)
}

const ALERTING: &str = "local alert = require 'alert'
alert.set_throttle(1)
function process_message(msg)
  local number = msg.Payload:match('failure (%d+)')
  if number then alert.send(msg.Timestamp, 'failure ' .. number .. ' is seen') end
  return 0
end
";

/// Lines come at random moments; each has its alert on stdout. A round is a line.
fn alerts() -> anyhow::Result<()> {
    let (mut moments, rounds) = (Moments::new()?, rounds(10)?);
    let place = Place::new(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [watch]\ntype = 'SandboxFilter'\nfilename = 'DIR/watch.lua'\n\
         message_matcher = \"Type == 'logfile'\"\n\
         [AlertEncoder]\ntype = 'SandboxEncoder'\nfilename = 'lua_encoders/alert.lua'\n\
         [out]\ntype = 'LogOutput'\nmessage_matcher = \"Fields[payload_type] == 'alert'\"\n\
         encoder = 'AlertEncoder'\n",
    )?;
    place.write("watch.lua", ALERTING)?;
    place.write("logs/log", "")?;
    let mut engine = place.run(&[])?;
    let mut log = File::options().append(true).open(place.path("logs/log"))?;
    engine.wait_for("the start", |engine| {
        engine.stderr().contains("heka has started").then_some(())
    })?;
    let mut times = Vec::new();
    for round in 0..rounds {
        std::thread::park_timeout(Duration::from_micros(moments.below(100_000)));
        let alert = format!("failure {round} is seen");
        let written = Instant::now();
        writeln!(log, "a line about failure {round}")?;
        engine.wait_for(&alert, |engine| engine.stdout().contains(&alert).then_some(()))?;
        times.push(written.elapsed());
    }
    let found = percentiles(&mut times);
    println!("{rounds} lines, their alerts on stdout after {found:?} (p50, p99)");
    anyhow::ensure!(rounds < MEASURED || found.1 < ALERT, "{found:?}");
    engine.stop()?.expect_code(0)?;
    Ok(())
}
