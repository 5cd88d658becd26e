//! `lpeg` and `re` beside the LPeg in C: the same scripts, the same answers.

use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use heka::message::Batch;
use heka::sandbox::EntryTime;
use heka::sandbox::Role;
use heka::sandbox::Sandbox;
use heka::sandbox::Script;
use heka::sandbox::Spec;
use libtest_mimic::Trial;

use crate::suite::test_with;

const SHOW: &str = include_str!("../data/lpeg/show.lua");
const CASES: &str = include_str!("../data/lpeg/cases.lua");
const RANDOM: &str = include_str!("../data/lpeg/random.lua");

/// So many patterns are made at random.
const PATTERNS: u32 = 20_000;

pub(crate) fn trials() -> Vec<Trial> {
    let has_lpeg = Command::new("lua5.1").args(["-e", "require 'lpeg'"]).output();
    let needed =
        if has_lpeg.is_ok_and(|done| done.status.success()) { "lua5.1" } else { "lua-lpeg" };
    vec![
        test_with(
            &[needed],
            "lpeg::random_patterns_match_and_capture_as_in_c",
            random_patterns_match_and_capture_as_in_c,
        ),
        test_with(&[needed], "lpeg::what_we_expect_of_patterns_holds_in_c", expected_holds_in_c),
    ]
}

/// What `attempt` answers to each number, here.
fn ours(from: u32, to: u32) -> anyhow::Result<Vec<String>> {
    let text = format!(
        "{SHOW}\n{RANDOM}\nfunction process_message()
           for number = {from}, {to} do inject_payload('txt', '', attempt(number)) end
           return 0
         end"
    );
    let script = Script { path: "random.lua".into(), text };
    let mut spec = Spec::new("test", Role::Filter, script);
    spec.limits.cpu = Duration::ZERO;
    spec.limits.memory = 64 << 20;
    spec.limits.max_process_inject = u32::MAX;
    let mut sandbox = Sandbox::load(&spec)?;
    let mut batch = Batch::new();
    let mut builder = batch.begin();
    builder.uuid(&[7; 16]);
    builder.finish()?;
    let mut out = Batch::new();
    let mut failed = None;
    let now = EntryTime::default();
    let done = sandbox.process(&batch, &[0], now, &mut out, &mut |failure| failed = Some(failure));
    anyhow::ensure!(done.stop.is_none() && failed.is_none(), "{:?} {failed:?}", done.stop);
    Ok(out.iter().map(|message| String::from_utf8_lossy(message.payload()).into_owned()).collect())
}

/// What it answers in C; `None` where that aborts, which it does on some patterns.
fn theirs(from: u32, to: u32) -> anyhow::Result<Vec<Option<String>>> {
    let mut answers = Vec::new();
    while let Some(next) = Some(from + u32::try_from(answers.len())?).filter(|next| *next <= to) {
        let text = format!(
            "{SHOW}\n{RANDOM}\nfor number = {next}, {to} do
               io.stdout:write(attempt(number), '\\n') io.stdout:flush()
             end"
        );
        let done = Command::new("lua5.1").args(["-e", &text]).output().context("lua5.1")?;
        answers.extend(
            String::from_utf8_lossy(&done.stdout).lines().map(|line| Some(line.to_owned())),
        );
        if !done.status.success() {
            answers.push(None);
        }
    }
    Ok(answers)
}

fn expected_holds_in_c() -> anyhow::Result<()> {
    let text = format!("{SHOW}\n{CASES}\nio.stdout:write(wrong())");
    let done = Command::new("lua5.1").args(["-e", &text]).output().context("lua5.1")?;
    let wrong = String::from_utf8_lossy(&done.stdout).into_owned();
    anyhow::ensure!(done.status.success() && wrong.is_empty(), "{wrong} {done:?}");
    Ok(())
}

fn random_patterns_match_and_capture_as_in_c() -> anyhow::Result<()> {
    let mut differences = Vec::new();
    for from in (1..PATTERNS).step_by(1000) {
        let to = from + 999;
        for ((ours, theirs), number) in ours(from, to)?.iter().zip(theirs(from, to)?).zip(from..) {
            let Some(theirs) = theirs else { continue };
            // Of two mistakes in a pattern either may be found first.
            let are_errors = ours.contains(": error: ") && theirs.contains(": error: ");
            if theirs != *ours && !are_errors {
                differences.push(format!("{number}: {ours:?}, in C {theirs:?}"));
            }
        }
    }
    anyhow::ensure!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    Ok(())
}
