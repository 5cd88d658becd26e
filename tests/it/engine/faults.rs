//! No room, an error of the disk, read-only: injected into whatever the engine writes, syncs, renames
//! and makes, while it reads a log, counts and copies. No line is lost or torn, the counts are exact.
//!
//! `HEKA_ROUNDS` says how many times, `HEKA_SEED` where. The library's own tests try every place of the
//! journal, its values and its snapshots, one after the other.

use std::io::Write;

use anyhow::Context;
use libtest_mimic::Trial;

use crate::harness::Place;
use crate::harness::moments;
use crate::harness::moments::Moments;
use crate::suite::test_with;

/// Lines that each round adds.
const LINES: usize = 3_000;
/// After so many messages the filter says how far it is.
const STEP: usize = 500;
/// Which calls of the system fail.
const CALLS: [&str; 4] = ["fsync,fdatasync", "pwrite64", "rename,renameat,renameat2", "fallocate"];
/// Which of those fail that are about the copy.
const OF_THE_COPY: [&str; 2] = ["write,writev,pwrite64", "fsync,fdatasync"];
const ERRORS: [&str; 3] = ["ENOSPC", "EIO", "EROFS"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![test_with(&["strace"], "faults::a_failing_disk_loses_nothing", nothing_is_lost)]
}

const FILTER: &str = "local count = 0
function process_message()
  count = count + 1
  if count % 500 == 0 then inject_payload('txt', 'step', 'step ', count, '\\n') end
  return 0
end
";

fn nothing_is_lost() -> anyhow::Result<()> {
    let (mut moments, rounds) = (Moments::new()?, moments::rounds(4)?);
    let place = Place::new(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [PayloadEncoder]\nappend_newlines = false\n\
         [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
         message_matcher = \"Type == 'logfile'\"\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'logfile'\"\n\
         path = 'DIR/copy'\nencoder = 'PayloadEncoder'\n\
         retries = { delay = '10ms', max_delay = '50ms', max_jitter = '5ms' }\n\
         [steps]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.sandbox-output'\"\n\
         path = 'DIR/steps'\nencoder = 'PayloadEncoder'\n",
    )?;
    place.write("count.lua", FILTER)?;
    place.write("logs/log", "")?;
    for round in 0..rounds {
        let mut log = std::fs::OpenOptions::new().append(true).open(place.path("logs/log"))?;
        for number in round * LINES..(round + 1) * LINES {
            writeln!(log, "line {number:08} of the log")?;
        }
        let pick = |moments: &mut Moments, count: usize| {
            usize::try_from(moments.below(count as u64)).unwrap_or(0)
        };
        let is_of_the_copy = moments.below(3) == 0;
        let calls = if is_of_the_copy {
            OF_THE_COPY[pick(&mut moments, OF_THE_COPY.len())]
        } else {
            CALLS[pick(&mut moments, CALLS.len())]
        };
        let error = ERRORS[pick(&mut moments, ERRORS.len())];
        let from = 1 + moments.below(6);
        let to = from + moments.below(4);
        let inject = format!("inject={calls}:error={error}:when={from}..{to}");
        let trace = format!("trace={calls}");
        let copy = place.path("copy").display().to_string();
        let mut under = vec!["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        if is_of_the_copy {
            under.extend(["-P", &copy]);
        }
        let ended = place.run_under(&under, &["--until-done"])?.finish()?;
        let what = format!("HEKA_SEED={} round {round}: {inject}: {}", moments.seed, ended.stderr);
        // What fails while it starts is told, and ends it.
        let is_told = matches!(ended.status.code(), Some(0 | 1));
        anyhow::ensure!(is_told && !ended.stderr.contains("panicked"), "{what}");
    }
    let ended = place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    let lines = rounds * LINES;
    let what = || format!("HEKA_SEED={} HEKA_ROUNDS={rounds}: {}", moments.seed, ended.stderr);
    check_copy(&place.read("copy"), lines).with_context(what)?;
    let steps = place.read("steps");
    let mut said: Vec<&str> = steps.lines().collect();
    said.dedup();
    let expected: Vec<String> =
        (1..=lines / STEP).map(|step| format!("step {}", step * STEP)).collect();
    anyhow::ensure!(said == expected, "{said:?}; {}", what());
    Ok(())
}

/// Every line is there and whole, and comes again, if at all, in a run from some line on.
fn check_copy(copy: &str, lines: usize) -> anyhow::Result<()> {
    let mut next = 0;
    for line in copy.lines() {
        let number = line.strip_prefix("line ").and_then(|rest| rest.strip_suffix(" of the log"));
        let number: usize = number.with_context(|| format!("a torn line: {line}"))?.parse()?;
        anyhow::ensure!(number <= next, "{next} to {number} are missing");
        next = next.max(number + 1);
    }
    anyhow::ensure!(next == lines, "{next} of {lines} lines");
    Ok(())
}
