//! Starts a filter where it was: from its snapshot, with a mute replay.
//!
//! The journal knows the last position at which the filter injected. Up to there the replay is
//! mute, whatever it produces; from there on it is live. So nothing is injected twice or lost.

use std::hash::BuildHasher;
use std::time::Duration;

use anyhow::Context;
use foldhash::quality::FixedState;

use super::FilterPlan;
use super::host::Host;
use super::host::Keeping;
use super::host::Pace;
use super::host::Trouble;
use super::outbox::Mark;
use super::outbox::Outbox;
use super::outbox::WHOLE_ENTRY;
use super::state;
use crate::journal::Journal;
use crate::journal::Keeps;
use crate::journal::Note;
use crate::journal::Position;
use crate::message::Uuids;
use crate::plugin::FilterContext;
use crate::plugin::Filtering;
use crate::stdx::sync::Instant;

/// How much more time calls get in a replay after a limit.
pub(super) const WIDER: u32 = 10;
/// A filter that has gone on for so long is paused as shortly as at first.
const CALM: Duration = Duration::from_mins(5);
/// How many messages are kept as passed over for one filter; older ones are behind any snapshot.
const MAX_PASSED_OVER: usize = 256;

/// Starts the filter of `host`, without any state.
pub(super) fn start_fresh(host: &Host) -> anyhow::Result<Box<dyn Filtering>> {
    let plan = &host.plan;
    let _inside = host.life.enter(host.mark);
    plan.plugin.start(&FilterContext {
        name: &plan.name,
        engine: &plan.engine,
        ticker_interval: plan.ticker_interval,
    })
}

/// Starts the filter of `host` from its last snapshot, or empty where it has none.
pub(super) fn start(host: &mut Host, journal: &Journal) -> anyhow::Result<()> {
    let mut filtering = start_fresh(host)?;
    let mut position = host.base;
    // What was kept before this run counts only where state outlives one.
    if host.plan.reader.keeps == Keeps::Snapshot
        && let Some((at, kept)) = journal.snapshot(&host.plan.name)?
        && (host.plan.plugin.keeps_state() || at > host.base)
    {
        position = at;
        restore(host, filtering.as_mut(), &kept)?;
    } else {
        host.next_due = 0;
    }
    if let Some(last) = journal.last_position(&host.source) {
        host.muted_until = host.muted_until.max(Mark::of(&last));
    }
    let since = Mark { entry: host.plan.since.0, message: WHOLE_ENTRY };
    host.muted_until = host.muted_until.max(since);
    host.passed_over = passed_over(journal, &host.plan.name);
    host.reader.seek(position);
    host.position = position;
    host.keeping = Keeping::new(position, host.cpu);
    host.filtering = Some(filtering);
    host.pace = Pace::Behind;
    host.started = Instant::now();
    Ok(())
}

/// Gives a kept state to a filter that has just been started.
pub(super) fn restore(
    host: &mut Host,
    filtering: &mut dyn Filtering,
    kept: &[u8],
) -> anyhow::Result<()> {
    let (next_due, own) = state::read(kept).context("the snapshot has an unknown layout")?;
    host.next_due = next_due;
    if own.is_empty() {
        return Ok(());
    }
    let inside = host.life.enter(host.mark);
    let lost = filtering.restore(own).context("cannot restore the state")?;
    drop(inside);
    if !lost.is_empty() {
        tracing::warn!(filter = &*host.plan.name, not_kept = ?lost, "state kept in part");
    }
    Ok(())
}

/// Does what the trouble of a host asks for. Its results so far are appended first.
pub(super) fn recover(host: &mut Host, trouble: Trouble, journal: &Journal, outbox: &mut Outbox) {
    outbox.append();
    match trouble {
        Trouble::Ended { reason } => end(host, &reason, journal, outbox),
        Trouble::TooManyFailures => {
            pause(host, "more than max_failures in a minute", journal, outbox);
        }
        Trouble::Limit { mark, reason } => {
            tracing::warn!(
                filter = &*host.plan.name,
                entry = mark.entry,
                message = (mark.message != WHOLE_ENTRY).then_some(mark.message),
                reason,
                "a call reached a limit: its message is set aside and the state is set back"
            );
            host.plan.counters.failures.add(1);
            if host.count_failure() {
                pause(host, "more than max_failures in a minute", journal, outbox);
                return;
            }
            pass_over(host, mark, &reason, journal);
            if host.plan.reader.keeps == Keeps::Nothing {
                host.base = host.position;
            }
            host.muted_until = host.muted_until.max(mark);
            match start(host, journal) {
                Ok(()) => {
                    if let Some(filtering) = &mut host.filtering {
                        filtering.widen(WIDER);
                    }
                }
                Err(error) => pause(host, &format!("{error:#}"), journal, outbox),
            }
        }
    }
}

/// Stops a filter for a while; it starts again from its snapshot.
pub(super) fn pause(host: &mut Host, reason: &str, journal: &Journal, outbox: &mut Outbox) {
    host.filtering = None;
    host.plan.counters.failing.set(1.0);
    host.reader.rest();
    // Meanwhile it holds nothing back: it alone is stopped.
    journal.retire(&host.plan.name);
    if host.started.elapsed() > CALM {
        host.backoff.reset();
    }
    let Some(wait) = host.backoff.next_wait() else {
        end(host, &format!("{reason}; no retry is left"), journal, outbox);
        return;
    };
    tracing::error!(
        filter = &*host.plan.name,
        reason,
        seconds = wait.as_secs_f64(),
        "a filter is stopped and will start again"
    );
    host.plan.counters.restarts.add(1);
    host.pace = Pace::Paused(Instant::now() + wait);
}

/// Starts a filter again that was paused or had ended.
pub(super) fn resume(host: &mut Host, journal: &Journal) -> anyhow::Result<()> {
    host.reader = journal
        .reader(&host.plan.name, host.plan.reader)
        .with_context(|| format!("cannot open a reader for {}", host.plan.name))?;
    if host.plan.reader.keeps == Keeps::Nothing {
        host.base = host.reader.position();
    }
    start(host, journal)?;
    host.plan.counters.failing.set(0.0);
    Ok(())
}

/// Stops a filter for good, and says so in a message.
fn end(host: &mut Host, reason: &str, journal: &Journal, outbox: &mut Outbox) {
    tracing::error!(filter = &*host.plan.name, reason, "a filter has ended");
    host.filtering = None;
    host.reader.rest();
    host.pace = Pace::Ended;
    note(host, journal, "stop", &serde_json::json!({ "reason": reason }));
    let seed = FixedState::with_seed(0).hash_one((&host.plan.name, host.position.0));
    let mut message = outbox.batch.begin();
    message
        .uuid(&Uuids::seeded(seed).make())
        .timestamp(host.time)
        .message_type(b"heka.sandbox-terminated")
        .logger(b"hekad")
        .payload(reason.as_bytes())
        .hostname(host.plan.engine.hostname.as_bytes())
        .pid(host.plan.engine.pid)
        .string("plugin", "", host.plan.name.as_bytes());
    if message.finish().is_ok() {
        // It may have injected something in the entry in which it ended.
        let last = journal.last_position(&host.source).map(|last| Mark::of(&last));
        let mark = Mark { entry: host.position.0, message: WHOLE_ENTRY };
        outbox.reached(&host.source, last.map_or(mark, |last| last.max(mark)));
    }
    journal.retire(&host.plan.name);
}

/// Writes down how a filter changed.
pub(super) fn note(host: &Host, journal: &Journal, what: &str, detail: &serde_json::Value) {
    let body = serde_json::json!({
        "what": what,
        "version": host.plan.version,
        "position": host.position.0,
        "detail": detail,
    });
    let note = Note { subject: host.plan.name.clone(), body: body.to_string().into_bytes() };
    if let Err(error) = journal.append_note(note) {
        tracing::warn!(filter = &*host.plan.name, %error, "cannot note a change of the filter");
    }
}

/// Keeps a message from being tried again, after a restart of the engine too.
fn pass_over(host: &mut Host, mark: Mark, reason: &str, journal: &Journal) {
    let detail = serde_json::json!({
        "entry": mark.entry, "message": mark.message, "reason": reason,
    });
    note(host, journal, "set aside", &detail);
    let mut marks = passed_over(journal, &host.plan.name);
    marks.push(mark);
    let first = marks.len().saturating_sub(MAX_PASSED_OVER);
    let text: Vec<_> = marks[first..].iter().map(|mark| (mark.entry, mark.message)).collect();
    let value = serde_json::to_vec(&text).unwrap_or_default();
    if let Err(error) = journal.put(&passed_over_name(&host.plan.name), &value) {
        tracing::warn!(filter = &*host.plan.name, %error, "cannot keep which message was set aside");
    }
}

/// The messages that a filter is not to try again.
pub(super) fn passed_over(journal: &Journal, name: &str) -> Vec<Mark> {
    let value = journal.value(&passed_over_name(name)).unwrap_or_default();
    let marks: Vec<(u64, u32)> = serde_json::from_slice(&value).unwrap_or_default();
    marks.into_iter().map(|(entry, message)| Mark { entry, message }).collect()
}

fn passed_over_name(name: &str) -> String {
    format!("passed over:{name}")
}

/// Puts a new version of a filter in the place of the old, with its state.
///
/// The new one is started aside and given the state the old one has between two batches. Where the
/// old one is stopped the new one starts from the last snapshot. If anything fails the old one is as
/// it was.
pub(super) fn swap(
    host: &mut Host,
    plan: FilterPlan,
    journal: &Journal,
) -> anyhow::Result<Position> {
    let is_timed_anew = plan.ticker_interval != host.plan.ticker_interval;
    if host.filtering.is_none() {
        let before = std::mem::replace(&mut host.plan, plan);
        if let Err(error) = resume(host, journal) {
            host.plan = before;
            host.filtering = None;
            host.reader.rest();
            journal.retire(&host.plan.name);
            return Err(error);
        }
    } else {
        host.filtering = Some(successor(host, &plan)?);
        host.plan = plan;
    }
    if is_timed_anew {
        host.next_due = 0;
    }
    host.keeping.hash = None;
    host.backoff.reset();
    let mark = Mark { entry: host.position.0, message: WHOLE_ENTRY };
    host.muted_until = host.muted_until.max(mark);
    note(host, journal, "change", &serde_json::Value::Null);
    Ok(host.position)
}

/// The next version of a filter that runs, with the state that this one has.
fn successor(host: &mut Host, plan: &FilterPlan) -> anyhow::Result<Box<dyn Filtering>> {
    let context = FilterContext {
        name: &plan.name,
        engine: &plan.engine,
        ticker_interval: plan.ticker_interval,
    };
    let _inside = host.life.enter(host.mark);
    let mut fresh = plan.plugin.start(&context)?;
    if let Some(old) = &mut host.filtering
        && plan.plugin.keeps_state()
        && let Some(own) = old.snapshot()?
    {
        let lost = fresh.restore(&own).context("the new version cannot take over the state")?;
        if !lost.is_empty() {
            tracing::warn!(filter = &*plan.name, not_kept = ?lost, "state kept in part");
        }
    }
    Ok(fresh)
}
