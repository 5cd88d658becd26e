//! What a filter is called for, and what is completed with that.

use super::outbox::Mark;
use super::outbox::WHOLE_ENTRY;
use crate::journal::Entry;
use crate::message::Batch;
use crate::plugin::Portion;
use crate::plugin::Stop;

/// What a call is about.
pub(super) enum Work<'a> {
    /// One portion at least.
    Portions(&'a [Portion<'a>]),
    Timer(&'a Entry),
    ShutDown(&'a Entry),
}

impl Work<'_> {
    /// How many portions it is about.
    pub(super) fn portions(&self) -> usize {
        if let Work::Portions(portions) = self { portions.len() } else { 0 }
    }

    /// The first entry it is about: its number, its time and its engine time.
    pub(super) fn begins(&self) -> (u64, i64, u64) {
        match self {
            Work::Portions([first, ..]) => (first.entry, first.time, first.engine_time),
            Work::Portions([]) => (0, 0, 0),
            Work::Timer(entry) | Work::ShutDown(entry) => {
                (entry.position.0, entry.time, entry.engine_time)
            }
        }
    }
}

/// The messages of an entry as they are handed to a filter.
pub(super) fn portion_of<'a>(entry: &Entry, batch: &'a Batch, matched: &'a [u16]) -> Portion<'a> {
    let Entry { position, time, engine_time, .. } = entry;
    Portion { entry: position.0, time: *time, engine_time: *engine_time, batch, matched }
}

/// What is completed when the call is over, which has begun so many portions.
pub(super) fn mark_of(work: &Work<'_>, begun: usize, done: &Result<(), Stop>) -> Mark {
    let (entry, last) = match work {
        Work::Portions(portions) => {
            let last = begun.checked_sub(1).and_then(|last| portions.get(last));
            last.map_or((0, None), |last| (last.entry, last.matched.last().copied()))
        }
        Work::Timer(_) | Work::ShutDown(_) => (work.begins().0, None),
    };
    let message = match done {
        Ok(()) | Err(Stop::Ended { .. }) => last.map_or(WHOLE_ENTRY, u32::from),
        Err(Stop::Limit { message: Some(failed), .. }) => u32::from(*failed).saturating_sub(1),
        Err(Stop::Limit { message: None, .. }) => WHOLE_ENTRY,
    };
    Mark { entry, message }
}
