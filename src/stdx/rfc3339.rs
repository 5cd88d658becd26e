//! Time as RFC 3339 writes it, in UTC, for those who write it often.

use chrono::DateTime;
use chrono::Datelike;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Writes times such as `2014-11-24T14:54:53.25Z`.
///
/// The fraction has as many groups of three digits as it needs, and none for a whole second. The
/// date of the last day is remembered: those of a log follow each other.
#[derive(Clone, Debug)]
pub struct Rfc3339 {
    day: i64,
    /// The date and a T.
    date: [u8; 11],
}

impl Default for Rfc3339 {
    fn default() -> Rfc3339 {
        Rfc3339 { day: 0, date: *b"1970-01-01T" }
    }
}

impl Rfc3339 {
    /// Appends the text for `nanoseconds` since the epoch.
    pub fn put(&mut self, nanoseconds: i64, out: &mut Vec<u8>) {
        let day = nanoseconds.div_euclid(DAY);
        if day != self.day {
            self.turn_to(day);
        }
        let of_day = nanoseconds.rem_euclid(DAY);
        let (second, fraction) = (of_day / SECOND, of_day % SECOND);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        text[..11].copy_from_slice(&self.date);
        put_digits(&mut text[11..13], second / 3600);
        put_digits(&mut text[14..16], second / 60 % 60);
        put_digits(&mut text[17..19], second % 60);
        let end = match (fraction, fraction % 1_000_000, fraction % 1000) {
            (0, ..) => 19,
            (_, 0, _) => 23,
            (.., 0) => 26,
            _ => 29,
        };
        if end > 19 {
            put_digits(&mut text[20..29], fraction);
        }
        text[end] = b'Z';
        out.extend_from_slice(&text[..=end]);
    }

    #[cold]
    fn turn_to(&mut self, day: i64) {
        // A day of an i64 in nanoseconds lies between 1677 and 2262.
        let date = DateTime::from_timestamp_nanos(day.saturating_mul(DAY)).date_naive();
        self.day = day;
        put_digits(&mut self.date[..4], i64::from(date.year()));
        put_digits(&mut self.date[5..7], i64::from(date.month()));
        put_digits(&mut self.date[8..10], i64::from(date.day()));
    }
}

/// Fills `out` with the last digits of `number`.
#[inline]
fn put_digits(out: &mut [u8], mut number: i64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    use super::*;

    fn text(times: &mut Rfc3339, nanoseconds: i64) -> String {
        let mut out = Vec::new();
        times.put(nanoseconds, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fractions_are_as_long_as_they_need() {
        let mut times = Rfc3339::default();
        assert_eq!(text(&mut times, 1_416_840_893_000_000_000), "2014-11-24T14:54:53Z");
        assert_eq!(text(&mut times, 1_416_840_893_250_000_000), "2014-11-24T14:54:53.250Z");
        assert_eq!(text(&mut times, 1_416_840_893_000_007_000), "2014-11-24T14:54:53.000007Z");
        assert_eq!(text(&mut times, 1), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(text(&mut times, -1), "1969-12-31T23:59:59.999999999Z");
    }

    proptest! {
        #[test]
        fn any_time_is_written_as_chrono_does(nanoseconds: Vec<i64>) {
            let mut times = Rfc3339::default();
            for nanoseconds in nanoseconds.into_iter().chain([i64::MIN, i64::MAX, 0]) {
                let time = DateTime::from_timestamp_nanos(nanoseconds);
                let expected = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
                prop_assert_eq!(text(&mut times, nanoseconds), expected);
            }
        }
    }
}
