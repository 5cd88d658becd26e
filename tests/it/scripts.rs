//! The scripts that come with the engine: what their comments promise.

use std::path::Path;
use std::path::PathBuf;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("scripts::samples_in_comments_load", samples_in_comments_load),
        test("scripts::quickstart_is_without_mistakes", quickstart_is_without_mistakes),
    ]
}

/// The scripts that are run as a plugin.
fn scripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("sandboxes");
    let mut found: Vec<PathBuf> = ["decoders", "encoders", "filters"]
        .iter()
        .filter_map(|family| std::fs::read_dir(root.join(family)).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "lua"))
        .filter(|path| !path.to_string_lossy().ends_with("_spec.lua"))
        .collect();
    found.sort();
    found
}

/// The indented lines of the comment that a script opens with.
fn sample(script: &str) -> String {
    let comment = script.split("--]]").next().unwrap_or_default();
    let lines = comment.lines().filter(|line| line.is_empty() || line.starts_with("    "));
    lines.map(|line| format!("{}\n", line.trim_start())).collect()
}

fn samples_in_comments_load() -> anyhow::Result<()> {
    let scripts = scripts();
    anyhow::ensure!(!scripts.is_empty(), "there are no scripts");
    for script in scripts {
        let sample = sample(&std::fs::read_to_string(&script)?);
        anyhow::ensure!(!sample.trim().is_empty(), "{} has no sample", script.display());
        let place = Place::new(&sample)?;
        let checked = place.heka(&["check", "heka.toml"], "")?;
        anyhow::ensure!(
            checked.status.success(),
            "{}:\n{}\n{}",
            script.display(),
            checked.stderr,
            checked.stdout
        );
    }
    Ok(())
}

fn quickstart_is_without_mistakes() -> anyhow::Result<()> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/quickstart.toml");
    let checked =
        Place::new("")?.heka(&["check", &config.to_string_lossy()], "")?.expect_code(0)?;
    anyhow::ensure!(checked.stderr.is_empty(), "{}", checked.stderr);
    Ok(())
}
