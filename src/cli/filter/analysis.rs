//! Runs the filter over batches, in the time of the messages.
//!
//! The clock is the latest timestamp seen so far, to the second: messages of one second are one
//! call, and a timer that is due runs before the message that made it due. A gap in the messages
//! brings every timer that was due in it, up to [`MAX_TIMERS`]; beyond that, one.

use std::ops::ControlFlow;
use std::time::Duration;

use super::Command;
use super::Ending;
use super::parts::Parts;
use super::printer::Printer;
use super::printer::Tally;
use crate::matcher::Matcher;
use crate::message::Batch;
use crate::plugin::FilterCall;
use crate::plugin::FilterFailure;
use crate::plugin::Filtering;
use crate::plugin::Stop;
use crate::stdx::clock;

/// The most timers that one gap between two messages may bring.
const MAX_TIMERS: i64 = 3600;
const SECOND: i64 = 1_000_000_000;

/// The filter at work.
pub(super) struct Analysis {
    filtering: Box<dyn Filtering>,
    matcher: Matcher,
    printer: Printer,
    out: Batch,
    failures: Vec<FilterFailure>,
    tally: Tally,
    clock: Clock,
    matched: Vec<u16>,
    /// Calls made so far: each stands for an entry of its own.
    calls: u64,
    /// CPU time of all calls.
    cpu: Duration,
}

/// The time of the messages, in nanoseconds.
struct Clock {
    now: i64,
    interval: i64,
    /// When the next timer is due; `None` before the first message.
    due: Option<i64>,
}

/// What one call is about.
enum Work<'a> {
    Batch(&'a Batch, &'a [u16]),
    Timer,
}

impl Analysis {
    /// Gets ready.
    ///
    /// # Errors
    /// When what shows messages does not start.
    pub(super) fn new(
        filtering: Box<dyn Filtering>,
        command: &Command,
        parts: &Parts,
    ) -> anyhow::Result<Analysis> {
        Ok(Analysis {
            filtering,
            matcher: command.matcher.clone(),
            printer: Printer::new(parts.start_encoder()?),
            out: Batch::new(),
            failures: Vec::new(),
            tally: Tally::default(),
            clock: Clock { now: 0, interval: nanoseconds(command.ticker), due: None },
            matched: Vec::new(),
            calls: 0,
            cpu: Duration::ZERO,
        })
    }

    /// Runs the filter over a batch; breaks when the filter was terminated.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(super) fn batch(&mut self, batch: &Batch) -> anyhow::Result<ControlFlow<()>> {
        let mut matched = std::mem::take(&mut self.matched);
        matched.clear();
        let mut flow = ControlFlow::Continue(());
        for (index, message) in batch.iter().enumerate() {
            let time = message.timestamp();
            if time / SECOND > self.clock.now / SECOND {
                flow = self.messages(batch, &mut matched)?;
                if flow.is_continue() {
                    flow = self.advance(time)?;
                }
                if flow.is_break() {
                    break;
                }
            }
            if self.matcher.matches(&message)
                && let Ok(index) = u16::try_from(index)
            {
                matched.push(index);
            }
        }
        if flow.is_continue() {
            flow = self.messages(batch, &mut matched)?;
        }
        self.matched = matched;
        self.tally.messages += batch.len() as u64;
        Ok(flow)
    }

    fn messages(
        &mut self,
        batch: &Batch,
        matched: &mut Vec<u16>,
    ) -> anyhow::Result<ControlFlow<()>> {
        if matched.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        self.tally.matched += matched.len() as u64;
        let flow = self.call(&Work::Batch(batch, matched));
        matched.clear();
        flow
    }

    /// Moves the clock on to `time`, and runs the timers that are due on the way.
    fn advance(&mut self, time: i64) -> anyhow::Result<ControlFlow<()>> {
        while let Some(due) = self.clock.next_due(time) {
            self.clock.now = due;
            if self.call(&Work::Timer)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.clock.now = time;
        Ok(ControlFlow::Continue(()))
    }

    /// Makes one call and shows what came of it.
    fn call(&mut self, work: &Work<'_>) -> anyhow::Result<ControlFlow<()>> {
        self.calls += 1;
        self.out.truncate(0);
        let failures = &mut self.failures;
        let mut call = FilterCall {
            entry: self.calls,
            time: self.clock.now,
            engine_time: self.clock.now.max(0).cast_unsigned(),
            out: &mut self.out,
            on_failure: &mut |failure| failures.push(failure),
        };
        let began = clock::thread_cpu();
        let done = match work {
            Work::Batch(batch, matched) => self.filtering.process(batch, matched, &mut call),
            Work::Timer => self.filtering.timer(&mut call),
        };
        self.cpu += clock::thread_cpu().saturating_sub(began);
        self.printer.injected(&self.out, &mut self.tally)?;
        let of_batch = match work {
            Work::Batch(batch, _) => Some(*batch),
            Work::Timer => None,
        };
        for failure in self.failures.drain(..) {
            let message = failure.message.zip(of_batch);
            self.printer.failure(message, &failure.reason, &mut self.tally)?;
        }
        let Err(stop) = done else { return Ok(ControlFlow::Continue(())) };
        self.printer.stopped(&stop, of_batch, &self.tally)?;
        self.tally.is_terminated = true;
        if matches!(stop, Stop::Limit { .. }) {
            self.tally.failures += 1;
        }
        Ok(ControlFlow::Break(()))
    }

    /// Counts and tells a record that is no message.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(super) fn undecodable(&mut self, place: &str, reason: &str) -> anyhow::Result<()> {
        self.printer.undecodable(place, reason, &mut self.tally)
    }

    /// Shows everything so far, before something is waited for.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.printer.flush()
    }

    /// Runs the last timer, unless the filter was terminated, and tells what was done.
    pub(super) fn end(mut self) -> anyhow::Result<Ending> {
        if !self.tally.is_terminated {
            let _ = self.call(&Work::Timer)?;
        }
        self.printer.end(&self.tally, self.cpu, &self.filtering.usage())?;
        Ok(if self.tally.is_terminated { Ending::Terminated } else { Ending::Done })
    }
}

impl Clock {
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

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
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
