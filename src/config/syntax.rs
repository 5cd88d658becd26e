//! Mistakes in TOML itself.
//!
//! The parser goes on after a mistake as well as it can, so most of a file is still checked. The
//! section that holds the mistake is not: what it says cannot be relied on.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeString;
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
    /// Tells whether the section with this head is damaged, or is none at all but what the parser
    /// made of a damaged head.
    pub(super) fn is_in(&self, head: &Spanned<DeString<'_>>, text: &str) -> bool {
        let is_hurt = self.is_at_the_top || !self.sections.is_empty();
        is_hurt
            && (self.sections.iter().any(|name| name == head.get_ref())
                || !line_before(text, head.span().start).trim_start().starts_with('['))
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
    let mut written_twice = None;
    for error in errors.iter().take(MAX_MISTAKES) {
        let span = error.span().unwrap_or(0..0);
        let section = section_at(file.text(), span.start);
        if section.is_some() && section == written_twice {
            // The keys below the second head clash with those below the first.
            continue;
        }
        match &section {
            Some(name) => damage.sections.push(name.clone()),
            None => damage.is_at_the_top = true,
        }
        let place = Place::new(file, span.clone());
        let (line, _) = place.line_and_column();
        if last_line == Some(line) {
            continue;
        }
        last_line = Some(line);
        let is_head = line_before(file.text(), span.start).trim_start() == "[";
        let mut problem = match error.message() {
            "duplicate key" if is_head => {
                written_twice = section;
                section_twice(file, &span)
            }
            "duplicate key" => key_twice(file, root, &span),
            message => in_plain_words(message).at(&place),
        };
        if file.is_filled_in(&span) {
            problem = problem.help("the value of the variable is put in as text, quotes and all");
        }
        problems.push(problem);
    }
    damage
}

/// Makes a problem, without its place, of what the parser says.
fn in_plain_words(message: &str) -> Problem {
    let wants_quotes = ["invalid integer", "invalid float", "invalid value", "invalid boolean"]
        .iter()
        .chain(&["invalid date", "string values must be quoted", "unexpected leading zero"])
        .any(|start| message.starts_with(start));
    if wants_quotes {
        return Problem::error("this is no value").help("text stands in quotes: key = \"text\"");
    }
    if message.starts_with("invalid basic string") || message.starts_with("invalid literal string")
    {
        return Problem::error("the text is not closed")
            .help("it ends with the quote it began with");
    }
    if message.starts_with("unclosed table") {
        return Problem::error("the head of the section is not closed").help("it ends with `]`");
    }
    if message.starts_with("missing value for key") || message.starts_with("key with no value") {
        return Problem::error("the key has no value").help("write key = value");
    }
    Problem::error(message.trim_end_matches(", expected nothing"))
}

fn section_twice(file: &Arc<File>, span: &Range<usize>) -> Problem {
    let text = file.text();
    let name = text.get(span.clone()).unwrap_or_default();
    let problem = Problem::error(format!("the section `{name}` is written twice"))
        .at(&Place::new(file, span.clone()));
    // The parser has put the later place over the earlier one, so the text is asked.
    let mut start = 0;
    for line in text[..span.start].split_inclusive('\n') {
        let blanks = line.len() - line.trim_start().len();
        let head = line.trim_start().strip_prefix('[').and_then(|rest| rest.strip_prefix(name));
        if head.is_some_and(|rest| rest.starts_with(']')) {
            let first = start + blanks + 1;
            let first = Place::new(file, first..first + name.len());
            return problem.at_labelled(&first, "first here");
        }
        start += line.len();
    }
    problem
}

fn key_twice(file: &Arc<File>, root: &DeTable<'_>, span: &Range<usize>) -> Problem {
    let key = file.text().get(span.clone()).unwrap_or_default();
    let problem = Problem::error(format!("the key `{key}` is written twice"))
        .at(&Place::new(file, span.clone()));
    match earlier(root, key.trim_matches(['"', '\'']), span) {
        Some(first) => problem.at_labelled(&Place::new(file, first), "first here"),
        None => problem,
    }
}

/// Returns the last place before `span` where the same key stands.
fn earlier(table: &DeTable<'_>, name: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let mut found: Option<Range<usize>> = None;
    for (other, value) in table {
        let inner = value.get_ref().as_table().and_then(|inner| earlier(inner, name, span));
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

/// Returns what stands on a line before a place.
fn line_before(text: &str, offset: usize) -> &str {
    let before = text.get(..offset).unwrap_or(text);
    &before[before.rfind('\n').map_or(0, |end| end + 1)..]
}

/// Returns the name of the section that a place is in, judged by the heads before it alone.
fn section_at(text: &str, offset: usize) -> Option<String> {
    let offset = offset.min(text.len());
    let end = text.get(offset..)?.find('\n').map_or(text.len(), |end| offset + end);
    let head = text[..end].lines().rev().find(|line| line.trim_start().starts_with('['))?;
    let name = head.trim_start().trim_start_matches('[').trim_start();
    let end = name.find(['.', ']', '\n']).unwrap_or(name.len());
    Some(name[..end].trim().trim_matches(['"', '\'']).to_owned())
}
