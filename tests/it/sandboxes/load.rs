//! Filters loaded into a running engine.

use libtest_mimic::Trial;

use super::CONFIG;
use super::Counting;
use super::script;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("sandboxes::a_loaded_filter_outlives_a_kill_until_it_is_unloaded", loaded),
        test("sandboxes::what_does_not_load_leaves_nothing_behind", not_loaded),
    ]
}

/// A filter `more` that counts the same lines and says so with this word.
fn write(counting: &Counting, word: &str) -> anyhow::Result<()> {
    let text = script(word).replace("'count', '", "'more', 'more ");
    counting.place.write("more.lua", &text)?;
    counting
        .place
        .write("more.toml", "[more]\nmessage_matcher = \"Type == 'lines'\"\nticker_interval = 1\n")
}

fn load(counting: &Counting) -> anyhow::Result<crate::harness::Finished> {
    counting.sandbox(&["load", "more.lua", "more.toml"])
}

/// Waits for a line that both filters count.
fn expect(counting: &mut Counting, line: &str) -> anyhow::Result<()> {
    counting.expect("first")?;
    counting
        .engine
        .wait_for(line, |_| counting.place.read("out").lines().any(|it| it == line).then_some(()))
}

fn loaded() -> anyhow::Result<()> {
    let mut counting = Counting::start(CONFIG)?;
    counting.expect("first")?;
    write(&counting, "one")?;
    let said = load(&counting)?.expect_code(0)?.stdout;
    anyhow::ensure!(said.starts_with("more: ") && said.contains("unload more"), "{said}");
    expect(&mut counting, "more one 1")?;
    counting = counting.kill()?;
    expect(&mut counting, "more one 2")?;
    // Loaded again it takes the place of what runs, with its state.
    write(&counting, "two")?;
    load(&counting)?.expect_code(0)?;
    expect(&mut counting, "more two 3")?;
    counting.sandbox(&["rollback", "more"])?.expect_code(0)?;
    expect(&mut counting, "more one 4")?;
    counting = counting.kill()?;
    expect(&mut counting, "more one 5")?;
    let listed = counting.sandbox(&["list", "more"])?.expect_code(0)?.stdout;
    anyhow::ensure!(listed.contains("it was loaded by"), "{listed}");
    counting.sandbox(&["unload", "more"])?.expect_code(0)?;
    counting.expect("first")?;
    counting = counting.kill()?;
    counting.expect("first")?;
    anyhow::ensure!(!counting.place.read("out").contains("more one 6"));
    counting.sandbox(&["list", "more"])?.expect_code(2)?;
    // Under the same name it begins anew.
    load(&counting)?.expect_code(0)?;
    expect(&mut counting, "more two 1")?;
    counting.engine.stop()?.expect_code(0)?;
    Ok(())
}

fn not_loaded() -> anyhow::Result<()> {
    let mut counting = Counting::start(CONFIG)?;
    write(&counting, "one")?;
    counting.place.write("more.lua", "function process_message( end\n")?;
    let said = load(&counting)?.expect_code(1)?.stderr;
    anyhow::ensure!(said.contains("nothing was loaded") && said.contains("more.lua"), "{said}");
    write(&counting, "one")?;
    counting.place.write("more.toml", "[more]\nmessage_matcher = \"Type == \"\n")?;
    load(&counting)?.expect_code(2)?;
    counting.place.write("more.toml", "[count]\nmessage_matcher = \"TRUE\"\n")?;
    let said = load(&counting)?.expect_code(2)?.stderr;
    anyhow::ensure!(said.contains("count is configured"), "{said}");
    let said = counting.sandbox(&["unload", "count"])?.expect_code(2)?.stderr;
    anyhow::ensure!(said.contains("stands in the configuration"), "{said}");
    counting.sandbox(&["load", "none.lua", "more.toml"])?.expect_code(2)?;
    let left = std::fs::read_dir(counting.place.path("state/sandboxes/loaded"));
    anyhow::ensure!(left.map_or(0, Iterator::count) == 0);
    counting.expect("first")?;
    counting.engine.stop()?.expect_code(0)?;
    Ok(())
}
