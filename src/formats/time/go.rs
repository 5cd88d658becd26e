//! Layouts of Go's `time` package.
//!
//! A layout shows how the moment `Mon Jan 2 15:04:05 MST 2006` (zone `-0700`) would be written. The
//! longest chunk that is known counts; everything else stands for itself.

use super::format::Item;
use super::format::Width;

/// Chunks and what they stand for, longer ones before those they begin with.
const CHUNKS: &[(&str, Item)] = &[
    ("January", Item::MonthName),
    ("Jan", Item::MonthName),
    ("Monday", Item::WeekdayName),
    ("Mon", Item::WeekdayName),
    ("MST", Item::ZoneName),
    ("2006", Item::Year),
    ("__2", Item::DayOfYear),
    ("_2", Item::Day(Width::UpToTwo)),
    ("002", Item::DayOfYear),
    ("01", Item::Month(Width::Two)),
    ("02", Item::Day(Width::Two)),
    ("03", Item::HalfDayHour(Width::Two)),
    ("04", Item::Minute(Width::Two)),
    ("05", Item::Second { width: Width::Two, takes_fraction: true }),
    ("06", Item::ShortYear { has_pivot: true }),
    ("15", Item::Hour(Width::UpToTwo)),
    ("1", Item::Month(Width::UpToTwo)),
    ("2", Item::Day(Width::UpToTwo)),
    ("3", Item::HalfDayHour(Width::UpToTwo)),
    ("4", Item::Minute(Width::UpToTwo)),
    ("5", Item::Second { width: Width::UpToTwo, takes_fraction: true }),
    ("PM", Item::HalfDay),
    ("pm", Item::HalfDay),
    ("-07:00:00", Item::Offset),
    ("-07:00", Item::Offset),
    ("-070000", Item::Offset),
    ("-0700", Item::Offset),
    ("-07", Item::Offset),
    ("Z07:00:00", Item::Offset),
    ("Z07:00", Item::Offset),
    ("Z070000", Item::Offset),
    ("Z0700", Item::Offset),
    ("Z07", Item::Offset),
    (" ", Item::Space),
];

pub(super) fn items(layout: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let known = CHUNKS.iter().find(|(chunk, _)| begins(rest, chunk));
        if let Some((chunk, item)) = known {
            rest = &rest[chunk.len()..];
            if *item != Item::Space || items.last() != Some(&Item::Space) {
                items.push(item.clone());
            }
        } else if let Some((item, length)) = fraction(rest) {
            rest = &rest[length..];
            items.push(item);
        } else {
            let (literal, behind) = rest.split_at(first.len_utf8());
            rest = behind;
            if let Some(Item::Literal(text)) = items.last_mut() {
                text.extend_from_slice(literal.as_bytes());
            } else {
                items.push(Item::Literal(literal.as_bytes().to_vec()));
            }
        }
    }
    without_double_fractions(items)
}

/// Tells whether a chunk begins here: `Jan` does not in `January`'s place, nor in `Janus`.
fn begins(layout: &str, chunk: &str) -> bool {
    let Some(behind) = layout.strip_prefix(chunk) else { return false };
    let is_word = matches!(chunk, "Jan" | "Mon");
    !(is_word && behind.starts_with(|next: char| next.is_ascii_lowercase()))
}

/// A fraction, `.000` or `,999`, that no other digit follows.
fn fraction(layout: &str) -> Option<(Item, usize)> {
    let bytes = layout.as_bytes();
    let digit = *bytes.get(1)?;
    if !matches!(bytes[0], b'.' | b',') || !matches!(digit, b'0' | b'9') {
        return None;
    }
    let digits = bytes[1..].iter().take_while(|byte| **byte == digit).count();
    let is_followed = bytes.get(1 + digits).is_some_and(u8::is_ascii_digit);
    (!is_followed).then_some((Item::PointFraction { is_required: digit == b'0' }, 1 + digits))
}

/// A second before a written fraction leaves it to that.
fn without_double_fractions(mut items: Vec<Item>) -> Vec<Item> {
    for index in 1..items.len() {
        if matches!(items[index], Item::PointFraction { .. })
            && let Item::Second { takes_fraction, .. } = &mut items[index - 1]
        {
            *takes_fraction = false;
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use crate::formats::time::TimeFormat;

    /// 2026-11-22 15:33:20 UTC.
    const NOW: i64 = 1_795_361_600_000_000_000;

    fn check(layout: &str, text: &str, expected: Option<&str>) {
        let expected = expected.map(|text| {
            chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap()
        });
        let found = TimeFormat::go(layout).read(text.as_bytes(), Tz::UTC, NOW);
        assert_eq!(found, expected, "{layout} {text}");
    }

    #[test]
    fn layouts_of_the_standard_library_are_read() {
        let second = Some("2006-01-02T15:04:05Z");
        let minute = Some("2006-01-02T15:04:00Z");
        check("Mon Jan _2 15:04:05 2006", "Mon Jan  2 15:04:05 2006", second);
        check("Mon Jan _2 15:04:05 MST 2006", "Mon Jan  2 15:04:05 UTC 2006", second);
        check("Mon Jan 02 15:04:05 -0700 2006", "Mon Jan 02 16:04:05 +0100 2006", second);
        check("02 Jan 06 15:04 MST", "02 Jan 06 15:04 GMT", minute);
        check("02 Jan 06 15:04 -0700", "02 Jan 06 08:04 -0700", minute);
        check("Monday, 02-Jan-06 15:04:05 MST", "Monday, 02-Jan-06 15:04:05 UTC", second);
        check("Mon, 02 Jan 2006 15:04:05 MST", "Mon, 02 Jan 2006 15:04:05 UTC", second);
        check("2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z", second);
        check("2006-01-02T15:04:05Z07:00", "2006-01-02T17:04:05+02:00", second);
        check("2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05Z", second);
        check("3:04PM", "3:04PM", Some("2026-11-22T15:04:00Z"));
        check("Jan _2 15:04:05", "Jul  9 15:04:05", Some("2026-07-09T15:04:05Z"));
        check("Jan _2 15:04:05.000", "Jul 19 15:04:05.125", Some("2026-07-19T15:04:05.125Z"));
    }

    #[test]
    fn a_time_without_year_is_not_in_the_future() {
        check("Jan _2 15:04:05", "Dec 31 23:59:59", Some("2025-12-31T23:59:59Z"));
        check("Jan _2 15:04:05", "Nov 23 10:00:00", Some("2026-11-23T10:00:00Z"));
    }

    #[test]
    fn fractions_may_follow_seconds_unasked() {
        check("15:04:05 2006-01-02", "15:04:05.5 2006-01-02", Some("2006-01-02T15:04:05.5Z"));
        check(
            "2006-01-02 15:04:05,000",
            "2006-01-02 15:04:05,123",
            Some("2006-01-02T15:04:05.123Z"),
        );
        check("2006-01-02 15:04:05.000", "2006-01-02 15:04:05", None);
    }

    #[test]
    fn halves_of_the_day_are_told_apart() {
        check("2006/1/2 3:04:05 pm", "2026/3/4 12:00:00 am", Some("2026-03-04T00:00:00Z"));
        check("2006/1/2 3:04:05 pm", "2026/3/4 12:00:00 PM", Some("2026-03-04T12:00:00Z"));
        check("2006/1/2 3:04:05 pm", "2026/3/4 13:00:00 PM", None);
    }

    #[test]
    fn text_that_is_no_such_time_is_refused() {
        check("2006-01-02", "2006-02-30", None);
        check("2006-01-02", "2006-01-02 ", None);
        check("2006-01-02", "06-01-02", None);
        check("Jan 2 2006", "Foo 2 2006", None);
        check("2006 002", "2006 365", Some("2006-12-31T00:00:00Z"));
        check("2006 002", "2006 366", None);
    }

    #[test]
    fn zones_move_the_local_time() {
        let layout = TimeFormat::go("2006-01-02 15:04:05");
        let read = |text: &str, zone| layout.read(text.as_bytes(), zone, NOW).unwrap();
        let second = 1_000_000_000;
        assert_eq!(read("1970-01-01 01:00:00", Tz::Europe__Berlin), 0);
        // The hour that is there twice is the first, the one that is left out is before it.
        assert_eq!(read("2026-10-25 02:30:00", Tz::Europe__Berlin), 1_792_888_200 * second);
        assert_eq!(read("2026-03-29 02:30:00", Tz::Europe__Berlin), 1_774_747_800 * second);
    }
}
