//! Runs the specs of the scripts and modules that come with the engine, as `heka test` does.

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use heka::cli::test;
use libtest_mimic::Arguments;
use libtest_mimic::Failed;
use libtest_mimic::Trial;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for folder in ["sandboxes", "lua"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        trials.extend(test::specs(&folder)?.into_iter().flat_map(tests_of));
    }
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

/// The tests in a spec; one that fails where the spec cannot be read.
fn tests_of(spec: PathBuf) -> Vec<Trial> {
    let name = spec.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let share_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = match test::names(&spec, share_dir) {
        Ok(tests) => tests,
        Err(error) => return vec![Trial::test(name, move || Err(Failed::from(error)))],
    };
    let trial = |test: String| {
        let spec = spec.clone();
        let title = format!("{name}: {test}");
        Trial::test(title, move || test::check(&spec, &test, share_dir).map_err(Failed::from))
    };
    tests.into_iter().map(trial).collect()
}
