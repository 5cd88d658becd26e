//! A compiled pattern of a time.
//!
//! Layouts of Go and patterns of `strftime` become the same items. What a text leaves out is taken
//! from a moment the caller gives: the year so that the time does not lie more than a day ahead,
//! and the whole date where there is none.

use chrono::Offset;
use chrono::TimeZone;
use chrono_tz::Tz;

use super::civil;
use super::civil::Civil;
use super::digits;
use super::go;
use super::names;
use super::strftime;
use super::usual;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// Two digits.
    Two,
    /// One or two digits, a space before the one or not.
    UpToTwo,
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// This text.
    Literal(Vec<u8>),
    /// White space, any amount.
    Space,
    /// A year of four digits.
    Year,
    /// A year of two digits: 69 to 99 are of the last century, or all of this one.
    ShortYear { has_pivot: bool },
    /// The first two digits of a year.
    Century,
    /// A month as number.
    Month(Width),
    /// A month by name or its first three letters.
    MonthName,
    /// A day of the month.
    Day(Width),
    /// A day of the year, up to three digits.
    DayOfYear,
    /// A day of the week by name, which is not looked at.
    WeekdayName,
    /// A number of up to so many digits, which is not looked at.
    Ignored(usize),
    /// An hour of 24.
    Hour(Width),
    /// An hour of 12.
    HalfDayHour(Width),
    /// AM or PM.
    HalfDay,
    /// A minute.
    Minute(Width),
    /// A second; in Go a fraction may follow though the layout says nothing.
    Second { width: Width, takes_fraction: bool },
    /// A fraction of a second with its point or comma.
    PointFraction { is_required: bool },
    /// The digits of a fraction.
    Fraction,
    /// A count of milliseconds, up to three digits.
    Millisecond,
    /// The distance from Greenwich.
    Offset,
    /// The name of a zone.
    ZoneName,
    /// The time since the epoch, so many units to a second.
    Epoch { per_second: i64 },
}

/// What texts say of a moment, piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    year: Option<i32>,
    century: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    hour: u32,
    is_half_day_hour: bool,
    is_afternoon: bool,
    minute: u32,
    second: u32,
    nanosecond: u32,
    offset: Option<i32>,
    /// Nanoseconds.
    epoch: Option<i64>,
}

/// How times are written; see the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFormat {
    items: Vec<Item>,
}

impl TimeFormat {
    /// Compiles a layout of Go's `time` package: the time `Mon Jan 2 15:04:05 MST 2006` as it would
    /// be written. Every text is a layout.
    #[must_use]
    pub fn go(layout: &str) -> TimeFormat {
        TimeFormat { items: go::items(layout) }
    }

    /// Compiles a `strftime` pattern.
    ///
    /// # Errors
    /// When it holds a letter that stands for nothing.
    pub fn strftime(pattern: &str) -> Result<TimeFormat, strftime::Error> {
        Ok(TimeFormat { items: strftime::items(pattern)? })
    }

    /// The time since the epoch, so many units to a second; seconds may have a fraction.
    #[must_use]
    pub fn epoch(per_second: i64) -> TimeFormat {
        let mut items = vec![Item::Epoch { per_second: per_second.clamp(1, civil::SECOND) }];
        if per_second == 1 {
            items.push(Item::PointFraction { is_required: false });
        }
        TimeFormat { items }
    }

    /// The digits of a fraction of a second alone.
    #[must_use]
    pub fn fraction() -> TimeFormat {
        TimeFormat { items: vec![Item::Fraction] }
    }

    /// Reads the whole of `text`, as nanoseconds since the epoch. It is a time in `zone` unless it
    /// says otherwise; `now`, in nanoseconds since the epoch, gives what it leaves out.
    #[must_use]
    pub fn read(&self, text: &[u8], zone: Tz, now: i64) -> Option<i64> {
        let (nanoseconds, length) = self.read_start(text, zone, now)?;
        (length == text.len()).then_some(nanoseconds)
    }

    /// As [`TimeFormat::read`], for a time that other text follows; says how long it is.
    #[must_use]
    pub fn read_start(&self, text: &[u8], zone: Tz, now: i64) -> Option<(i64, usize)> {
        let mut moment = Moment::default();
        let length = self.take(text, &mut moment)?;
        Some((moment.resolve(zone, now)?, length))
    }

    /// Notes what the start of `text` says of a moment, and says how long it is.
    pub fn take(&self, text: &[u8], moment: &mut Moment) -> Option<usize> {
        let mut at = 0;
        for item in &self.items {
            at += moment.take(item, &text[at..])?;
        }
        Some(at)
    }
}

impl Moment {
    /// Takes what `item` describes from the start of `text` and says how long it is.
    fn take(&mut self, item: &Item, text: &[u8]) -> Option<usize> {
        let length;
        match item {
            Item::Literal(literal) => {
                length = text.starts_with(literal).then_some(literal.len())?;
            }
            Item::Space => length = text.iter().take_while(|b| b.is_ascii_whitespace()).count(),
            Item::Year => {
                length = 4;
                self.year = i32::try_from(digits(text.get(..4)?)?).ok();
            }
            Item::ShortYear { has_pivot } => {
                length = 2;
                let year = i32::try_from(digits(text.get(..2)?)?).ok()?;
                self.year = Some(if *has_pivot && year >= 69 { 1900 } else { 2000 } + year);
            }
            Item::Century => {
                length = 2;
                self.century = i32::try_from(digits(text.get(..2)?)?).ok();
            }
            Item::Month(width) => length = number(text, *width, self.month.insert(0))?,
            Item::MonthName => {
                let (month, found) = names::month(text)?;
                self.month = Some(month);
                length = found;
            }
            Item::Day(width) => length = number(text, *width, self.day.insert(0))?,
            Item::DayOfYear => length = run(text, 3, self.day_of_year.insert(0))?,
            Item::WeekdayName => length = names::weekday(text)?,
            Item::Ignored(most) => length = run(text, *most, &mut 0)?,
            Item::Hour(width) => length = number(text, *width, &mut self.hour)?,
            Item::HalfDayHour(width) => {
                self.is_half_day_hour = true;
                length = number(text, *width, &mut self.hour)?;
            }
            Item::HalfDay => {
                length = 2;
                self.is_afternoon = half_day(text.get(..2)?)?;
            }
            Item::Minute(width) => length = number(text, *width, &mut self.minute)?,
            Item::Second { width, takes_fraction } => {
                let digits = number(text, *width, &mut self.second)?;
                let behind =
                    if *takes_fraction { self.point_fraction(&text[digits..]) } else { None };
                length = digits + behind.unwrap_or(0);
            }
            Item::PointFraction { is_required } => match self.point_fraction(text) {
                None if *is_required => return None,
                found => length = found.unwrap_or(0),
            },
            Item::Fraction => (self.nanosecond, length) = usual::fraction(text)?,
            Item::Millisecond => {
                length = run(text, 3, &mut self.nanosecond)?;
                self.nanosecond *= 1_000_000;
            }
            Item::Offset => {
                let (offset, found) = usual::numeric_zone(text)?;
                self.offset = Some(offset);
                length = found;
            }
            Item::ZoneName => (length, self.offset) = names::zone(text)?,
            Item::Epoch { per_second } => length = self.epoch(text, *per_second)?,
        }
        Some(length)
    }

    fn point_fraction(&mut self, text: &[u8]) -> Option<usize> {
        if !matches!(text.first(), Some(b'.' | b',')) {
            return None;
        }
        let (nanosecond, length) = usual::fraction(&text[1..])?;
        self.nanosecond = nanosecond;
        Some(length + 1)
    }

    fn epoch(&mut self, text: &[u8], per_second: i64) -> Option<usize> {
        let sign = usize::from(text.first() == Some(&b'-'));
        let length = text[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count() + sign;
        let units: i64 = std::str::from_utf8(&text[..length]).ok()?.parse().ok()?;
        self.epoch = Some(units.checked_mul(civil::SECOND / per_second)?);
        Some(length)
    }

    /// The moment, in nanoseconds since the epoch. It is in `zone` unless the texts said otherwise;
    /// `now`, in nanoseconds since the epoch, gives what they left out.
    #[must_use]
    pub fn resolve(&self, zone: Tz, now: i64) -> Option<i64> {
        if let Some(epoch) = self.epoch {
            return epoch.checked_add(i64::from(self.nanosecond));
        }
        let year = self.century.map_or(self.year, |century| {
            Some(century * 100 + self.year.unwrap_or(0).rem_euclid(100))
        });
        if let Some(year) = year {
            return self.in_year(year, zone, now);
        }
        let today = Civil::at(now);
        let this_year = self.in_year(today.year, zone, now);
        match this_year {
            Some(found) if found <= now.saturating_add(civil::DAY * civil::SECOND) => Some(found),
            // A log of December read in January; or the 29th of a February that this year lacks.
            _ => self.in_year(today.year - 1, zone, now).or(this_year),
        }
    }

    fn in_year(&self, year: i32, zone: Tz, now: i64) -> Option<i64> {
        let (month, day) = match (self.day_of_year, self.month, self.day) {
            (Some(day_of_year), ..) => {
                let (found, month, day) =
                    civil::date(civil::days(year, 1, 1)? + i64::from(day_of_year) - 1);
                (found == year).then_some((month, day))?
            }
            (None, None, None) if self.year.is_none() => {
                let today = Civil::at(now);
                (today.month, today.day)
            }
            (None, month, day) => (month.unwrap_or(1), day.unwrap_or(1)),
        };
        let hour = match self.is_half_day_hour {
            true if !(1..=12).contains(&self.hour) => return None,
            true => self.hour % 12 + if self.is_afternoon { 12 } else { 0 },
            false => self.hour,
        };
        let (minute, second, nanosecond) = (self.minute, self.second, self.nanosecond);
        let civil = Civil { year, month, day, hour, minute, second, nanosecond };
        let offset = match self.offset {
            Some(offset) => offset,
            None => offset_in(zone, civil.seconds()?)?,
        };
        civil.nanoseconds(offset)
    }
}

/// How far east of Greenwich `zone` is, in seconds, when its clocks show `local`. Of two moments
/// the first is meant; an hour that was left out counts as before it.
fn offset_in(zone: Tz, local: i64) -> Option<i32> {
    if zone == Tz::UTC {
        return Some(0);
    }
    let local = chrono::DateTime::from_timestamp(local, 0)?.naive_utc();
    let found = zone.offset_from_local_datetime(&local).earliest();
    let found = found.unwrap_or_else(|| {
        let before = local - chrono::Duration::hours(3);
        zone.offset_from_utc_datetime(&before)
    });
    Some(found.fix().local_minus_utc())
}

/// Reads a number of two digits, or of up to two.
fn number(text: &[u8], width: Width, value: &mut u32) -> Option<usize> {
    match width {
        Width::Two => {
            *value = digits(text.get(..2)?)?;
            Some(2)
        }
        Width::UpToTwo => {
            let space = usize::from(text.first() == Some(&b' '));
            run(&text[space..], 2 - space, value).map(|length| length + space)
        }
    }
}

/// Reads a number of up to `most` digits.
fn run(text: &[u8], most: usize, value: &mut u32) -> Option<usize> {
    let length = text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    *value = digits(&text[..length])?;
    Some(length)
}

fn half_day(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"pm") {
        Some(true)
    } else {
        text.eq_ignore_ascii_case(b"am").then_some(false)
    }
}
