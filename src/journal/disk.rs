//! The disk storage as the writer uses it: the segment being written, and what the next one's head
//! will say.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::entry::Position;
use super::files;
use super::layout;
use super::layout::HEADER;
use super::layout::Kind;
use super::layout::RecordTimes;
use super::layout::Stamp;
use super::segment;
use super::segment::Segment;
use super::settings::Compression;
use super::stage::Stage;
use super::state::Held;
use super::table;
use super::table::Cursor;
use super::table::Head;
use super::table::Previous;
use super::table::Reached;
use super::table::Sources;
use crate::message::Source;

/// Files kept for the next segments.
const SPARES: usize = 1;
/// One part in so many of a segment may stay unused.
const WASTE: u64 = 8;

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    pub(super) stage: Stage,
    pub(super) capacity: u64,
}

impl Active {
    /// Opens `segment` for writing from byte `at` on.
    pub(super) fn open(segment: Arc<Segment>, at: u64) -> io::Result<Active> {
        let stage = Stage::open(&segment.path, at)?;
        let capacity = stage.length()?;
        Ok(Active { segment, stage, capacity })
    }

    /// Where the next record goes.
    pub(super) fn at(&self) -> u64 {
        self.stage.at()
    }

    fn finished(&self) -> Previous {
        Previous { segment: self.segment.number, last: self.segment.last(), used: self.at() }
    }

    /// Gives the room back that was reserved and is not used; where that fails it stays taken.
    fn give_room_back(&self) {
        if let Err(error) = self.stage.end_at(self.at()) {
            tracing::debug!(%error, "the rest of a segment stays reserved");
        }
    }
}

/// What a segment begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) first: Position,
    pub(super) time: i64,
    pub(super) engine_time: u64,
    /// Bytes of the first entry.
    pub(super) stored: u64,
}

impl Start {
    pub(super) fn with(held: &Held) -> Start {
        Start {
            first: held.entry.position,
            time: held.entry.time,
            engine_time: held.entry.engine_time,
            stored: held.stored,
        }
    }
}

/// Segments in a folder, from the writer's side.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) folder: PathBuf,
    pub(super) id: [u8; 16],
    pub(super) epoch: u64,
    pub(super) compression: Compression,
    pub(super) segment_bytes: u64,
    pub(super) active: Option<Active>,
    pub(super) next_number: u64,
    /// The newest segment that is finished.
    pub(super) previous: Previous,
    /// How far the sources were at the last sync.
    pub(super) durable_sources: Sources,
    /// Where sources have got since, by what is written.
    pub(super) unsynced_sources: Vec<(Source, Reached)>,
    pub(super) spares: Vec<PathBuf>,
    pub(super) scratch: Vec<u8>,
}

impl Disk {
    /// Tells whether the next entry has to go into a new segment.
    pub(super) fn needs_segment(&self, stored: u64) -> bool {
        self.active.as_ref().is_none_or(|active| {
            active.at() + stored > active.capacity && active.at() > active.segment.data
        })
    }

    /// Begins a segment; what was written before must be synced.
    pub(super) fn begin_segment(
        &mut self,
        start: &Start,
        cursors: &[Cursor],
    ) -> io::Result<Arc<Segment>> {
        if let Some(active) = self.active.take() {
            self.previous = active.finished();
            if active.capacity.saturating_sub(active.at()) > self.segment_bytes / WASTE {
                active.give_room_back();
            }
        }
        let head = Head {
            journal: self.id,
            epoch: self.epoch,
            segment: self.next_number,
            first: start.first,
            time: start.time,
            engine_time: start.engine_time,
            previous: self.previous,
            length: 0,
        };
        let encoded = head.encode(&self.durable_sources, cursors);
        let capacity = self.segment_bytes.max(encoded.len() as u64 + start.stored + HEADER as u64);
        // A number is used once, even if what follows fails half-way.
        self.next_number += 1;
        let spare = self.spares.pop();
        let segment = segment::create(&self.folder, &head, &encoded, capacity, spare)?;
        self.active = Some(Active::open(segment.clone(), segment.data)?);
        Ok(segment)
    }

    /// Writes as many of `held` as have room in the segment, at least one; tells how many. After an
    /// error the segment must be given up.
    pub(super) fn write(&mut self, held: &[Held], durable: Position) -> io::Result<usize> {
        let active = self.active.as_mut().expect("a segment has been begun");
        let mut count = 0;
        let mut room = active.capacity.saturating_sub(active.at());
        while let Some(next) = held.get(count)
            && (next.stored <= room || count == 0)
        {
            room = room.saturating_sub(next.stored);
            count += 1;
        }
        let stamp =
            Stamp { segment: active.segment.number, durable, compression: self.compression };
        for held in &held[..count] {
            active.segment.remember(held.entry.position, active.at());
            self.scratch.clear();
            let packed = layout::write_entry(&mut self.scratch, &held.entry, stamp);
            active.stage.put(&self.scratch)?;
            active.stage.put(packed.as_deref().unwrap_or(layout::plain_body(&held.entry)))?;
            active.stage.pad()?;
            let Some(batch) = held.entry.batch() else { continue };
            for (source, position) in batch.reached() {
                let reached = Reached { position: position.clone(), seen: held.entry.time };
                self.unsynced_sources.push((source.clone(), reached));
            }
        }
        active.stage.flush()?;
        let last = &held[count - 1].entry;
        active.segment.grow(last.position, active.at(), last.time);
        Ok(count)
    }

    /// Writes a record that is no entry behind the last entry, if a segment is open. After an error
    /// the segment must be given up: a part of the record may be written.
    pub(super) fn write_control(
        &mut self,
        kind: Kind,
        body: &[u8],
        times: (Position, i64, u64),
        durable: Position,
    ) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        let stamp =
            Stamp { segment: active.segment.number, durable, compression: Compression::None };
        let (position, time, engine_time) = times;
        self.scratch.clear();
        let times = RecordTimes { stamp, position, time, engine_time };
        layout::write_control(&mut self.scratch, kind, &times, body);
        active.stage.put(&self.scratch)?;
        active.stage.flush()?;
        active.segment.grow(active.segment.last(), active.at(), time);
        Ok(())
    }

    /// How far the segment being written reaches, in bytes.
    pub(super) fn at(&self) -> u64 {
        self.active.as_ref().map_or(0, Active::at)
    }

    /// Makes durable what was written; after an error the segment must be given up.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some(active) = &self.active {
            active.stage.sync()?;
        }
        for (source, reached) in self.unsynced_sources.drain(..) {
            self.durable_sources.insert(source, reached);
        }
        Ok(())
    }

    /// Gives the segment up after a failed write or sync: it counts up to `durable`, what came behind
    /// goes into the next one. Gives it back where nothing in it counts: it is as if it had never
    /// been.
    pub(super) fn give_up_segment(&mut self, durable: Position) -> Option<Arc<Segment>> {
        self.unsynced_sources.clear();
        let active = self.active.take()?;
        let last = durable.max(active.segment.first.previous());
        active.segment.grow(last, active.at(), active.segment.newest());
        if last < active.segment.first {
            return Some(active.segment);
        }
        self.previous = active.finished();
        active.give_room_back();
        None
    }

    /// Makes the file of the next segment while there is room for it; without one it is tried again
    /// when it is needed.
    pub(super) fn prepare_segment(&mut self) {
        let is_half_full =
            self.active.as_ref().is_some_and(|active| active.at() > active.capacity / 2);
        if is_half_full && self.spares.is_empty() {
            let path = self.folder.join(format!("{:020}.spare", self.next_number));
            match segment::reserve_file(&path, self.segment_bytes) {
                Ok(()) => self.spares.push(path),
                Err(error) => {
                    tracing::debug!(%error, "no room for the next segment yet");
                    // The last room is not taken from others meanwhile.
                    let _ = files::remove(&path);
                }
            }
        }
    }

    /// Deletes a segment nobody needs, or keeps its file for the next.
    pub(super) fn remove(&mut self, segment: &Segment) -> io::Result<()> {
        let is_usual = segment.used() <= self.segment_bytes * 2;
        if self.spares.len() < SPARES && is_usual {
            let spare = self.folder.join(format!("{:020}.spare", segment.number));
            files::rename(&segment.path, &spare)?;
            self.spares.push(spare);
            return Ok(());
        }
        files::remove(&segment.path)
    }

    /// The table of cursors as a record's body.
    pub(super) fn cursors_body(cursors: &[Cursor]) -> Vec<u8> {
        table::encode_cursors(cursors)
    }
}
