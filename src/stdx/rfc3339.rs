//! Time as RFC 3339 writes it, in UTC, for those who write it often.

use chrono::DateTime;
use chrono::Datelike;

const SECOND: i64 = 1_000_000_000;
/// In seconds.
const DAY: i64 = 86_400;

/// Writes times such as `2014-11-24T14:54:53.25Z`.
///
/// The fraction has as many groups of three digits as it needs, and none for a whole second. The
/// last second is remembered: the times of a log follow each other.
#[derive(Clone, Debug)]
pub struct Rfc3339 {
    day: i64,
    second: i64,
    /// The last time up to its second.
    text: [u8; 19],
}

impl Default for Rfc3339 {
    fn default() -> Rfc3339 {
        Rfc3339 { day: 0, second: 0, text: *b"1970-01-01T00:00:00" }
    }
}

impl Rfc3339 {
    /// Appends the text for `nanoseconds` since the epoch.
    pub fn put(&mut self, nanoseconds: i64, out: &mut Vec<u8>) {
        let second = nanoseconds.div_euclid(SECOND);
        if second != self.second {
            self.turn_to(second);
        }
        let fraction = nanoseconds.rem_euclid(SECOND);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        text[..19].copy_from_slice(&self.text);
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

    fn turn_to(&mut self, second: i64) {
        self.second = second;
        let (day, of_day) = (second.div_euclid(DAY), second.rem_euclid(DAY));
        if day != self.day {
            self.day = day;
            // An i64 of nanoseconds lies between 1677 and 2262.
            let date = DateTime::from_timestamp(second, 0).unwrap_or_default().date_naive();
            put_digits(&mut self.text[..4], i64::from(date.year()));
            put_digits(&mut self.text[5..7], i64::from(date.month()));
            put_digits(&mut self.text[8..10], i64::from(date.day()));
        }
        put_digits(&mut self.text[11..13], of_day / 3600);
        put_digits(&mut self.text[14..16], of_day / 60 % 60);
        put_digits(&mut self.text[17..19], of_day % 60);
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
