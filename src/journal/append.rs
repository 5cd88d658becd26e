//! Appending: how an entry gets its number, and when it has to wait.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Error;
use super::entry::Body;
use super::entry::Entry;
use super::entry::Note;
use super::entry::Position;
use super::layout;
use super::patience::MOMENT;
use super::settings::StorageKind;
use super::state::Held;
use super::state::Shared;
use super::state::State;
use super::table::Reached;
use crate::message::Batch;
use crate::stdx::sync::Instant;
use crate::stdx::sync::MutexGuard;

/// Appenders look after this time whether they still have to wait, whatever they are told.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// From so many unwritten bytes on the writer does not wait for somebody to want them.
pub(super) const WRITE_BYTES: u64 = 1 << 20;

/// Who appends, and so how much of the budget it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appender {
    Input,
    /// An input that loses what comes while it waits; it waits for no reader's comfort.
    Hurried,
    /// A filter; it uses the kept part too, and never waits for a reader.
    Filter,
    /// As a filter, but never waits for the disk either.
    Ticker,
}

impl Shared {
    pub(super) fn append_batch(&self, batch: Batch, by: Appender) -> Result<Position, Error> {
        self.append(Body::Batch(batch), by).map_err(|refused| refused.0)
    }

    #[allow(clippy::result_large_err, reason = "a batch goes back once in a while")]
    pub(super) fn append_or_give_back(&self, batch: Batch) -> Result<Position, (Error, Batch)> {
        self.append(Body::Batch(batch), Appender::Filter).map_err(|refused| match *refused {
            (error, Body::Batch(batch)) => (error, batch),
            (error, _) => (error, Batch::new()),
        })
    }

    pub(super) fn append_note(&self, note: Note) -> Result<Position, Error> {
        if note.subject.len() > Note::MAX_SUBJECT || note.body.len() > Note::MAX_BODY {
            return Err(Error::TooLarge { bytes: note.body.len(), largest: Note::MAX_BODY });
        }
        self.append(Body::Note(note), Appender::Filter).map_err(|refused| refused.0)
    }

    pub(super) fn append_tick(&self) -> Result<Option<Position>, Error> {
        match self.append(Body::Tick, Appender::Ticker) {
            Ok(position) => Ok(Some(position)),
            Err(refused) => match refused.0 {
                Error::Full { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    /// The largest entry that can be appended, in bytes.
    pub(super) fn largest_entry(&self) -> usize {
        self.limits.largest_entry()
    }

    /// Appends `body`, or gives it back with the reason.
    fn append(&self, body: Body, by: Appender) -> Result<Position, Box<(Error, Body)>> {
        let in_memory = self.limits.storage == StorageKind::Memory;
        let stored = if in_memory { body.footprint() } else { layout::stored_bytes(&body) };
        let largest = self.largest_entry();
        if stored > largest as u64 {
            let bytes = usize::try_from(stored).unwrap_or(usize::MAX);
            return Err(Box::new((Error::TooLarge { bytes, largest }, body)));
        }
        let mut state = match self.admit(stored, by) {
            Ok(state) => state,
            Err(error) => return Err(Box::new((error, body))),
        };
        let position = state.end.next();
        let says = !matches!(body, Body::Tick);
        state.time = self.clock.wall();
        state.engine_time = state.engine_time.max(self.engine_time());
        let entry = Entry { position, time: state.time, engine_time: state.engine_time, body };
        note_sources(&mut state, &entry);
        let footprint = entry.body.footprint();
        state.tail.push(Held { entry: Arc::new(entry), stored, footprint });
        state.end = position;
        self.end.store(position.0, Ordering::Release);
        state.bytes += stored;
        if in_memory {
            self.readable.store(position.0, Ordering::Release);
        } else {
            state.unwritten_bytes += stored;
            state.unsynced_bytes += stored;
        }
        if says {
            state.last_said = position;
            state.unsynced_since.get_or_insert_with(Instant::now);
        }
        if state.readers.is_limited {
            self.hold_readers_to_their_limits(&mut state);
        }
        self.follow_up(state, says);
        Ok(position)
    }

    /// Wakes whom the entry just appended concerns, and gives up what is too old for the tail.
    fn follow_up(&self, mut state: MutexGuard<'_, State>, says: bool) {
        if self.limits.storage == StorageKind::Memory {
            if state.writer_waits {
                state.writer_waits = false;
                self.work.notify_one();
            }
            drop(state);
            self.wake_synced();
            return;
        }
        let is_wanted = says && std::mem::take(&mut state.is_awaited);
        let end = state.end;
        let wakes_writer = (is_wanted && state.want(end))
            || (state.writer_waits && state.unwritten_bytes >= WRITE_BYTES);
        let given_up = if state.tail.footprint() > self.tail_bytes() {
            let (durable, limit) = (state.durable, self.tail_bytes());
            state.tail.trim(durable, Position(0), limit)
        } else {
            Vec::new()
        };
        if wakes_writer {
            state.writer_waits = false;
            self.work.notify_one();
        }
        drop(state);
        self.spares.keep(given_up);
        self.wake_appended();
    }

    /// Waits until `stored` bytes may be appended.
    fn admit(&self, stored: u64, by: Appender) -> Result<MutexGuard<'_, State>, Error> {
        let budget = match by {
            Appender::Input | Appender::Hurried => self.limits.max_bytes - self.limits.kept_bytes,
            Appender::Filter | Appender::Ticker => self.limits.max_bytes,
        };
        let is_input = matches!(by, Appender::Input | Appender::Hurried);
        let mut state = self.lock();
        let asked_in = state.rounds;
        loop {
            if state.is_closed || (state.is_closing && is_input) {
                return Err(Error::Closing);
            }
            let is_synced = self.is_synced_enough(&state, stored);
            let is_over = is_input && state.over_limit.is_some();
            let has_room = state.bytes + stored <= budget && !is_over;
            if is_synced && has_room {
                if by == Appender::Input && self.would_outrun(&mut state, stored) {
                    let began = Instant::now();
                    state = Shared::wait(&self.changed, state, MOMENT);
                    state.patience.spend(began, Instant::now());
                    continue;
                }
                if by == Appender::Filter {
                    state.starved = None;
                }
                return Ok(state);
            }
            if state.must_shut_down {
                return Err(full(&state));
            }
            // Only after somebody has looked for room is it known that there is none.
            let is_refused = if has_room { by == Appender::Ticker } else { !is_input };
            if is_refused && (has_room || state.rounds >= asked_in + 2) {
                if by == Appender::Filter {
                    self.note_starved(&mut state);
                }
                return Err(full(&state));
            }
            if has_room {
                let end = state.end;
                state.want(end);
            } else {
                state.wants_room = true;
            }
            state.writer_waits = false;
            self.work.notify_one();
            state = Shared::wait(&self.changed, state, LOOK_AGAIN);
        }
    }

    /// Tells whether a reader that deserves a moment would fall out of the tail.
    fn would_outrun(&self, state: &mut State, stored: u64) -> bool {
        if self.limits.storage == StorageKind::Memory
            || state.tail.footprint() + stored <= self.tail_bytes()
        {
            return false;
        }
        let Some(first) = state.tail.first() else { return false };
        state.readers.is_any_at(first.previous()) && state.patience.grants(first, Instant::now())
    }

    /// Remembers since when filters find no room while the same reader stands in the same place.
    fn note_starved(&self, state: &mut State) {
        let storage = self.limits.storage;
        let furthest = state.readers.furthest(|reader| State::held_by(reader, storage));
        let Some(at) = furthest.map(|reader| State::held_by(reader, storage)) else { return };
        if state.starved.is_none_or(|(_, before)| before != at) {
            state.starved = Some((Instant::now(), at));
        }
    }

    /// Tells whether so many more bytes may be in memory without being synced.
    ///
    /// The other half of the tail is for what was just synced: those who read only what is durable
    /// begin with it then, and would find it on disk alone.
    fn is_synced_enough(&self, state: &State, stored: u64) -> bool {
        self.limits.storage == StorageKind::Memory
            || state.unsynced_bytes == 0
            || state.unsynced_bytes + stored <= self.tail_bytes() / 2
    }
}

fn full(state: &State) -> Error {
    Error::Full { reader: state.blocked.as_ref().map(ToString::to_string) }
}

fn note_sources(state: &mut State, entry: &Entry) {
    let Some(batch) = entry.batch() else { return };
    for (source, position) in batch.reached() {
        let reached = Reached { position: position.clone(), seen: entry.time };
        match state.sources.get_mut(source) {
            Some(known) => *known = reached,
            None => {
                state.sources.insert(source.clone(), reached);
            }
        }
    }
}
