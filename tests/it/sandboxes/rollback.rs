//! Versions brought back, and what runs after a crash.

use std::os::unix::fs::PermissionsExt;

use libtest_mimic::Trial;

use super::CONFIG;
use super::Counting;
use super::script;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("sandboxes::a_version_is_brought_back_and_outlives_a_kill", brought_back),
        test("sandboxes::what_was_changed_meanwhile_takes_over_after_the_replay", meanwhile),
        test("sandboxes::a_script_broken_meanwhile_leaves_the_old_version", broken_meanwhile),
        test("sandboxes::mistakes_are_named_and_change_nothing", mistakes),
    ]
}

fn brought_back() -> anyhow::Result<()> {
    let mut counting = Counting::start(CONFIG)?;
    counting.expect("first")?;
    counting.edit(&script("second"))?;
    counting.expect("second")?;
    counting.edit(&script("third"))?;
    counting.expect("third")?;
    let versions = counting.status("count")?["versions"].as_array().map_or(0, Vec::len);
    anyhow::ensure!(versions == 3, "{versions} versions");
    let said = counting.sandbox(&["rollback", "count"])?.expect_code(0)?.stdout;
    anyhow::ensure!(said.contains("runs again in the place of"), "{said}");
    counting.expect("second")?;
    // The file still says the third; the second goes on, after a kill too.
    counting = counting.kill()?;
    counting.expect("second")?;
    counting.sandbox(&["rollback", "count"])?.expect_code(0)?;
    counting.expect("first")?;
    let nothing = counting.sandbox(&["rollback", "count"])?.expect_code(2)?.stderr;
    anyhow::ensure!(nothing.contains("count has no version before"), "{nothing}");
    // Another by its name, the file's by a reload, and an edit as ever.
    let kept = counting.status("count")?["versions"].clone();
    let hash = kept[1]["hash"].as_str().unwrap_or_default().to_owned();
    counting.sandbox(&["rollback", "count", &hash[..6]])?.expect_code(0)?;
    counting.expect("second")?;
    counting.sandbox(&["reload", "count"])?.expect_code(0)?;
    counting.expect("third")?;
    let same = counting.sandbox(&["reload", "count"])?.expect_code(0)?.stdout;
    anyhow::ensure!(same.contains("nothing has changed"), "{same}");
    counting.sandbox(&["rollback", "count"])?.expect_code(0)?;
    counting.expect("second")?;
    counting.edit(&script("fourth"))?;
    counting.expect("fourth")?;
    counting = counting.kill()?;
    counting.expect("fourth")?;
    counting.check_counts()?;
    let file = counting.place.path("state/sandboxes/versions/count.json");
    let mode = std::fs::metadata(file)?.permissions().mode() & 0o777;
    anyhow::ensure!(mode == 0o600, "{mode:o}");
    counting.engine.stop()?.expect_code(0)?;
    Ok(())
}

/// Lines that were not counted before the kill are counted by the version that ran then.
fn meanwhile() -> anyhow::Result<()> {
    let mut counting = Counting::start(CONFIG)?;
    counting.expect("first")?;
    counting.expect("first")?;
    let Counting { place, engine, sent, .. } = counting;
    engine.kill()?;
    // The file says how the state came about: what it counted is not counted anew.
    let renamed = script("second").replace("count = 0", "count = 0 first = 'none'");
    place.write("count.lua", &renamed)?;
    let mut counting = Counting::start_in(place, sent)?;
    counting.engine.wait_for("the new version", |engine| {
        let stderr = engine.stderr();
        (stderr.contains("goes on as it was") && stderr.contains("reloaded")).then_some(())
    })?;
    counting.expect("second")?;
    counting.check_counts()?;
    counting.engine.stop()?.expect_code(0)?;
    Ok(())
}

fn broken_meanwhile() -> anyhow::Result<()> {
    let mut counting = Counting::start(CONFIG)?;
    counting.expect("first")?;
    let Counting { place, engine, sent, .. } = counting;
    engine.stop()?.expect_code(0)?;
    place.write("count.lua", "function process_message( end\n")?;
    let mut counting = Counting::start_in(place, sent)?;
    counting.expect("first")?;
    counting.engine.wait_for("the failure", |engine| {
        engine.stderr().contains("not reloaded: the old version goes on").then_some(())
    })?;
    counting.expect("first")?;
    counting.edit(&script("second"))?;
    counting.expect("second")?;
    counting.check_counts()?;
    counting.engine.stop()?.expect_code(0)?;
    Ok(())
}

fn mistakes() -> anyhow::Result<()> {
    let mut counting = Counting::start(CONFIG)?;
    counting.expect("first")?;
    let said = counting.sandbox(&["rollback", "cuont"])?.expect_code(2)?.stderr;
    anyhow::ensure!(said.contains("did you mean count?"), "{said}");
    counting.edit(&script("second"))?;
    let said = counting.sandbox(&["rollback", "count", "zz"])?.expect_code(2)?.stderr;
    anyhow::ensure!(said.contains("no version that begins with zz"), "{said}");
    counting.place.write("count.lua", "function process_message( end\n")?;
    let said = counting.sandbox(&["reload", "count"])?.expect_code(1)?.stderr;
    anyhow::ensure!(said.contains("count.lua") && said.contains("goes on"), "{said}");
    counting.expect("second")?;
    let listed = counting.sandbox(&["list"])?.expect_code(0)?.stdout;
    anyhow::ensure!(listed.contains("NAME") && listed.contains("running"), "{listed}");
    let place = counting.place.path("nowhere");
    let elsewhere = ["sandbox", "list", "--base-dir", &*place.to_string_lossy()];
    let said = counting.place.heka(&elsewhere, "")?.expect_code(1)?.stderr;
    anyhow::ensure!(said.contains("no engine answers at"), "{said}");
    counting.engine.stop()?.expect_code(0)?;
    Ok(())
}
