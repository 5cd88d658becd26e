//! Sends again what may have been lost with a program that died.
//!
//! Over a protocol that acknowledges nothing, what the other side's system has may never have been read,
//! and what was read may not have been stored. So when a connection breaks, the output goes back to what
//! had settled a while before, and what came after is sent again. The journal still has it as a rule;
//! what it has not is reported as missed.
//!
//! - A mark says which entry had settled when; the first of them is from before the while, or from the
//!   start
//! - Marks lie at least a part of the while from each other, so that there are few
//! - To one place it is gone back at most [`TIMES`] times: else connections that break soon, one after the
//!   other, would always send the same

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::plugin::OutputContext;

/// Into how many parts the while is cut.
const PARTS: u32 = 32;
/// How often it is gone back to the same place.
const TIMES: u32 = 3;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Rewind {
    window: Duration,
    /// When, and which entry had settled.
    marks: VecDeque<(Instant, u64)>,
    /// The entry to go back to, until more has settled.
    to: Option<u64>,
    /// The entry that was gone back to last, and how often.
    last: Option<(u64, u32)>,
}

impl Rewind {
    /// Goes on with what an output before has left, or begins where everything is delivered.
    pub(super) fn open(self, window: Duration, cx: &OutputContext) -> Rewind {
        let mut rewind = Rewind { window, ..self };
        if rewind.marks.is_empty() {
            rewind.marks.push_back((Instant::now(), cx.reached.delivered.load(Ordering::Acquire)));
        }
        rewind
    }

    /// Whether anything is sent again.
    pub(super) fn is_on(&self) -> bool {
        !self.window.is_zero()
    }

    /// The entry to go back to.
    pub(super) fn to(&self) -> Option<u64> {
        self.to
    }

    /// Notes that all up to an entry has settled.
    pub(super) fn settled(&mut self, entry: u64, now: Instant) {
        self.to = None;
        if self.marks.len() > 1
            && self.marks.back().is_some_and(|(when, _)| now < *when + self.window / PARTS)
        {
            return;
        }
        self.marks.push_back((now, entry));
        self.forget(now);
    }

    /// Notes that the connection broke.
    pub(super) fn broke(&mut self, now: Instant) {
        self.forget(now);
        self.marks.truncate(1);
        let Some((_, entry)) = self.marks.front().copied().filter(|_| self.is_on()) else { return };
        let times = self.last.filter(|(last, _)| *last == entry).map_or(1, |(_, times)| times + 1);
        self.last = Some((entry, times));
        self.to = (times <= TIMES).then_some(entry);
    }

    /// Forgets all marks from before the while but the last.
    fn forget(&mut self, now: Instant) {
        while self.marks.get(1).is_some_and(|(when, _)| *when + self.window < now) {
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::testing;

    const SECOND: Duration = Duration::from_secs(1);

    fn rewind(window: Duration) -> (Rewind, Instant) {
        let rewind = Rewind::default().open(window, &testing::context("out"));
        let start = rewind.marks[0].0;
        (rewind, start)
    }

    #[test]
    fn it_goes_back_to_what_had_settled_before_the_while() {
        let (mut rewind, start) = rewind(10 * SECOND);
        for entry in 1..=100_u32 {
            rewind.settled(u64::from(entry), start + SECOND * entry);
        }
        assert!(rewind.marks.len() <= 12, "{}", rewind.marks.len());
        rewind.broke(start + 100 * SECOND);
        assert_eq!(rewind.to(), Some(89));
        // What an output leaves is what the next goes on with; what settles ends the going back.
        let mut next = rewind.open(10 * SECOND, &testing::context("out"));
        assert_eq!(next.to(), Some(89));
        next.settled(95, start + 103 * SECOND);
        assert_eq!(next.to(), None);
        next.broke(start + 200 * SECOND);
        assert_eq!(next.to(), Some(95), "nothing came for long");
    }

    #[test]
    fn it_goes_back_to_the_start_before_the_while_is_over() {
        let (mut rewind, start) = rewind(10 * SECOND);
        rewind.settled(7, start + SECOND);
        rewind.broke(start + 2 * SECOND);
        assert_eq!(rewind.to(), Some(0));
    }

    #[test]
    fn connections_that_break_soon_do_not_send_the_same_for_ever() {
        let (mut rewind, start) = rewind(10 * SECOND);
        let mut back = Vec::new();
        for round in 1..=6_u32 {
            rewind.settled(u64::from(round), start + SECOND * round);
            rewind.broke(start + SECOND * round);
            back.push(rewind.to());
        }
        assert_eq!(back, [Some(0), Some(0), Some(0), None, None, None]);
    }

    #[test]
    fn without_a_while_it_stays_where_it_is() {
        let (mut rewind, start) = rewind(Duration::ZERO);
        rewind.settled(5, start);
        rewind.broke(start);
        assert_eq!(rewind.to(), None);
    }
}
