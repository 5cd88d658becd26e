//! Names, sizes, the first line.

use super::none;
use super::source::sources;

/// The most lines a file has, tests not counted.
const MAX_LINES: usize = 500;
/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "types", "prelude"];

pub(super) fn files_say_what_they_are() -> anyhow::Result<()> {
    let silent = |text: &str| !text.starts_with("//! ");
    let all = sources(&["src", "tests", "benches"])?;
    none(
        all.iter()
            .filter(|source| silent(&source.text))
            .map(|source| format!("{} does not open with `//! `", source.path.display()))
            .collect(),
    )
}

pub(super) fn files_are_of_a_size_to_be_read() -> anyhow::Result<()> {
    let mut complaints = Vec::new();
    for source in sources(&["src", "tests", "benches"])? {
        let is_unit_tests = source.path.ends_with("tests.rs") && source.path.starts_with("src");
        let lines = if source.path.starts_with("src") {
            source.lines().count()
        } else {
            source.text.lines().count()
        };
        if lines > MAX_LINES && !is_unit_tests {
            complaints.push(format!("{} has {lines} lines", source.path.display()));
        }
    }
    none(complaints)
}

pub(super) fn files_are_named_after_one_thing() -> anyhow::Result<()> {
    let mut complaints = Vec::new();
    for source in sources(&["src", "tests", "benches"])? {
        let name = source.path.with_extension("");
        if name.iter().any(|part| EMPTY_NAMES.iter().any(|empty| part == *empty)) {
            complaints.push(format!("{}: a name that says nothing", source.path.display()));
        }
        let folder = root_of(&source.path).with_extension("");
        if source.path.starts_with("src") && folder.is_dir() {
            complaints
                .push(format!("{}: belongs into its folder as mod.rs", source.path.display()));
        }
    }
    none(complaints)
}

fn root_of(path: &std::path::Path) -> std::path::PathBuf {
    super::source::root().join(path)
}
