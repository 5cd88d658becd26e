//! One script alone: whether it loads, and for which families.
//!
//! A script says its family by the folder it lies in (`sandboxes/filters/`, `lua_filters/`) or by a
//! line `-- family: filter`. One that says nothing is tried as each, and is sound when it loads as
//! one of them.

use std::path::Path;

use crate::config::File;
use crate::config::Place;
use crate::config::Problem;
use crate::sandbox;
use crate::sandbox::Names;
use crate::sandbox::Role;
use crate::sandbox::Sandbox;
use crate::sandbox::Settings;

/// The families of scripts, the likeliest first.
const FAMILIES: [(&str, Role); 5] = [
    ("filter", Role::Filter),
    ("decoder", Role::Decoder),
    ("encoder", Role::Encoder),
    ("output", Role::Output),
    ("input", Role::Input),
];

/// Loads the script at `path` with `config`, which is lines of TOML; gives the families it can be
/// of, and appends what is wrong with it or may not be meant.
///
/// # Errors
/// When it cannot be read.
pub(super) fn check(
    path: &Path,
    config: &str,
    share_dir: &Path,
    problems: &mut Vec<Problem>,
) -> Result<Vec<&'static str>, Problem> {
    let name = serde_json::Value::from(path.to_string_lossy()).to_string();
    let settings: Settings = toml::from_str(&format!("filename = {name}\n[config]\n{config}"))
        .map_err(|error| Problem::error(format!("`--config`: {}", error.message())))?;
    let unreadable = |error: sandbox::SourceError| {
        let error = anyhow::Error::new(error);
        Problem::error(format!("{}: {error:#}", path.display()))
    };
    let mut sound = Vec::new();
    let mut first = None;
    let mut said = None;
    let mut role_of_it = None;
    let mut text = String::new();
    for (family, role) in FAMILIES {
        let mut spec = settings.spec("check", role, share_dir).map_err(unreadable)?;
        if first.is_none() && said.is_none() {
            said = said_family(path, &spec.script.text);
            text.clone_from(&spec.script.text);
        }
        if said.is_some_and(|said| said != family) {
            continue;
        }
        spec.hostname = crate::stdx::host::hostname();
        match Sandbox::load(&spec) {
            Ok(_) => {
                sound.push(family);
                role_of_it = role_of_it.or(Some(role));
            }
            Err(error) if first.is_none() => first = Some(problem(&error, &spec.script)),
            Err(_) => {}
        }
    }
    let name = path.display().to_string();
    if let Some(role) = role_of_it {
        problems.extend(remarks(&name, &text, role));
        return Ok(sound);
    }
    let mistakes = sandbox::mistakes(&text);
    if mistakes.is_empty() {
        problems.extend(first);
        // What ends it while it loads is often told best by what is said of the rest.
        let families =
            FAMILIES.iter().filter(|(family, _)| said.is_none_or(|said| said == *family));
        let each = families.map(|(_, role)| remarks(&name, &text, *role));
        problems.extend(each.min_by_key(Vec::len).unwrap_or_default());
    }
    for (line, message) in mistakes {
        let problem = Problem::error(&message);
        problems.push(match place(&name, &text, line, &message) {
            Some(place) => problem.at(&place),
            None => problem,
        });
    }
    Ok(sound)
}

/// What a script may not mean, as warnings with their places.
pub(super) fn remarks(name: &str, text: &str, role: Role) -> Vec<Problem> {
    let file = File::plain(name, text);
    let remarks = sandbox::lint(text, &Names::of(role), role == Role::Filter);
    let warning = |remark: sandbox::Remark| {
        let problem = Problem::warning(remark.message).at(&Place::new(&file, remark.at));
        match remark.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    };
    remarks.into_iter().map(warning).collect()
}

/// The family that a script says it is of.
pub(in crate::cli) fn said_family(path: &Path, text: &str) -> Option<&'static str> {
    let written = text.lines().find_map(|line| line.strip_prefix("-- family:"));
    let is_folder = |family: &str| {
        path.iter().any(|part| {
            let part = part.to_string_lossy();
            part.strip_prefix("lua_").unwrap_or(&part) == format!("{family}s")
        })
    };
    let mut families = FAMILIES.iter().map(|(family, _)| *family);
    match written {
        Some(written) => families.find(|family| *family == written.trim()),
        None => families.find(|family| is_folder(family)),
    }
}

/// A mistake with the line it is in, where there is one.
fn problem(error: &sandbox::Error, script: &sandbox::Script) -> Problem {
    let name = error.file.display().to_string();
    let text = if error.file == script.path {
        Some(script.text.clone())
    } else {
        std::fs::read_to_string(&error.file).ok()
    };
    let place =
        error.line.zip(text).and_then(|(line, text)| place(&name, &text, line, &error.message));
    match place {
        Some(place) => Problem::error(&error.message).at(&place),
        None => Problem::error(error.to_string()),
    }
}

fn place(name: &str, text: &str, line: u32, message: &str) -> Option<Place> {
    let mut start = 0;
    for (number, written) in (1..).zip(text.split_inclusive('\n')) {
        if number == line {
            let span = within(written, message);
            let file = File::plain(name, text);
            return Some(Place::new(&file, start + span.start..start + span.end));
        }
        start += written.len();
    }
    None
}

/// The part of a line that a message speaks of: the last of the words it quotes that stands there,
/// or all of the line.
fn within(line: &str, message: &str) -> std::ops::Range<usize> {
    let quoted = message.split('\'').skip(1).step_by(2).filter(|word| !word.is_empty());
    let found = quoted.filter_map(|word| line.find(word).map(|at| at..at + word.len())).last();
    found.unwrap_or_else(|| {
        let start = line.len() - line.trim_start().len();
        start..line.trim_end().len().max(start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_a_message_speaks_of_is_found() {
        let got = "Expected identifier when parsing expression, got '+'";
        assert_eq!(within("  return +\n", got), 9..10);
        assert_eq!(within("  return\n", "no good"), 2..8);
        assert_eq!(within("", "no good"), 0..0);
    }

    #[test]
    fn a_script_says_its_family() {
        let said = |path: &str, text: &str| said_family(Path::new(path), text);
        assert_eq!(said("lua_filters/x.lua", ""), Some("filter"));
        assert_eq!(said("/a/sandboxes/encoders/x.lua", ""), Some("encoder"));
        assert_eq!(said("filters/x.lua", "-- x\n-- family: decoder\n"), Some("decoder"));
        assert_eq!(said("x.lua", "-- family of things"), None);
    }
}
