//! One filter on its thread: where it is, what it has injected, and what has failed in it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::FilterPlan;
use super::comparison::Comparison;
use super::comparison::Side;
use super::life;
use super::life::Life;
use super::outbox::Mark;
use super::outbox::Outbox;
use super::outbox::WHOLE_ENTRY;
use super::takeover::Successor;
use super::work::Work;
use super::work::mark_of;
use super::work::portion_of;
use crate::journal::Body;
use crate::journal::Entry;
use crate::journal::Position;
use crate::journal::Reader;
use crate::message::Batch;
use crate::message::Message;
use crate::message::Source;
use crate::message::Value;
use crate::pipeline::routing::Routing;
use crate::plugin::FilterCall;
use crate::plugin::FilterFailure;
use crate::plugin::Filtering;
use crate::plugin::Stop;
use crate::stdx::backoff::Backoff;
use crate::stdx::sync::Instant;

/// What a filter does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It goes with the pass.
    Level,
    /// It is behind and goes on alone.
    Behind,
    /// It has failed and starts again then.
    Paused(Instant),
    /// It has ended itself, or is not tried any more.
    Ended,
}

/// See the module.
pub(super) struct Host {
    pub(super) plan: FilterPlan,
    /// The thread it is on, and how that knows it.
    pub(super) life: Arc<Life>,
    pub(super) mark: u64,
    pub(super) filtering: Option<Box<dyn Filtering>>,
    pub(super) reader: Reader,
    pub(super) pace: Pace,
    /// It took too long or failed since it was last level: nobody waits for it.
    pub(super) is_slow: bool,
    /// The last entry that is completely processed.
    pub(super) position: Position,
    /// Where it began in this run of the engine: without a snapshot it begins there again.
    pub(super) base: Position,
    /// When the entry it is at was appended, in nanoseconds since the epoch.
    pub(super) time: i64,
    /// When it last began.
    pub(super) started: Instant,
    /// The matcher's row in the routing of the thread.
    pub(super) row: Option<usize>,
    /// The name under which it injects.
    pub(super) source: Source,
    /// Up to here everything has been injected before: what comes of it again is dropped.
    pub(super) muted_until: Mark,
    /// Messages that are not to be tried again.
    pub(super) passed_over: Vec<Mark>,
    /// Engine time of the next timer, in nanoseconds.
    pub(super) next_due: u64,
    pub(super) backoff: Backoff,
    pub(super) keeping: Keeping,
    /// Messages matched that have not been counted.
    pub(super) matched: u64,
    /// Time taken in the stride that is being worked on.
    pub(super) spent: Duration,
    /// CPU time taken since the start.
    pub(super) cpu: Duration,
    /// CPU time as far as it has been counted.
    counted_cpu: Duration,
    failed: VecDeque<Instant>,
    /// How long it has stood still for the version that is to take over.
    pub(super) stalled: Duration,
    /// Failures of one that is tried.
    pub(super) set_aside: u64,
    /// Where what it makes is taken down, while another version is tried beside it.
    pub(super) compared: Option<Compared>,
    /// The version that is to take over.
    pub(super) successor: Option<Successor>,
}

/// A comparison that a version takes part in.
pub(super) struct Compared {
    pub(super) comparison: Arc<Comparison>,
    pub(super) side: Side,
    /// What comes behind is compared.
    pub(super) from: Position,
}

/// When the last snapshot was taken and what it cost.
pub(super) struct Keeping {
    pub(super) at: Instant,
    pub(super) position: Position,
    /// CPU time of the filter when it was taken.
    pub(super) cpu: Duration,
    pub(super) cost: Duration,
    pub(super) hash: Option<u64>,
}

impl Keeping {
    pub(super) fn new(position: Position, cpu: Duration) -> Keeping {
        Keeping { at: Instant::now(), position, cpu, cost: Duration::ZERO, hash: None }
    }
}

/// Why a host stopped within an entry.
pub(super) enum Trouble {
    /// A limit at this message of the entry (or at the timer, which is [`WHOLE_ENTRY`]).
    Limit { mark: Mark, reason: String },
    /// Too many messages were set aside.
    TooManyFailures,
    /// The filter ended itself.
    Ended { reason: String },
}

impl Host {
    pub(super) fn new(
        plan: FilterPlan,
        reader: Reader,
        routing: &Routing,
        life: Arc<Life>,
    ) -> Host {
        let retries = &plan.retries;
        let backoff =
            Backoff::new(retries.delay, retries.max_delay, retries.max_jitter, retries.max_retries);
        Host {
            row: routing.row(&plan.name),
            source: source_of(&plan.name),
            mark: life::mark_of(&plan.name),
            life,
            position: reader.position(),
            base: reader.position(),
            time: 0,
            started: Instant::now(),
            keeping: Keeping::new(reader.position(), Duration::ZERO),
            reader,
            pace: Pace::Behind,
            is_slow: false,
            filtering: None,
            muted_until: Mark::default(),
            passed_over: Vec::new(),
            next_due: 0,
            backoff,
            matched: 0,
            spent: Duration::ZERO,
            cpu: Duration::ZERO,
            counted_cpu: Duration::ZERO,
            failed: VecDeque::new(),
            stalled: Duration::ZERO,
            set_aside: 0,
            compared: None,
            successor: None,
            plan,
        }
    }

    /// Runs the filter over one entry, unless it is past it.
    pub(super) fn entry(
        &mut self,
        entry: &Arc<Entry>,
        matched: &[u16],
        routing: &Routing,
        outbox: &mut Outbox,
    ) -> Result<(), Trouble> {
        self.time = entry.time;
        let done = match &entry.body {
            Body::Batch(batch) if !matched.is_empty() => {
                self.batch(entry, batch, matched, routing, outbox)
            }
            Body::Tick => self.tick(entry, routing, outbox),
            Body::Batch(_) | Body::Note(_) => Ok(()),
        };
        // Failures are counted when the entry is done with.
        if matches!(done, Ok(()) | Err(Trouble::TooManyFailures)) {
            self.position = entry.position;
        }
        done
    }

    /// Brings the numbers up to date.
    pub(super) fn count(&mut self, end: Position) {
        let counters = &self.plan.counters;
        counters.matched.add(std::mem::take(&mut self.matched));
        let Some(filtering) = &mut self.filtering else { return };
        let cpu = self.cpu.saturating_sub(self.counted_cpu);
        counters.cpu.add(u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX));
        self.counted_cpu = self.cpu;
        counters.memory.set(filtering.usage().memory as f64);
        counters.lag.set(end.0.saturating_sub(self.position.0) as f64);
    }

    /// Runs what is matched of a batch: first what is muted, then what is not.
    fn batch(
        &mut self,
        entry: &Entry,
        batch: &Batch,
        matched: &[u16],
        routing: &Routing,
        outbox: &mut Outbox,
    ) -> Result<(), Trouble> {
        let number = entry.position.0;
        let kept: Vec<u16>;
        let matched = if self.passed_over.iter().any(|mark| mark.entry == number) {
            let is_kept = |index: &u16| {
                !self.is_passed_over(Mark { entry: number, message: u32::from(*index) })
            };
            kept = matched.iter().copied().filter(is_kept).collect();
            &kept
        } else {
            matched
        };
        self.matched += matched.len() as u64;
        let is_muted =
            |index: &u16| Mark { entry: number, message: u32::from(*index) } <= self.muted_until;
        let muted = matched.partition_point(is_muted);
        if muted > 0 {
            let muted = [portion_of(entry, batch, &matched[..muted])];
            self.call(Work::Portions(&muted), None, routing).1?;
        }
        if muted < matched.len() {
            let live = [portion_of(entry, batch, &matched[muted..])];
            self.call(Work::Portions(&live), Some(outbox), routing).1?;
        }
        Ok(())
    }

    fn is_passed_over(&self, mark: Mark) -> bool {
        self.passed_over.contains(&mark)
    }

    /// Runs the timer when it is due.
    fn tick(
        &mut self,
        entry: &Entry,
        routing: &Routing,
        outbox: &mut Outbox,
    ) -> Result<(), Trouble> {
        let interval = u64::try_from(self.plan.ticker_interval.as_nanos()).unwrap_or(u64::MAX);
        if interval == 0 {
            return Ok(());
        }
        if self.next_due == 0 {
            self.next_due = entry.engine_time.saturating_add(interval);
            return Ok(());
        }
        if entry.engine_time < self.next_due {
            return Ok(());
        }
        // What is due fires once, however long the gap was.
        let missed = (entry.engine_time - self.next_due) / interval;
        self.next_due += (missed + 1) * interval;
        let mark = Mark { entry: entry.position.0, message: WHOLE_ENTRY };
        if self.is_passed_over(mark) {
            return Ok(());
        }
        let outbox = (mark > self.muted_until).then_some(outbox);
        self.call(Work::Timer(entry), outbox, routing).1
    }

    /// Runs the last timer before a stop.
    pub(super) fn shut_down(
        &mut self,
        entry: &Entry,
        routing: &Routing,
        outbox: &mut Outbox,
    ) -> Result<(), Trouble> {
        self.call(Work::ShutDown(entry), Some(outbox), routing).1
    }

    /// Makes one call; without an outbox what it injects is dropped. Tells how many portions were
    /// begun, where that is what it is about.
    pub(super) fn call(
        &mut self,
        work: Work<'_>,
        outbox: Option<&mut Outbox>,
        routing: &Routing,
    ) -> (usize, Result<(), Trouble>) {
        let Some(filtering) = &mut self.filtering else { return (work.portions(), Ok(())) };
        let is_live = outbox.is_some();
        let mut mute = Batch::new();
        let mut outbox = outbox;
        let out = outbox.as_mut().map_or(&mut mute, |outbox| &mut outbox.batch);
        let before = out.len();
        let mut failures = Vec::new();
        let (entry, time, engine_time) = work.begins();
        let mut call = FilterCall {
            entry,
            time,
            engine_time,
            out: &mut *out,
            on_failure: &mut |failure| failures.push(failure),
        };
        let inside = self.life.enter(self.mark);
        let (begun, done) = match work {
            Work::Portions(portions) => filtering.process_portions(portions, &mut call),
            Work::Timer(_) => (0, filtering.timer(&mut call)),
            Work::ShutDown(_) => (0, filtering.shut_down(&mut call)),
        };
        drop(inside);
        if let Some(row) = self.row {
            refuse_own(out, before, routing, row, &mut failures);
        }
        let injected = out.len() - before;
        let mark = mark_of(&work, begun, &done);
        let compared = self.compared.as_ref().filter(|compared| {
            entry > compared.from.0 && (is_live || compared.side == Side::Shadow)
        });
        if let Some(Compared { comparison, side, .. }) = compared {
            comparison.made(*side, mark.entry, time, out, before);
        }
        let is_tried = compared.is_some_and(|compared| compared.side == Side::Shadow);
        if let Some(outbox) = outbox
            && injected > 0
        {
            self.plan.counters.injected.add(injected as u64);
            let is_alert = |index: &usize| is_alert(&outbox.batch.message(*index));
            let alerts = (before..outbox.batch.len()).filter(is_alert).count();
            self.plan.counters.alerts.add(alerts as u64);
            outbox.reached(&self.source, mark);
        }
        let is_too_much = if is_tried {
            self.set_aside += failures.len() as u64;
            failures.iter().fold(false, |is_too_much, _| self.count_failure() || is_too_much)
        } else {
            is_live && self.note_failures(mark.entry, &failures)
        };
        let done = match done {
            Ok(()) if is_too_much => Err(Trouble::TooManyFailures),
            Ok(()) => Ok(()),
            Err(Stop::Ended { reason }) => Err(Trouble::Ended { reason }),
            Err(Stop::Limit { message, reason }) => {
                let message = message.map_or(WHOLE_ENTRY, u32::from);
                Err(Trouble::Limit { mark: Mark { entry: mark.entry, message }, reason })
            }
        };
        (begun, done)
    }

    /// Counts and reports what was set aside; tells whether it is too much.
    fn note_failures(&mut self, entry: u64, failures: &[FilterFailure]) -> bool {
        let mut is_too_much = false;
        for failure in failures {
            self.plan.counters.failures.add(1);
            tracing::warn!(
                filter = &*self.plan.name,
                entry,
                message = failure.message,
                reason = failure.reason,
                "a message was set aside"
            );
            is_too_much |= self.count_failure();
        }
        is_too_much
    }

    /// Counts a failure; tells whether it exceeds `max_failures` a minute.
    pub(super) fn count_failure(&mut self) -> bool {
        let now = Instant::now();
        self.failed.push_back(now);
        while self.failed.front().is_some_and(|at| now - *at > Duration::from_mins(1)) {
            self.failed.pop_front();
        }
        if self.failed.len() > self.plan.max_failures as usize {
            self.failed.clear();
            return true;
        }
        false
    }
}

/// Takes away what would come back to the filter that injected it.
fn refuse_own(
    out: &mut Batch,
    before: usize,
    routing: &Routing,
    row: usize,
    failures: &mut Vec<FilterFailure>,
) {
    let matcher = routing.matcher(row);
    if !(before..out.len()).any(|index| matcher.matches(&out.message(index))) {
        return;
    }
    let mut kept = Batch::new();
    for index in before..out.len() {
        let message = out.message(index);
        if matcher.matches(&message) {
            let reason = "inject_message() would match the filter's own matcher".to_owned();
            failures.push(FilterFailure { message: None, reason });
        } else {
            let _ = kept.push_located(message.bytes(), *message.header(), out.marks(index));
        }
    }
    out.truncate(before);
    for index in 0..kept.len() {
        let message = kept.message(index);
        let _ = out.push_located(message.bytes(), *message.header(), kept.marks(index));
    }
}

/// Tells whether a message is an alert, as Heka's alert module makes it.
fn is_alert(message: &Message<'_>) -> bool {
    message.value(b"payload_type", 0, 0) == Some(Value::String(b"alert"))
}

/// The name under which a filter's injections stand in the journal.
pub(super) fn source_of(name: &str) -> Source {
    Source::from(format!("filter:{name}"))
}
