//! Patterns of `strftime`, read backwards.
//!
//! The letters of POSIX and those that Heka's Lua module takes beside them; `%f` is a fraction of a
//! second and `%L` one of three digits, as scripting languages have it; `%-M`, `%-S` and `%-L` (a count
//! of milliseconds) may have fewer digits. White space in a pattern
//! stands for any amount of it.

use super::format::Item;
use super::format::Width;

/// What is wrong with a pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum Error {
    /// A letter stands for nothing.
    #[error("%{letter} at column {column} stands for nothing in a time")]
    Unknown {
        /// The letter behind the percent sign.
        letter: char,
        /// Where the percent sign is, counted from one.
        column: usize,
    },
    /// The pattern ends with a percent sign.
    #[error("time pattern ends with a percent sign")]
    Cut,
}

pub(super) fn items(pattern: &str) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    let mut characters = pattern.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '%' {
            let (_, mut letter) = characters.next().ok_or(Error::Cut)?;
            let is_unpadded = letter == '-';
            if is_unpadded {
                letter = characters.next().ok_or(Error::Cut)?.1;
            }
            let meaning = if is_unpadded { unpadded(letter) } else { meaning(letter) };
            for item in meaning.ok_or(Error::Unknown { letter, column: at + 1 })? {
                push(&mut items, item);
            }
        } else {
            push(&mut items, plain(character));
        }
    }
    Ok(items)
}

fn plain(character: char) -> Item {
    if character.is_ascii_whitespace() {
        Item::Space
    } else {
        Item::Literal(character.to_string().into_bytes())
    }
}

fn push(items: &mut Vec<Item>, item: Item) {
    match (items.last_mut(), item) {
        (Some(Item::Literal(text)), Item::Literal(more)) => text.extend(more),
        (_, item) => items.push(item),
    }
}

/// What a letter behind `%-` stands for: a number that may have fewer digits.
fn unpadded(letter: char) -> Option<Vec<Item>> {
    Some(vec![match letter {
        'M' => Item::Minute(Width::UpToTwo),
        'S' => Item::Second { width: Width::UpToTwo, takes_fraction: false },
        'L' => Item::Millisecond,
        letter => return meaning(letter),
    }])
}

fn meaning(letter: char) -> Option<Vec<Item>> {
    let second = || Item::Second { width: Width::Two, takes_fraction: false };
    let whole = |pattern: &str| items(pattern).ok();
    Some(vec![match letter {
        'a' | 'A' => Item::WeekdayName,
        'b' | 'B' | 'h' => Item::MonthName,
        'C' => Item::Century,
        'y' => Item::ShortYear { has_pivot: false },
        'Y' => Item::Year,
        'm' => Item::Month(Width::UpToTwo),
        'd' | 'e' => Item::Day(Width::UpToTwo),
        'j' => Item::DayOfYear,
        'H' | 'k' => Item::Hour(Width::UpToTwo),
        'I' | 'l' => Item::HalfDayHour(Width::UpToTwo),
        'M' => Item::Minute(Width::Two),
        'S' => second(),
        'f' | 'L' => Item::Fraction,
        'p' | 'P' => Item::HalfDay,
        'z' => Item::Offset,
        'Z' => Item::ZoneName,
        's' => Item::Epoch { per_second: 1 },
        'u' | 'w' => Item::Ignored(1),
        'U' | 'V' | 'W' | 'g' => Item::Ignored(2),
        'G' => Item::Ignored(4),
        'n' | 't' => Item::Space,
        '%' => Item::Literal(b"%".to_vec()),
        'D' | 'x' => return whole("%m/%d/%y"),
        'F' => return whole("%Y-%m-%d"),
        'R' => return whole("%H:%M"),
        'T' | 'X' => return whole("%H:%M:%S"),
        'r' => return whole("%I:%M:%S %p"),
        'c' => return whole("%a %b %e %H:%M:%S %Y"),
        _ => return None,
    }])
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::Error;
    use crate::formats::time::TimeFormat;

    /// 2026-11-22 15:33:20 UTC.
    const NOW: i64 = 1_795_361_600_000_000_000;

    fn check(pattern: &str, text: &str, expected: Option<&str>) {
        let expected = expected.map(|text| {
            chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap()
        });
        let found = TimeFormat::strftime(pattern).unwrap().read(text.as_bytes(), Tz::UTC, NOW);
        assert_eq!(found, expected, "{pattern} {text}");
    }

    #[test]
    fn patterns_are_read() {
        let second = Some("2026-11-22T15:33:20Z");
        check("%Y-%m-%dT%H:%M:%S%z", "2026-11-22T16:33:20+01:00", second);
        check("%d/%b/%Y:%H:%M:%S %z", "22/Nov/2026:15:33:20 +0000", second);
        check("%c", "Sun Nov 22 15:33:20 2026", second);
        check("%F %r", "2026-11-22 03:33:20 PM", second);
        check("%D %T %Z", "11/22/26 10:33:20 EST", second);
        check("%s", "1795361600", second);
        check("%Y%m%d-%H:%-M:%-S:%-L", "20261122-9:2:5:7", Some("2026-11-22T09:02:05.007Z"));
        check("%s.%f", "1795361600.25", Some("2026-11-22T15:33:20.25Z"));
        check("%b %e %H:%M:%S", "Nov  2 15:33:20", Some("2026-11-02T15:33:20Z"));
        check("%Y%j", "2026326", Some("2026-11-22T00:00:00Z"));
        check("%C%y-%m-%d", "1999-12-31", Some("1999-12-31T00:00:00Z"));
        check("%G-W%V-%u %F", "2026-W47-7 2026-11-22", Some("2026-11-22T00:00:00Z"));
        check("100%%  %F", "100% 2026-11-22", Some("2026-11-22T00:00:00Z"));
    }

    #[test]
    fn text_that_is_no_such_time_is_refused() {
        check("%Y-%m-%d", "2026-11-31", None);
        check("%Y-%m-%d", "2026-11-22x", None);
        check("%H:%M", "25:00", None);
    }

    #[test]
    fn unknown_letters_are_named() {
        let error = TimeFormat::strftime("%F %Q").unwrap_err();
        assert_eq!(error, Error::Unknown { letter: 'Q', column: 4 });
        assert_eq!(TimeFormat::strftime("%").unwrap_err(), Error::Cut);
    }
}
