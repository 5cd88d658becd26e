//! When a filter's state is kept, and how.

use std::time::Duration;

use super::host::Host;
use super::host::Keeping;
use super::host::Pace;
use super::host::Trouble;
use super::keeper::Keeper;
use super::outbox::Outbox;
use super::recovery;
use super::state;
use crate::journal::Journal;
use crate::journal::Keeps;
use crate::journal::Snapshot;
use crate::stdx::sync::Instant;

/// A replay longer than this is not wanted: a snapshot comes before, by the filter's CPU time.
const MAX_REPLAY: Duration = Duration::from_secs(1);
/// A snapshot is at most this old.
const MAX_AGE: Duration = Duration::from_mins(1);
/// A snapshot may take one part in so many of the time.
const MAX_SHARE: u32 = 50;

/// Tells whether a snapshot of a filter should be taken now.
pub(super) fn is_due(host: &Host) -> bool {
    let keeping = &host.keeping;
    if host.position <= keeping.position {
        return false;
    }
    let age = keeping.at.elapsed();
    let replay = host.cpu.saturating_sub(keeping.cpu);
    let is_wanted = replay > MAX_REPLAY || age > MAX_AGE;
    is_wanted && age > keeping.cost * MAX_SHARE
}

/// Takes a snapshot and hands it over to be stored.
pub(super) fn keep(host: &mut Host, keeper: &Keeper, outbox: &Outbox) {
    let Some(filtering) = &mut host.filtering else { return };
    let is_kept = host.plan.reader.keeps == Keeps::Snapshot && filtering.is_settled();
    if !is_kept || outbox.is_broken() {
        return;
    }
    let begun = Instant::now();
    let inside = host.life.enter(host.mark);
    let own = match filtering.snapshot() {
        Ok(own) => own.unwrap_or_default(),
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(filter = &*host.plan.name, error, "cannot take a snapshot");
            return;
        }
    };
    drop(inside);
    let whole = state::write(host.next_due, &own);
    let hash = hash_of(&whole);
    let is_changed = host.keeping.hash != Some(hash);
    host.plan.counters.state.set(whole.len() as f64);
    let snapshot = Snapshot {
        reader: host.plan.name.to_string(),
        position: host.position,
        state: is_changed.then_some(whole),
    };
    let kept = outbox.life().unless_cut_off(|| keeper.keep(snapshot, outbox.appended()));
    if kept.is_none() {
        return;
    }
    host.keeping = Keeping {
        at: Instant::now(),
        position: host.position,
        cpu: host.cpu,
        cost: begun.elapsed(),
        hash: Some(hash),
    };
}

fn hash_of(bytes: &[u8]) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::with_seed(0).hash_one(bytes)
}

/// Does what the trouble of a filter asks for. One that merely failed too often goes on, when it
/// starts again, from where it is now: it would fail the same way otherwise.
pub(super) fn recover(
    host: &mut Host,
    trouble: Trouble,
    journal: &Journal,
    keeper: &Keeper,
    outbox: &mut Outbox,
) {
    if outbox.life().is_cut_off() {
        // Another thread has the filter now.
        host.filtering = None;
        host.pace = Pace::Ended;
        return;
    }
    if matches!(trouble, Trouble::TooManyFailures) {
        outbox.append();
        keep(host, keeper, outbox);
    }
    recovery::recover(host, trouble, journal, outbox);
}
