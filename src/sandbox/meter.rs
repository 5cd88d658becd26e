//! How much CPU time a filter takes, at a price that does not show.
//!
//! Asking for the CPU time of a thread is a call into the kernel, dearer than a short
//! `process_message`. So one pass in [`ONE_IN`] is measured and stands for the calls since the one
//! measured before; the first passes are all measured.

use std::time::Duration;

use super::watchdog::Watch;

/// One pass in so many is measured.
const ONE_IN: u64 = 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Meter {
    passes: u64,
    /// Calls made since the last measured pass.
    unmeasured: u64,
}

impl Meter {
    /// Begins a pass; gives the time when it is one that is measured.
    pub(super) fn begin(&mut self) -> Option<Duration> {
        self.passes += 1;
        let is_measured = self.passes <= ONE_IN || self.passes.is_multiple_of(ONE_IN);
        is_measured.then(Watch::cpu_of_this_thread)
    }

    /// Ends a pass of `calls` calls; gives the nanoseconds to count.
    pub(super) fn end(&mut self, began: Option<Duration>, calls: u64) -> u64 {
        let Some(began) = began else {
            self.unmeasured += calls;
            return 0;
        };
        let took = Watch::cpu_of_this_thread().saturating_sub(began);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if calls == 0 {
            return took;
        }
        let stands_for = std::mem::take(&mut self.unmeasured) + calls;
        took.saturating_mul(stands_for) / calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_measured_counts_like_what_is() {
        let mut meter = Meter::default();
        let mut counted = 0;
        let began = Watch::cpu_of_this_thread();
        for _ in 0..64 {
            let pass = meter.begin();
            let mut sum = 0u64;
            for number in 0..200_000u64 {
                sum = std::hint::black_box(sum + number);
            }
            counted += meter.end(pass, 1);
        }
        let took = (Watch::cpu_of_this_thread() - began).as_nanos() as f64;
        let share = counted as f64 / took;
        assert!((0.5..2.0).contains(&share), "{share} of the time was counted");
    }
}
