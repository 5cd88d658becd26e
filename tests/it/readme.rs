//! The example in the README, run as it stands there.

use std::path::Path;

use anyhow::Context;
use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("readme::example_gives_what_the_text_shows", example_gives_what_the_text_shows),
        test("readme::paths_lead_somewhere", paths_lead_somewhere),
    ]
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(root().join("README.md"))?)
}

/// The first fenced block of this language.
fn block<'a>(text: &'a str, language: &str) -> anyhow::Result<&'a str> {
    let (_, rest) = text.split_once(&format!("```{language}\n")).context("the block is missing")?;
    Ok(rest.split("```").next().unwrap_or_default())
}

fn example_gives_what_the_text_shows() -> anyhow::Result<()> {
    let readme = readme()?;
    let place = Place::new(block(&readme, "toml")?)?;
    place.write("failed_logins.lua", block(&readme, "lua")?)?;
    let log = std::fs::read_to_string(root().join("tests/data/logs/sshd.log"))?;
    place.write("tests/data/logs/sshd.log", &log)?;
    let finished = place.heka(&["run", "--until-done", "heka.toml"], "")?.expect_code(0)?;
    let expected = block(&readme, "text")?;
    anyhow::ensure!(finished.stdout == expected, "{}\n{}", finished.stdout, finished.stderr);
    Ok(())
}

/// What stands in backticks and has a slash, or is in capitals, is a file or a folder.
fn paths_lead_somewhere() -> anyhow::Result<()> {
    let readme = readme()?;
    let prose = readme.split("```").step_by(2).collect::<String>();
    for quoted in prose.split('`').skip(1).step_by(2) {
        let is_path = quoted.contains('/') && !quoted.contains(' ');
        if is_path && !root().join(quoted).exists() {
            anyhow::bail!("there is no {quoted}");
        }
    }
    Ok(())
}
