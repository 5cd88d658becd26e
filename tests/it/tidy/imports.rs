//! One path a line; first std, then crates, then ours.

use super::none;
use super::source::Source;
use super::source::sources;

pub(super) fn imports_are_one_path_a_line() -> anyhow::Result<()> {
    let mut complaints = Vec::new();
    for source in sources(&["src", "tests", "benches"])? {
        for (index, line) in source.code.lines().enumerate() {
            let is_use = line.trim_start().starts_with("use ") || line.starts_with("pub use ");
            if is_use && (line.contains('{') || !line.trim_end().ends_with(';')) {
                let at = source.path.display();
                complaints.push(format!("{at}:{}: several paths in one `use`", index + 1));
            }
        }
    }
    none(complaints)
}

pub(super) fn imports_stand_in_three_groups() -> anyhow::Result<()> {
    let mut complaints = Vec::new();
    for source in sources(&["src", "tests", "benches"])? {
        let mut last: Option<Group> = None;
        let mut is_after_gap = false;
        for (index, line) in source.code.lines().enumerate() {
            let Some(path) = line.strip_prefix("use ") else {
                is_after_gap = line.is_empty();
                last = last.filter(|_| is_after_gap);
                continue;
            };
            let group = group(path, &source);
            if last.is_some_and(|before| group < before || is_after_gap == (group == before)) {
                complaints.push(format!("{}:{}: {line}", source.path.display(), index + 1));
            }
            (last, is_after_gap) = (Some(group), false);
        }
    }
    none(complaints)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Std,
    Crates,
    Ours,
}

fn group(path: &str, source: &Source) -> Group {
    let first = path.split([':', ';', ' ']).next().unwrap_or_default();
    let is_part = || {
        let declares = |line: &str| line.trim_end().ends_with(&format!("mod {first};"));
        source.code.lines().any(declares)
    };
    match first {
        "std" | "core" | "alloc" => Group::Std,
        "crate" | "super" | "self" => Group::Ours,
        _ if is_part() => Group::Ours,
        _ => Group::Crates,
    }
}
