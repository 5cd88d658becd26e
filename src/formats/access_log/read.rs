//! Reading a line.

use chrono_tz::Tz;

use super::variable::Kind;
use super::variable::Time;
use super::variable::Variable;
use crate::formats::time;
use crate::formats::time::Moment;
use crate::message::ArrayBuilder;

/// What was found in a line; used again and again, so that nothing is allocated.
#[derive(Debug, Default)]
pub struct Line {
    pub(super) found: Vec<Found>,
    pub(super) list: ArrayBuilder,
    /// The time of the line, in nanoseconds since the epoch.
    time: Option<i64>,
    /// Whether a piece of the time has been met.
    has_pieces: bool,
    moment: Moment,
    /// The last time in the common log format, and what it is: lines come in bursts.
    last_clf: [u8; CLF],
    last_clf_time: i64,
}

/// Length of a time in the common log format.
const CLF: usize = 26;

/// The value of a variable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
    /// Not given, or not a field.
    Nothing,
    /// A stretch of the line.
    Text { start: u32, end: u32 },
    /// A whole number.
    Integer(i64),
    /// A number.
    Double(f64),
}

/// Why a line is not of the format.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[error("column {column}: expected {expected}, found {found}")]
pub struct Mismatch {
    /// The place in the line, in bytes counted from one.
    pub column: usize,
    /// What should have stood there.
    pub expected: String,
    /// What stands there, or the start of it.
    pub found: String,
}

impl Line {
    /// The time of the line, in nanoseconds since the epoch, where the format has one.
    #[must_use]
    pub fn time(&self) -> Option<i64> {
        self.time
    }

    pub(super) fn read(
        &mut self,
        prefix: &[u8],
        variables: &[Variable],
        text: &[u8],
        now: i64,
    ) -> Result<(), Mismatch> {
        if u32::try_from(text.len()).is_err() {
            return Err(mismatch(b"", 0, "a line of less than 4 GiB".to_owned()));
        }
        self.found.clear();
        self.time = None;
        self.has_pieces = false;
        let mut at = literal(prefix, text, 0)?;
        for variable in variables {
            let start = at;
            let found = self.value(variable, text, &mut at);
            let found = found.ok_or_else(|| mismatch(text, start, variable.expected()))?;
            self.found.push(found);
            // Text ends where what follows it was found.
            let is_found = matches!(found, Found::Text { .. }) && at < text.len();
            at = if is_found {
                at + variable.behind.len()
            } else {
                literal(&variable.behind, text, at)?
            };
        }
        if at < text.len() {
            return Err(mismatch(text, at, "the end of the line".to_owned()));
        }
        if self.has_pieces {
            let time = self.moment.resolve(Tz::UTC, now);
            self.time =
                Some(time.ok_or_else(|| mismatch(text, 0, "a time that exists".to_owned()))?);
        }
        Ok(())
    }

    fn value(&mut self, variable: &Variable, text: &[u8], at: &mut usize) -> Option<Found> {
        match &variable.kind {
            Kind::Text | Kind::Address | Kind::UserAgent | Kind::List(_) => {
                let start = *at;
                *at = end_of_text(&variable.behind, text, start);
                Some(Found::Text { start: narrow(start), end: narrow(*at) })
            }
            Kind::Integer => integer(text, at),
            Kind::Double => double(text, at),
            Kind::Time(time) => {
                *at += self.take_time(time, &text[*at..])?;
                Some(Found::Nothing)
            }
        }
    }

    fn take_time(&mut self, form: &Time, text: &[u8]) -> Option<usize> {
        match form {
            Time::Clf => {
                let written: &[u8; CLF] = text.get(..CLF)?.try_into().ok()?;
                if *written != self.last_clf {
                    self.last_clf_time = time::read_clf(written)?;
                    self.last_clf = *written;
                }
                self.time = Some(self.last_clf_time);
                Some(CLF)
            }
            Time::Iso => {
                let (nanoseconds, length) = time::read_rfc3339(text, 0)?;
                self.time = Some(nanoseconds);
                Some(length)
            }
            Time::Piece(format) => {
                if !self.has_pieces {
                    self.has_pieces = true;
                    self.moment = Moment::default();
                }
                format.take(text, &mut self.moment)
            }
            Time::Passed(format) => format.take(text, &mut Moment::default()),
        }
    }
}

/// Tells whether `text` begins with `literal`, which is short: a loop here is quicker than a call.
#[inline]
fn begins(text: &[u8], literal: &[u8]) -> bool {
    text.len() >= literal.len() && text.iter().zip(literal).all(|(found, wanted)| found == wanted)
}

/// Passes over `literal`.
#[inline]
fn literal(literal: &[u8], text: &[u8], at: usize) -> Result<usize, Mismatch> {
    if begins(&text[at..], literal) {
        return Ok(at + literal.len());
    }
    Err(mismatch(text, at, format!("{:?}", String::from_utf8_lossy(literal))))
}

/// Where text ends that `behind` follows: at its first occurrence, and not at a quote that is
/// escaped; at the end of the line where it does not occur.
#[inline]
fn end_of_text(behind: &[u8], text: &[u8], start: usize) -> usize {
    let Some(&first) = behind.first() else { return text.len() };
    let mut at = start;
    while let Some(found) = memchr::memchr(first, &text[at..]) {
        at += found;
        if begins(&text[at..], behind) && !(first == b'"' && is_escaped(&text[start..at])) {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// Tells whether what follows `before` is escaped: an odd number of backslashes precede it.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Reads a whole number, or a `-` that says there is none.
#[inline]
fn integer(text: &[u8], at: &mut usize) -> Option<Found> {
    let is_negative = text.get(*at) == Some(&b'-');
    let start = *at + usize::from(is_negative);
    let mut end = start;
    let mut value = 0i64;
    while let Some(digit) = text.get(end).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10) {
        value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
        end += 1;
    }
    *at = end;
    match (end == start, is_negative) {
        (true, false) => None,
        (true, true) => Some(Found::Nothing),
        (false, true) => Some(Found::Integer(-value)),
        (false, false) => Some(Found::Integer(value)),
    }
}

/// Reads a number with a fraction, or a `-` that says there is none.
fn double(text: &[u8], at: &mut usize) -> Option<Found> {
    let length = text[*at..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e'))
        .count();
    let written = &text[*at..*at + length];
    *at += length;
    if written == b"-" {
        return Some(Found::Nothing);
    }
    std::str::from_utf8(written).ok()?.parse().ok().map(Found::Double)
}

/// A place in a line, whose length was found to fit.
#[allow(clippy::cast_possible_truncation, reason = "the length of the line fits in 32 bits")]
fn narrow(at: usize) -> u32 {
    at as u32
}

#[cold]
fn mismatch(text: &[u8], at: usize, expected: String) -> Mismatch {
    let rest = &text[at..];
    let found = if rest.is_empty() {
        "the end of the line".to_owned()
    } else {
        format!("{:?}", String::from_utf8_lossy(&rest[..rest.len().min(24)]))
    };
    Mismatch { column: at + 1, expected, found }
}
