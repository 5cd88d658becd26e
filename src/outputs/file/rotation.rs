//! Which file records go to at what time.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use chrono::Local;
use chrono::Offset;
use chrono::TimeZone;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;

use crate::stdx::clock::Clock;
use crate::stdx::clock::System;
use crate::stdx::strftime::Strftime;

/// Hours between two files; 0 is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interval(u8);

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Interval, D::Error> {
        let hours = i64::deserialize(from)?;
        match hours {
            0 | 1 | 4 | 12 | 24 => Ok(Interval(u8::try_from(hours).unwrap_or(0))),
            _ => Err(serde::de::Error::custom(format!(
                "a new file every {hours} hours is not possible, expected 0, 1, 4, 12 or 24"
            ))),
        }
    }
}

impl JsonSchema for Interval {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Interval".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "enum": [0, 1, 4, 12, 24] })
    }
}

/// Says when the next file is due, and which.
///
/// Periods are counted from midnight, local time; a file is named after the start of its period, so
/// that an engine which starts anew goes on with the same file.
#[derive(Debug)]
pub(super) struct Rotation {
    pattern: Strftime,
    /// Seconds of a period.
    interval: i64,
    /// Number of the period whose file is open.
    period: Option<i64>,
    clock: Arc<dyn Clock>,
    /// Seconds that local time is ahead of UTC, at a time in seconds.
    ahead: fn(i64) -> i64,
}

impl Rotation {
    /// Reads a path; `None` when the interval is never.
    ///
    /// # Errors
    /// When the path is no pattern, or the same at all times.
    pub(super) fn of(path: &str, interval: Interval) -> anyhow::Result<Option<Rotation>> {
        if interval.0 == 0 {
            return Ok(None);
        }
        anyhow::ensure!(
            path.contains('%'),
            "`rotation_interval` needs a `path` with the time in it, such as \"{path}.%Y-%m-%d\""
        );
        let pattern = Strftime::parse(path).context("cannot read `path`")?;
        Ok(Some(Rotation {
            pattern,
            interval: i64::from(interval.0) * 3600,
            period: None,
            clock: Arc::new(System::new()),
            ahead: ahead_of_utc,
        }))
    }

    /// Tells time by another clock, in UTC.
    #[cfg(test)]
    pub(super) fn with_clock(&mut self, clock: Arc<dyn Clock>) {
        self.clock = clock;
        self.ahead = |_| 0;
    }

    /// Tells whether another file is due than the one that was begun.
    pub(super) fn is_due(&mut self) -> bool {
        self.period != Some(self.now())
    }

    /// The path of the file that is due.
    pub(super) fn begin(&mut self) -> PathBuf {
        let period = self.now();
        self.period = Some(period);
        // Local time written as if it were UTC.
        let start = period.saturating_mul(self.interval).saturating_mul(1_000_000_000);
        PathBuf::from(self.pattern.text(start))
    }

    fn now(&self) -> i64 {
        let seconds = self.clock.wall().div_euclid(1_000_000_000);
        (seconds + (self.ahead)(seconds)).div_euclid(self.interval)
    }
}

fn ahead_of_utc(seconds: i64) -> i64 {
    let local = Local.timestamp_opt(seconds, 0).single();
    local.map_or(0, |time| i64::from(time.offset().fix().local_minus_utc()))
}
