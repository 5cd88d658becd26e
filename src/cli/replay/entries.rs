//! A journal as it is played again, beside the engine that writes it or without one.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Context;

use super::play::Play;
use crate::journal;
use crate::journal::Missing;
use crate::journal::Next;
use crate::journal::Position;
use crate::journal::ReadOnly;

/// The wall clock may have stepped by this much: so far before the beginning and beyond the end is looked,
/// in nanoseconds.
const MAX_STEP: i64 = 600_000_000_000;

/// Plays the journal in `folder` behind `after`; breaks when all versions were terminated.
///
/// # Errors
/// When it cannot be read or the output cannot be written.
pub(super) fn play(
    folder: &Path,
    after: Option<Position>,
    play: &mut Play,
) -> anyhow::Result<ControlFlow<()>> {
    let mut journal = open(folder)?;
    if let Some(after) = after {
        journal.seek(after);
    }
    if play.span.from > i64::MIN {
        journal.seek_time(play.span.from.saturating_sub(MAX_STEP))?;
    }
    for lane in &mut play.lanes {
        lane.begin();
    }
    let flow = entries(&mut journal, folder, play);
    for lane in &mut play.lanes {
        lane.end();
    }
    flow
}

fn entries(
    journal: &mut ReadOnly,
    folder: &Path,
    play: &mut Play,
) -> anyhow::Result<ControlFlow<()>> {
    loop {
        match journal.next()? {
            Next::Entry(entry) => {
                if entry.time >= play.span.to.saturating_add(MAX_STEP) {
                    return Ok(ControlFlow::Continue(()));
                }
                let is_within = entry.time >= play.span.from && entry.time < play.span.to;
                if is_within && play.entry(&entry)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Next::Missed { first, last, why } => {
                let what = match why {
                    Missing::Damaged => "damaged",
                    Missing::Trimmed | Missing::Dropped => "no longer there",
                };
                play.damages += u64::from(why == Missing::Damaged);
                let folder = folder.display();
                play.report.complain(&format!(
                    "{folder}: entries {first} to {last} are {what}, and passed over"
                ))?;
            }
            Next::Empty => return Ok(ControlFlow::Continue(())),
        }
    }
}

/// Opens the journal in this folder, or below it in the folder of an engine's state.
pub(super) fn open(folder: &Path) -> anyhow::Result<ReadOnly> {
    let below = folder.join("journal");
    let folder = if below.is_dir() { &below } else { folder };
    journal::open_read_only(folder).with_context(|| folder.display().to_string())
}
