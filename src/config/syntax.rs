//! Mistakes in TOML itself.
//!
//! The parser goes on after a mistake as well as it can, so most of a file is still checked. The
//! section that holds the mistake is not: what it says cannot be relied on.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use super::File;
use super::Place;
use super::Problem;

/// Mistakes in the syntax that are reported for one file.
const MAX_MISTAKES: usize = 20;

/// The sections of a file that have a mistake in their syntax.
#[derive(Debug, Default)]
pub(super) struct Damage {
    sections: Vec<String>,
    is_at_the_top: bool,
}

impl Damage {
    /// Tells whether this section is damaged.
    pub(super) fn is_in(&self, section: &str) -> bool {
        self.sections.iter().any(|name| name == section)
    }

    /// Tells whether what stands above all sections is damaged.
    pub(super) fn is_at_the_top(&self) -> bool {
        self.is_at_the_top
    }
}

/// Reports what the parser found, one mistake a line, and says which sections it is in.
pub(super) fn report(
    file: &Arc<File>,
    root: &DeTable<'_>,
    errors: &[toml::de::Error],
    problems: &mut Vec<Problem>,
) -> Damage {
    let mut damage = Damage::default();
    let mut last_line = None;
    for error in errors.iter().take(MAX_MISTAKES) {
        let span = error.span().unwrap_or(0..0);
        match section_at(file.text(), span.start) {
            Some(name) => damage.sections.push(name),
            None => damage.is_at_the_top = true,
        }
        let place = Place::new(file, span.clone());
        let (line, _) = place.line_and_column();
        if last_line == Some(line) {
            continue;
        }
        last_line = Some(line);
        let mut problem = if error.message() == "duplicate key" {
            duplicate(file, root, &span)
        } else {
            Problem::error(error.message()).at(&place)
        };
        if file.is_filled_in(&span) {
            problem = problem.help("the value of the variable is put in as text, quotes and all");
        }
        problems.push(problem);
    }
    damage
}

fn duplicate(file: &Arc<File>, root: &DeTable<'_>, span: &Range<usize>) -> Problem {
    let place = Place::new(file, span.clone());
    let key = file.text().get(span.clone()).unwrap_or_default();
    let earlier = earlier(root, key, span);
    let is_section = file.text()[..span.start].trim_end_matches([' ', '\t']).ends_with('[');
    let problem = if is_section {
        Problem::error(format!("the section `{key}` is written twice"))
    } else {
        Problem::error(format!("the key `{key}` is written twice"))
    };
    match earlier {
        Some(first) => problem.at(&place).at_labelled(&Place::new(file, first), "first here"),
        None => problem.at(&place),
    }
}

/// Returns the last place before `span` where the same key stands.
fn earlier(table: &DeTable<'_>, key: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let name = key.trim_matches(['"', '\'']);
    let mut found: Option<Range<usize>> = None;
    for (other, value) in table {
        let inner = value.get_ref().as_table().and_then(|inner| earlier(inner, key, span));
        let own =
            (other.get_ref() == name && other.span().start < span.start).then(|| other.span());
        for place in own.into_iter().chain(inner) {
            if found.as_ref().is_none_or(|best| best.start < place.start) {
                found = Some(place);
            }
        }
    }
    found
}

/// Returns the name of the section that a place is in, judged by the heads before it alone.
fn section_at(text: &str, offset: usize) -> Option<String> {
    let end = text[offset.min(text.len())..].find('\n').map_or(text.len(), |end| offset + end);
    let head = text[..end].lines().rev().find(|line| line.trim_start().starts_with('['))?;
    let name = head.trim_start().trim_start_matches('[').trim_start();
    let end = name.find(['.', ']', '\n']).unwrap_or(name.len());
    Some(name[..end].trim().trim_matches(['"', '\'']).to_owned())
}
