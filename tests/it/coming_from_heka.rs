//! What `config/coming-from-heka.md` says is so.

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("coming_from_heka::every_plugin_is_as_the_page_says", plugins_are_as_the_page_says),
        test("coming_from_heka::the_example_is_sound", the_example_is_sound),
    ]
}

const PAGE: &str = include_str!("../../config/coming-from-heka.md");

fn plugins_are_as_the_page_says() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let listed = place.heka(&["plugins"], "")?.expect_code(0)?.stdout;
    let mut seen = 0;
    for line in PAGE.lines() {
        let Some((kind, state)) = line.strip_prefix("| `").and_then(|rest| rest.split_once("` | "))
        else {
            continue;
        };
        let is_listed = listed.lines().any(|line| line.split_whitespace().next() == Some(kind));
        match state.trim_end_matches(" |") {
            "here" => anyhow::ensure!(is_listed, "{kind} is not here"),
            "refused" => {
                anyhow::ensure!(!is_listed, "{kind} is here by now");
                place.write("one.toml", &format!("[{kind}]\n"))?;
                let checked = place.heka(&["check", "one.toml"], "")?.expect_code(2)?;
                let expected = format!("there is no `{kind}`");
                anyhow::ensure!(checked.stderr.contains(&expected), "{kind}: {checked:?}");
                anyhow::ensure!(checked.stderr.contains("help: "), "{kind}: {checked:?}");
            }
            "asks" => {}
            _ => continue,
        }
        seen += 1;
    }
    anyhow::ensure!(seen > 50, "only {seen} plugins");
    Ok(())
}

fn the_example_is_sound() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let example = PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    place.write("one.toml", example.unwrap_or_default())?;
    place.write(
        "errors.lua",
        "assert(read_config('alert').throttle == 90)\n\
         function process_message() return 0 end\nfunction timer_event(ns) end\n",
    )?;
    place.heka(&["check", "one.toml"], "")?.expect_code(0)?;
    Ok(())
}
