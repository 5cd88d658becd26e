//! Time written by a pattern, as people give it in a configuration: strftime's, or the layout of
//! Go that the first Heka took.

use std::borrow::Cow;
use std::fmt::Write;

use chrono::DateTime;
use chrono::Utc;
use chrono::format::Item;
use chrono::format::StrftimeItems;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;

/// What is wrong with a pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum Error {
    /// There is a `%` with no known letter behind it.
    #[error("`{0}` is no pattern of strftime: a `%` in it is followed by no letter that it knows")]
    Specifier(String),
}

/// A pattern, checked when it is read; time is written in UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct Strftime {
    items: Vec<Item<'static>>,
    is_fixed: bool,
}

impl Strftime {
    /// Reads a pattern such as `%Y-%m-%d` or, without any `%`, a Go layout such as `2006-01-02`.
    ///
    /// # Errors
    /// When a `%` is followed by something that strftime does not know.
    pub fn parse(pattern: &str) -> Result<Strftime, Error> {
        let wanted =
            if pattern.contains('%') { Cow::Borrowed(pattern) } else { from_go(pattern).into() };
        let items = StrftimeItems::new(&wanted)
            .parse_to_owned()
            .map_err(|_| Error::Specifier(pattern.to_owned()))?;
        let is_fixed =
            items.iter().all(|item| matches!(item, Item::Literal(_) | Item::OwnedLiteral(_)));
        Ok(Strftime { items, is_fixed })
    }

    /// Tells whether the text is the same at all times.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// Appends the text for `nanoseconds` since the epoch.
    pub fn put(&self, nanoseconds: i64, out: &mut String) {
        let time: DateTime<Utc> = DateTime::from_timestamp_nanos(nanoseconds);
        // Items that parsed and a String as target leave nothing that could fail.
        let _ = write!(out, "{}", time.format_with_items(self.items.iter()));
    }

    /// The text for `nanoseconds` since the epoch.
    #[must_use]
    pub fn text(&self, nanoseconds: i64) -> String {
        let mut out = String::new();
        self.put(nanoseconds, &mut out);
        out
    }
}

impl<'de> Deserialize<'de> for Strftime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Strftime, D::Error> {
        let pattern = String::deserialize(from)?;
        Strftime::parse(&pattern).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Strftime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Strftime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "a pattern of strftime such as \"%Y-%m-%d\", or a Go layout"
        })
    }
}

/// The elements of a Go layout, longer ones before their own beginnings.
const GO: [(&str, &str); 23] = [
    ("2006", "%Y"),
    ("January", "%B"),
    ("Monday", "%A"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    ("Z07:00", "Z"),
    (".000000000", "%.9f"),
    (".000000", "%.6f"),
    (".000", "%.3f"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("MST", "%Z"),
    ("01", "%m"),
    ("02", "%d"),
    ("_2", "%e"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("2", "%-d"),
    ("1", "%-m"),
];

fn from_go(layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some((element, letter)) = GO.iter().find(|(element, _)| rest.starts_with(element)) {
            out.push_str(letter);
            rest = &rest[element.len()..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: &str) {
        let text = Strftime::parse(pattern).unwrap().text(1_416_840_893_000_000_007);
        assert_eq!(text, expected, "{pattern}");
    }

    #[test]
    fn time_is_written_by_strftime_and_by_go_layouts() {
        check("[%Y/%b/%d:%H:%M:%S %z] ", "[2014/Nov/24:14:54:53 +0000] ");
        check("[2006/Jan/02:15:04:05 -0700] ", "[2014/Nov/24:14:54:53 +0000] ");
        check("2006-01-02T15:04:05.000000000Z07:00", "2014-11-24T14:54:53.000000007Z");
        check("/var/log/%Y%m%d.log", "/var/log/20141124.log");
        check("at %s%%", "at 1416840893%");
    }

    #[test]
    fn an_unknown_letter_is_refused() {
        let pattern = "%Y %!".to_owned();
        assert_eq!(Strftime::parse(&pattern), Err(Error::Specifier(pattern)));
        assert!(Strftime::parse("100%").is_err());
    }

    #[test]
    fn a_pattern_without_time_is_fixed() {
        assert!(Strftime::parse("/var/log/%%.log").unwrap().is_fixed());
        assert!(!Strftime::parse("%H").unwrap().is_fixed());
    }
}
