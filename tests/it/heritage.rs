//! Scripts in the manner of Heka's and Hindsight's authors run unchanged.
//!
//! A folder of `tests/data/heritage/` is a configuration with its scripts and what they read. What is
//! under `expected/` follows from the documentation of the two, file by file. Where there is a folder
//! `then/`, its files are put over the others and the engine runs again with what it kept.

use std::path::Path;
use std::path::PathBuf;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("heritage::a_decoder_an_encoder_and_an_output_of_heka", || check("heka_pipeline")),
        test("heritage::a_filter_of_heka_keeps_its_state", || check("heka_filter")),
        test("heritage::an_input_and_outputs_of_hindsight", || check("hindsight_io")),
        test("heritage::an_output_that_waits_for_its_timer", || check("hindsight_retry")),
        test("heritage::graphs_alerts_and_totals_of_heka", || check("heka_graphs")),
        test("heritage::sockets_of_hindsight", || check("hindsight_sockets")),
        test("heritage::fields_of_every_kind", || check("hindsight_fields")),
        test("heritage::an_analysis_of_hindsight", || check("hindsight_analysis")),
    ]
}

fn check(name: &str) -> anyhow::Result<()> {
    let place = Place::new("")?;
    let mut folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/heritage").join(name);
    loop {
        run(&place, &folder)?;
        folder.push("then");
        if !folder.exists() {
            return Ok(());
        }
    }
}

/// Runs the engine with the files of `folder` until all is there that is expected, and not more.
fn run(place: &Place, folder: &Path) -> anyhow::Result<()> {
    let mut expected = Vec::new();
    for (path, text) in files(folder)? {
        let name = path.to_string_lossy();
        match name.strip_prefix("expected/") {
            Some(name) => expected.push((name.to_owned(), text)),
            None if name.starts_with("then/") => {}
            None if name == "heka.toml" => place.configure(&text)?,
            None => place.write(&name, &text)?,
        }
    }
    anyhow::ensure!(!expected.is_empty(), "{} expects nothing", folder.display());
    let differs = || expected.iter().find(|(name, text)| place.read(name) != *text);
    let mut engine = place.run(&[])?;
    let arrived = engine.wait_for("what is expected", |_| differs().is_none().then_some(()));
    let stderr = engine.stop()?.expect_code(0)?.stderr;
    if let Some((name, text)) = differs() {
        let found = place.read(name);
        anyhow::bail!("{name} should be:\n{text}\nand is:\n{found}\nstderr:\n{stderr}");
    }
    arrived
}

/// The files below `folder`, by their paths from there.
fn files(folder: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else {
                found
                    .push((path.strip_prefix(folder)?.to_owned(), std::fs::read_to_string(&path)?));
            }
        }
    }
    Ok(found)
}
