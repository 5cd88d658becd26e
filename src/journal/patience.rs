//! How long inputs wait for readers that are about to fall out of the tail.
//!
//! Whoever finds the next entry in memory gets it for nothing; whoever has to read it from the disk
//! pays for that, competes with the writer, and falls behind further. A reader that merely stumbled,
//! as all do in the first moments of a start, is therefore given a moment. It is no way to hold the
//! inputs back: one that does not move at all is not waited for, and all waiting together is
//! bounded, so that the inputs keep at least 98 parts in a hundred of their time.

use std::time::Duration;

use super::entry::Position;
use crate::stdx::sync::Instant;

/// How long an input waits at a time.
pub(super) const MOMENT: Duration = Duration::from_millis(1);
/// The most waiting that may be saved up.
const MOST: Duration = Duration::from_secs(1);
/// Waiting is earned at one part in so many of the time that passes.
const SHARE: u32 = 50;
/// A reader that has not moved for so long is not waited for.
const STILL: Duration = Duration::from_millis(20);

/// What waiting is left.
#[derive(Debug)]
pub(super) struct Patience {
    left: Duration,
    earned: Instant,
    /// Where the reader is that would be waited for, and since when.
    waited: Option<(Position, Instant)>,
}

impl Patience {
    pub(super) fn new(now: Instant) -> Patience {
        Patience { left: MOST, earned: now, waited: None }
    }

    /// Notes that the last of the readers in memory wants the entry `next`.
    pub(super) fn see(&mut self, next: Position, now: Instant) {
        if self.waited.is_none_or(|(at, _)| at != next) {
            self.waited = Some((next, now));
        }
    }

    /// Tells whether to wait for a reader that wants the entry `next`.
    pub(super) fn grants(&mut self, next: Position, now: Instant) -> bool {
        self.see(next, now);
        let earned = now.saturating_duration_since(self.earned) / SHARE;
        self.left = (self.left + earned).min(MOST);
        self.earned = now;
        let is_still =
            self.waited.is_some_and(|(_, since)| now.saturating_duration_since(since) >= STILL);
        self.left >= MOMENT && !is_still
    }

    /// Notes that somebody has waited since `began`.
    pub(super) fn spend(&mut self, began: Instant, now: Instant) {
        self.left = self.left.saturating_sub(now.saturating_duration_since(began));
    }
}

impl Default for Patience {
    fn default() -> Patience {
        Patience::new(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks `asked` times, a moment apart, for a reader that moves every `pace` times; gives how
    /// many moments were waited.
    fn waited(asked: u64, pace: u64) -> u64 {
        let mut now = Instant::now();
        let mut patience = Patience::new(now);
        let mut waited = 0;
        for count in 0..asked {
            let began = now;
            let is_granted = patience.grants(Position(count / pace), now);
            now += MOMENT;
            if is_granted {
                patience.spend(began, now);
                waited += 1;
            }
        }
        waited
    }

    #[test]
    fn who_moves_is_waited_for_and_who_stands_still_is_not() {
        assert_eq!(waited(100, 1), 100);
        assert_eq!(waited(10_000, u64::MAX), 20);
    }

    #[test]
    fn who_has_stood_still_before_is_not_waited_for_at_all() {
        let now = Instant::now();
        let mut patience = Patience::new(now);
        patience.see(Position(3), now);
        assert!(!patience.grants(Position(3), now + STILL));
        assert!(patience.grants(Position(4), now + STILL));
    }

    #[test]
    fn all_waiting_together_is_bounded() {
        let waited = waited(100_000, 5);
        assert!((2_500..=3_000).contains(&waited), "{waited}");
    }
}
