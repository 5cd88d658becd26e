//! The time at the start of a message, in the forms that are met.

use chrono_tz::Tz;

use crate::formats::time;
use crate::formats::time::TimeFormat;
use crate::formats::time::civil;

/// Length of `Oct 11 22:14:15`.
const USUAL: usize = 15;
/// How long a time without a year is taken for the same, in nanoseconds.
const FRESH: i64 = 3600 * civil::SECOND;

/// Reads times. The last one of the usual form is kept: messages come in bursts.
#[derive(Debug)]
pub(super) struct Clock {
    zone: Tz,
    /// `Oct 11 22:14:15`, and a fraction where there is one.
    usual: TimeFormat,
    /// The other forms.
    rare: Vec<TimeFormat>,
    /// What Cisco's devices write before a colon.
    named_zone: TimeFormat,
    last: [u8; USUAL],
    last_time: i64,
    last_now: i64,
}

impl Clock {
    pub(super) fn new(zone: Tz) -> Clock {
        Clock {
            zone,
            usual: TimeFormat::go("Jan _2 15:04:05"),
            rare: [
                "Jan _2 2006 15:04:05",
                "2006 Jan _2 15:04:05",
                "2006-01-02T15:04:05",
                "2006-01-02 15:04:05",
                "Mon Jan _2 15:04:05 2006",
            ]
            .map(TimeFormat::go)
            .to_vec(),
            named_zone: TimeFormat::go("Jan _2 15:04:05 MST"),
            last: [0; USUAL],
            last_time: 0,
            last_now: i64::MIN,
        }
    }

    /// Reads the time that `text` begins with, and says how long it is. Behind it comes a space, a
    /// colon or nothing.
    pub(super) fn read(&mut self, text: &[u8], now: i64) -> Option<(i64, usize)> {
        let first = *text.first()?;
        if !first.is_ascii_digit() && !first.is_ascii_uppercase() {
            return None;
        }
        let is_ended = |length: usize| matches!(text.get(length), None | Some(b' ' | b':'));
        let head = text.first_chunk::<USUAL>();
        let is_fresh = now.abs_diff(self.last_now) < FRESH.unsigned_abs();
        if head == Some(&self.last) && is_fresh && is_ended(USUAL) {
            return Some((self.last_time, USUAL));
        }
        let found = self.read_any(text, now).filter(|(_, length)| is_ended(*length))?;
        if let Some(head) = head
            && found.1 == USUAL
        {
            (self.last, self.last_time, self.last_now) = (*head, found.0, now);
        }
        Some(found)
    }

    fn read_any(&self, text: &[u8], now: i64) -> Option<(i64, usize)> {
        if text[0].is_ascii_digit() {
            // Where it names no zone the answers differ, and the zone of the settings counts.
            let found = time::read_rfc3339(text, 0);
            if found.is_some() && found == time::read_rfc3339(text, 60) {
                return found;
            }
        } else if let Some(found) = self.usual.read_start(text, self.zone, now) {
            return Some(self.with_zone(text, now).unwrap_or(found));
        }
        self.rare.iter().find_map(|format| format.read_start(text, self.zone, now))
    }

    /// Reads a time with the name of its zone, as Cisco's devices put it before a colon and a word
    /// that begins with a percent sign; elsewhere a word behind the time is a host.
    fn with_zone(&self, text: &[u8], now: i64) -> Option<(i64, usize)> {
        let (time, length) = self.named_zone.read_start(text, self.zone, now)?;
        text[length..].starts_with(b": %").then_some((time, length))
    }
}
