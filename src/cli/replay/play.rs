//! Takes the versions of a filter through history, one entry after the other.
//!
//! A journal brings its own entries and ticks. Files bring messages: those of one second stand for an
//! entry, and timers are due by their timestamps.

use std::ops::ControlFlow;

use super::differences;
use super::differences::Differences;
use super::differences::Injected;
use super::lane::Lane;
use super::lane::Moment;
use super::lane::Work;
use super::report::Counts;
use super::report::Report;
use crate::cli::standalone::Clock;
use crate::cli::standalone::Taker;
use crate::journal::Body;
use crate::journal::Entry;
use crate::matcher::Matcher;
use crate::message::Batch;
use crate::message::Value;

/// Which part of history, in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// What was before it is left out.
    pub(super) from: i64,
    /// This and what is later is left out.
    pub(super) to: i64,
    /// What is injected before is not told: a state is brought up to there.
    pub(super) muted_until: i64,
}

/// See the module.
pub(super) struct Play {
    /// The old version, where there is one, and the new one.
    pub(super) lanes: Vec<Lane>,
    pub(super) matcher: Matcher,
    /// What would pass the matcher is refused, as the engine does.
    pub(super) refuses_own: bool,
    pub(super) span: Span,
    pub(super) clock: Clock,
    pub(super) report: Report,
    pub(super) counts: Counts,
    /// Places that could not be read.
    pub(super) damages: u64,
    differences: Differences,
    matched: Vec<u16>,
    /// The last entry of a journal.
    last_entry: Option<Moment>,
    /// Calls made over files.
    calls: u64,
}

impl Play {
    pub(super) fn new(
        lanes: Vec<Lane>,
        matcher: Option<Matcher>,
        span: Span,
        clock: Clock,
        report: Report,
    ) -> Play {
        Play {
            lanes,
            refuses_own: matcher.is_some(),
            matcher: matcher.unwrap_or_else(Matcher::always),
            span,
            clock,
            report,
            counts: Counts::default(),
            damages: 0,
            differences: Differences::default(),
            matched: Vec::new(),
            last_entry: None,
            calls: 0,
        }
    }

    /// Takes an entry of a journal.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(super) fn entry(&mut self, entry: &Entry) -> anyhow::Result<ControlFlow<()>> {
        let Entry { position, time, engine_time, body } = entry;
        let at = Moment { entry: position.0, time: *time, engine_time: *engine_time };
        self.last_entry = Some(at);
        match body {
            Body::Batch(batch) => {
                self.counts.messages += batch.len() as u64;
                let mut matched = std::mem::take(&mut self.matched);
                matched.clear();
                let passing = (0..).zip(batch.iter());
                let passing = passing.filter(|(_, message)| self.matcher.matches(message));
                matched.extend(passing.map(|(index, _)| index));
                let flow = self.messages(at, batch, &matched);
                self.matched = matched;
                flow
            }
            Body::Tick => self.timers(at, true),
            Body::Note(_) => Ok(ControlFlow::Continue(())),
        }
    }

    fn messages(
        &mut self,
        at: Moment,
        batch: &Batch,
        matched: &[u16],
    ) -> anyhow::Result<ControlFlow<()>> {
        if matched.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        self.counts.matched += matched.len() as u64;
        let own = self.refuses_own.then_some(&self.matcher);
        for lane in &mut self.lanes {
            lane.call(at, Work::Batch(batch, matched), own);
        }
        self.tell(at)
    }

    /// Runs the timers of all versions, or by a tick of the journal of those that are due.
    fn timers(&mut self, at: Moment, by_tick: bool) -> anyhow::Result<ControlFlow<()>> {
        let own = self.refuses_own.then_some(&self.matcher);
        let mut has_run = false;
        for lane in &mut self.lanes {
            lane.out.truncate(0);
            lane.failures.clear();
            if !by_tick || lane.is_due(at.engine_time) {
                lane.call(at, Work::Timer, own);
                has_run = true;
            }
        }
        if has_run { self.tell(at) } else { Ok(ControlFlow::Continue(())) }
    }

    /// Tells what all versions have injected in the calls just made.
    fn tell(&mut self, at: Moment) -> anyhow::Result<ControlFlow<()>> {
        self.report.progress(self.counts, at.time);
        for lane in &self.lanes {
            self.report.failures(lane, at)?;
        }
        let is_muted = at.time < self.span.muted_until;
        let mut injected: Vec<Vec<Injected>> = Vec::new();
        for lane in &mut self.lanes {
            if is_muted {
                lane.tally.injected -= lane.out.len() as u64;
                continue;
            }
            let of = of(at, &lane.out);
            lane.tally.alerts += of.iter().filter(|one| one.is_alert).count() as u64;
            injected.push(of);
        }
        let second = injected.pop();
        match (injected.pop(), second) {
            (Some(old), Some(new)) if !(old.is_empty() && new.is_empty()) => {
                let report = &mut self.report;
                let mut tell = |one: &Injected, change| report.change(one, change);
                self.differences.step(old, new, &mut tell)?;
            }
            (None, Some(only)) => {
                for one in &only {
                    self.report.injected(one)?;
                }
            }
            _ => {}
        }
        let is_over = self.lanes.iter().all(|lane| lane.ended.is_some());
        Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// The moment of a call over files.
    fn moment(&mut self) -> Moment {
        self.calls += 1;
        self.last_entry = None;
        let time = self.clock.now();
        Moment { entry: self.calls, time, engine_time: time.max(0).cast_unsigned() }
    }

    /// Runs the timers once more, for what is left; not where ticks of a journal have them run.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(super) fn last_timers(&mut self) -> anyhow::Result<()> {
        if self.counts.messages == 0 {
            return Ok(());
        }
        let at = match self.last_entry {
            None => self.moment(),
            Some(_) if self.lanes.iter().any(Lane::follows_ticks) => return Ok(()),
            Some(at) => at,
        };
        self.timers(at, false).map(drop)
    }

    /// Tells what was done.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        let report = &mut self.report;
        self.differences.end(&mut |one, change| report.change(one, change))?;
        self.report.end(&mut self.lanes, self.counts, self.damages)
    }
}

impl Taker for Play {
    fn batch(&mut self, batch: &Batch) -> anyhow::Result<ControlFlow<()>> {
        let mut matched = std::mem::take(&mut self.matched);
        matched.clear();
        for (index, message) in (0..).zip(batch.iter()) {
            let time = message.timestamp();
            if time < self.span.from || time >= self.span.to {
                continue;
            }
            self.counts.messages += 1;
            if self.clock.is_behind(time) {
                let at = self.moment();
                if self.messages(at, batch, &matched)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                matched.clear();
                while self.clock.advance(time) {
                    let at = self.moment();
                    if self.timers(at, false)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
            if self.matcher.matches(&message) {
                matched.push(index);
            }
        }
        let at = self.moment();
        let flow = self.messages(at, batch, &matched);
        self.matched = matched;
        flow
    }

    fn undecodable(&mut self, place: &str, reason: &str) -> anyhow::Result<()> {
        self.counts.undecodable += 1;
        self.report.complain(&format!("{place}: {reason}"))
    }

    fn damaged(&mut self, place: &str, reason: &str) -> anyhow::Result<()> {
        self.damages += 1;
        self.report.complain(&format!("{place}: {reason}"))
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// The messages of a batch, each with what stands for its content.
fn of(at: Moment, batch: &Batch) -> Vec<Injected> {
    let one = |message: crate::message::Message<'_>| Injected {
        entry: at.entry,
        time: at.time,
        content: differences::content(&message),
        is_alert: message.value(b"payload_type", 0, 0) == Some(Value::String(b"alert")),
        message: message.bytes().to_vec(),
    };
    batch.iter().map(one).collect()
}
