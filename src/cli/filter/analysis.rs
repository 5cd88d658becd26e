//! Runs the filter over batches, in the time of the messages.
//!
//! Messages of one second are one call, and a timer that is due runs before the message that made it
//! due.

use std::ops::ControlFlow;
use std::time::Duration;

use super::Command;
use super::Ending;
use super::printer::Printer;
use super::printer::Tally;
use crate::cli::standalone::Clock;
use crate::cli::standalone::Parts;
use crate::cli::standalone::Taker;
use crate::matcher::Matcher;
use crate::message::Batch;
use crate::plugin::FilterCall;
use crate::plugin::FilterFailure;
use crate::plugin::Filtering;
use crate::plugin::Stop;
use crate::stdx::clock;

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
            clock: Clock::new(command.ticker),
            matched: Vec::new(),
            calls: 0,
            cpu: Duration::ZERO,
        })
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
        while self.clock.advance(time) {
            if self.call(&Work::Timer)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Makes one call and shows what came of it.
    fn call(&mut self, work: &Work<'_>) -> anyhow::Result<ControlFlow<()>> {
        self.calls += 1;
        self.out.truncate(0);
        let failures = &mut self.failures;
        let mut call = FilterCall {
            entry: self.calls,
            time: self.clock.now(),
            engine_time: self.clock.now().max(0).cast_unsigned(),
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

    /// Runs the last timer, unless the filter was terminated, and tells what was done.
    pub(super) fn end(mut self) -> anyhow::Result<Ending> {
        if !self.tally.is_terminated {
            let _ = self.call(&Work::Timer)?;
        }
        self.printer.end(&self.tally, self.cpu, &self.filtering.usage())?;
        Ok(if self.tally.is_terminated { Ending::Terminated } else { Ending::Done })
    }
}

impl Taker for Analysis {
    fn batch(&mut self, batch: &Batch) -> anyhow::Result<ControlFlow<()>> {
        let mut matched = std::mem::take(&mut self.matched);
        matched.clear();
        let mut flow = ControlFlow::Continue(());
        for (index, message) in batch.iter().enumerate() {
            let time = message.timestamp();
            if self.clock.is_behind(time) {
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

    fn undecodable(&mut self, place: &str, reason: &str) -> anyhow::Result<()> {
        self.printer.undecodable(place, reason, &mut self.tally)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.printer.flush()
    }
}
