//! Opening a journal on disk: what is found, what is cut off, and where it goes on.
//!
//! Heads of all segments are read, entries only from the newest sound head on: its tables say how
//! everything stood before. After a clean end writing goes on in the same segment; after any other
//! a new one is begun, some way further on, so that no position is used twice even if entries were
//! lost that had not been written.

use std::collections::VecDeque;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::Error;
use super::disk::Active;
use super::disk::Disk;
use super::disk::Start;
use super::entry::Position;
use super::files;
use super::layout::Kind;
use super::open::Opened;
use super::open::Storage;
use super::readers::Tracked;
use super::scan;
use super::scan::Bounds;
use super::scan::Damage;
use super::scan::Known;
use super::scan::Scan;
use super::segment;
use super::segment::Segment;
use super::settings::Limits;
use super::state::State;
use super::table::Cursor;
use super::table::Head;
use super::table::Previous;
use super::table::Problem;
use super::walk::read_at;
use crate::stdx::clock::Clock;

/// How far positions jump after an end that was not clean; more than can be in memory unsynced.
pub(super) const JUMP: u64 = 1 << 24;

/// What is written again is read in pieces of so many bytes.
const WRITTEN_AGAIN: usize = 1 << 20;

/// What was found when a journal was opened; to be logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// There was no journal.
    pub is_new: bool,
    /// The journal had been closed, not left by a crash.
    pub was_clean: bool,
    /// The first entry that can be read.
    pub oldest: Position,
    /// The last entry.
    pub end: Position,
    /// How many segments there are.
    pub segments: usize,
    /// Bytes of unacknowledged entries cut off behind the last sound one.
    pub cut: u64,
    /// Entries that were synced once and cannot be read.
    pub damages: Vec<Damage>,
    /// Readers whose cursor was beyond the end or of another journal: name, where it was, where it
    /// has been set.
    pub set_back: Vec<(String, Position, Position)>,
    /// What else a person should know, one sentence each.
    pub remarks: Vec<String>,
}

/// A segment found in the folder.
pub(super) struct Candidate {
    pub(super) file: Arc<File>,
    pub(super) head: Head,
    pub(super) is_sound: bool,
}

/// Opens the journal in `folder`, or makes one.
pub(super) fn open(folder: &Path, limits: &Limits, clock: &dyn Clock) -> Result<Opened, Error> {
    let mut recovery = Recovery::default();
    let mut known = Known::default();
    let mut candidates = candidates(folder, &mut known, &mut recovery.remarks)?;
    for void in drop_void(&mut candidates) {
        // Nothing is lost if it stays: it is left out again.
        let _ = files::remove(&segment::path(folder, void));
    }
    let now = clock.wall();
    let mut opening = Opening { folder, limits, now, recovery, known };
    opening.open(&candidates)
}

struct Opening<'a> {
    folder: &'a Path,
    limits: &'a Limits,
    now: i64,
    recovery: Recovery,
    known: Known,
}

impl Opening<'_> {
    fn open(&mut self, candidates: &[Candidate]) -> Result<Opened, Error> {
        let (mut segments, scan) = self.segments(candidates)?;
        drop_empty(&mut segments);
        let newest = candidates.last();
        let id = newest.map_or_else(new_id, |candidate| Ok(candidate.head.journal))?;
        self.recovery.is_new = newest.is_none();
        self.recovery.was_clean = scan.is_clean;
        let mut disk = Disk {
            folder: self.folder.to_owned(),
            id,
            epoch: newest.map_or(1, |candidate| candidate.head.epoch + 1),
            compression: self.limits.compression,
            segment_bytes: self.limits.segment_bytes,
            active: None,
            next_number: segment::list(self.folder)
                .map_err(|error| Error::io("list the segments", error))?
                .last()
                .map_or(1, |number| number + 1),
            previous: Previous {
                segment: newest.map_or(0, |candidate| candidate.head.segment),
                last: scan.last,
                used: scan.used,
            },
            durable_sources: std::mem::take(&mut self.known.sources),
            unsynced_sources: Vec::new(),
            spares: self.spares()?,
            scratch: Vec::new(),
        };
        let mut state = State {
            sources: disk.durable_sources.clone(),
            segments,
            time: scan.time,
            engine_time: scan.engine_time,
            ..State::default()
        };
        let end = self.go_on(&mut disk, &mut state, candidates, &scan)?;
        state.end = end;
        state.written = end;
        state.durable = end;
        state.last_said = end;
        self.readers(&mut state, scan.last);
        state.bytes = state.segments.iter().map(|segment| segment.used()).sum();
        state.oldest = state.segments.front().map_or(end.next(), |oldest| oldest.first);
        self.recovery.oldest = state.oldest;
        self.recovery.end = scan.last;
        self.recovery.segments = state.segments.len();
        let recovery = std::mem::take(&mut self.recovery);
        Ok(Opened { id, storage: Storage::Disk(disk), state, recovery })
    }

    /// What is known of every segment; those from the newest sound head on are read.
    fn segments(
        &mut self,
        candidates: &[Candidate],
    ) -> Result<(VecDeque<Arc<Segment>>, Scan), Error> {
        let newest_sound = candidates.iter().rposition(|candidate| candidate.is_sound).unwrap_or(0);
        let mut segments = VecDeque::new();
        let mut last_scan = Scan::default();
        for (index, candidate) in candidates.iter().enumerate() {
            let segment = Segment::new(self.folder, &candidate.head);
            let next = candidates.get(index + 1);
            let is_told = index < newest_sound
                && next.is_some_and(|next| next.head.previous.segment == candidate.head.segment);
            if let (true, Some(next)) = (is_told, next) {
                let previous = next.head.previous;
                segment.grow(previous.last, previous.used, next.head.time);
            } else {
                let bounds = Bounds {
                    segment: candidate.head.segment,
                    data: candidate.head.length,
                    first: candidate.head.first,
                    until: next.map(|next| next.head.first),
                };
                let mut passing = Known::default();
                let known = if index < newest_sound { &mut passing } else { &mut self.known };
                let scan = scan::scan(&candidate.file, bounds, known)
                    .map_err(|error| Error::segment(candidate.head.segment, error))?;
                segment.grow(scan.last, scan.used, scan.time.max(candidate.head.time));
                for (position, at) in &scan.places {
                    segment.remember(*position, *at);
                }
                self.recovery.damages.extend(scan.damages.iter().cloned());
                last_scan = scan;
                last_scan.engine_time = last_scan.engine_time.max(candidate.head.engine_time);
                last_scan.time = last_scan.time.max(candidate.head.time);
            }
            segments.push_back(Arc::new(segment));
        }
        Ok((segments, last_scan))
    }

    /// Makes the place where writing goes on; gives the position before the next.
    fn go_on(
        &mut self,
        disk: &mut Disk,
        state: &mut State,
        candidates: &[Candidate],
        scan: &Scan,
    ) -> Result<Position, Error> {
        if let (Some(newest), Some(segment), true) =
            (candidates.last(), state.segments.back(), scan.is_clean)
        {
            write_again(segment, &reopen(segment)?, scan)?;
            let active = Active::open(segment.clone(), scan.used)
                .map_err(|error| Error::segment(segment.number, error))?;
            disk.active = Some(active);
            disk.epoch = newest.head.epoch;
            // The end is no longer clean, whatever comes.
            let body = Disk::cursors_body(&self.known.cursors);
            let times = (scan.last, scan.time, scan.engine_time);
            disk.write_control(Kind::Cursors, &body, times, scan.last)
                .and_then(|()| disk.sync())
                .map_err(|error| Error::segment(segment.number, error))?;
            return Ok(scan.last);
        }
        let mut emptied = None;
        let mut end = Position(0);
        if let Some(newest) = candidates.last() {
            end = Position(scan.last.0.max(newest.head.first.0) + JUMP);
            let segment = state.segments.back().expect("each candidate is a segment").clone();
            self.recovery.cut = scan.cut;
            let file = reopen(&segment)?;
            write_again(&segment, &file, scan)?;
            files::resize(&segment.path, &file, scan.used)
                .and_then(|()| files::sync(&segment.path, &file))
                .map_err(|error| Error::segment(segment.number, error))?;
            if segment.last() < segment.first {
                disk.previous = newest.head.previous;
                emptied = state.segments.pop_back();
            }
        }
        let start =
            Start { first: end.next(), time: self.now, engine_time: scan.engine_time, stored: 0 };
        let begun = disk
            .begin_segment(&start, &self.known.cursors)
            .map_err(|error| Error::io("begin a segment", error))?;
        state.segments.push_back(begun);
        if let Some(segment) = emptied {
            // Nothing is lost if it stays: it is empty, and goes with the others.
            let _ = files::remove(&segment.path);
        }
        Ok(end)
    }

    /// Enters the readers, and sets back those that are beyond the end.
    fn readers(&mut self, state: &mut State, last: Position) {
        let end = state.end;
        for mut cursor in std::mem::take(&mut self.known.cursors) {
            if cursor.position > end {
                self.recovery.set_back.push((cursor.reader.to_string(), cursor.position, last));
                cursor.position = last;
            }
            state.readers.tracked.push(Tracked::stored(&cursor));
        }
    }

    /// Files left over that can be used again; what was never finished is removed.
    fn spares(&self) -> Result<Vec<std::path::PathBuf>, Error> {
        let mut spares = Vec::new();
        let failed = |error| Error::io("list the journal's folder", error);
        for file in fs::read_dir(self.folder).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("spare") if spares.is_empty() => spares.push(path),
                Some("spare" | "new") => {
                    files::remove(&path).map_err(failed)?;
                }
                _ => {}
            }
        }
        Ok(spares)
    }
}

/// Reads the heads of all segments, and takes the tables of the newest sound one.
pub(super) fn candidates(
    folder: &Path,
    known: &mut Known,
    remarks: &mut Vec<String>,
) -> Result<Vec<Candidate>, Error> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let numbers = segment::list(folder).map_err(|error| Error::io("list the segments", error))?;
    let mut tables: (_, Vec<Cursor>) = Default::default();
    for number in numbers {
        let failed = |error| Error::segment(number, error);
        let file = Arc::new(File::open(segment::path(folder, number)).map_err(failed)?);
        match segment::read_head(&file).map_err(failed)? {
            Ok((head, sources, cursors)) if head.segment == number => {
                tables = (sources, cursors);
                candidates.push(Candidate { file, head, is_sound: true });
            }
            Err(Problem::Version(version)) => return Err(Error::Version { number, version }),
            Ok(_) | Err(Problem::Damaged) => {
                let before = candidates.last().map(|candidate| &candidate.head);
                let head = segment::guess_head(&file, number, before).map_err(failed)?;
                remarks.push(format!(
                    "the head of segment {number} is damaged; {}",
                    if head.is_some() { "its entries are read" } else { "it holds no entry" }
                ));
                candidates.extend(head.map(|head| Candidate { file, head, is_sound: false }));
            }
        }
    }
    (known.sources, known.cursors) = tables;
    Ok(candidates)
}

/// Leaves out segments all of whose positions stand in a newer one; gives their numbers.
pub(super) fn drop_void(candidates: &mut Vec<Candidate>) -> Vec<u64> {
    let mut next_first = Position(u64::MAX);
    let mut void = Vec::new();
    for index in (0..candidates.len()).rev() {
        if candidates[index].head.first >= next_first {
            void.push(candidates.remove(index).head.segment);
        } else {
            next_first = candidates[index].head.first;
        }
    }
    void
}

/// Leaves out segments that were begun in vain, where a folder could not be synced.
fn drop_empty(segments: &mut VecDeque<Arc<Segment>>) {
    let newest = segments.back().map(|segment| segment.number);
    segments.retain(|segment| {
        let is_empty = segment.last() < segment.first && Some(segment.number) != newest;
        if is_empty {
            // Nothing is lost if it stays: it is left out again.
            let _ = files::remove(&segment.path);
        }
        !is_empty
    });
}

/// Writes what may have been left by a sync that failed: the system reads it back as if it were there,
/// and no later sync makes it durable.
fn write_again(segment: &Segment, file: &File, scan: &Scan) -> Result<(), Error> {
    let mut at = scan.confirmed;
    let mut bytes = vec![0; WRITTEN_AGAIN];
    while at < scan.used {
        let length = WRITTEN_AGAIN.min(usize::try_from(scan.used - at).unwrap_or(WRITTEN_AGAIN));
        let written = read_at(file, &mut bytes[..length], at).and_then(|read| {
            files::write_at(&segment.path, file, &bytes[..read], at)?;
            Ok(read)
        });
        let written = written.map_err(|error| Error::segment(segment.number, error))?;
        if written == 0 {
            // Only the zeros that an entry is filled up with may be missing.
            break;
        }
        at += written as u64;
    }
    Ok(())
}

fn reopen(segment: &Segment) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(&segment.path)
        .map_err(|error| Error::segment(segment.number, error))
}

/// A random id.
pub(super) fn new_id() -> Result<[u8; 16], Error> {
    let mut id = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut id))
        .map_err(|error| Error::io("make an id for the journal", error))?;
    Ok(id)
}
