//! What a journal tells of itself.

use super::entry::Position;
use super::reader::Keeps;
use super::readers::Tracked;
use super::state::Shared;
use super::state::State;

/// How a journal is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The first entry that can be read.
    pub oldest: Position,
    /// The last entry.
    pub end: Position,
    /// The last entry that may be acknowledged.
    pub durable: Position,
    /// How many segments there are.
    pub segments: usize,
    /// Bytes of all entries.
    pub bytes: u64,
    /// Bytes of the entries that some reader still needs.
    pub needed_bytes: u64,
    /// Bytes of the snapshots.
    pub snapshot_bytes: u64,
    /// The budget, in bytes.
    pub max_bytes: u64,
    /// Bytes of the entries kept in memory.
    pub tail_bytes: u64,
    /// Bytes that have not been synced.
    pub unsynced_bytes: u64,
    /// The reader that holds the inputs.
    pub is_blocked_by: Option<String>,
    /// The reader that is going to, if it does not go on: it needs half the budget.
    pub is_filled_by: Option<String>,
    /// The budget is full and the reader furthest behind says `shutdown`.
    pub must_shut_down: bool,
    /// Ticks pause, for even their part of the budget is gone.
    pub is_full: bool,
    /// Syncs that succeeded.
    pub syncs: u64,
    /// Syncs and writes that failed and made a new segment necessary.
    pub failed_syncs: u64,
    /// Why the journal cannot be written at the moment.
    pub failure: Option<String>,
    /// Entries that readers had to do without to make room.
    pub dropped_entries: u64,
    /// Entries that readers met and could not be read.
    pub damaged_entries: u64,
    /// How many sources have a position.
    pub sources: usize,
}

/// How a reader is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderStatus {
    /// Its name.
    pub name: String,
    /// What is durable of its way.
    pub keeps: Keeps,
    /// The last entry it is done with.
    pub committed: Position,
    /// How far it would be after a crash.
    pub stored: Position,
    /// How many entries come behind what it is done with.
    pub lag_entries: u64,
    /// About how many bytes they take.
    pub lag_bytes: u64,
    /// It holds nothing back any more.
    pub is_retired: bool,
    /// How many entries it had to do without to make room.
    pub dropped_entries: u64,
}

impl Shared {
    pub(super) fn status(&self) -> Status {
        let snapshot_bytes = self.snapshots().bytes();
        let state = self.lock();
        Status {
            oldest: state.oldest,
            end: state.end,
            durable: state.durable,
            segments: state.segments.len(),
            bytes: state.bytes,
            needed_bytes: state.bytes_after(self.history_end(&state)),
            snapshot_bytes,
            max_bytes: self.limits.max_bytes,
            tail_bytes: state.tail.footprint(),
            unsynced_bytes: state.unsynced_bytes,
            is_blocked_by: state.blocked.as_ref().map(ToString::to_string),
            is_filled_by: state.announced.as_ref().map(ToString::to_string),
            must_shut_down: state.must_shut_down,
            is_full: state.bytes >= self.limits.max_bytes,
            syncs: state.syncs,
            failed_syncs: state.failed_syncs,
            failure: state.failure.clone(),
            dropped_entries: state.dropped_entries,
            damaged_entries: state.damaged_entries,
            sources: state.sources.len(),
        }
    }

    pub(super) fn reader_status(&self) -> Vec<ReaderStatus> {
        let state = self.lock();
        state.readers.tracked.iter().map(|reader| status_of(&state, reader)).collect()
    }
}

fn status_of(state: &State, reader: &Tracked) -> ReaderStatus {
    let committed = match reader.keeps {
        Keeps::Snapshot => reader.place.committed().max(reader.snapshot),
        Keeps::Cursor | Keeps::Nothing => reader.place.committed(),
    };
    ReaderStatus {
        name: reader.name.to_string(),
        keeps: reader.keeps,
        committed,
        stored: reader.stored,
        lag_entries: state.entries_after(committed),
        lag_bytes: state.bytes_after(committed),
        is_retired: reader.is_retired,
        dropped_entries: reader.dropped,
    }
}
