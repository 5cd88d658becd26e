//! Sizes as people write them: a number of bytes, or text such as `10GiB`.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserializer;
use serde::de::Visitor;

/// What is wrong with a size.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum Error {
    /// There is no number where one should be.
    #[error("`{0}` is no size, expected something like `512KiB`, `64MiB` or `10GiB`")]
    Number(String),
    /// The number is followed by something that is no unit.
    #[error("`{0}` is no unit of size, expected B, KiB, MiB, GiB, TiB, KB, MB, GB or TB")]
    Unit(String),
    /// It is below zero or beyond what can be counted.
    #[error("`{0}` is negative or too large for a size")]
    Range(String),
}

/// Smaller units first; `K`, `M`, `G` and `T` alone are powers of 1024, as most daemons have it.
const UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
];

/// Reads text such as `10GiB`, `1.5 MB` or `4096`, without regard to case; gives bytes.
pub fn parse(text: &str) -> Result<u64, Error> {
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(trimmed.len());
    let number = trimmed[..end].replace('_', "");
    let unit = trimmed[end..].trim();
    let factor = UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name));
    if number.is_empty() {
        return Err(Error::Number(trimmed.to_owned()));
    }
    let (_, factor) = factor.ok_or_else(|| Error::Unit(unit.to_owned()))?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(*factor).ok_or_else(|| Error::Range(trimmed.to_owned()));
    }
    let part: f64 = number.parse().map_err(|_| Error::Number(trimmed.to_owned()))?;
    whole(part * *factor as f64).ok_or_else(|| Error::Range(trimmed.to_owned()))
}

/// Writes a size for people, with at most one decimal: `1.5 MiB`.
#[must_use]
pub fn text(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let written = format!("{value:.1}");
    format!("{} {}", written.strip_suffix(".0").unwrap_or(&written), units[unit])
}

fn whole(number: f64) -> Option<u64> {
    if !(0.0..9_007_199_254_740_992.0).contains(&number) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Some(number.round() as u64)
}

/// Reads a setting that is a size.
pub fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    from.deserialize_any(Reading)
}

/// Reads a setting that is a size and may be left out.
pub fn optional_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    from.deserialize_any(Reading).map(Some)
}

struct Reading;

impl Visitor<'_> for Reading {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes or text such as \"64MiB\"")
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::custom(Error::Range(number.to_string())))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<u64, E> {
        whole(number).ok_or_else(|| E::custom(Error::Range(number.to_string())))
    }

    fn visit_str<E: serde::de::Error>(self, written: &str) -> Result<u64, E> {
        parse(written).map_err(E::custom)
    }
}

/// How a size is written in a configuration, for its schema.
#[derive(Debug)]
pub struct Written;

impl JsonSchema for Written {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 0,
            "description": "a number of bytes, or text such as \"64MiB\""
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<u64, Error>) {
        assert_eq!(parse(input), expected, "{input}");
    }

    #[test]
    fn sizes_are_read() {
        check("10GiB", Ok(10 << 30));
        check("4096", Ok(4096));
        check("1.5 MB", Ok(1_500_000));
        check("64k", Ok(65_536));
        check("1_000b", Ok(1_000));
        check("0", Ok(0));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        check("", Err(Error::Number(String::new())));
        check("MiB", Err(Error::Number("MiB".to_owned())));
        check("-1", Err(Error::Number("-1".to_owned())));
        check("1..5k", Err(Error::Number("1..5k".to_owned())));
        check("5 bits", Err(Error::Unit("bits".to_owned())));
        check("99999999999TiB", Err(Error::Range("99999999999TiB".to_owned())));
    }

    #[test]
    fn sizes_are_written_for_people() {
        assert_eq!(text(0), "0 B");
        assert_eq!(text(1536), "1.5 KiB");
        assert_eq!(text(10 << 30), "10 GiB");
        assert_eq!(text(u64::MAX), "16 EiB");
    }

    #[test]
    fn settings_take_numbers_and_text() {
        #[derive(serde::Deserialize)]
        struct Settings {
            #[serde(deserialize_with = "bytes")]
            max_bytes: u64,
        }
        assert_eq!(toml::from_str::<Settings>("max_bytes = 5").unwrap().max_bytes, 5);
        assert_eq!(toml::from_str::<Settings>("max_bytes = '1KiB'").unwrap().max_bytes, 1024);
        assert!(toml::from_str::<Settings>("max_bytes = -5").is_err());
    }
}
