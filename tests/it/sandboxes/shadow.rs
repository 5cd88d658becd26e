//! A version tried beside the one that runs.

use std::io::Write;

use libtest_mimic::Trial;

use super::CONFIG;
use super::Counting;
use super::script;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("sandboxes::a_shadow_is_compared_and_promoted_with_its_state", promoted),
        test("sandboxes::a_section_may_have_its_changes_tried_first", tried_first),
        test("sandboxes::a_shadow_that_fails_ends_alone", failing),
    ]
}

/// A script that alerts at every third line, with a count that goes on.
fn alerting(word: &str, every: u32) -> String {
    script(word).replace(
        "  return 0",
        &format!(
            "  if count % {every} == 0 then\n\
             \x20   inject_payload('alert', 'a', 'alert ', count, '\\n')\n  end\n  return 0"
        ),
    )
}

const TWO: &str = "[hekad]\nbase_dir = \"DIR/state\"\nmax_process_inject = 2\n\
    [hekad.admin]\naddress = \"127.0.0.1:0\"\n";

/// The difference, once both versions have gone over `lines`.
fn difference(counting: &Counting, lines: u64) -> anyhow::Result<serde_json::Value> {
    for _ in 0..3000 {
        let found = counting.status("count")?["difference"].clone();
        if found["shadow"]["injected"].as_u64() >= Some(lines) {
            return Ok(found);
        }
        // Asking takes its time; nothing else is to be waited for.
    }
    anyhow::bail!("the shadow does not come: {}", counting.status("count")?)
}

fn promoted() -> anyhow::Result<()> {
    let reports = "[reports]\ntype = 'FileOutput'\nencoder = 'PayloadEncoder'\n\
        message_matcher = \"Type == 'heka.shadow-report' && Fields[filter] == 'count' && \
        Fields[only_shadow] > 0\"\npath = 'DIR/reports'\nflush_interval = 10\n";
    let mut counting = Counting::start(&format!("{TWO}{CONFIG}{reports}"))?;
    counting.expect("first")?;
    counting.place.write("new.lua", &alerting("first", 3))?;
    let said = counting.sandbox(&["shadow", "count", "new.lua"])?.expect_code(0)?.stdout;
    anyhow::ensure!(said.contains("is tried beside"), "{said}");
    anyhow::ensure!(counting.status("count")?["state"] == "shadowed");
    for _ in 0..6 {
        counting.expect("first")?;
    }
    // Six counts and two alerts, of which the running version makes none.
    let found = difference(&counting, 8)?;
    anyhow::ensure!(found["same"] == 6, "{found}");
    anyhow::ensure!(found["only_shadow"]["alerts"] == 2, "{found}");
    anyhow::ensure!(found["only_live"]["messages"] == 0, "{found}");
    let shown = counting.sandbox(&["diff", "count"])?.expect_code(0)?.stdout;
    anyhow::ensure!(shown.contains("heka.sandbox-output alert 3"), "{shown}");
    counting.engine.wait_for("a report", |_| {
        counting.place.read("reports").contains("only_shadow").then_some(())
    })?;
    // It goes on after a kill, and takes over with what it has counted.
    counting = counting.kill()?;
    counting.expect("first")?;
    anyhow::ensure!(counting.status("count")?["state"] == "shadowed");
    counting.sandbox(&["promote", "count"])?.expect_code(0)?;
    anyhow::ensure!(!counting.place.read("out").contains("alert"));
    counting.expect("first")?;
    counting
        .engine
        .wait_for("an alert", |_| counting.place.read("out").contains("alert 9").then_some(()))?;
    // The file says the first version still, which does not come back by itself.
    counting = counting.kill()?;
    for _ in 0..3 {
        counting.expect("first")?;
    }
    counting
        .engine
        .wait_for("an alert", |_| counting.place.read("out").contains("alert 12").then_some(()))?;
    let counts: Vec<String> = counting.place.read("out").lines().map(str::to_owned).collect();
    let alerts = counts.iter().filter(|line| line.starts_with("alert")).count();
    anyhow::ensure!(alerts == 2 && counts.len() == counting.sent + alerts, "{counts:?}");
    counting.sandbox(&["promote", "count"])?.expect_code(2)?;
    counting.engine.stop()?.expect_code(0)?;
    Ok(())
}

fn tried_first() -> anyhow::Result<()> {
    let config =
        CONFIG.replace("filename = 'DIR/count.lua'", "filename = 'DIR/count.lua'\nshadow = true");
    let mut counting = Counting::start(&config)?;
    counting.expect("first")?;
    counting.edit(&script("second"))?;
    counting.expect("first")?;
    anyhow::ensure!(counting.status("count")?["state"] == "shadowed");
    counting = counting.kill()?;
    counting.expect("first")?;
    counting.sandbox(&["promote", "count"])?.expect_code(0)?;
    counting.expect("second")?;
    counting.edit(&script("third"))?;
    counting.expect("second")?;
    let said = counting.sandbox(&["rollback", "count"])?.expect_code(0)?.stdout;
    anyhow::ensure!(said.contains("is tried no more"), "{said}");
    counting.expect("second")?;
    anyhow::ensure!(counting.status("count")?["state"] == "running");
    counting.sandbox(&["reload", "count"])?.expect_code(0)?;
    counting.expect("third")?;
    counting.check_counts()?;
    counting.engine.stop()?.expect_code(0)?;
    Ok(())
}

fn failing() -> anyhow::Result<()> {
    let mut counting = Counting::start(CONFIG)?;
    counting.expect("first")?;
    counting.place.write("new.lua", "function process_message( end\n")?;
    counting.sandbox(&["shadow", "count", "new.lua"])?.expect_code(1)?;
    counting.place.write("new.lua", "function process_message() while true do end end\n")?;
    counting.sandbox(&["shadow", "count", "new.lua"])?.expect_code(0)?;
    counting.stream.write_all(b"a line\n")?;
    counting.sent += 1;
    counting.expect("first")?;
    let place = &counting.place;
    let state = place.path("state").to_string_lossy().into_owned();
    counting.engine.wait_for("the end of the shadow", |_| {
        let diff = ["sandbox", "diff", "count", "--base-dir", &state];
        let shown = place.heka(&diff, "").ok()?.stdout;
        shown.contains("HAS ENDED: it reached a limit").then_some(())
    })?;
    let said = counting.sandbox(&["promote", "count"])?.expect_code(1)?.stderr;
    anyhow::ensure!(said.contains("has ended by itself"), "{said}");
    counting.expect("first")?;
    counting.sandbox(&["unload", "count"])?.expect_code(0)?;
    let shown = counting.sandbox(&["diff"])?.expect_code(0)?.stdout;
    anyhow::ensure!(shown.contains("no version is tried"), "{shown}");
    counting.check_counts()?;
    counting.engine.stop()?.expect_code(0)?;
    Ok(())
}
