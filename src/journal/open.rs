//! How a journal and its readers are opened and closed, and what is asked of it besides entries.

use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use super::Error;
use super::Journal;
use super::Keeper;
use super::disk::Disk;
use super::entry::Position;
use super::files;
use super::memory;
use super::memory::Memory;
use super::reader::Keeps;
use super::reader::Reader;
use super::reader::ReaderOptions;
use super::reader::Start;
use super::readers::Place;
use super::readers::Tracked;
use super::recovery;
use super::recovery::Recovery;
use super::settings::Limits;
use super::settings::Settings;
use super::settings::StorageKind;
use super::snapshots::Snapshot;
use super::snapshots::Snapshots;
use super::state::Shared;
use super::state::State;
use super::table::Cursor;
use super::values::Values;
use super::writer::Writer;
use crate::stdx::clock::Clock;
use crate::stdx::sync::Instant;
use crate::stdx::sync::Mutex;
use crate::stdx::sync::MutexGuard;
use crate::stdx::sync::thread;

/// How many readers with a name there can be.
const MAX_READERS: usize = 16_384;
/// The longest name of a reader, in bytes.
const MAX_NAME: usize = 1024;

pub(super) fn open(
    base_dir: &Path,
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<(Journal, Recovery), Error> {
    let folder = base_dir.join(&settings.path);
    files::make_folder(base_dir).map_err(|error| Error::io("make base_dir", error))?;
    let lock = Lock::take(base_dir)?;
    files::make_folder(&folder).map_err(|error| Error::io("make the journal's folder", error))?;
    let limits = Limits::of(settings, &folder);
    let mut opened = match limits.storage {
        StorageKind::Disk => recovery::open(&folder, &limits, &*clock)?,
        StorageKind::Memory => memory::open(&folder)?,
    };
    let remarks = &mut opened.recovery.remarks;
    let (id, end) = (opened.id, opened.state.end);
    let snapshots = Snapshots::open(folder.join("snapshots"), id, end, remarks)?;
    let values = Values::open(folder.join("values"), remarks)?;
    enter_snapshots(&mut opened.state, &snapshots, clock.wall());
    let shared = Arc::new(Shared::new(id, limits, clock, (snapshots, values), opened.state));
    let own = shared.clone();
    let thread = thread::Builder::new().name("journal".to_owned());
    let writer = match opened.storage {
        Storage::Disk(disk) => thread.spawn(move || Writer::new(own, disk).run()),
        Storage::Memory(memory) => thread.spawn(move || memory.run(&own)),
    };
    let writer = writer.map_err(|error| Error::io("start the journal's thread", error))?;
    let keeper = Keeper { writer: Some(writer), lock: Some(lock) };
    let journal = Journal { shared, keeper: Arc::new(Mutex::new(keeper)) };
    Ok((journal, opened.recovery))
}

/// A journal that has been opened for writing.
pub(super) struct Opened {
    pub(super) id: [u8; 16],
    pub(super) storage: Storage,
    pub(super) state: State,
    pub(super) recovery: Recovery,
}

/// What the journal's thread works with.
pub(super) enum Storage {
    Disk(Disk),
    Memory(Memory),
}

/// A snapshot may be newer than the cursor written down last.
fn enter_snapshots(state: &mut State, snapshots: &Snapshots, now: i64) {
    for (reader, position) in snapshots.positions() {
        if let Some(known) = state.readers.find(reader) {
            known.stored = known.stored.max(position);
            known.snapshot = known.stored;
            continue;
        }
        state.readers.tracked.push(Tracked::stored(&Cursor {
            reader: Arc::from(reader),
            position,
            seen: now,
            is_snapshot: true,
            is_retired: true,
        }));
    }
}

pub(super) fn reader(
    shared: &Arc<Shared>,
    name: &str,
    options: ReaderOptions,
) -> Result<Reader, Error> {
    let mut state = shared.lock();
    let start = match options.start {
        Start::End => state.end,
        Start::Oldest => state.oldest.previous(),
        Start::At(position) => position.min(state.end),
    };
    if options.keeps == Keeps::Nothing {
        drop(state);
        let place = Arc::new(Place::at(start));
        return Ok(Reader::new(shared.clone(), place, options.reads, start));
    }
    if name.len() > MAX_NAME {
        return Err(Error::TooLarge { bytes: name.len(), largest: MAX_NAME });
    }
    let now = shared.clock.wall();
    if state.readers.find(name).is_none() {
        if state.readers.tracked.len() >= MAX_READERS {
            return Err(Error::TooMany { what: "readers", most: MAX_READERS });
        }
        let is_snapshot = options.keeps == Keeps::Snapshot;
        let cursor = Cursor {
            reader: Arc::from(name),
            position: start,
            seen: now,
            is_snapshot,
            is_retired: false,
        };
        state.readers.tracked.push(Tracked::stored(&cursor));
        state.readers.is_changed = true;
    }
    let end = state.end;
    let known = state.readers.find(name).expect("entered above if it was not known");
    let changes = known.is_retired || known.keeps != options.keeps;
    known.keeps = options.keeps;
    known.full_action = options.full_action;
    known.max_bytes = options.max_bytes;
    known.is_retired = false;
    known.seen = now;
    let at = match options.keeps {
        Keeps::Snapshot => known.snapshot,
        Keeps::Cursor | Keeps::Nothing => known.place.committed(),
    };
    let place = known.place.clone();
    state.readers.is_changed |= changes;
    state.readers.is_limited |= options.max_bytes.is_some();
    drop(state);
    Ok(Reader::new(shared.clone(), place, options.reads, at.min(end)))
}

pub(super) fn close(shared: &Shared, keeper: &Mutex<Keeper>) -> Result<(), Error> {
    let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(writer) = keeper.writer.take() else { return Ok(()) };
    let mut state = shared.lock();
    state.is_closing = true;
    state.is_stopping = true;
    drop(state);
    shared.work.notify_all();
    shared.changed.notify_all();
    let ended = writer.join();
    keeper.lock = None;
    let state = shared.lock();
    let is_kept = shared.limits.storage == StorageKind::Memory || state.durable == state.end;
    if ended.is_err() || !is_kept || state.failure.is_some() {
        let reason = state.failure.clone().unwrap_or_else(|| "its thread has died".to_owned());
        return Err(Error::io("write the journal to its end", io::Error::other(reason)));
    }
    Ok(())
}

impl Shared {
    pub(super) fn snapshots(&self) -> MutexGuard<'_, Snapshots> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn values(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn want_durable(&self, position: Position) {
        let mut state = self.lock();
        if state.want(position) {
            state.writer_waits = false;
            self.work.notify_one();
        }
    }

    pub(super) fn wait_durable(
        &self,
        position: Position,
        timeout: Duration,
    ) -> Result<bool, Error> {
        let until = Instant::now().checked_add(timeout);
        self.want_durable(position);
        let mut state = self.lock();
        loop {
            if state.durable >= position {
                return Ok(true);
            }
            if state.is_closed {
                return Err(Error::Closing);
            }
            let left =
                until.map_or(timeout, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(false);
            }
            state = Shared::wait(&self.changed, state, left);
        }
    }

    pub(super) fn store_snapshots(&self, snapshots: &[Snapshot]) -> Result<(), Error> {
        let durable = self.settled();
        if let Some(ahead) = snapshots.iter().find(|snapshot| snapshot.position > durable) {
            let (reader, position) = (ahead.reader.clone(), ahead.position);
            return Err(Error::Ahead { reader, position, durable });
        }
        let history = self.lock().segments.front().map_or(i64::MIN, |oldest| oldest.begun);
        let mut store = self.snapshots();
        // An older state that comes late is not the newest; the first one is, whatever the cursor
        // says of a reader that has gone back.
        let is_late = |snapshot: &Snapshot| {
            let mut state = self.lock();
            let known = state.readers.find(&snapshot.reader);
            let is_behind = known.is_some_and(|reader| snapshot.position < reader.snapshot);
            is_behind && store.has_state(&snapshot.reader)
        };
        let written: Vec<&Snapshot> = snapshots
            .iter()
            .filter(|snapshot| snapshot.state.is_some() && !is_late(snapshot))
            .collect();
        if !written.is_empty() {
            store.store(&written, self.clock.wall(), history)?;
        }
        let mut state = self.lock();
        for snapshot in snapshots {
            let Some(reader) = state.readers.find(&snapshot.reader) else { continue };
            reader.snapshot = reader.snapshot.max(snapshot.position);
            reader.place.commit(snapshot.position);
            if snapshot.state.is_some() {
                reader.stored = reader.stored.max(snapshot.position);
            }
            state.readers.is_changed = true;
        }
        Ok(())
    }

    pub(super) fn snapshot(&self, reader: &str) -> Result<Option<(Position, Vec<u8>)>, Error> {
        let newest = self.snapshots().newest(reader)?;
        let mut state = self.lock();
        let moved = state.readers.find(reader).map(|known| known.snapshot);
        Ok(newest.map(|(position, bytes)| (moved.map_or(position, |at| at.max(position)), bytes)))
    }

    pub(super) fn forget(&self, reader: &str) {
        self.snapshots().forget(reader);
        let mut state = self.lock();
        state.readers.tracked.retain(|known| &*known.name != reader);
        state.readers.is_changed = true;
    }

    pub(super) fn retire(&self, reader: &str) {
        let now = self.clock.wall();
        let mut state = self.lock();
        if let Some(known) = state.readers.find(reader)
            && !known.is_retired
        {
            known.is_retired = true;
            known.seen = now;
            state.readers.is_changed = true;
        }
    }
}

/// The sign that an engine works in a folder; let go when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(base_dir: &Path) -> Result<Lock, Error> {
        let failed = |error| Error::io("lock base_dir", error);
        let path = base_dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(files::OWNER_ALONE)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let read = file.take(20).read_to_string(&mut pid);
                let is_known = read.is_ok() && !pid.trim().is_empty();
                let pid = if is_known { pid.trim().to_owned() } else { "unknown".to_owned() };
                return Err(Error::Locked { path: base_dir.to_owned(), pid });
            }
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Lock { _file: file })
    }
}
