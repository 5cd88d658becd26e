//! `os`: time as the family has it.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// The wall clock, in nanoseconds since the epoch.
pub(super) fn wall_clock_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
