//! The memory storage: entries stay in the tail until everyone who holds them back is done.
//!
//! An entry may be acknowledged when every durable output has sent it and every filter has processed
//! it. A small file, `memory`, is written every few seconds and at the end:
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | magic `HEKAMEMO` |
//! | 4 | version of the format, 1 |
//! | 4 | CRC32 of what follows |
//! | 16 | id of the journal |
//! | 8 | last position appended |
//! | 8 | time of the engine, nanoseconds |
//! | 1 | 1 after a clean end |
//! | | how far the sources were by what may be acknowledged: the table of sources of [`super::table`] |

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::encoding::Cut;
use super::entry::Position;
use super::files;
use super::open::Opened;
use super::open::Storage;
use super::recovery;
use super::recovery::Recovery;
use super::state::Held;
use super::state::Shared;
use super::state::State;
use super::table;
use super::table::Reached;
use super::table::Sources;
use crate::stdx::sync::Instant;

const MAGIC: [u8; 8] = *b"HEKAMEMO";
const VERSION: u32 = 1;
/// How often it is looked whether readers are done, while something waits for that.
const LOOK: Duration = Duration::from_millis(5);
/// How often room is looked for when nobody asks.
const HOUSE: Duration = Duration::from_secs(1);
/// How often the file is written, if something has changed.
const SAVE: Duration = Duration::from_secs(5);

/// What a journal in memory leaves behind.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    id: [u8; 16],
    sources: Sources,
    saved: Position,
    last_save: Instant,
    last_house: Instant,
}

/// Opens the journal that left its file in `folder`, or begins one.
pub(super) fn open(folder: &Path) -> Result<Opened, Error> {
    let path = folder.join("memory");
    let failed = |error| Error::io("read the file of the journal in memory", error);
    let left = match fs::read(&path) {
        Ok(bytes) => Some(decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let mut recovery = Recovery { is_new: left.is_none(), ..Recovery::default() };
    let left = left.unwrap_or(None);
    if left.is_none() && !recovery.is_new {
        recovery
            .remarks
            .push("the file of the journal in memory is damaged; it begins anew".into());
        recovery.is_new = true;
    }
    let left = match left {
        Some(left) => left,
        None => Left { id: recovery::new_id()?, is_clean: true, ..Left::default() },
    };
    recovery.was_clean = left.is_clean && !recovery.is_new;
    let end = if left.is_clean { left.end } else { Position(left.end.0 + recovery::JUMP) };
    if !left.is_clean {
        recovery.remarks.push(
            "the journal in memory did not end cleanly; what was not acknowledged is lost".into(),
        );
    }
    recovery.oldest = end.next();
    recovery.end = end;
    let state = State {
        end,
        written: end,
        durable: end,
        last_said: end,
        started: end,
        oldest: end.next(),
        engine_time: left.engine_time,
        sources: left.sources.clone(),
        ..State::default()
    };
    let now = Instant::now();
    let mut memory = Memory {
        path,
        id: left.id,
        sources: left.sources,
        saved: end,
        last_save: now,
        last_house: now,
    };
    // From here on no position up to the end may be used again, whatever happens.
    memory
        .save(end, left.engine_time, false)
        .map_err(|error| Error::io("write the file of the journal in memory", error))?;
    Ok(Opened { id: left.id, storage: Storage::Memory(memory), state, recovery })
}

impl Memory {
    /// Works until the journal is closed.
    pub(super) fn run(mut self, shared: &Arc<Shared>) {
        loop {
            let is_last = wait(shared);
            #[cfg(test)]
            if shared.faults.is_killed() {
                break;
            }
            self.advance(shared);
            let wants_room = shared.lock().wants_room;
            if wants_room || self.last_house.elapsed() >= HOUSE {
                self.last_house = Instant::now();
                let mut state = shared.lock();
                shared.look_for_room(&mut state, shared.clock.wall());
                state.wants_room = false;
                drop(state);
                self.advance(shared);
                shared.changed.notify_all();
            }
            self.save_if_due(shared, is_last);
            if is_last {
                break;
            }
        }
        shared.lock().is_closed = true;
        shared.changed.notify_all();
    }

    /// Acknowledges what everyone is done with, and gives it up.
    fn advance(&mut self, shared: &Shared) {
        let mut state = shared.lock();
        let storage = shared.limits.storage;
        let needed = state.readers.needed_from(|reader| State::held_by(reader, storage));
        let done = needed.map_or(state.end, Position::previous).min(state.end);
        let before = state.durable;
        if done > before {
            for held in state.tail.behind(before).take_while(|held| held.entry.position <= done) {
                note_sources(&mut self.sources, held);
            }
            state.durable = done;
            shared.note_durable(done);
        }
        let keeps_history = shared.limits.retain_bytes > 0;
        let passed = if keeps_history { Position(0) } else { state.readers.passed() };
        let limit = shared.limits.tail_bytes.max(shared.limits.retain_bytes);
        let limit = if state.wants_room { 0 } else { limit };
        let durable = state.durable;
        let given_up = state.tail.trim(durable, passed, limit);
        state.bytes -= given_up.iter().map(|held| held.stored).sum::<u64>();
        state.oldest = state.tail.first().unwrap_or(state.end.next());
        drop(state);
        if !given_up.is_empty() || done > before {
            shared.changed.notify_all();
        }
        shared.spares.keep(given_up);
        if done > before {
            shared.wake_synced();
        }
    }

    fn save_if_due(&mut self, shared: &Shared, is_last: bool) {
        let (end, durable, engine_time) = {
            let state = shared.lock();
            (state.end, state.durable, state.engine_time)
        };
        let is_due = durable > self.saved && self.last_save.elapsed() >= SAVE;
        if !is_due && !is_last {
            return;
        }
        let saved = self.save(end, engine_time, is_last);
        self.last_save = Instant::now();
        let mut state = shared.lock();
        match saved {
            Ok(()) => {
                self.saved = durable;
                state.failure = None;
            }
            Err(error) => {
                tracing::error!(%error, "cannot write the file of the journal in memory");
                state.failure = Some(error.to_string());
            }
        }
    }

    fn save(&mut self, end: Position, engine_time: u64, is_clean: bool) -> io::Result<()> {
        let mut out = Vec::with_capacity(64 + self.sources.len() * 64);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&end.0.to_le_bytes());
        out.extend_from_slice(&engine_time.to_le_bytes());
        out.push(u8::from(is_clean));
        out.extend_from_slice(&table::encode_sources(&self.sources));
        let crc = crc32fast::hash(&out[16..]);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        files::replace(&self.path, &[&out])
    }
}

/// Waits until there may be something to do; tells whether it is the last time.
fn wait(shared: &Shared) -> bool {
    let mut state = shared.lock();
    if !state.is_stopping {
        let is_idle = state.end == state.durable && !state.wants_room;
        state.writer_waits = is_idle;
        state = Shared::wait(&shared.work, state, if is_idle { HOUSE } else { LOOK });
        state.writer_waits = false;
    }
    state.is_stopping
}

fn note_sources(sources: &mut Sources, held: &Held) {
    let Some(batch) = held.entry.batch() else { return };
    for (source, position) in batch.reached() {
        let reached = Reached { position: position.clone(), seen: held.entry.time };
        sources.insert(source.clone(), reached);
    }
}

/// What the file says.
#[derive(Debug, Default)]
struct Left {
    id: [u8; 16],
    end: Position,
    engine_time: u64,
    is_clean: bool,
    sources: Sources,
}

fn decode(bytes: &[u8]) -> Option<Left> {
    let mut from = Cut::new(bytes);
    if from.array() != Some(MAGIC) || from.u32() != Some(VERSION) {
        return None;
    }
    if from.u32()? != crc32fast::hash(bytes.get(16..)?) {
        return None;
    }
    Some(Left {
        id: from.array()?,
        end: Position(from.u64()?),
        engine_time: from.u64()?,
        is_clean: from.u8()? == 1,
        sources: table::decode_sources(from.rest())?,
    })
}
