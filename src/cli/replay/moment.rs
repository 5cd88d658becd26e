//! Points in time, as one writes them on a command line.

use chrono::DateTime;
use chrono::NaiveDate;
use chrono::NaiveDateTime;
use chrono::SecondsFormat;

use crate::stdx::clock::Clock;
use crate::stdx::clock::System;
use crate::stdx::duration;

/// How a time without a zone may be written.
const FORMS: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

/// Reads a moment: RFC 3339, a date with or without a time of day in UTC, seconds since the epoch
/// behind an `@`, or a time ago such as `-2h`. In nanoseconds since the epoch.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    read(text, System::new().wall()).ok_or_else(|| {
        "expected a time such as `2026-10-05`, `2026-10-05T13:00:00Z`, `@1790000000` or `-2h`"
            .to_owned()
    })
}

fn read(text: &str, now: i64) -> Option<i64> {
    let text = text.trim();
    if let Some(ago) = text.strip_prefix('-') {
        let ago = duration::parse(ago, std::time::Duration::from_secs(1)).ok()?;
        return now.checked_sub(i64::try_from(ago.as_nanos()).ok()?);
    }
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds.parse::<i64>().ok()?.checked_mul(1_000_000_000);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return time.timestamp_nanos_opt();
    }
    let time = FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    time.or_else(date)?.and_utc().timestamp_nanos_opt()
}

/// A moment as RFC 3339 has it, in UTC.
pub(super) fn text(time: i64) -> String {
    DateTime::from_timestamp_nanos(time).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: Option<&str>) {
        let read = read(written, 1_790_000_000_000_000_000);
        assert_eq!(read.map(text).as_deref(), expected, "{written}");
    }

    #[test]
    fn moments_are_read_as_people_write_them() {
        check("2026-10-05", Some("2026-10-05T00:00:00Z"));
        check("2026-10-05 13:01", Some("2026-10-05T13:01:00Z"));
        check("2026-10-05T13:01:02.5", Some("2026-10-05T13:01:02.500Z"));
        check("2026-10-05T13:01:02+02:00", Some("2026-10-05T11:01:02Z"));
        check("@1790000000", Some("2026-09-21T14:13:20Z"));
        check("-2h", Some("2026-09-21T12:13:20Z"));
        check("-1", Some("2026-09-21T14:13:19Z"));
        check("yesterday", None);
        check("9999-01-01", None);
    }
}
