//! The writer: one thread that takes entries from the tail, writes and syncs them, and keeps house.
//!
//! A sync starts when somebody waits for one and none is running, and covers everything appended
//! until then; syncs keep a distance of [`PACE`], which costs latency and saves work. An entry
//! nobody waits for is synced after [`UNWANTED`] all the same, a tick alone never.
//!
//! A failed sync is never repeated on the same file, for the kernel may have dropped what it could
//! not write, nor is a write that failed half-way: the segment then counts up to what was synced
//! before, and the rest, which is still in the tail, goes into a new one. One that does not count at
//! all is removed, so that a disk that goes on failing is not filled with them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::append::WRITE_BYTES;
use super::disk::Disk;
use super::disk::Start;
use super::entry::Position;
use super::files;
use super::layout::Kind;
use super::state::Held;
use super::state::Shared;
use super::state::State;
use super::table::Cursor;
use crate::stdx::sync::Instant;

/// The least time from the end of a sync to the start of the next, unless much has come meanwhile.
const PACE: Duration = Duration::from_millis(5);
/// After this time an entry is synced though nobody asked.
const UNWANTED: Duration = Duration::from_secs(1);
/// How often cursors are written and old segments looked through.
const HOUSE: Duration = Duration::from_secs(1);
/// The least time between two such rounds when somebody waits for room.
const HURRY: Duration = Duration::from_millis(20);
/// At most so many entries and bytes are taken from the tail at once.
const TAKEN: (usize, u64) = (1024, 4 << 20);
/// The first and the longest pause after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How often the last write of all is tried.
const LAST_TRIES: u32 = 3;

/// What is to be done next.
pub(super) enum Job {
    Write,
    Sync,
    House,
    Stop,
}

/// The thread that owns the files.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Disk,
    last_sync: Instant,
    last_house: Instant,
    last_cursors: Instant,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, disk: Disk) -> Writer {
        let now = Instant::now();
        let earlier = now.checked_sub(PACE).unwrap_or(now);
        Writer { shared, disk, last_sync: earlier, last_house: now, last_cursors: now }
    }

    /// Works until the journal is closed.
    pub(super) fn run(mut self) {
        let (mut failures, mut last_tries) = (0, 0);
        loop {
            let job = self.next_job();
            #[cfg(test)]
            if self.shared.faults.is_killed() {
                break;
            }
            let is_last = matches!(job, Job::Stop);
            let done = match job {
                Job::Write => self.write(),
                Job::Sync => self.sync(),
                Job::House => self.keep_house(),
                Job::Stop => self.finish(),
            };
            match done {
                Ok(()) => {
                    if failures > 0 {
                        tracing::info!("the journal is written again");
                        self.shared.lock().failure = None;
                    }
                    failures = 0;
                    if is_last {
                        break;
                    }
                }
                Err(error) => {
                    failures += 1;
                    last_tries += u32::from(is_last);
                    self.report(&error, failures);
                    if last_tries >= LAST_TRIES {
                        break;
                    }
                    self.pause(failures);
                }
            }
        }
        let mut state = self.shared.lock();
        state.is_closed = true;
        drop(state);
        self.shared.changed.notify_all();
    }

    fn next_job(&self) -> Job {
        let mut state = self.shared.lock();
        #[cfg(test)]
        if self.shared.faults.steps.are_ordered {
            return self.shared.ordered_job(state);
        }
        loop {
            if state.is_stopping {
                return Job::Stop;
            }
            let now = Instant::now();
            let house_at = self.last_house + if state.wants_room { HURRY } else { HOUSE };
            if house_at <= now {
                return Job::House;
            }
            let sync_at = self.sync_at(&state);
            if sync_at.is_some_and(|at| at <= now) {
                return Job::Sync;
            }
            if state.unwritten_bytes >= WRITE_BYTES {
                return Job::Write;
            }
            let until = sync_at.map_or(house_at, |at| at.min(house_at));
            state.writer_waits = true;
            state = Shared::wait(&self.shared.work, state, until - now);
            state.writer_waits = false;
        }
    }

    /// When the next sync is to start, as things stand.
    fn sync_at(&self, state: &State) -> Option<Instant> {
        let is_full = state.unsynced_bytes >= self.shared.tail_bytes() / 8;
        if state.end <= state.durable {
            None
        } else if state.want > state.durable || is_full {
            Some(if is_full { self.last_sync } else { self.last_sync + PACE })
        } else {
            state.unsynced_since.map(|since| since + UNWANTED)
        }
    }

    /// Writes what is in the tail, and begins new segments on the way.
    ///
    /// Readers that are new come first: after a crash an entry must not be found without those who
    /// were there to read it. A segment that is begun names them anyway.
    fn write(&mut self) -> io::Result<()> {
        let until = self.shared.end();
        if self.disk.active.is_some() {
            let new = self.new_cursors();
            self.write_cursors(new.as_deref())?;
        }
        loop {
            let (held, durable) = self.unwritten(until);
            let Some(first) = held.first() else { return Ok(()) };
            if self.disk.needs_segment(first.stored) {
                if self.disk.active.is_some() {
                    self.sync_written()?;
                }
                self.begin_segment(&Start::with(first))?;
            }
            #[cfg(test)]
            self.shared.faults.write()?;
            let before = self.disk.at();
            let count = match self.disk.write(&held, durable) {
                Ok(count) => count,
                Err(error) => return Err(self.give_up_segment(error)),
            };
            let after = self.disk.at();
            let expected: u64 = held[..count].iter().map(|held| held.stored).sum();
            let mut state = self.shared.lock();
            state.written = held[count - 1].entry.position;
            state.unwritten_bytes -= expected;
            state.bytes = (state.bytes + (after - before)).saturating_sub(expected);
        }
    }

    fn unwritten(&self, until: Position) -> (Vec<Held>, Position) {
        let state = self.shared.lock();
        let mut bytes = 0;
        let held = state.tail.behind(state.written).take(TAKEN.0).take_while(|held| {
            let is_first = bytes == 0;
            bytes += held.stored;
            held.entry.position <= until && (is_first || bytes <= TAKEN.1)
        });
        (held.cloned().collect(), state.durable)
    }

    fn begin_segment(&mut self, start: &Start) -> io::Result<()> {
        let now = self.shared.clock.wall();
        let cursors = {
            let mut state = self.shared.lock();
            state.readers.is_changed = false;
            state.readers.cursors(state.durable, now)
        };
        self.expire_sources(now);
        let begun = self.disk.begin_segment(start, &cursors);
        let mut state = self.shared.lock();
        match begun {
            Ok(segment) => {
                state.readers.note_stored(&cursors);
                state.bytes += segment.used();
                state.segments.push_back(segment);
                Ok(())
            }
            Err(error) => {
                state.readers.is_changed = true;
                // History goes where room is what is missing.
                let no_room = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
                state.wants_room |= no_room.contains(&error.kind());
                Err(error)
            }
        }
    }

    /// Writes and syncs everything appended so far, and cursors if it is time for them.
    fn sync(&mut self) -> io::Result<()> {
        self.write()?;
        let cursors = self.due_cursors();
        self.write_cursors(cursors.as_deref())?;
        self.sync_written()?;
        self.shared.lock().readers.note_stored(&cursors.unwrap_or_default());
        Ok(())
    }

    fn due_cursors(&mut self) -> Option<Vec<Cursor>> {
        let mut state = self.shared.lock();
        let is_time = self.last_cursors.elapsed() >= HOUSE;
        #[cfg(test)]
        let is_time = self.shared.faults.steps.is_time(is_time);
        let is_due = is_time || state.wants_room || state.is_stopping;
        // Where there is no segment the head of the next one has them.
        let is_kept = self.disk.active.is_some();
        if !is_due || !is_kept || !state.readers.is_dirty(state.durable) {
            return None;
        }
        self.last_cursors = Instant::now();
        state.readers.is_changed = false;
        Some(state.readers.cursors(state.durable, self.shared.clock.wall()))
    }

    fn new_cursors(&mut self) -> Option<Vec<Cursor>> {
        let mut state = self.shared.lock();
        let is_changed = std::mem::take(&mut state.readers.is_changed);
        is_changed.then(|| state.readers.cursors(state.durable, self.shared.clock.wall()))
    }

    /// Writes down where readers are, where there is something new; that there is none is too.
    fn write_cursors(&mut self, cursors: Option<&[Cursor]>) -> io::Result<()> {
        let Some(cursors) = cursors else { return Ok(()) };
        let done = self.write_control(Kind::Cursors, &Disk::cursors_body(cursors));
        if done.is_err() {
            self.shared.lock().readers.is_changed = true;
        }
        done
    }

    fn write_control(&mut self, kind: Kind, body: &[u8]) -> io::Result<()> {
        let (times, durable) = {
            let state = self.shared.lock();
            ((state.written, state.time, state.engine_time), state.durable)
        };
        let before = self.disk.at();
        if let Err(error) = self.disk.write_control(kind, body, times, durable) {
            return Err(self.give_up_segment(error));
        }
        let after = self.disk.at();
        self.shared.lock().bytes += after - before;
        Ok(())
    }

    /// Syncs what has been written and tells everyone.
    fn sync_written(&mut self) -> io::Result<()> {
        let written = self.shared.lock().written;
        #[cfg(test)]
        let synced = self.shared.faults.sync().and_then(|()| self.disk.sync());
        #[cfg(test)]
        self.shared.faults.note_synced(&self.disk);
        #[cfg(not(test))]
        let synced = self.disk.sync();
        self.last_sync = Instant::now();
        if let Err(error) = synced {
            return Err(self.give_up_segment(error));
        }
        let mut state = self.shared.lock();
        state.syncs += 1;
        state.durable = written;
        state.unsynced_bytes = state.unwritten_bytes;
        let is_all = state.last_said <= written;
        state.unsynced_since = (!is_all).then_some(self.last_sync);
        self.shared.note_durable(written);
        let passed = state.readers.passed();
        let first = state.tail.first().unwrap_or(state.end).previous();
        if let Some(last) = state.readers.last_from(first).filter(|last| last.0 < u64::MAX) {
            state.patience.see(last.next(), self.last_sync);
        }
        let given_up = state.tail.trim(written, passed, self.shared.tail_bytes());
        drop(state);
        self.shared.spares.keep(given_up);
        self.shared.changed.notify_all();
        self.shared.wake_synced();
        Ok(())
    }

    fn give_up_segment(&mut self, error: io::Error) -> io::Error {
        let durable = self.shared.durable();
        let void = self.disk.give_up_segment(durable);
        // The last of all says which journal this is. One that cannot be removed takes its room until
        // it is trimmed.
        let is_last = self.shared.lock().segments.len() < 2;
        let removed = void.filter(|void| !is_last && files::remove(&void.path).is_ok());
        let mut state = self.shared.lock();
        if let Some(removed) = removed {
            state.segments.retain(|segment| segment.number != removed.number);
        }
        state.failed_syncs += 1;
        state.written = durable;
        let again: u64 = state.tail.behind(durable).map(|held| held.stored).sum();
        let used: u64 = state.segments.iter().map(|segment| segment.used()).sum();
        state.bytes = used + again;
        state.unwritten_bytes = again;
        state.unsynced_bytes = again;
        error
    }

    fn keep_house(&mut self) -> io::Result<()> {
        let is_dirty = {
            let state = self.shared.lock();
            state.readers.is_dirty(state.durable) && self.disk.active.is_some()
        };
        self.last_house = Instant::now();
        let stored = if is_dirty { self.sync() } else { Ok(()) };
        self.trim();
        self.disk.prepare_segment();
        stored
    }

    /// The last write: everything, the cursors, and the mark of a clean end.
    fn finish(&mut self) -> io::Result<()> {
        self.sync()?;
        // Cursors may follow what the first of the two syncs has made durable.
        self.sync()?;
        if self.disk.active.is_none() {
            // The last one was given up.
            let state = self.shared.lock();
            let (first, time, engine_time) = (state.end.next(), state.time, state.engine_time);
            drop(state);
            self.begin_segment(&Start { first, time, engine_time, stored: 0 })?;
        }
        self.write_control(Kind::CleanEnd, &[])?;
        self.sync_written()
    }

    fn report(&self, error: &io::Error, failures: u32) {
        let mut state = self.shared.lock();
        state.failure = Some(error.to_string());
        drop(state);
        self.shared.changed.notify_all();
        if failures == 1 {
            tracing::error!(%error, "cannot write the journal; inputs are held back");
        }
    }

    fn pause(&mut self, failures: u32) {
        let pause = RETRY.0.saturating_mul(1 << failures.min(6)).min(RETRY.1);
        self.trim();
        #[cfg(test)]
        if self.shared.faults.steps.are_ordered {
            return;
        }
        let state = self.shared.lock();
        drop(Shared::wait(&self.shared.work, state, pause));
    }
}
