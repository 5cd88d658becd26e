//! How a setting says that times are written.

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;
use chrono_tz::Tz;

use crate::formats::time;
use crate::formats::time::TimeFormat;

/// Layouts that are tried where the one of the setting does not fit.
const USUAL: &[&str] = &[
    "2006-01-02T15:04:05",
    "2006-01-02 15:04:05",
    "Mon Jan _2 15:04:05 2006",
    "Mon Jan _2 15:04:05 MST 2006",
    "Mon Jan 02 15:04:05 -0700 2006",
    "02 Jan 06 15:04 MST",
    "02 Jan 06 15:04 -0700",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 -0700",
    "Jan _2 15:04:05",
    "3:04PM",
];

/// The zone of times where a setting names none.
pub(super) fn utc() -> String {
    "UTC".to_owned()
}

/// The zone that `setting` names.
///
/// # Errors
/// When there is none of that name.
pub(super) fn zone(setting: &str, name: &str) -> anyhow::Result<Tz> {
    name.parse().map_err(|_| anyhow!("{setting} {name:?} is no zone"))
}

/// How times are written, and in which zone.
#[derive(Clone, Debug)]
pub(super) struct TimeLayout {
    written: String,
    /// The one of the setting, then the usual ones.
    formats: Vec<TimeFormat>,
    zone: Tz,
}

impl TimeLayout {
    /// Reads a setting: a layout of Go, `Epoch` and its like, or a pattern of strftime; empty for the
    /// usual layouts alone.
    ///
    /// # Errors
    /// When it is a pattern of strftime that cannot be understood.
    pub(super) fn compile(layout: &str, zone: Tz) -> anyhow::Result<TimeLayout> {
        let own = TimeLayout::one(layout)?;
        let usual = USUAL.iter().map(|layout| TimeFormat::go(layout));
        let formats = own.into_iter().chain(usual).collect();
        Ok(TimeLayout { written: layout.to_owned(), formats, zone })
    }

    fn one(layout: &str) -> anyhow::Result<Option<TimeFormat>> {
        Ok(Some(match layout {
            "" => return Ok(None),
            "Epoch" => TimeFormat::epoch(1),
            "EpochMilli" => TimeFormat::epoch(1_000),
            "EpochMicro" => TimeFormat::epoch(1_000_000),
            "EpochNano" => TimeFormat::epoch(1_000_000_000),
            layout if layout.contains('%') => {
                TimeFormat::strftime(layout).context("cannot use the time pattern")?
            }
            layout => TimeFormat::go(layout),
        }))
    }

    /// Reads a time, as nanoseconds since the epoch; `now`, likewise, gives what it leaves out.
    ///
    /// # Errors
    /// When it is written in no way that is known.
    pub(super) fn read(&self, text: &[u8], now: i64) -> anyhow::Result<i64> {
        let found = self.formats.iter().find_map(|format| format.read(text, self.zone, now));
        let found = found.or_else(|| TimeLayout::rfc3339(text).ok());
        let Some(found) = found else {
            bail!("time {:?} is not written as {:?}", String::from_utf8_lossy(text), self.written);
        };
        Ok(found)
    }

    /// Reads RFC 3339 alone.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn rfc3339(text: &[u8]) -> anyhow::Result<i64> {
        match time::read_rfc3339(text, 0) {
            Some((nanoseconds, length)) if length == text.len() => Ok(nanoseconds),
            _ => bail!("time {:?} is not RFC 3339", String::from_utf8_lossy(text)),
        }
    }
}
