//! Time as text and as parts, in UTC.

use chrono::DateTime;
use chrono::NaiveDate;
use chrono::NaiveDateTime;
use chrono::TimeZone;
use chrono_tz::Tz;

const NS: i64 = 1_000_000_000;

/// Moves a time that was written as if `zone` were UTC to what it is in UTC.
pub(super) fn shift(zone: Option<Tz>, ns: i64) -> i64 {
    let Some(zone) = zone else { return ns };
    let local = DateTime::from_timestamp_nanos(ns).naive_utc();
    zone.from_local_datetime(&local)
        .earliest()
        .and_then(|time| time.timestamp_nanos_opt())
        .unwrap_or(ns)
}

/// Reads a time: nanoseconds since the epoch, or RFC 3339, or the same without a zone.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if let Ok(ns) = text.parse() {
        return Some(ns);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return time.timestamp_nanos_opt();
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .and_then(|time| time.and_utc().timestamp_nanos_opt())
}

/// The seconds since the epoch of a date given in parts, any of which may be out of its range.
pub(super) fn of_parts(year: i64, month: i64, day: i64, second: i64) -> Option<i64> {
    let months = year.checked_mul(12)?.checked_add(month.checked_sub(1)?)?;
    let year = i32::try_from(months.div_euclid(12)).ok()?;
    let month = u32::try_from(months.rem_euclid(12)).ok()? + 1;
    let first = NaiveDate::from_ymd_opt(year, month, 1)?.and_hms_opt(0, 0, 0)?;
    let days = day.checked_sub(1)?.checked_mul(86_400)?;
    first.and_utc().timestamp().checked_add(days)?.checked_add(second)
}

/// A time in seconds, fraction dropped.
pub(super) fn of_seconds(seconds: f64) -> Option<NaiveDateTime> {
    #[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
    let whole = seconds.floor() as i64;
    DateTime::from_timestamp(whole, 0).map(|time| time.naive_utc())
}

/// Whole seconds of a time in nanoseconds.
pub(super) fn seconds(ns: i64) -> f64 {
    ns.div_euclid(NS) as f64
}
