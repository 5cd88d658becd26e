//! The time of messages that come without ticks.
//!
//! It is the latest timestamp seen so far, and what is due every so often is due in it. A gap in the
//! messages brings every timer that was due in it, up to [`MAX_TIMERS`]; beyond that, one.

use std::time::Duration;

/// The most timers that one gap between two messages may bring.
const MAX_TIMERS: i64 = 3600;
const SECOND: i64 = 1_000_000_000;

/// The time of the messages, in nanoseconds.
pub(in crate::cli) struct Clock {
    now: i64,
    interval: i64,
    /// When the next timer is due; `None` before the first message.
    due: Option<i64>,
}

impl Clock {
    /// A clock at whose `interval` timers are due; zero is never.
    pub(in crate::cli) fn new(interval: Duration) -> Clock {
        let interval = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
        Clock { now: 0, interval, due: None }
    }

    /// What time it is.
    pub(in crate::cli) fn now(&self) -> i64 {
        self.now
    }

    /// Whether `time` is in a later second than now.
    pub(in crate::cli) fn is_behind(&self, time: i64) -> bool {
        time / SECOND > self.now / SECOND
    }

    /// Moves on to the next timer that is due at `time` or before; without one moves on to `time`
    /// and says no.
    pub(in crate::cli) fn advance(&mut self, time: i64) -> bool {
        let due = self.next_due(time);
        self.now = due.unwrap_or(time);
        due.is_some()
    }

    /// The next timer due at `time` or before.
    fn next_due(&mut self, time: i64) -> Option<i64> {
        if self.interval == 0 {
            return None;
        }
        let Some(due) = self.due else {
            self.due = Some(time.saturating_add(self.interval));
            return None;
        };
        if due > time {
            return None;
        }
        let missed = (time - due) / self.interval;
        let due = if missed > MAX_TIMERS { due + missed * self.interval } else { due };
        self.due = Some(due.saturating_add(self.interval));
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(times: &[i64], expected: &[i64]) {
        let mut clock = Clock { now: 0, interval: 10, due: None };
        let mut fired = Vec::new();
        for time in times {
            while let Some(due) = clock.next_due(*time) {
                fired.push(due);
            }
        }
        assert_eq!(fired, expected, "{times:?}");
    }

    #[test]
    fn timers_follow_the_messages() {
        check(&[5, 14, 15, 24, 25], &[15, 25]);
        check(&[5, 36], &[15, 25, 35]);
        check(&[5, 10 * MAX_TIMERS + 100_005, 10 * MAX_TIMERS + 100_014], &[136_005]);
        check(&[5, 4], &[]);
    }
}
