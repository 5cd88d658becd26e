//! Configurations against the kinds of plugins there really are: every example and everything shipped
//! loads, and mistakes only a kind can find are told as expected.
//!
//! `BLESS=1` writes what is said of the mistakes in `tests/data/mistakes/plugins/` into the
//! `.expected` files, to be read before it is committed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use heka::catalog::CATALOG;
use heka::catalog::FEATURES;
use heka::config;
use heka::config::Problem;
use heka::plugin::Kind;
use libtest_mimic::Trial;

use crate::harness::Place;
use crate::harness::catalog::all_problems;
use crate::harness::catalog::surroundings;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("configurations::the_example_of_every_kind_loads", the_example_of_every_kind_loads),
        test("configurations::what_is_shipped_loads", what_is_shipped_loads),
        test("configurations::what_is_shipped_runs", what_is_shipped_runs),
        test("configurations::mistakes_are_told_as_expected", mistakes_are_told_as_expected),
    ]
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn none(problems: &[Problem]) -> anyhow::Result<()> {
    anyhow::ensure!(problems.is_empty(), "\n{}", config::render_all(problems, false));
    Ok(())
}

fn examples<T: ?Sized>(kinds: &'static [Kind<T>]) -> Vec<(&'static str, &'static str)> {
    kinds.iter().map(|kind| (kind.name, kind.example)).collect()
}

fn the_example_of_every_kind_loads() -> anyhow::Result<()> {
    let all = [
        examples(CATALOG.inputs),
        examples(CATALOG.splitters),
        examples(CATALOG.decoders),
        examples(CATALOG.filters),
        examples(CATALOG.encoders),
        examples(CATALOG.outputs),
    ];
    let mut problems = Vec::new();
    for (kind, example) in all.into_iter().flatten() {
        let loaded = config::parse(kind, example, &surroundings());
        let has_it = loaded.0.iter().flat_map(|config| &config.sections).any(|it| it.kind == kind);
        anyhow::ensure!(has_it, "the example of {kind} has no section of that kind");
        problems.extend(all_problems(loaded));
    }
    none(&problems)
}

fn what_is_shipped_loads() -> anyhow::Result<()> {
    let mut problems = Vec::new();
    let folder = root().join("config");
    for path in toml_files(&folder)?.into_iter().chain(folders(&folder)?) {
        let mut found = all_problems(config::load(&path, &surroundings()));
        // What needs a feature of cargo loads where that is there.
        found.retain(|problem| !FEATURES.iter().any(|feature| is_left_out(problem, feature)));
        problems.extend(found);
    }
    none(&problems)
}

/// Each starts and stops as it is, but for ports, which are free ones here, folders, which are the test's,
/// and services on the net, which nobody is sent anything.
fn what_is_shipped_runs() -> anyhow::Result<()> {
    for path in toml_files(&root().join("config"))? {
        let text = fs::read_to_string(&path)?;
        if !config::load(&path, &surroundings()).1.is_empty() {
            // A feature of cargo is not built.
            continue;
        }
        let place = Place::new(&at_home(&text)).with_context(|| path.display().to_string())?;
        let engine = place.run(&[])?;
        let stderr = engine.stop().and_then(|it| it.expect_code(0)).map(|it| it.stderr);
        let stderr = stderr.with_context(|| path.display().to_string())?;
        // What asks for something that is not there here, says so and waits.
        let is_wrong = |line: &&str| {
            let is_alone =
                ["cannot connect", "Connection refused"].iter().any(|it| line.contains(it));
            line.contains("ERROR") || line.contains("has failed") && !is_alone
        };
        let wrong = stderr.lines().find(is_wrong).unwrap_or_default();
        anyhow::ensure!(wrong.is_empty(), "{}: {wrong}", path.display());
    }
    Ok(())
}

/// A configuration with free ports, and with folders below that of the test.
fn at_home(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.replace("\"/var/", "\"DIR/var/").replace("\"/run/", "\"DIR/run/");
        for host in ["127.0.0.1:", "0.0.0.0:", "[::]:"] {
            while let Some(at) = line.find(host).map(|at| at + host.len()) {
                let digits = line[at..].chars().take_while(char::is_ascii_digit).count();
                line.replace_range(at..at + digits, "0");
                line = line.replacen(host, &host.replace(':', "\u{0}"), 1);
            }
            line = line.replace('\0', ":");
        }
        if let Some(at) = line.find("https://") {
            let rest = line[at + "https://".len()..].to_owned();
            line.replace_range(at.., "http://127.0.0.1:1");
            line.push_str(rest.find(['/', '"']).map_or("", |end| &rest[end..]));
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// Tells whether a configuration asks for a kind that this build is without.
fn is_left_out(problem: &Problem, (_, is_here, kinds): &(&str, bool, &[&str])) -> bool {
    let told = config::render_all(std::slice::from_ref(problem), false);
    !is_here && kinds.iter().any(|kind| told.contains(&format!("there is no `{kind}`")))
}

fn mistakes_are_told_as_expected() -> anyhow::Result<()> {
    let folder = root().join("tests/data/mistakes/plugins");
    let paths = toml_files(&folder)?;
    anyhow::ensure!(!paths.is_empty(), "there is no mistake in {}", folder.display());
    let mut wrong = String::new();
    for path in paths {
        let problems = all_problems(config::load(&path, &surroundings()));
        let told = config::render_all(&problems, false);
        let told = told.replace(&format!("{}/", folder.display()), "");
        let expected_path = path.with_extension("expected");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected_path, &told)?;
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if told != expected || problems.is_empty() {
            writeln!(wrong, "\n{}:\n{told}--- expected\n{expected}", path.display())?;
        }
    }
    anyhow::ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

/// The folders in a folder that hold `*.toml`: each is a configuration.
fn folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !toml_files(&path)?.is_empty() {
            found.push(path);
        }
    }
    Ok(found)
}

/// The `*.toml` of a folder in order; none if there is no such folder.
fn toml_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    paths.sort();
    Ok(paths)
}
