//! Reads a segment from end to end when a journal is opened, and finds where it ends.
//!
//! A hole in the newest segment is damage when something written later says that the place had been
//! synced, or when the journal was closed cleanly after it. Any other is the mark of a crash: it was
//! never acknowledged, and the journal is cut there, so that sources send again what they must.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::entry::Position;
use super::layout;
use super::layout::Kind;
use super::layout::RecordHeader;
use super::table;
use super::table::Cursor;
use super::table::Reached;
use super::table::Sources;
use super::walk::Found;
use super::walk::Walk;
use crate::message::Batch;
use crate::message::Source;

/// Entries that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Number of the segment.
    pub segment: u64,
    /// Byte in the segment at which it starts.
    pub at: u64,
    /// How many bytes are unreadable.
    pub bytes: u64,
    /// The first entry lost.
    pub first: Position,
    /// The last entry lost; before `first` when what is lost was no entry.
    pub last: Position,
}

/// What a scan has found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Last sound position; one before the segment's first when there is none.
    pub(super) last: Position,
    pub(super) time: i64,
    pub(super) engine_time: u64,
    /// Where the last record that counts ends.
    pub(super) used: u64,
    pub(super) is_clean: bool,
    /// Where the last entry starts that something later says was synced, or where entries start.
    pub(super) confirmed: u64,
    pub(super) damages: Vec<Damage>,
    /// How many bytes behind `used` look like records but do not count.
    pub(super) cut: u64,
    /// Where entries start, at some distance from each other.
    pub(super) places: Vec<(Position, u64)>,
}

/// What is known of sources and readers, brought up to date by what is read.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) sources: Sources,
    pub(super) cursors: Vec<Cursor>,
}

/// What a sound record tells; held back until it is known whether it counts.
struct Told {
    header: RecordHeader,
    at: u64,
    messages: usize,
    sources: Vec<(Source, Reached)>,
    cursors: Option<Vec<Cursor>>,
}

/// What has to be known to scan a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) segment: u64,
    /// Where entries start.
    pub(super) data: u64,
    pub(super) first: Position,
    /// Where the next segment takes over; everything before was synced.
    pub(super) until: Option<Position>,
}

/// Is told of every record that counts, and how many messages are in it.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&RecordHeader, usize);

/// Reads the segment in `file`.
pub(super) fn scan(file: &Arc<File>, bounds: Bounds, known: &mut Known) -> io::Result<Scan> {
    scan_with(file, bounds, known, None)
}

/// As [`scan`]; where somebody wants to be told of the records, their bodies are read too.
pub(super) fn scan_with<'a>(
    file: &Arc<File>,
    bounds: Bounds,
    known: &'a mut Known,
    visit: Option<Visit<'a>>,
) -> io::Result<Scan> {
    let is_visited = visit.is_some();
    let mut scanning = Scanning {
        scan: Scan {
            last: bounds.first.previous(),
            used: bounds.data,
            confirmed: bounds.data,
            ..Scan::default()
        },
        known,
        visit,
        holes: Vec::new(),
        held_back: Vec::new(),
        seen: bounds.first.previous(),
        durable: Position(0),
        segment: bounds.segment,
    };
    let mut walk = Walk::new(file.clone(), bounds.segment, bounds.data);
    loop {
        match walk.peek()? {
            Found::End => break,
            Found::Hole(bytes) => {
                scanning.hole(walk.at(), bytes, None);
                walk.pass(bytes);
            }
            Found::Record(header) => {
                let is_void = bounds.until.is_some_and(|until| header.position >= until);
                if is_void {
                    break;
                }
                let contents = walk.contents(&header)?;
                let told = contents.and_then(|(particulars, body)| {
                    let told = tell(header, walk.at(), &particulars, &body)?;
                    if !is_visited || !header.kind.is_entry() {
                        return Some(told);
                    }
                    let entry = layout::read_entry(&header, &particulars, body)?;
                    Some(Told { messages: entry.batch().map_or(0, Batch::len), ..told })
                });
                match told {
                    Some(told) => scanning.record(told),
                    None => scanning.hole(walk.at(), header.span(), Some(&header)),
                }
                walk.pass(header.span());
            }
        }
    }
    let ends = if bounds.until.is_some() { Position(u64::MAX) } else { Position(0) };
    scanning.confirm(ends, bounds.until);
    let Scanning { mut scan, durable, .. } = scanning;
    let behind = scan.places.partition_point(|(position, _)| *position <= durable);
    if let Some((_, at)) = scan.places[..behind].last() {
        scan.confirmed = *at;
    }
    scan.cut = walk.at().saturating_sub(scan.used);
    Ok(scan)
}

fn tell(header: RecordHeader, at: u64, particulars: &[u8], body: &[u8]) -> Option<Told> {
    let seen = header.time;
    let sources = match header.kind {
        Kind::Batch => layout::read_reached(particulars)?,
        _ => Vec::new(),
    };
    let cursors = match header.kind {
        Kind::Cursors => Some(table::decode_cursors(body)?),
        _ => None,
    };
    let sources = sources
        .into_iter()
        .map(|(source, position)| (source, Reached { position, seen }))
        .collect();
    Some(Told { header, at, messages: 0, sources, cursors })
}

struct Scanning<'a> {
    scan: Scan,
    known: &'a mut Known,
    visit: Option<Visit<'a>>,
    /// Holes of which it is not known whether they were synced.
    holes: Vec<Damage>,
    held_back: Vec<Told>,
    /// Last position that has been met, sound or not.
    seen: Position,
    /// Up to here entries are known to have been synced.
    durable: Position,
    segment: u64,
}

impl Scanning<'_> {
    fn hole(&mut self, at: u64, bytes: u64, header: Option<&RecordHeader>) {
        let first = self.seen.next();
        let last = match header {
            Some(header) if header.kind.is_entry() => header.position,
            Some(_) => self.seen,
            // Which entries it held is known when the next one is met.
            None => Position(u64::MAX),
        };
        if header.is_some() {
            self.seen = last;
        }
        self.holes.push(Damage { segment: self.segment, at, bytes, first, last });
    }

    fn record(&mut self, told: Told) {
        let header = told.header;
        let before =
            if header.kind.is_entry() { header.position.previous() } else { header.position };
        for hole in &mut self.holes {
            if hole.last == Position(u64::MAX) {
                hole.last = before.max(hole.first.previous());
            }
        }
        if header.kind == Kind::CleanEnd {
            self.confirm(Position(u64::MAX), None);
        } else if !self.holes.is_empty() {
            self.confirm(header.durable, None);
        }
        self.seen = self.seen.max(header.position);
        if self.holes.is_empty() {
            self.count(told);
        } else {
            self.held_back.push(told);
        }
    }

    /// Holes up to `durable` are damage, and what was met between them counts.
    fn confirm(&mut self, durable: Position, until: Option<Position>) {
        let open = self.holes.iter().position(|hole| {
            // Where no entry is lost, one that comes later must be synced.
            let last = if hole.last == Position(u64::MAX) { hole.first } else { hole.last };
            last.max(hole.first) > durable
        });
        let confirmed = self.holes.drain(..open.unwrap_or(self.holes.len()));
        let ends = until.map_or(Position(u64::MAX), Position::previous);
        for hole in confirmed {
            let last = hole.last.min(ends);
            if last < Position(u64::MAX) {
                // Its position has been used, whatever was there.
                self.scan.last = self.scan.last.max(last);
            }
            self.scan.damages.push(Damage { last, ..hole });
        }
        let limit = self.holes.first().map_or(u64::MAX, |hole| hole.at);
        let counted = self.held_back.iter().take_while(|told| told.at < limit).count();
        for told in self.held_back.drain(..counted).collect::<Vec<_>>() {
            self.count(told);
        }
    }

    fn count(&mut self, told: Told) {
        let header = told.header;
        self.durable = self.durable.max(header.durable);
        self.scan.used = told.at + header.span();
        self.scan.is_clean = header.kind == Kind::CleanEnd;
        if header.kind.is_entry() {
            self.scan.last = self.scan.last.max(header.position);
            self.scan.places.push((header.position, told.at));
        }
        if header.kind == Kind::Cut {
            self.scan.last = self.scan.last.max(header.position);
        }
        if let Some(visit) = &mut self.visit {
            visit(&header, told.messages);
        }
        self.scan.time = header.time;
        self.scan.engine_time = self.scan.engine_time.max(header.engine_time);
        self.known.sources.extend(told.sources);
        if let Some(cursors) = told.cursors {
            self.known.cursors = cursors;
        }
    }
}
