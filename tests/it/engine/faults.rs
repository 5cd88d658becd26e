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
    vec![
        test_with(&["strace"], "faults::a_failing_disk_loses_nothing", nothing_is_lost),
        test_with(&["strace"], "faults::a_note_that_is_not_synced_loses_nothing", unsynced_note),
    ]
}

const FILTER: &str = "local count = 0
function process_message()
  count = count + 1
  if count % 500 == 0 then inject_payload('txt', 'step', 'step ', count, '\\n') end
  return 0
end
";

/// A place that copies a log.
fn place() -> anyhow::Result<Place> {
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
    Ok(place)
}

/// Adds the lines of a round to the log.
fn add(place: &Place, round: usize) -> anyhow::Result<()> {
    let mut log = std::fs::OpenOptions::new().append(true).open(place.path("logs/log"))?;
    for number in round * LINES..(round + 1) * LINES {
        writeln!(log, "line {number:08} of the log")?;
    }
    Ok(())
}

/// The output has synced its file, and cannot note that it has: the lines come again, after they were
/// cut off.
fn unsynced_note() -> anyhow::Result<()> {
    const ROUNDS: usize = 4;
    let place = place()?;
    for round in 0..ROUNDS {
        add(&place, round)?;
        let notes = std::fs::read_dir(place.path("state/outputs"));
        let notes = notes.into_iter().flatten().flatten().map(|note| note.path());
        let notes: Vec<String> = notes.map(|path| path.display().to_string()).collect();
        anyhow::ensure!(round == 0 || notes.len() == 2, "{notes:?} are the notes");
        let inject = format!("inject=fdatasync:error=EIO:when={0}..{0}", 1 + round % 2);
        let mut under = vec!["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"];
        under.extend(["-e", &inject]);
        under.extend(notes.iter().flat_map(|path| ["-P", path]));
        let ended = if round == 0 {
            place.run(&["--until-done"])?.finish()?
        } else {
            place.run_under(&under, &["--until-done"])?.finish()?
        };
        let stderr = ended.expect_code(0)?.stderr;
        let copied = check_copy(&place.read("copy"), (round + 1) * LINES);
        copied.with_context(|| format!("round {round}: {stderr}"))?;
    }
    Ok(())
}

fn nothing_is_lost() -> anyhow::Result<()> {
    let (mut moments, rounds) = (Moments::new()?, moments::rounds(4)?);
    let place = place()?;
    let mut told = String::new();
    for round in 0..rounds {
        add(&place, round)?;
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
        let at = if is_of_the_copy { &copy } else { "" };
        told += &format!("round {round}: {inject} {at}: {}{}\n", ended.stderr, ended.status);
        // What fails while it starts is told, and ends it.
        let is_told = matches!(ended.status.code(), Some(0 | 1));
        let what = || format!("HEKA_SEED={} HEKA_ROUNDS={rounds}: {told}", moments.seed);
        anyhow::ensure!(is_told && !ended.stderr.contains("panicked"), what());
    }
    let ended = place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    let lines = rounds * LINES;
    told += &ended.stderr;
    let what = || format!("HEKA_SEED={} HEKA_ROUNDS={rounds}: {told}", moments.seed);
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
