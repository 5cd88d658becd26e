//! What the threads of a journal share.
//!
//! Appenders put entries into the tail under a short lock; the writer takes them from there, writes
//! and syncs them without it, and says how far it has come. Always
//! `durable <= written <= end`, and the tail holds everything behind `durable`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::entry::Entry;
use super::entry::Position;
use super::patience::Patience;
use super::readers::Readers;
use super::readers::Tracked;
use super::segment::Segment;
use super::settings::Limits;
use super::settings::StorageKind;
use super::snapshots::Snapshots;
use super::spares::Spares;
use super::table::Sources;
use super::values::Values;
use crate::stdx::clock::Clock;
use crate::stdx::sync::Condvar;
use crate::stdx::sync::Instant;
use crate::stdx::sync::Mutex;
use crate::stdx::sync::MutexGuard;
use crate::stdx::sync::RwLock;
use crate::stdx::sync::atomic::AtomicU64;

/// Batches to be used again take at most one part in so many of the tail's bytes.
const SPARE_SHARE: u64 = 4;

/// While memory is short the tail has one part in so many of its bytes.
const SHORT_SHARE: u64 = 4;

/// Called when there is something new.
pub(super) type Wake = Arc<dyn Fn() + Send + Sync>;

/// An entry in the tail.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) entry: Arc<Entry>,
    /// Bytes it takes in a segment.
    pub(super) stored: u64,
    /// Bytes it takes in memory.
    pub(super) footprint: u64,
}

/// The newest entries.
#[derive(Debug, Default)]
pub(super) struct Tail {
    held: VecDeque<Held>,
    /// Position of the first entry held, when there is one.
    first: u64,
    footprint: u64,
}

impl Tail {
    pub(super) fn push(&mut self, held: Held) {
        if self.held.is_empty() {
            self.first = held.entry.position.0;
        }
        self.footprint += held.footprint;
        self.held.push_back(held);
    }

    /// Position of the first entry held; `none` when there is none.
    pub(super) fn first(&self) -> Option<Position> {
        (!self.held.is_empty()).then_some(Position(self.first))
    }

    pub(super) fn entry(&self, position: Position) -> Option<&Held> {
        let index = usize::try_from(position.0.checked_sub(self.first)?).ok()?;
        self.held.get(index)
    }

    pub(super) fn footprint(&self) -> u64 {
        self.footprint
    }

    /// The entries behind `position`.
    pub(super) fn behind(&self, position: Position) -> impl Iterator<Item = &Held> {
        let index = usize::try_from(position.next().0.saturating_sub(self.first)).unwrap_or(0);
        self.held.range(index.min(self.held.len())..)
    }

    /// Gives up entries up to `durable` that all have passed, or that are too many for `limit`.
    pub(super) fn trim(&mut self, durable: Position, passed: Position, limit: u64) -> Vec<Held> {
        let mut given_up = Vec::new();
        while let Some(held) = self.held.front() {
            let position = held.entry.position;
            if position > durable || (position > passed && self.footprint <= limit) {
                break;
            }
            self.footprint -= held.footprint;
            self.first = position.0 + 1;
            given_up.extend(self.held.pop_front());
        }
        given_up
    }
}

/// Everything under the lock.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tail: Tail,
    /// Last position appended.
    pub(super) end: Position,
    /// Last position written to a file.
    pub(super) written: Position,
    /// Last position synced.
    pub(super) durable: Position,
    /// Last position that somebody wants synced.
    pub(super) want: Position,
    /// Last position of an entry that is no tick.
    pub(super) last_said: Position,
    /// A reader of what is durable waits at the tail: the next entry is wanted.
    pub(super) is_awaited: bool,
    /// Since when an entry that is no tick has not been synced.
    pub(super) unsynced_since: Option<Instant>,
    pub(super) unsynced_bytes: u64,
    pub(super) unwritten_bytes: u64,
    pub(super) time: i64,
    pub(super) engine_time: u64,
    pub(super) sources: Sources,
    pub(super) readers: Readers,
    pub(super) segments: VecDeque<Arc<Segment>>,
    /// What comes before was lost when the engine ended; a journal in memory only.
    pub(super) started: Position,
    /// First position that may still be read.
    pub(super) oldest: Position,
    /// Bytes in use in all segments and what is still to be written to them.
    pub(super) bytes: u64,
    /// Somebody waits for room, or has found none.
    pub(super) wants_room: bool,
    /// How often room has been looked for.
    pub(super) rounds: u64,
    /// The reader that holds the inputs.
    pub(super) blocked: Option<Arc<str>>,
    /// The reader that has been said to need half the budget.
    pub(super) announced: Option<Arc<str>>,
    /// A reader that is behind by its own limit and holds the inputs for it.
    pub(super) over_limit: Option<Arc<str>>,
    /// Filters find no room: since when, and where the reader furthest behind was then.
    pub(super) starved: Option<(Instant, Position)>,
    /// Appenders are sent away.
    pub(super) is_closing: bool,
    /// The writer is to finish.
    pub(super) is_stopping: bool,
    /// The writer has ended, or was never there.
    pub(super) is_closed: bool,
    /// The budget is full and the reader furthest behind says `shutdown`.
    pub(super) must_shut_down: bool,
    pub(super) writer_waits: bool,
    pub(super) patience: Patience,
    pub(super) syncs: u64,
    pub(super) failed_syncs: u64,
    pub(super) failure: Option<String>,
    pub(super) dropped_entries: u64,
    pub(super) damaged_entries: u64,
}

impl State {
    /// How far a reader is, for what it holds back.
    pub(super) fn held_by(reader: &Tracked, storage: StorageKind) -> Position {
        match storage {
            StorageKind::Disk => reader.stored,
            StorageKind::Memory => reader.place.committed(),
        }
    }

    /// Asks for a sync up to `position`; tells whether the writer has to be woken.
    pub(super) fn want(&mut self, position: Position) -> bool {
        let position = position.min(self.end);
        if position <= self.want.max(self.durable) {
            return false;
        }
        self.want = position;
        self.writer_waits
    }

    /// About how many bytes come after the entry `position`.
    pub(super) fn bytes_after(&self, position: Position) -> u64 {
        if self.segments.is_empty() {
            return self.tail.behind(position).map(|held| held.stored).sum();
        }
        let written: u64 =
            self.segments.iter().rev().map(|segment| segment.bytes_after(position)).sum();
        written + self.unwritten_bytes
    }

    /// How many entries come after the entry `position`.
    pub(super) fn entries_after(&self, position: Position) -> u64 {
        let mut count = self.end.0.saturating_sub(self.written.max(position).0);
        for segment in self.segments.iter().rev() {
            if segment.last() <= position {
                break;
            }
            count += segment.last().0 - segment.first.previous().max(position).0;
        }
        count
    }
}

/// The heart of a journal.
pub(super) struct Shared {
    pub(super) id: [u8; 16],
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
    /// The engine's time when the clock showed `clock_started`.
    pub(super) engine_started: u64,
    pub(super) clock_started: u64,
    pub(super) snapshots: Mutex<Snapshots>,
    pub(super) values: Mutex<Values>,
    pub(super) spares: Spares,
    state: Mutex<State>,
    /// The writer waits here.
    pub(super) work: Condvar,
    /// Everyone else waits here.
    pub(super) changed: Condvar,
    /// As in the state, to be read without the lock.
    pub(super) end: AtomicU64,
    pub(super) readable: AtomicU64,
    /// How many bytes of the newest entries are kept in memory just now.
    tail_bytes: AtomicU64,
    durable: AtomicU64,
    wakes: RwLock<Arc<Vec<Wake>>>,
    synced_wakes: RwLock<Arc<Vec<Wake>>>,
    #[cfg(test)]
    pub(super) faults: super::faults::Faults,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(
        id: [u8; 16],
        limits: Limits,
        clock: Arc<dyn Clock>,
        stores: (Snapshots, Values),
        state: State,
    ) -> Shared {
        Shared {
            id,
            spares: Spares::new(limits.tail_bytes / SPARE_SHARE),
            tail_bytes: AtomicU64::new(limits.tail_bytes),
            limits,
            snapshots: Mutex::new(stores.0),
            values: Mutex::new(stores.1),
            engine_started: state.engine_time,
            clock_started: clock.monotonic(),
            clock,
            end: AtomicU64::new(state.end.0),
            readable: AtomicU64::new(state.durable.0),
            durable: AtomicU64::new(state.durable.0),
            state: Mutex::new(state),
            work: Condvar::new(),
            changed: Condvar::new(),
            wakes: RwLock::default(),
            synced_wakes: RwLock::default(),
            #[cfg(test)]
            faults: super::faults::Faults::default(),
        }
    }

    /// How many bytes of the newest entries are kept in memory.
    pub(super) fn tail_bytes(&self) -> u64 {
        self.tail_bytes.load(Ordering::Relaxed)
    }

    /// Keeps a quarter of the usual tail, or all of it again.
    pub(super) fn hold_less(&self, is_short: bool) {
        let part = if is_short { SHORT_SHARE } else { 1 };
        self.tail_bytes.store(self.limits.tail_bytes / part, Ordering::Relaxed);
        if is_short {
            self.spares.clear();
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits on `condition` for at most `timeout`.
    pub(super) fn wait<'a>(
        condition: &Condvar,
        state: MutexGuard<'a, State>,
        timeout: Duration,
    ) -> MutexGuard<'a, State> {
        condition.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0
    }

    /// The engine's time now.
    pub(super) fn engine_time(&self) -> u64 {
        self.engine_started + self.clock.monotonic().saturating_sub(self.clock_started)
    }

    pub(super) fn end(&self) -> Position {
        Position(self.end.load(Ordering::Acquire))
    }

    /// The last position that a reader of what is durable may be given.
    pub(super) fn readable(&self) -> Position {
        Position(self.readable.load(Ordering::Acquire))
    }

    /// The last position that may be acknowledged.
    pub(super) fn durable(&self) -> Position {
        Position(self.durable.load(Ordering::Acquire))
    }

    /// Publishes how far the journal is durable; the state says so already.
    pub(super) fn note_durable(&self, position: Position) {
        self.durable.store(position.0, Ordering::Release);
        self.readable.fetch_max(position.0, Ordering::AcqRel);
    }

    pub(super) fn subscribe(&self, wake: Wake) {
        add(&self.wakes, wake);
    }

    pub(super) fn subscribe_synced(&self, wake: Wake) {
        add(&self.synced_wakes, wake);
    }

    /// Tells those who asked that something was appended.
    pub(super) fn wake_appended(&self) {
        call(&self.wakes);
    }

    /// Tells those who asked that something was synced.
    pub(super) fn wake_synced(&self) {
        call(&self.wakes);
        call(&self.synced_wakes);
    }
}

fn add(wakes: &RwLock<Arc<Vec<Wake>>>, wake: Wake) {
    Arc::make_mut(&mut wakes.write().unwrap_or_else(PoisonError::into_inner)).push(wake);
}

fn call(wakes: &RwLock<Arc<Vec<Wake>>>) {
    let wakes = wakes.read().unwrap_or_else(PoisonError::into_inner).clone();
    for wake in wakes.iter() {
        wake();
    }
}
