//! Durations as people write them: a number in the unit of the setting, or text such as `250ms`.
//!
//! A setting names its unit by the function it is read with:
//!
//! ```ignore
//! #[serde(default, deserialize_with = "duration::seconds")]
//! #[schemars(with = "duration::Written")]
//! ticker_interval: Duration,
//! ```

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserializer;
use serde::de::Visitor;

/// What is wrong with a duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum Error {
    /// There is no number where one should be.
    #[error("`{0}` is no duration, expected something like `250ms`, `10s` or `1h30m`")]
    Number(String),
    /// A number is followed by something that is no unit.
    #[error("`{unit}` is no unit of time, expected ns, us, ms, s, m, h, d or w")]
    Unit {
        /// What stands there.
        unit: String,
    },
    /// It is below zero or longer than can be counted.
    #[error("`{0}` is negative or too long for a duration")]
    Range(String),
}

const UNITS: [(&str, f64); 9] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3_600e9),
    ("d", 86_400e9),
    ("w", 604_800e9),
];

/// Reads text such as `250ms`, `1.5s`, `1h30m` or `7d`; a number alone counts in `unit`.
pub fn parse(text: &str, unit: Duration) -> Result<Duration, Error> {
    let trimmed = text.trim();
    if let Ok(number) = trimmed.parse::<f64>() {
        return scaled(number, unit).ok_or_else(|| Error::Range(trimmed.to_owned()));
    }
    let mut total = Duration::ZERO;
    let mut rest = trimmed;
    if rest.is_empty() {
        return Err(Error::Number(text.to_owned()));
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| Error::Number(trimmed.to_owned()))?;
        rest = rest[end..].trim_start();
        let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let name = &rest[..end];
        let (_, nanoseconds) = UNITS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| Error::Unit { unit: name.to_owned() })?;
        total = scaled(number * nanoseconds / 1e9, Duration::from_secs(1))
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| Error::Range(trimmed.to_owned()))?;
        rest = rest[end..].trim_start();
    }
    Ok(total)
}

/// Writes a duration so that [`parse`] reads it back: `1h30m`, `250ms`, `0s`.
#[must_use]
pub fn text(duration: Duration) -> String {
    let mut left = duration.as_nanos();
    if left == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (name, nanoseconds) in [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ] {
        if left >= nanoseconds {
            out.push_str(&(left / nanoseconds).to_string());
            out.push_str(name);
            left %= nanoseconds;
        }
    }
    out
}

fn scaled(number: f64, unit: Duration) -> Option<Duration> {
    let seconds = number * unit.as_secs_f64();
    // Rounded to the nanosecond, so that 0.3 s is not a nanosecond short of 300 ms.
    Duration::try_from_secs_f64((seconds * 1e9).round() / 1e9).ok()
}

/// Reads a setting whose bare numbers are seconds.
pub fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    from.deserialize_any(Reading { unit: Duration::from_secs(1) })
}

/// Reads a setting whose bare numbers are milliseconds.
pub fn milliseconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    from.deserialize_any(Reading { unit: Duration::from_millis(1) })
}

/// Reads a setting whose bare numbers are microseconds.
pub fn microseconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    from.deserialize_any(Reading { unit: Duration::from_micros(1) })
}

/// Reads a setting whose bare numbers are nanoseconds.
pub fn nanoseconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    from.deserialize_any(Reading { unit: Duration::from_nanos(1) })
}

/// As [`seconds`], for a setting that may be left out.
pub fn optional_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    seconds(from).map(Some)
}

/// As [`milliseconds`], for a setting that may be left out.
pub fn optional_milliseconds<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Duration>, D::Error> {
    milliseconds(from).map(Some)
}

struct Reading {
    unit: Duration,
}

impl Visitor<'_> for Reading {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number of {} or text such as \"250ms\"", text(self.unit).replacen('1', "", 1))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Duration, E> {
        let number =
            u64::try_from(number).map_err(|_| E::custom(Error::Range(number.to_string())))?;
        self.visit_u64(number)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Duration, E> {
        let nanoseconds = u128::from(number) * self.unit.as_nanos();
        let seconds = u64::try_from(nanoseconds / 1_000_000_000)
            .map_err(|_| E::custom(Error::Range(number.to_string())))?;
        let rest = u32::try_from(nanoseconds % 1_000_000_000).expect("a remainder is below 10^9");
        Ok(Duration::new(seconds, rest))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Duration, E> {
        scaled(number, self.unit).ok_or_else(|| E::custom(Error::Range(number.to_string())))
    }

    fn visit_str<E: serde::de::Error>(self, written: &str) -> Result<Duration, E> {
        parse(written, self.unit).map_err(E::custom)
    }
}

/// How a duration is written in a configuration, for its schema.
#[derive(Debug)]
pub struct Written;

impl JsonSchema for Written {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["number", "string"],
            "minimum": 0,
            "description": "a number in the unit of the setting, or text such as \"250ms\""
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<Duration, Error>) {
        assert_eq!(parse(input, Duration::from_secs(1)), expected, "{input}");
        if let Ok(duration) = expected {
            assert_eq!(parse(&text(duration), Duration::from_secs(1)), Ok(duration), "{input}");
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        check("250ms", Ok(Duration::from_millis(250)));
        check("72h", Ok(Duration::from_hours(72)));
        check("1h30m", Ok(Duration::from_mins(90)));
        check("1.5s", Ok(Duration::from_millis(1500)));
        check("0.3s", Ok(Duration::from_millis(300)));
        check("7d", Ok(Duration::from_hours(7 * 24)));
        check("3 s", Ok(Duration::from_secs(3)));
        check("10", Ok(Duration::from_secs(10)));
        check("0", Ok(Duration::ZERO));
        check("12µs", Ok(Duration::from_micros(12)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        check("", Err(Error::Number(String::new())));
        check("ms", Err(Error::Number("ms".to_owned())));
        check("5 parsecs", Err(Error::Unit { unit: "parsecs".to_owned() }));
        check("-1s", Err(Error::Number("-1s".to_owned())));
        check("-1", Err(Error::Range("-1".to_owned())));
        check("99999999999999w", Err(Error::Range("99999999999999w".to_owned())));
    }

    #[test]
    fn bare_numbers_count_in_the_unit_of_the_setting() {
        #[derive(serde::Deserialize)]
        struct Settings {
            #[serde(deserialize_with = "milliseconds")]
            wait: Duration,
            #[serde(default, deserialize_with = "optional_seconds")]
            age: Option<Duration>,
        }
        let settings: Settings = toml::from_str("wait = 250\nage = 1.5").unwrap();
        assert_eq!(settings.wait, Duration::from_millis(250));
        assert_eq!(settings.age, Some(Duration::from_millis(1500)));
        let settings: Settings = toml::from_str("wait = \"2s\"").unwrap();
        assert_eq!((settings.wait, settings.age), (Duration::from_secs(2), None));
        assert!(toml::from_str::<Settings>("wait = -1").is_err());
        assert!(toml::from_str::<Settings>("wait = true").is_err());
    }
}
