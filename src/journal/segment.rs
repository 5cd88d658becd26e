//! A segment: a file of the journal that begins with a head and holds entries one after the other.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::entry::Position;
use super::files;
use super::table::Cursor;
use super::table::Head;
use super::table::Previous;
use super::table::Problem;
use super::table::Sources;
use super::walk::Found;
use super::walk::Walk;
use super::walk::read_at;
use crate::stdx::sync::Mutex;
use crate::stdx::sync::atomic::AtomicI64;
use crate::stdx::sync::atomic::AtomicU64;

const SUFFIX: &str = ".segment";
/// How far apart the places are that are remembered of a segment, in bytes.
const STRIDE: u64 = 256 << 10;

/// What is known of a segment; shared by the writer and the readers.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) first: Position,
    pub(super) path: PathBuf,
    /// Where the entries start.
    pub(super) data: u64,
    /// When it was begun, wall clock, nanoseconds since the epoch.
    pub(super) begun: i64,
    last: AtomicU64,
    used: AtomicU64,
    newest: AtomicI64,
    places: Mutex<Vec<(Position, u64)>>,
}

impl Segment {
    /// A segment whose head has been read or written.
    pub(super) fn new(folder: &Path, head: &Head) -> Segment {
        Segment {
            number: head.segment,
            first: head.first,
            path: path(folder, head.segment),
            data: head.length,
            begun: head.time,
            last: AtomicU64::new(head.first.previous().0),
            used: AtomicU64::new(head.length),
            newest: AtomicI64::new(head.time),
            places: Mutex::default(),
        }
    }

    /// The last position that counts in it, one before the first when there is none.
    pub(super) fn last(&self) -> Position {
        Position(self.last.load(Ordering::Acquire))
    }

    /// Bytes in use, head included.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// When its last entry was appended, wall clock, nanoseconds since the epoch.
    pub(super) fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// Notes what has been written.
    pub(super) fn grow(&self, last: Position, used: u64, newest: i64) {
        self.last.store(last.0, Ordering::Release);
        self.used.store(used, Ordering::Release);
        self.newest.store(newest, Ordering::Relaxed);
    }

    /// Remembers where the entry `position` starts, if the last one remembered is far enough.
    pub(super) fn remember(&self, position: Position, at: u64) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let last = places.last().map_or(0, |(_, place)| *place);
        if at >= last + STRIDE {
            places.push((position, at));
        }
    }

    /// A place at or before that of the entry `position`.
    pub(super) fn place_before(&self, position: Position) -> u64 {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = places.partition_point(|(remembered, _)| *remembered <= position);
        behind.checked_sub(1).map_or(self.data, |index| places[index].1)
    }

    /// About how many bytes of it come after the entry `position`.
    pub(super) fn bytes_after(&self, position: Position) -> u64 {
        if position >= self.last() {
            return 0;
        }
        self.used().saturating_sub(self.place_before(position.next()))
    }
}

/// The file of segment `number`.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}{SUFFIX}"))
}

/// The numbers of the segments in `folder`, oldest first.
pub(super) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for file in fs::read_dir(folder)? {
        let name = file?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A head and its tables.
pub(super) type Opening = (Head, Sources, Vec<Cursor>);

/// Reads and checks the head of the segment in `file`.
pub(super) fn read_head(file: &File) -> io::Result<Result<Opening, Problem>> {
    let mut start = [0; 20];
    if read_at(file, &mut start, 0)? < start.len() {
        return Ok(Err(Problem::Damaged));
    }
    let length = match Head::length(&start) {
        Ok(length) => length,
        Err(problem) => return Ok(Err(problem)),
    };
    let mut bytes = vec![0; length];
    let read = read_at(file, &mut bytes, 0)?;
    Ok(Head::read(&bytes[..read]))
}

/// Makes a segment of at least `capacity` bytes out of a file that is no longer needed, or a new
/// one. It has its name only once its head is safe on disk.
pub(super) fn create(
    folder: &Path,
    head: &Head,
    encoded: &[u8],
    capacity: u64,
    spare: Option<PathBuf>,
) -> io::Result<Arc<Segment>> {
    if let Some(spare) = &spare {
        // It may have been a segment until a moment ago, and would be one again after a power cut.
        files::sync_folder(folder).inspect_err(|_| drop(files::remove(spare)))?;
    }
    let unnamed = spare.unwrap_or_else(|| folder.join(format!("{:020}.new", head.segment)));
    let segment = Segment::new(folder, &Head { length: encoded.len() as u64, ..head.clone() });
    let made = make(&unnamed, encoded, capacity)
        .and_then(|()| files::rename(&unnamed, &segment.path))
        .and_then(|()| files::sync_folder(folder));
    if let Err(error) = made {
        // It is not tried again with this file, and each would take its room until the next start.
        let _ = files::remove(&unnamed).or_else(|_| files::remove(&segment.path));
        return Err(error);
    }
    Ok(Arc::new(segment))
}

fn make(path: &Path, encoded: &[u8], capacity: u64) -> io::Result<()> {
    let file = files::open_or_create(path)?;
    files::reserve(path, &file, capacity)?;
    files::write_at(path, &file, encoded, 0)?;
    files::sync(path, &file)
}

/// Makes a file with room for `bytes`.
pub(super) fn reserve_file(path: &Path, bytes: u64) -> io::Result<()> {
    files::reserve(path, &files::open_or_create(path)?, bytes)
}

/// What the head of a segment must have said, by its first sound entry.
pub(super) fn guess_head(
    file: &Arc<File>,
    number: u64,
    before: Option<&Head>,
) -> io::Result<Option<Head>> {
    let mut walk = Walk::new(file.clone(), number, 0);
    loop {
        match walk.peek()? {
            Found::End => return Ok(None),
            Found::Hole(bytes) => walk.pass(bytes),
            Found::Record(header) if !header.kind.is_entry() => {
                walk.pass(header.span());
            }
            Found::Record(header) => {
                return Ok(Some(Head {
                    journal: before.map_or([0; 16], |before| before.journal),
                    epoch: before.map_or(1, |before| before.epoch),
                    segment: number,
                    first: header.position,
                    time: header.time,
                    engine_time: header.engine_time,
                    previous: Previous::default(),
                    length: walk.at(),
                }));
            }
        }
    }
}
