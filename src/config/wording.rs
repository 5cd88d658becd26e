//! Says in the words of a person what serde and the TOML parser say in their own.
//!
//! The settings of plugins are plain serde structs, and their errors arrive as text. The few forms of
//! that text are recognised here; anything else is passed on as it is.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::Family;
use super::File;
use super::Place;
use super::Problem;
use super::options;
use crate::stdx::nearest::nearest;

/// What is said where one of a few words is wanted, and something else stands there.
const NO_WORD: &str = "wanted string or table";

/// What was being read when an error came up, for the wording of it.
pub(super) struct Reading<'a> {
    /// The file it stands in.
    pub(super) file: &'a Arc<File>,
    /// Where to point when the error has no place, and for keys that are missing: a section's head.
    pub(super) head: Range<usize>,
    /// Whose settings they are, as a sentence calls it: `TcpInput`.
    pub(super) owner: &'a str,
    /// The family whose common options are right too.
    pub(super) family: Option<Family>,
}

impl Reading<'_> {
    /// Makes a problem of an error, and names the key that was meant where another was written.
    pub(super) fn problem_of(&self, error: &toml::de::Error) -> (Problem, Option<String>) {
        let place = Place::new(self.file, error.span().unwrap_or(self.head.clone()));
        let inner = inner_table(error);
        let owner = match &inner {
            Some(table) => format!("`{table}`"),
            None => self.owner.to_owned(),
        };
        let message = error.message();
        let words = quoted(message);
        let (word, known) = words.split_first().unwrap_or((&"", &[]));
        if message.starts_with("unknown field") {
            let family = self.family.filter(|_| inner.is_none());
            let (help, meant) = right_key(word, known, &owner, family);
            let problem = Problem::error(format!("unknown key `{word}`"))
                .at_labelled(&place, format!("not a key of {owner}"))
                .help(help);
            return (problem, meant);
        }
        if message.starts_with("missing field") {
            let problem = Problem::error(format!("missing key `{word}`"));
            return (problem.at_labelled(&place, format!("{owner} needs it")), None);
        }
        if message == NO_WORD {
            let problem = Problem::error("expected text, one of a few words").at(&place);
            let help = format!("`heka plugins {}` says which", self.owner);
            return (if self.family.is_some() { problem.help(help) } else { problem }, None);
        }
        (in_plain_words(message, word, known).at(&place), None)
    }
}

/// Makes a problem, without its place, of what serde says of a value.
fn in_plain_words(message: &str, word: &str, known: &[&str]) -> Problem {
    if message.starts_with("unknown variant") {
        let help = match nearest(word, known.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("it is {}", list(known, "or")),
        };
        let message = if word.is_empty() {
            "the text is empty".to_owned()
        } else {
            format!("unknown value `{word}`")
        };
        return Problem::error(message).help(help);
    }
    if message.starts_with("duplicate field") {
        return Problem::error(format!("the key `{word}` is given twice, by two names"));
    }
    Problem::error(plain(message))
}

/// Says what to write in place of an unknown key, and names the key if one was surely meant.
fn right_key(
    key: &str,
    known: &[&str],
    owner: &str,
    family: Option<Family>,
) -> (String, Option<String>) {
    let common = family.map_or(&[][..], options::keys);
    if let Some(word) = nearest(key, known.iter().chain(common).copied()) {
        return (format!("did you mean `{word}`?"), Some(word.to_owned()));
    }
    let others: Vec<String> = Family::ALL
        .into_iter()
        .filter(|other| family.is_some() && options::keys(*other).contains(&key))
        .map(|other| format!("{other}s"))
        .collect();
    if !others.is_empty() {
        return (format!("it is an option of {}", others.join(" and ")), None);
    }
    let help = match (known, common) {
        ([], []) => format!("{owner} has no keys"),
        (known, []) => format!("{owner} has {}", list(known, "and")),
        ([], common) => format!("{owner} has {}", list(common, "and")),
        (known, common) => format!(
            "{owner} has {}, and as any of its family {}",
            list(known, "and"),
            list(common, "and")
        ),
    };
    (help, None)
}

/// Returns the table within the section that the error is in, as `buffering` or `tls.keys`.
fn inner_table(error: &toml::de::Error) -> Option<String> {
    // An error made without the text tells its keys in its display alone.
    let shown = error.to_string();
    let keys = shown.trim_end().rsplit_once("\nin `")?.1;
    let keys = keys.strip_suffix('`')?;
    Some(keys.to_owned())
}

/// Returns what stands between back-quotes, in order.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// Joins words as a sentence does: `a`, `b` or `c`.
pub(super) fn list(words: &[&str], last: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [all @ .., end] => format!("{} {last} {end}", all.join(", ")),
    }
}

/// Turns serde's `invalid type: string "x", expected u16` into `expected …, found …`.
fn plain(message: &str) -> String {
    let body = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .or_else(|| message.strip_prefix("invalid length: "));
    match body.and_then(|body| body.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            format!("expected {}, found {}", plain_expected(expected), plain_found(found))
        }
        None if message == "invalid socket address syntax" => {
            format!("expected {}", plain_expected("socket address"))
        }
        None => message.to_owned(),
    }
}

/// Returns what a value is in plain words.
pub(super) fn sort_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn plain_found(found: &str) -> String {
    const FORMS: [(&str, &str); 4] =
        [("string ", "text "), ("integer ", ""), ("floating point ", ""), ("boolean ", "")];
    for (theirs, ours) in FORMS {
        if let Some(rest) = found.strip_prefix(theirs) {
            return format!("{ours}{rest}");
        }
    }
    match found {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        other => other.to_owned(),
    }
}

fn plain_expected(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" | "u64" | "usize" | "u128" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" | "i128" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a nonzero u8" | "a nonzero u16" | "a nonzero u32" | "a nonzero u64"
        | "a nonzero usize" => "a whole number above 0".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" | "path string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "socket address" => "an address such as 127.0.0.1:5565".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(theirs: &str, ours: &str) {
        assert_eq!(plain(theirs), ours);
    }

    #[test]
    fn types_are_said_in_plain_words() {
        check(
            "invalid type: string \"ten, expected\", expected u16",
            "expected a whole number from 0 to 65535, found text \"ten, expected\"",
        );
        check("invalid type: boolean `true`, expected a string", "expected text, found `true`");
        check("invalid type: map, expected a sequence", "expected a list, found a table");
        check("something else", "something else");
    }

    #[test]
    fn words_are_joined_as_in_a_sentence() {
        assert_eq!(list(&["a", "b", "c"], "or"), "`a`, `b` or `c`");
        assert_eq!(list(&["a"], "or"), "`a`");
    }
}
