//! How a test is listed.

use std::path::Path;

use libtest_mimic::Failed;
use libtest_mimic::Trial;

/// What a test is: a function that fails with what went wrong.
pub(crate) type Test = fn() -> anyhow::Result<()>;

/// A test under its name: `module::what_holds`.
pub(crate) fn test(name: &str, run: Test) -> Trial {
    Trial::test(name, move || run().map_err(|error| Failed::from(format!("{error:#}"))))
}

/// A test that needs programs which may not be installed.
pub(crate) fn test_with(programs: &[&str], name: &str, run: Test) -> Trial {
    let missing = programs.iter().find(|program| !is_installed(program));
    match missing {
        None => test(name, run),
        Some(program) if std::env::var_os("HEKA_REQUIRE_SERVERS").is_some_and(|set| set == "1") => {
            let reason = format!("{program} is not installed");
            Trial::test(name, move || Err(Failed::from(reason)))
        }
        Some(program) => {
            Trial::test(name, || Ok(())).with_ignored_flag(true).with_kind(format!("no {program}"))
        }
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").into()]);
    folders.any(|folder| folder.join(program).is_file())
}
