//! The examples in `lua/README.md` and `lua/docs/`, run as they stand there.
//!
//! A block ` ```lua filters/name.lua ` is a file; those that end in `_spec.lua` are run by
//! `heka test`, and the others pass `heka check` without a warning. A page with a block in TOML has a
//! configuration for its script, which is run.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("docs::examples_pass_their_specs", examples_pass_their_specs),
        test("docs::an_input_goes_on_from_its_checkpoint", an_input_goes_on_from_its_checkpoint),
        test("docs::an_output_writes_batches", an_output_writes_batches),
        test("docs::every_function_is_declared_for_luals", every_function_is_declared_for_luals),
    ]
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages with scripts.
fn pages() -> anyhow::Result<Vec<PathBuf>> {
    let mut pages = vec![root().join("lua/README.md")];
    for page in root().join("lua/docs").read_dir()? {
        pages.push(page?.path());
    }
    pages.sort();
    Ok(pages)
}

/// The blocks of a page: what stands behind the backticks, and the text.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let blocks = text.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.split_once('\n'))
        .map(|(info, text)| (info.trim(), text))
        .collect()
}

fn examples_pass_their_specs() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let mut specs = 0;
    for page in pages()? {
        let text = std::fs::read_to_string(&page)?;
        for (info, script) in blocks(&text) {
            let Some(name) = info.strip_prefix("lua ") else { continue };
            place.write(name, &format!("{script}\n"))?;
            specs += usize::from(name.ends_with("_spec.lua"));
        }
        for (info, _) in blocks(&text) {
            let Some(name) = info.strip_prefix("lua ") else { continue };
            if !name.ends_with("_spec.lua") {
                let checked = place.heka(&["check", name], "")?.expect_code(0)?;
                anyhow::ensure!(!checked.stderr.contains("warning"), "{name}: {}", checked.stderr);
            }
        }
    }
    anyhow::ensure!(specs > 4, "only {specs} specs were found");
    let finished = place.heka(&["test", "."], "")?.expect_code(0)?;
    anyhow::ensure!(finished.stdout.matches("  ok  ").count() >= specs, "{finished:?}");
    Ok(())
}

/// A place with the script and the configuration of a page.
fn place_of(page: &str) -> anyhow::Result<Place> {
    let text = std::fs::read_to_string(root().join("lua/docs").join(page))?;
    let blocks = blocks(&text);
    let config = blocks.iter().find(|(info, _)| *info == "toml").context("no configuration")?;
    let place = Place::new("")?;
    let config = config.1.replace("\"DIR\"", "\"log\"");
    let engine = "[hekad]\nbase_dir = \"state\"\n[hekad.admin]\naddress = \"127.0.0.1:0\"\n\n";
    place.write("heka.toml", &format!("{engine}{config}"))?;
    for (info, script) in &blocks {
        if let Some((_, name)) = info.strip_prefix("lua ").and_then(|name| name.split_once('/')) {
            place.write(name, script)?;
        }
    }
    Ok(place)
}

fn an_input_goes_on_from_its_checkpoint() -> anyhow::Result<()> {
    let place = place_of("inputs.md")?;
    place.write("two.log", "one\ntwo\n")?;
    let mut engine = place.run(&[])?;
    engine.wait_for("both lines", |it| it.stdout().contains("two").then_some(()))?;
    let finished = engine.stop()?;
    anyhow::ensure!(finished.stdout == "one\ntwo\n", "{finished:?}");
    place.write("two.log", "one\ntwo\nthree\n")?;
    let mut engine = place.run(&[])?;
    engine.wait_for("the new line", |it| it.stdout().contains("three").then_some(()))?;
    let finished = engine.stop()?;
    anyhow::ensure!(finished.stdout == "three\n", "{finished:?}");
    Ok(())
}

fn an_output_writes_batches() -> anyhow::Result<()> {
    let place = place_of("outputs.md")?;
    place.write("log/two.log", "one\ntwo\n")?;
    let mut engine = place.run(&[])?;
    let written = |_: &_| (place.read("written.log") == "one\ntwo\n").then_some(());
    engine.wait_for("both lines", written)?;
    engine.stop()?;
    Ok(())
}

/// What `lua/types/*.d.luau` declares stands in `lua/types/heka.lua` too.
fn every_function_is_declared_for_luals() -> anyhow::Result<()> {
    let luals = std::fs::read_to_string(root().join("lua/types/heka.lua"))?;
    for file in root().join("lua/types").read_dir()? {
        let path = file?.path();
        if path.extension().is_none_or(|ending| ending != "luau") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let mut owner = String::new();
        for line in text.lines() {
            let word = |text: &str| -> String {
                text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
            };
            let name = if let Some(rest) = line.strip_prefix("declare function ") {
                word(rest)
            } else if let Some(rest) = line.strip_prefix("declare class ") {
                owner = word(rest);
                owner.clone()
            } else if let Some(rest) = line.strip_prefix("declare ") {
                owner = word(rest);
                owner.clone()
            } else if let Some(rest) = line.strip_prefix("  function ") {
                word(rest)
            } else if line.starts_with("  ") && line.contains(": (") && !line.starts_with("   ") {
                word(line.trim())
            } else {
                continue;
            };
            let is_meta = name.starts_with("__");
            let is_there = luals.lines().any(|line| line.contains(&name));
            anyhow::ensure!(is_meta || is_there, "{}: {owner} {name} is missing", path.display());
        }
    }
    Ok(())
}
