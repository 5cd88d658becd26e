//! How a test is listed.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Failed;
use libtest_mimic::Trial;

/// What a test is: a function that fails with what went wrong.
pub(crate) type Test = fn() -> anyhow::Result<()>;

/// A test under its name: `module::what_holds`.
pub(crate) fn test(name: &str, run: Test) -> Trial {
    Trial::test(name, move || run().map_err(|error| Failed::from(format!("{error:#}"))))
}

/// A test that needs programs which may not be installed. `python3:NAME` and `node:NAME` are packages
/// of these languages, see [`interpreter`].
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

/// `python3` or `node`, with the packages of the folder `HEKA_CLIENTS` where that is set: a virtual
/// environment in `venv`, packages of Node in `node_modules`.
pub(crate) fn interpreter(name: &str) -> Command {
    let clients = std::env::var_os("HEKA_CLIENTS").map(PathBuf::from);
    let own = clients.as_ref().map(|folder| folder.join("venv/bin").join(name));
    let mut command = match own.filter(|own| own.is_file()) {
        Some(own) => Command::new(own),
        None => Command::new(name),
    };
    if let Some(folder) = clients {
        // Those of Heka's time need packages of theirs, and lie apart.
        let paths = [folder.join("node_modules"), folder.join("npm-heka/node_modules")];
        command.env("NODE_PATH", std::env::join_paths(paths).unwrap_or_default());
    }
    command
}

fn is_installed(program: &str) -> bool {
    if let Some((language, package)) = program.split_once(':') {
        let (flag, script) = match language {
            "node" => ("-e", format!("require('{package}')")),
            _ => ("-c", format!("import {package}")),
        };
        let mut command = interpreter(language);
        let output = command.args([flag, &script]).output();
        return output.is_ok_and(|output| output.status.success());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").into()]);
    folders.any(|folder| folder.join(program).is_file())
}
