//! The proleptic Gregorian calendar.
//!
//! Days are counted from 1970-01-01. Years are counted from March, so that the leap day is the
//! last of its year, and in eras of 400 years, which all have 146 097 days.

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;
/// Seconds in a day.
pub const DAY: i64 = 86_400;

const DAYS_IN_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// A date and the time of day, in some zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// The year.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 60: a leap second is the first of the next minute.
    pub second: u32,
    /// 0 to 999 999 999.
    pub nanosecond: u32,
}

impl Civil {
    /// Nanoseconds since the epoch, were the zone `offset` seconds east of Greenwich; `None` when a
    /// part is out of its range or the moment is not within the years 1678 to 2261.
    #[must_use]
    pub fn nanoseconds(&self, offset: i32) -> Option<i64> {
        let seconds = self.seconds()? - i64::from(offset);
        seconds.checked_mul(SECOND)?.checked_add(i64::from(self.nanosecond))
    }

    /// Seconds since the epoch, were the zone that of Greenwich.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        if self.hour > 23 || self.minute > 59 || self.second > 60 || self.nanosecond > 999_999_999 {
            return None;
        }
        let days = days(self.year, self.month, self.day)?;
        let time = i64::from(self.hour * 3600 + self.minute * 60 + self.second);
        Some(days * DAY + time)
    }

    /// The date and time of day at `nanoseconds` since the epoch, in Greenwich.
    #[must_use]
    pub fn at(nanoseconds: i64) -> Civil {
        let seconds = nanoseconds.div_euclid(SECOND);
        let (year, month, day) = date(seconds.div_euclid(DAY));
        let time = part(seconds.rem_euclid(DAY));
        Civil {
            year,
            month,
            day,
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
            nanosecond: part(nanoseconds.rem_euclid(SECOND)),
        }
    }
}

/// Days from the epoch to a date; `None` when there is no such date.
#[must_use]
pub fn days(year: i32, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let year = i64::from(year) - i64::from(month < 3);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let leap_days = year_of_era / 4 - year_of_era / 100;
    Some(era * DAYS_IN_ERA + year_of_era * 365 + leap_days + day_of_year - EPOCH)
}

/// Year, month and day that lie `days` behind the epoch.
#[must_use]
pub fn date(days: i64) -> (i32, u32, u32) {
    let from_march_0 = days + EPOCH;
    let era = from_march_0.div_euclid(DAYS_IN_ERA);
    let day_of_era = from_march_0.rem_euclid(DAYS_IN_ERA);
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = part(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    let month = part((month_from_march + 2) % 12 + 1);
    let year = era * 400 + year_of_era + i64::from(month < 3);
    (i32::try_from(year).unwrap_or(i32::MAX), month, day)
}

/// How many days a month has.
#[must_use]
pub fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A part of a date, which is small and not negative.
fn part(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_agrees_with_chrono_over_all_days() {
        use chrono::Datelike;
        let epoch = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for day in (-110_000..110_000).step_by(7) {
            let expected = epoch + chrono::Duration::days(day);
            let found = (expected.year(), expected.month(), expected.day());
            assert_eq!(date(day), found);
            assert_eq!(days(found.0, found.1, found.2), Some(day));
        }
    }

    #[test]
    fn dates_that_are_none_are_refused() {
        for (year, month, day) in [(2026, 0, 1), (2026, 13, 1), (2026, 2, 29), (2026, 4, 31)] {
            assert_eq!(days(year, month, day), None, "{year}-{month}-{day}");
        }
        assert_eq!(days(2000, 2, 29), Some(11_016));
    }

    #[test]
    fn moment_and_its_parts_agree() {
        let nanoseconds = 1_416_840_893_000_000_042;
        let civil = Civil::at(nanoseconds);
        assert_eq!((civil.year, civil.month, civil.day), (2014, 11, 24));
        assert_eq!((civil.hour, civil.minute, civil.second), (14, 54, 53));
        assert_eq!(civil.nanoseconds(0), Some(nanoseconds));
        assert_eq!(Civil::at(-1).nanoseconds(0), Some(-1));
        assert_eq!(Civil { year: 4000, ..civil }.nanoseconds(0), None);
    }
}
