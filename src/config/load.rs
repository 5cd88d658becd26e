//! Reads a configuration from files or from memory.
//!
//! In a folder only `*.toml` counts, in the order of the alphabet. Where two files have a section of
//! the same name, the later section takes the place of the whole earlier one.

use std::fs;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use toml::de::DeTable;
use toml::de::DeValue;

use super::Config;
use super::Family;
use super::File;
use super::Place;
use super::Problem;
use super::Section;
use super::check;
use super::hekad;
use super::section::Draft;
use super::syntax;

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The name of the engine's own section.
const HEKAD: &str = "hekad";

/// What a configuration is checked against and filled in from.
pub struct Surroundings<'a> {
    /// The kinds there are in a family.
    pub kinds: &'a dyn Fn(Family) -> Vec<&'static str>,
    /// The variables of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// Reads the configuration in a file, or in the `*.toml` of a folder.
///
/// Gives what could be read and all that is wrong; none if no file could be read at all.
pub fn load(path: &Path, surroundings: &Surroundings<'_>) -> (Option<Config>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut texts = Vec::new();
    match files(path) {
        Err(error) => {
            problems.push(Problem::error(format!("cannot read {}: {error}", path.display())));
        }
        Ok(paths) if paths.is_empty() => {
            problems.push(Problem::error(format!("there is no *.toml in {}", path.display())));
        }
        Ok(paths) => {
            for path in paths {
                match read(&path) {
                    Ok(text) => texts.push((path.display().to_string(), text)),
                    Err(error) => {
                        let message = format!("cannot read {}: {error}", path.display());
                        problems.push(Problem::error(message));
                    }
                }
            }
        }
    }
    if texts.is_empty() {
        return (None, problems);
    }
    let texts: Vec<(&str, &str)> =
        texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let config = read_all(&texts, surroundings, &mut problems);
    (Some(config), problems)
}

/// Reads a configuration from memory; `name` is what its places are shown with.
pub fn parse(
    name: &str,
    text: &str,
    surroundings: &Surroundings<'_>,
) -> (Option<Config>, Vec<Problem>) {
    let mut problems = Vec::new();
    let config = read_all(&[(name, text)], surroundings, &mut problems);
    (Some(config), problems)
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        io::Error::other(format!("line {line} is not UTF-8 text"))
    })
}

fn read_all(
    texts: &[(&str, &str)],
    surroundings: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Config {
    let mut files = Vec::new();
    for (name, written) in texts {
        let (file, mistakes) = File::new(name, written, surroundings.variable);
        problems.extend(mistakes);
        files.push(file);
    }
    let mut parsed = Vec::new();
    for file in &files {
        let (root, errors) = DeTable::parse_recoverable(file.text());
        let damage = syntax::report(file, root.get_ref(), &errors, problems);
        parsed.push((file, root.into_inner(), damage));
    }
    let drafts = drafts(&parsed, problems);
    let nothing = DeTable::new();
    let first = Place::new(&files[0], 0..0);
    let mut engine = Draft { name: HEKAD, place: first, table: &nothing, is_damaged: false };
    let mut sections = Vec::new();
    let mut names = Vec::new();
    for draft in drafts {
        if draft.name == HEKAD {
            engine = draft;
            continue;
        }
        names.push(draft.name.to_owned());
        if !draft.is_damaged {
            sections.extend(Section::read(&draft, surroundings, problems));
        }
    }
    let parts = hekad::read(&engine, problems);
    check::references(&sections, &names, surroundings, problems);
    Problem::sort(problems);
    Config {
        hekad: parts.hekad,
        journal: parts.journal,
        admin_tls: parts.admin_tls,
        sections,
        hekad_texts: parts.texts,
    }
}

type Parsed<'a> = (&'a Arc<File>, DeTable<'a>, syntax::Damage);

/// Lists the sections of all files, a later one in the place of an earlier one of the same name.
fn drafts<'a>(parsed: &'a [Parsed<'a>], problems: &mut Vec<Problem>) -> Vec<Draft<'a>> {
    let mut drafts: Vec<Draft<'a>> = Vec::new();
    for (file, root, damage) in parsed {
        for (key, value) in root {
            let name: &str = key.get_ref();
            let place = Place::new(file, key.span());
            let table = match value.get_ref() {
                DeValue::Table(table) => table,
                _ if damage.is_at_the_top() => continue,
                DeValue::Array(array) if array.iter().all(|one| one.get_ref().is_table()) => {
                    let message = format!("the section `{name}` is written as a list");
                    let help = format!("write [{name}] for [[{name}]]: a plugin is one section");
                    problems.push(Problem::error(message).at(&place).help(help));
                    continue;
                }
                _ => {
                    let message = format!("the key `{name}` stands in no section");
                    let help = "each plugin is a section, such as [TcpInput]; what concerns the \
                                engine goes below [hekad]";
                    problems.push(Problem::error(message).at(&place).help(help));
                    continue;
                }
            };
            let draft = Draft { name, place, table, is_damaged: damage.is_in(key, file.text()) };
            match drafts.iter_mut().find(|earlier| earlier.name == name) {
                Some(earlier) => *earlier = draft,
                None => drafts.push(draft),
            }
        }
    }
    drafts
}
