//! The state a replay begins with: what a filter was at some moment, as a journal keeps it.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::anyhow;

use super::moment;
use crate::journal;
use crate::journal::KeptState;
use crate::journal::Position;
use crate::pipeline;

/// A state, and where history goes on from it.
pub(super) struct Beginning {
    /// The last entry that is in the state.
    pub(super) after: Position,
    /// Engine time at which the timer is due next.
    pub(super) next_due: u64,
    /// The filter's own state.
    pub(super) own: Vec<u8>,
}

/// Finds the state that `wanted` names: a file of snapshots, or a filter of the journal that is
/// played. Of a journal it is the newest from before `from`, or the oldest there is.
///
/// # Errors
/// When there is none or it cannot be read.
pub(super) fn find(
    wanted: &str,
    filter: &str,
    history: &[PathBuf],
    from: Option<i64>,
) -> anyhow::Result<Beginning> {
    let file = Path::new(wanted);
    let kept = if file.is_file() {
        of_file(file, filter)?
    } else {
        let [folder] = history else {
            return Err(anyhow!("--state {wanted}: one journal is to be played"));
        };
        of_journal(folder, wanted, from)?
    };
    let state = kept.read().with_context(|| format!("--state {wanted}"))?;
    let (next_due, own) = pipeline::read_state(&state)
        .ok_or_else(|| anyhow!("--state {wanted}: it is no state of a filter"))?;
    Ok(Beginning { after: kept.position, next_due, own: own.to_vec() })
}

fn of_file(file: &Path, filter: &str) -> anyhow::Result<KeptState> {
    let mut states = journal::kept_states(file)?;
    let named = states.iter().position(|state| state.reader == filter);
    match named.or((states.len() == 1).then_some(0)) {
        Some(index) => Ok(states.swap_remove(index)),
        None => Err(anyhow!("{}: no state of {filter}{}", file.display(), of(&states))),
    }
}

fn of_journal(folder: &Path, filter: &str, from: Option<i64>) -> anyhow::Result<KeptState> {
    let below = folder.join("journal");
    let folder = if below.is_dir() { &below } else { folder };
    let states = journal::kept_states(folder)
        .with_context(|| format!("--state {filter}: {}", folder.display()))?;
    let (mut own, others): (Vec<_>, Vec<_>) =
        states.into_iter().partition(|state| state.reader == filter);
    let Some(oldest) = own.first() else {
        return Err(anyhow!(
            "--state: there is neither a file nor a filter {filter}{}",
            of(&others)
        ));
    };
    let Some(from) = from else { return Ok(own.swap_remove(0)) };
    match own.iter().rposition(|state| state.time <= from) {
        Some(index) => Ok(own.swap_remove(index)),
        None => Err(anyhow!(
            "--state {filter}: none from before {} is kept, the oldest is of {}",
            moment::text(from),
            moment::text(oldest.time)
        )),
    }
}

/// Whose states there are.
fn of(states: &[KeptState]) -> String {
    let mut names: Vec<&str> = states.iter().map(|state| state.reader.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) }
}
