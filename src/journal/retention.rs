//! What is kept and what goes: history first, then what the reader furthest behind decides.

use std::sync::Arc;
use std::time::Duration;

use super::entry::Position;
use super::reader::Keeps;
use super::segment::Segment;
use super::settings::FullAction;
use super::settings::StorageKind;
use super::state::Shared;
use super::state::State;
use super::writer::Writer;

/// How long filters may find no room before the one furthest behind is moved on itself.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 10_000 });

impl Writer {
    /// Gives up segments: history beyond what is to be kept, and when the budget is full whatever
    /// the reader furthest behind lets go.
    pub(super) fn trim(&mut self) {
        let now = self.shared.clock.wall();
        let mut state = self.shared.lock();
        self.shared.look_for_room(&mut state, now);
        let mut gone = Vec::new();
        while let Some(oldest) = self.shared.expendable(&state, now) {
            state.bytes = state.bytes.saturating_sub(oldest.used());
            state.segments.pop_front();
            state.oldest = state.segments.front().map_or(state.end.next(), |next| next.first);
            // Who finds too little room still says so again: no more history goes than has to.
            state.wants_room = false;
            gone.push(oldest);
        }
        state.wants_room = false;
        drop(state);
        let mut gone = gone.into_iter();
        while let Some(segment) = gone.next() {
            if let Err(error) = self.disk.remove(&segment) {
                tracing::warn!(%error, segment = segment.number, "cannot remove a segment");
                self.take_back(std::iter::once(segment).chain(gone).collect());
                break;
            }
        }
        self.shared.changed.notify_all();
    }

    /// Counts segments again that could not be removed: they take room still, and there are no gaps
    /// between those that are found at the next start.
    fn take_back(&self, segments: Vec<Arc<Segment>>) {
        let mut state = self.shared.lock();
        for segment in segments.into_iter().rev() {
            state.bytes += segment.used();
            state.oldest = segment.first;
            state.segments.push_front(segment);
        }
    }

    /// Forgets how far sources are that have not moved for long.
    pub(super) fn expire_sources(&mut self, now: i64) {
        let age = i64::try_from(self.shared.limits.source_age.as_nanos()).unwrap_or(i64::MAX);
        let mut state = self.shared.lock();
        let gone: Vec<_> = self
            .disk
            .durable_sources
            .iter()
            .filter(|(source, reached)| {
                let seen = state.sources.get(*source).map_or(reached.seen, |known| known.seen);
                seen < now.saturating_sub(age)
            })
            .map(|(source, _)| source.clone())
            .collect();
        for source in gone {
            tracing::info!(%source, "the position of a source long gone is forgotten");
            self.disk.durable_sources.remove(&source);
            state.sources.remove(&source);
        }
    }
}

impl Shared {
    /// Moves readers on that are to be moved, and says who holds the inputs.
    pub(super) fn look_for_room(&self, state: &mut State, now: i64) {
        self.forget_retired(state, now);
        self.hold_readers_to_their_limits(state);
        self.decide_when_full(state);
        self.announce(state);
        state.rounds += 1;
    }

    /// The last position that is history: every reader that counts has passed it.
    pub(super) fn history_end(&self, state: &State) -> Position {
        let storage = self.limits.storage;
        let needed = state.readers.needed_from(|reader| State::held_by(reader, storage));
        needed.map_or(state.durable, |needed| needed.previous().min(state.durable))
    }

    /// The oldest segment, if it is history and goes now.
    fn expendable(&self, state: &State, now: i64) -> Option<Arc<Segment>> {
        let oldest = state.segments.front().filter(|_| state.segments.len() > 1)?;
        let next = &state.segments[1];
        let end = self.history_end(state);
        if next.first > end.next() || (oldest.last() > end) {
            return None;
        }
        let history: u64 = state
            .segments
            .iter()
            .take_while(|segment| segment.last() <= end)
            .map(|segment| segment.used())
            .sum();
        let age = i64::try_from(self.limits.retain_age.as_nanos()).unwrap_or(i64::MAX);
        let is_old = oldest.newest() < now.saturating_sub(age);
        let is_much = history.saturating_sub(oldest.used()) >= self.limits.retain_bytes;
        (is_old || is_much || self.is_tight(state)).then(|| oldest.clone())
    }

    /// Tells whether history has to make room for what comes.
    fn is_tight(&self, state: &State) -> bool {
        let inputs = self.limits.max_bytes - self.limits.kept_bytes;
        (state.wants_room && state.over_limit.is_none())
            || state.bytes + self.limits.segment_bytes > inputs
    }

    /// Lets the reader furthest behind say what is to happen when needed entries fill the budget.
    fn decide_when_full(&self, state: &mut State) {
        let storage = self.limits.storage;
        if !state.wants_room {
            state.blocked = None;
            return;
        }
        if let Some(name) = &state.over_limit {
            state.blocked = Some(name.clone());
            return;
        }
        let oldest_part = self.oldest_part(state);
        if oldest_part.is_some_and(|last| last <= self.history_end(state)) {
            return;
        }
        let default = self.limits.full_action;
        let starved = state.starved;
        let Some(reader) = state.readers.furthest(|reader| State::held_by(reader, storage)) else {
            return;
        };
        let name = reader.name.clone();
        let mut action = reader.full_action.unwrap_or(default);
        let at = State::held_by(reader, storage);
        let waits_for_itself = reader.keeps == Keeps::Snapshot
            && starved.is_some_and(|(since, then)| then == at && since.elapsed() >= PATIENCE);
        if waits_for_itself && action == FullAction::Block {
            tracing::error!(reader = %name,
                "a filter waits for room that it holds itself; it loses its oldest entries");
            action = FullAction::DropOldest;
        }
        match action {
            FullAction::Block => {
                let blocked = Some(name.clone());
                if state.blocked != blocked {
                    tracing::warn!(reader = %name, "the journal is full; inputs wait for a reader");
                    state.blocked = blocked;
                }
            }
            FullAction::Shutdown => {
                if !state.must_shut_down {
                    tracing::error!(reader = %name, "the journal is full; the engine stops");
                }
                state.blocked = Some(name);
                state.must_shut_down = true;
            }
            FullAction::DropOldest => {
                if let Some(last) = oldest_part {
                    self.drop_up_to(state, last);
                }
            }
        }
    }

    /// The last position of what is given up at once when room is needed.
    fn oldest_part(&self, state: &State) -> Option<Position> {
        match self.limits.storage {
            StorageKind::Disk if state.segments.len() > 1 => {
                state.segments.front().map(|oldest| oldest.last())
            }
            StorageKind::Disk => None,
            StorageKind::Memory => {
                let mut left = self.limits.max_bytes / 16;
                let entries = state.tail.behind(Position(0)).take_while(|held| {
                    let goes = left > 0;
                    left = left.saturating_sub(held.stored);
                    goes
                });
                entries.last().map(|held| held.entry.position)
            }
        }
    }

    /// Moves all readers that would need something up to `position` past it.
    fn drop_up_to(&self, state: &mut State, position: Position) {
        for index in 0..state.readers.tracked.len() {
            let reader = &state.readers.tracked[index];
            if reader.holds() && State::held_by(reader, self.limits.storage) < position {
                self.drop_reader(state, index, position);
            }
        }
    }

    fn drop_reader(&self, state: &mut State, index: usize, position: Position) {
        let position = position.min(self.settled());
        let reader = &mut state.readers.tracked[index];
        let from = reader.stored.max(reader.place.committed());
        let missed = position.0.saturating_sub(from.0);
        if missed > 0 {
            reader.dropped += missed;
            tracing::error!(reader = %reader.name, first = from.next().0, last = position.0,
                "the journal is full; a reader loses its oldest entries");
        }
        reader.place.move_to(position);
        reader.stored = reader.stored.max(position);
        reader.snapshot = reader.snapshot.max(position);
        state.readers.is_changed = true;
        state.dropped_entries += missed;
    }

    /// A reader with a `max_buffer_size` of its own is moved on or waited for.
    pub(super) fn hold_readers_to_their_limits(&self, state: &mut State) {
        let storage = self.limits.storage;
        let was_over = state.over_limit.take();
        let default = self.limits.full_action;
        for index in 0..state.readers.tracked.len() {
            let reader = &state.readers.tracked[index];
            let (Some(limit), true) = (reader.max_bytes, reader.holds()) else { continue };
            let at = State::held_by(reader, storage);
            if state.bytes_after(at) < limit {
                continue;
            }
            let name = reader.name.clone();
            match reader.full_action.unwrap_or(default) {
                FullAction::DropOldest => {
                    let target = position_with(state, limit);
                    self.drop_reader(state, index, target);
                }
                FullAction::Shutdown => {
                    if !state.must_shut_down {
                        tracing::error!(reader = %name, "a reader is full; the engine stops");
                    }
                    state.must_shut_down = true;
                    state.blocked = Some(name);
                }
                FullAction::Block => {
                    if was_over.as_ref() != Some(&name) && state.blocked.as_ref() != Some(&name) {
                        tracing::warn!(reader = %name, "a reader is full; inputs wait for it");
                    }
                    state.over_limit = Some(name);
                }
            }
        }
    }

    /// Says by name who is going to hold the inputs, from half the budget on.
    fn announce(&self, state: &mut State) {
        let storage = self.limits.storage;
        let default = self.limits.full_action;
        let half = (self.limits.max_bytes - self.limits.kept_bytes) / 2;
        let furthest = state.readers.furthest(|reader| State::held_by(reader, storage));
        let Some(reader) = furthest else { return };
        let (name, at) = (reader.name.clone(), State::held_by(reader, storage));
        let action = reader.full_action.unwrap_or(default);
        let needed = state.bytes_after(at);
        if action != FullAction::Block || needed < half {
            state.announced = None;
        } else if state.announced.as_ref() != Some(&name) {
            let max_bytes = self.limits.max_bytes;
            tracing::warn!(reader = %name, needed, max_bytes, "a reader fills the journal");
            state.announced = Some(name);
        }
    }

    /// Gives up the cursors of readers that have been retired for long.
    fn forget_retired(&self, state: &mut State, now: i64) {
        let age = i64::try_from(self.limits.retain_age.as_nanos()).unwrap_or(i64::MAX);
        let before = now.saturating_sub(age);
        let is_gone = |reader: &super::readers::Tracked| reader.is_retired && reader.seen < before;
        for reader in state.readers.tracked.iter().filter(|reader| is_gone(reader)) {
            tracing::info!(reader = %reader.name, "the cursor of a reader long gone is given up");
        }
        let count = state.readers.tracked.len();
        state.readers.tracked.retain(|reader| !is_gone(reader));
        state.readers.is_changed |= state.readers.tracked.len() != count;
    }
}

/// The first position from which on there are at most `bytes`, at the grain of a segment.
fn position_with(state: &State, bytes: u64) -> Position {
    let mut left = state.unwritten_bytes;
    for segment in state.segments.iter().rev() {
        left += segment.used();
        if left > bytes {
            return segment.last();
        }
    }
    let behind = state.tail.behind(Position(0)).filter(|_| state.segments.is_empty());
    let mut over = state.bytes.saturating_sub(bytes);
    let entries = behind.take_while(|held| {
        let goes = over > 0;
        over = over.saturating_sub(held.stored);
        goes
    });
    entries.last().map_or(Position(0), |held| held.entry.position)
}
