//! How the names of files say which stream they belong to and how old they are.
//!
//! `file_match` gives the named parts of a path. `differentiator` makes the name of the stream out of
//! them, `priority` the key by which the files of a stream are sorted, oldest first. A part counts as
//! a number, through `translation` where it is a word; a missing part is -1, unless the translation
//! has a value for `missing`.

use std::collections::BTreeMap;

use anyhow::Context;
use anyhow::ensure;
use regex::Regex;

use super::Settings;

/// Words that are numbers in every section, by the name of their part.
const WORDS: [(&str, &[&str], i64); 2] = [
    (
        "MonthName",
        &[
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ],
        1,
    ),
    ("DayName", &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"], 0),
];

/// The number of a missing part.
const MISSING: i64 = -1;

/// What the settings say about names.
#[derive(Debug)]
pub(super) struct Layout {
    pattern: Regex,
    differentiator: Vec<String>,
    priority: Vec<Priority>,
    translation: BTreeMap<String, BTreeMap<String, i64>>,
}

#[derive(Debug)]
struct Priority {
    part: String,
    is_descending: bool,
}

/// How old a file is among those of its stream; the lower the older.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Age(Vec<(i64, String)>);

impl Layout {
    /// Reads the settings; `name` is that of the section, which a stream has without differentiator.
    pub(super) fn new(settings: &Settings) -> anyhow::Result<Layout> {
        let below = settings.file_match.strip_prefix('/').unwrap_or(&settings.file_match);
        // What is wrong is to be shown as it was written.
        Regex::new(below).context("`file_match` is no regular expression")?;
        let pattern = Regex::new(&format!("^(?:{below})$")).context("`file_match` is too large")?;
        let priority: Vec<_> = settings.priority.iter().map(|text| Priority::of(text)).collect();
        for Priority { part, .. } in &priority {
            ensure!(
                pattern.capture_names().flatten().any(|known| known == part),
                "`priority` names `{part}`, which is no group of `file_match`"
            );
        }
        for part in settings.translation.keys() {
            ensure!(
                pattern.capture_names().flatten().any(|known| known == part),
                "`translation` names `{part}`, which is no group of `file_match`"
            );
        }
        let lower = |words: &BTreeMap<String, i64>| {
            words.iter().map(|(word, number)| (word.to_lowercase(), *number)).collect()
        };
        let translation =
            settings.translation.iter().map(|(part, words)| (part.clone(), lower(words))).collect();
        let differentiator = settings.differentiator.clone();
        Ok(Layout { pattern, differentiator, priority, translation })
    }

    /// The stream a path below the log directory belongs to, and the file's age there; `None` where
    /// it belongs to none. Without a differentiator the name is empty.
    pub(super) fn place(&self, path: &str) -> Option<(String, Age)> {
        let parts = self.pattern.captures(path)?;
        let part = |name: &str| parts.name(name).map(|found| found.as_str());
        let mut stream = String::new();
        for piece in &self.differentiator {
            let is_part = self.pattern.capture_names().flatten().any(|name| name == piece);
            stream.push_str(if is_part { part(piece).unwrap_or_default() } else { piece });
        }
        let age = self.priority.iter().map(|priority| {
            let (number, text) = self.number(&priority.part, part(&priority.part));
            if priority.is_descending { (number.saturating_neg(), text) } else { (number, text) }
        });
        Some((stream, Age(age.collect())))
    }

    /// The number of a part, and its text where it is none.
    fn number(&self, part: &str, found: Option<&str>) -> (i64, String) {
        let words = self.translation.get(part);
        let Some(text) = found.filter(|text| !text.is_empty()) else {
            let missing = words.and_then(|words| words.get("missing"));
            return (missing.copied().unwrap_or(MISSING), String::new());
        };
        let text = text.to_lowercase();
        let translated = words.and_then(|words| words.get(&text)).copied();
        match translated.or_else(|| known_word(part, &text)).or_else(|| text.parse().ok()) {
            Some(number) => (number, String::new()),
            None => (MISSING, text),
        }
    }
}

impl Priority {
    fn of(text: &str) -> Priority {
        match text.strip_prefix('^') {
            Some(part) => Priority { part: part.to_owned(), is_descending: true },
            None => Priority { part: text.to_owned(), is_descending: false },
        }
    }
}

/// The number of a month or a day by its name, or the first three letters of it.
fn known_word(part: &str, text: &str) -> Option<i64> {
    let (_, words, first) = WORDS.iter().find(|(known, _, _)| *known == part)?;
    let at = words.iter().position(|word| *word == text || word[..3] == *text)?;
    Some(first + i64::try_from(at).expect("there are at most twelve words"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str) -> anyhow::Result<Layout> {
        Layout::new(&toml::from_str::<Settings>(text)?)
    }

    /// Sorts paths oldest first, each behind the name of its stream.
    fn check(settings: &str, paths: &[&str], expected: &[&str]) {
        let layout = layout(settings).unwrap();
        let mut found: Vec<_> = paths
            .iter()
            .filter_map(|path| layout.place(path).map(|(stream, age)| (stream, age, *path)))
            .collect();
        found.sort();
        let found: Vec<_> =
            found.iter().map(|(stream, _, path)| format!("{stream} {path}")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_count_down_behind_a_caret() {
        check(
            r"file_match = 'access\.log\.?(?P<Seq>\d+)?'
              priority = ['^Seq']
              differentiator = ['nginx']",
            &["access.log", "access.log.2", "access.log.10", "an-access.log", "access.log.1"],
            &[
                "nginx access.log.10",
                "nginx access.log.2",
                "nginx access.log.1",
                "nginx access.log",
            ],
        );
    }

    #[test]
    fn parts_make_the_name_of_the_stream() {
        check(
            r"file_match = '(?P<Site>[^/]+)/(?P<Year>\d+)-(?P<MonthName>\w+)\.log'
              priority = ['Year', 'MonthName']
              differentiator = ['web-', 'Site']",
            &["b/2024-Feb.log", "b/2024-january.log", "a/2023-dec.log", "b/2023-DEC.log"],
            &[
                "web-a a/2023-dec.log",
                "web-b b/2023-DEC.log",
                "web-b b/2024-january.log",
                "web-b b/2024-Feb.log",
            ],
        );
    }

    #[test]
    fn translation_gives_words_and_missing_parts_a_number() {
        check(
            "file_match = 'x\\.?(?P<Slot>\\w+)?'
             priority = ['Slot']
             [translation.Slot]
             Old = 1
             older = 0
             missing = 9",
            &["x", "x.old", "x.older"],
            &[" x.older", " x.old", " x"],
        );
    }

    #[test]
    fn names_of_no_group_are_refused() {
        let error = layout("file_match = 'x'\npriority = ['Seq']").unwrap_err().to_string();
        assert!(error.contains("`Seq`, which is no group"), "{error}");
        let error = layout("file_match = '('").unwrap_err().to_string();
        assert!(error.contains("`file_match` is no regular expression"), "{error}");
    }
}
