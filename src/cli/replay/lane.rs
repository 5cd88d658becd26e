//! One version of a filter at work on history, muted: what it injects is kept for the report.

use std::time::Duration;

use super::past;
use super::past::Past;
use super::past::Start;
use crate::matcher::Matcher;
use crate::message::Batch;
use crate::plugin::FilterCall;
use crate::plugin::FilterFailure;
use crate::plugin::Filtering;
use crate::plugin::Stop;
use crate::stdx::clock;

/// Which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// What it is compared with.
    Old,
    /// The one that is tried.
    New,
}

/// The entry a call is about; of files, what stands for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// The position in the journal; of files, the number of the call.
    pub(super) entry: u64,
    /// In nanoseconds since the epoch.
    pub(super) time: i64,
    /// In nanoseconds; never goes back.
    pub(super) engine_time: u64,
}

/// What a call is about.
#[derive(Clone, Copy)]
pub(super) enum Work<'a> {
    /// Messages of a batch.
    Batch(&'a Batch, &'a [u16]),
    /// The timer.
    Timer,
}

/// What a version has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) injected: u64,
    pub(super) alerts: u64,
    pub(super) failures: u64,
}

/// See the module.
pub(super) struct Lane {
    pub(super) side: Side,
    /// The script, as it was named.
    pub(super) script: String,
    filtering: Box<dyn Filtering>,
    past: Past,
    /// What the last call has injected.
    pub(super) out: Batch,
    /// What failed in the last call.
    pub(super) failures: Vec<FilterFailure>,
    pub(super) tally: Tally,
    /// CPU time of all calls.
    pub(super) cpu: Duration,
    interval: u64,
    /// Engine time of the next timer, by the journal's ticks; 0 before the first.
    next_due: u64,
    /// Why it was terminated.
    pub(super) ended: Option<String>,
}

impl Lane {
    /// A version that has just started.
    ///
    /// # Errors
    /// When it cannot start.
    pub(super) fn new(
        side: Side,
        script: String,
        start: Start,
        interval: Duration,
    ) -> anyhow::Result<Lane> {
        Ok(Lane {
            side,
            script,
            filtering: start()?,
            past: Past::new(start),
            out: Batch::new(),
            failures: Vec::new(),
            tally: Tally::default(),
            cpu: Duration::ZERO,
            interval: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
            next_due: 0,
            ended: None,
        })
    }

    /// Takes over a state, and when its timer is due next. Returns what was not kept.
    ///
    /// # Errors
    /// When it is no state of this filter.
    pub(super) fn restore(&mut self, next_due: u64, state: &[u8]) -> anyhow::Result<Vec<String>> {
        self.next_due = next_due;
        self.past.begin_with(state);
        self.filtering.restore(state)
    }

    /// Tells whether its timer runs at ticks of a journal.
    pub(super) fn follows_ticks(&self) -> bool {
        self.interval > 0
    }

    /// Tells whether a tick of the journal is one at which the timer is due. What is due fires once,
    /// however long the gap was: so it is in the engine.
    pub(super) fn is_due(&mut self, engine_time: u64) -> bool {
        if self.interval == 0 {
            return false;
        }
        if self.next_due == 0 {
            self.next_due = engine_time.saturating_add(self.interval);
            return false;
        }
        if engine_time < self.next_due {
            return false;
        }
        let missed = (engine_time - self.next_due) / self.interval;
        let whole = (missed + 1).saturating_mul(self.interval);
        self.next_due = self.next_due.saturating_add(whole);
        true
    }

    /// Makes one call; what it injects is in `out` afterwards, what failed in `failures`. What would
    /// pass `own` would come back to the filter: it is refused, as in the engine.
    pub(super) fn call(&mut self, moment: Moment, work: Work<'_>, own: Option<&Matcher>) {
        self.out.truncate(0);
        self.failures.clear();
        if self.ended.is_some() {
            return;
        }
        let began = clock::thread_cpu();
        let mut aside = Vec::new();
        match (self.work(moment, work, &mut aside), work) {
            (Err(reason), _) => self.ended = Some(reason),
            // A timer that a limit has ended is as if it had not been.
            (Ok(false), Work::Timer) => {}
            (Ok(_), work) => self.past.note(moment, work, &aside, self.filtering.as_mut()),
        }
        self.cpu += clock::thread_cpu().saturating_sub(began);
        if let Some(own) = own {
            self.refuse(own);
        }
        self.tally.injected += self.out.len() as u64;
        self.tally.failures += self.failures.len() as u64;
    }

    /// Works until it is done; false where a limit has ended the last of it. The message of such a call
    /// goes to `aside`, and the version back to before it.
    fn work(
        &mut self,
        moment: Moment,
        work: Work<'_>,
        aside: &mut Vec<u16>,
    ) -> Result<bool, String> {
        let mut rest = work;
        loop {
            let (message, reason) = match self.attempt(moment, rest) {
                Ok(()) => return Ok(true),
                Err(Stop::Limit { message, reason }) => (message, reason),
                Err(Stop::Ended { reason }) => {
                    return Err(format!("entry {}: it has ended itself: {reason}", moment.entry));
                }
            };
            let what =
                message.map_or_else(|| "timer_event".to_owned(), |it| format!("message {it}"));
            let place = format!("entry {}, {what}", moment.entry);
            self.failures.push(FilterFailure { message, reason: format!("{what}: {reason}") });
            if !self.past.may_go_on(moment.time) {
                return Err(format!("{place}: {reason}, too often"));
            }
            let failed = |error| format!("{place}: {reason}, and it cannot go back: {error:#}");
            self.filtering = self.past.again().map_err(failed)?;
            let Work::Batch(batch, matched) = work else { return Ok(false) };
            let at = matched.iter().position(|index| Some(*index) == message);
            let at = at.unwrap_or(matched.len().saturating_sub(1));
            let (before, behind) = (&matched[..at], &matched[at + 1..]);
            let before: Vec<u16> =
                before.iter().filter(|index| !aside.contains(index)).copied().collect();
            aside.extend(matched.get(at));
            if !before.is_empty() {
                past::muted(self.filtering.as_mut(), moment, Work::Batch(batch, &before))
                    .map_err(failed)?;
            }
            if behind.is_empty() {
                return Ok(false);
            }
            rest = Work::Batch(batch, behind);
        }
    }

    fn attempt(&mut self, moment: Moment, work: Work<'_>) -> Result<(), Stop> {
        let failures = &mut self.failures;
        let mut call = FilterCall {
            entry: moment.entry,
            time: moment.time,
            engine_time: moment.engine_time,
            out: &mut self.out,
            on_failure: &mut |failure| failures.push(failure),
        };
        match work {
            Work::Batch(batch, matched) => self.filtering.process(batch, matched, &mut call),
            Work::Timer => self.filtering.timer(&mut call),
        }
    }

    fn refuse(&mut self, own: &Matcher) {
        if !self.out.iter().any(|message| own.matches(&message)) {
            return;
        }
        let mut kept = Batch::new();
        for (index, message) in self.out.iter().enumerate() {
            if own.matches(&message) {
                let reason = "inject_message() would match the filter's own matcher".to_owned();
                self.failures.push(FilterFailure { message: None, reason });
            } else {
                // It has just been a message of a batch, so it is one of another.
                let _ = kept.push_encoded(message.bytes(), self.out.marks(index));
            }
        }
        self.out = kept;
    }

    /// What it holds at most, in bytes.
    pub(super) fn max_memory(&mut self) -> u64 {
        self.filtering.usage().max_memory
    }

    /// Many calls come.
    pub(super) fn begin(&mut self) {
        self.filtering.begin();
    }

    /// The calls are over for now.
    pub(super) fn end(&mut self) {
        self.filtering.end();
    }
}
