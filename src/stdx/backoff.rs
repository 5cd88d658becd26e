//! How long to wait before the next try.

use std::time::Duration;

/// Waits that double up to a bound, each with some jitter.
#[derive(Clone, Debug)]
pub struct Backoff {
    delay: Duration,
    max_delay: Duration,
    max_jitter: Duration,
    max_retries: Option<u32>,
    tried: u32,
    random: u64,
}

impl Backoff {
    /// Waits `delay`, then twice as long each time up to `max_delay`, plus at most `max_jitter`;
    /// no more than `max_retries` times where there is such a bound.
    pub fn new(
        delay: Duration,
        max_delay: Duration,
        max_jitter: Duration,
        max_retries: Option<u32>,
    ) -> Backoff {
        let random = std::ptr::from_ref(&delay) as u64 ^ 0x9e37_79b9_7f4a_7c15;
        Backoff { delay, max_delay, max_jitter, max_retries, tried: 0, random }
    }

    /// How long to wait before the next try; `None` when there is none left.
    pub fn next_wait(&mut self) -> Option<Duration> {
        if self.max_retries.is_some_and(|most| self.tried >= most) {
            return None;
        }
        let doubled = self.delay.saturating_mul(1 << self.tried.min(30));
        self.tried += 1;
        Some(doubled.min(self.max_delay) + self.jitter())
    }

    /// Begins anew, after something has worked.
    pub fn reset(&mut self) {
        self.tried = 0;
    }

    /// How many tries have been waited for since the last reset.
    pub fn tried(&self) -> u32 {
        self.tried
    }

    /// Spreads engines that lost the same peer; xorshift is random enough for that.
    fn jitter(&mut self) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let most = u64::try_from(self.max_jitter.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(if most == 0 { 0 } else { self.random % most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_end() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 4, Duration::ZERO, Some(4));
        let waits: Vec<_> = std::iter::from_fn(|| backoff.next_wait()).collect();
        assert_eq!(waits, [second, second * 2, second * 4, second * 4]);
        backoff.reset();
        assert_eq!(backoff.next_wait(), Some(second));
    }

    #[test]
    fn jitter_stays_below_its_bound() {
        let most = Duration::from_millis(10);
        let mut backoff = Backoff::new(Duration::ZERO, Duration::ZERO, most, None);
        assert!((0..1000).all(|_| backoff.next_wait().unwrap() < most));
    }
}
