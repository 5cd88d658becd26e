//! Looks through a journal from end to end: what is in it, who reads it, what is damaged.
//!
//! It locks nothing and writes nothing, and may be done beside an engine that runs. What is being
//! written meanwhile can look torn: damage counts when it is seen twice, in a segment that is still
//! there.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::Error;
use super::entry::Position;
use super::layout::Kind;
use super::layout::RecordHeader;
use super::recovery;
use super::recovery::Candidate;
use super::scan;
use super::scan::Bounds;
use super::scan::Damage;
use super::scan::Known;
use super::scan::Scan;
use super::segment;
use super::states;
use super::values;
use crate::message::Source;
use crate::message::SourcePosition;

/// What a journal holds.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// What tells the journal from every other.
    pub id: [u8; 16],
    /// How many segments there are.
    pub segments: usize,
    /// The first position that can be read, and the last.
    pub range: (Position, Position),
    /// When the first and the last entry were appended, wall clock, nanoseconds since the epoch.
    pub times: (i64, i64),
    /// Entries, messages and bytes of all of it.
    pub total: Amount,
    /// How many of the entries are ticks, and how many are notes.
    pub ticks_and_notes: (u64, u64),
    /// Bytes of the snapshots.
    pub snapshot_bytes: u64,
    /// How far each source has been read, and when that was.
    pub sources: Vec<(Source, SourcePosition, i64)>,
    /// Who reads it.
    pub readers: Vec<SurveyedReader>,
    /// What cannot be read.
    pub damages: Vec<Finding>,
    /// What else a person should know, one sentence each.
    pub remarks: Vec<String>,
}

/// So much of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many entries.
    pub entries: u64,
    /// How many messages are in them.
    pub messages: u64,
    /// How many bytes they take on disk.
    pub bytes: u64,
}

/// A reader as it was last written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedReader {
    /// Its name.
    pub name: String,
    /// The last entry it is done with.
    pub position: Position,
    /// Its cursor is its snapshot.
    pub is_snapshot: bool,
    /// It holds nothing back any more.
    pub is_retired: bool,
    /// What comes behind its position.
    pub behind: Amount,
    /// From the first entry it has not passed to the last there is, in nanoseconds.
    pub behind_time: i64,
}

/// A damaged place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// The first damaged byte.
    pub at: u64,
    /// How many bytes are unreadable.
    pub bytes: u64,
    /// What is damaged.
    pub what: String,
    /// The first and the last entry lost with it, where some are.
    pub lost: Option<(Position, Position)>,
}

/// Looks through the journal in the folder `path`.
///
/// # Errors
/// When the folder cannot be read, holds no journal, or one of a newer format.
pub fn survey(path: &Path) -> Result<Survey, Error> {
    let mut surveying = Surveying::open(path)?;
    surveying.find_readers()?;
    for index in 0..surveying.candidates.len() {
        surveying.segment(index)?;
    }
    Ok(surveying.end())
}

/// A survey under way.
struct Surveying {
    folder: PathBuf,
    candidates: Vec<Candidate>,
    known: Known,
    survey: Survey,
    /// Up to where readers are, in order, each once.
    places: Vec<Position>,
    /// What comes before the first place, between two, and behind the last; and when that begins.
    between: Vec<(Amount, Option<i64>)>,
}

impl Surveying {
    fn open(folder: &Path) -> Result<Surveying, Error> {
        let mut survey = Survey::default();
        let mut known = Known::default();
        let mut candidates = recovery::candidates(folder, &mut known, &mut survey.remarks)?;
        survey.damages = damaged_heads(folder, &candidates)?;
        recovery::drop_void(&mut candidates);
        match candidates.last() {
            Some(newest) => survey.id = newest.head.journal,
            // What is left of a journal can be told all the same.
            None if !survey.damages.is_empty() => {}
            None => {
                let missing = io::Error::new(io::ErrorKind::NotFound, "there is no segment");
                return Err(Error::io("open the journal", missing));
            }
        }
        survey.segments = candidates.len();
        let folder = folder.to_owned();
        Ok(Surveying { folder, candidates, known, survey, places: vec![], between: vec![] })
    }

    /// Reads the newest segments for cursors, and snapshots, which may be newer.
    fn find_readers(&mut self) -> Result<(), Error> {
        let sound = self.candidates.iter().rposition(|candidate| candidate.is_sound);
        for index in sound.unwrap_or(0)..self.candidates.len() {
            let candidate = &self.candidates[index];
            scan::scan(&candidate.file, bounds(&self.candidates, index), &mut self.known)
                .map_err(|error| Error::segment(candidate.head.segment, error))?;
        }
        let mut readers: HashMap<String, SurveyedReader> = HashMap::new();
        for cursor in &self.known.cursors {
            readers.insert(
                cursor.reader.to_string(),
                SurveyedReader {
                    name: cursor.reader.to_string(),
                    position: cursor.position,
                    is_snapshot: cursor.is_snapshot,
                    is_retired: cursor.is_retired,
                    behind: Amount::default(),
                    behind_time: 0,
                },
            );
        }
        let snapshots = states::look(&self.folder.join("snapshots"))?;
        for (name, position) in snapshots.newest {
            let reader = readers.entry(name.clone()).or_insert(SurveyedReader {
                name,
                position,
                is_snapshot: true,
                is_retired: true,
                behind: Amount::default(),
                behind_time: 0,
            });
            reader.position = reader.position.max(position);
        }
        self.survey.snapshot_bytes = snapshots.bytes;
        self.survey.damages.extend(snapshots.damages);
        self.survey.damages.extend(values::look(&self.folder.join("values"))?);
        self.survey.readers = readers.into_values().collect();
        self.survey.readers.sort_by(|one, other| one.name.cmp(&other.name));
        self.places = self.survey.readers.iter().map(|reader| reader.position).collect();
        self.places.sort_unstable();
        self.places.dedup();
        self.between = vec![(Amount::default(), None); self.places.len() + 1];
        // What comes before the newest is read again from the start.
        self.known = Known::default();
        Ok(())
    }

    /// Counts what is in a segment.
    fn segment(&mut self, index: usize) -> Result<(), Error> {
        let bounds = bounds(&self.candidates, index);
        let Candidate { file, head, is_sound } = &self.candidates[index];
        let failed = |error| Error::segment(head.segment, error);
        if *is_sound && let Ok((_, sources, cursors)) = segment::read_head(file).map_err(failed)? {
            self.known = Known { sources, cursors };
        }
        let (survey, places, between) = (&mut self.survey, &self.places, &mut self.between);
        let mut visit = |header: &RecordHeader, messages: usize| {
            if header.kind.is_entry() {
                let place = places.partition_point(|place| *place < header.position);
                count(survey, &mut between[place], header, messages as u64);
            } else if header.kind == Kind::Cut {
                let last = header.position;
                let remark = "entries up to {last} were lost and are cut out of segment";
                let remark = remark.replace("{last}", &last.to_string());
                survey.remarks.push(format!("{remark} {}", bounds.segment));
            }
        };
        let scan = scan::scan_with(file, bounds, &mut self.known, Some(&mut visit));
        let scan = scan.map_err(failed)?;
        let damages = self.seen_again(index, &scan)?;
        self.survey.damages.extend(damages);
        let path = segment::path(&self.folder, head.segment);
        let end = missing_end(&self.candidates, index, &scan);
        self.survey.damages.extend(end.map(|damage| finding(&path, &damage)));
        if index == 0 {
            self.survey.range.0 = self.candidates[0].head.first;
        }
        self.survey.range.1 = self.survey.range.1.max(scan.last);
        if scan.cut > 0 && index + 1 == self.candidates.len() {
            let cut = scan.cut;
            self.survey.remarks.push(format!(
                "{cut} bytes at the end were never acknowledged, or are being written"
            ));
        }
        Ok(())
    }

    /// The damages of a scan that another one finds too.
    fn seen_again(&self, index: usize, scan: &Scan) -> Result<Vec<Finding>, Error> {
        if scan.damages.is_empty() {
            return Ok(Vec::new());
        }
        let Candidate { file, head, .. } = &self.candidates[index];
        let failed = |error| Error::segment(head.segment, error);
        let path = segment::path(&self.folder, head.segment);
        let again = scan::scan_with(
            file,
            bounds(&self.candidates, index),
            &mut Known::default(),
            Some(&mut |_, _| ()),
        );
        let again = again.map_err(failed)?;
        let own = file.metadata().map_err(failed)?.ino();
        let is_there = std::fs::metadata(&path).is_ok_and(|metadata| metadata.ino() == own);
        let both = scan.damages.iter().filter(|damage| is_there && again.damages.contains(damage));
        Ok(both.map(|damage| finding(&path, damage)).collect())
    }

    fn end(mut self) -> Survey {
        let newest = self.survey.times.1;
        for reader in &mut self.survey.readers {
            let behind = self.places.partition_point(|place| *place <= reader.position);
            for (amount, _) in &self.between[behind..] {
                reader.behind.add(*amount);
            }
            let first = self.between[behind..].iter().find_map(|(_, time)| *time);
            reader.behind_time = first.map_or(0, |first| newest.saturating_sub(first).max(0));
        }
        let sources = self.known.sources.into_iter();
        self.survey.sources =
            sources.map(|(source, reached)| (source, reached.position, reached.seen)).collect();
        self.survey.sources.sort_by(|one, other| one.0.cmp(&other.0));
        self.survey
    }
}

impl Amount {
    fn add(&mut self, other: Amount) {
        self.entries += other.entries;
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

fn count(
    survey: &mut Survey,
    between: &mut (Amount, Option<i64>),
    header: &RecordHeader,
    messages: u64,
) {
    let amount = Amount { entries: 1, messages, bytes: header.span() };
    if survey.total.entries == 0 {
        survey.times.0 = header.time;
    }
    survey.times.1 = header.time;
    survey.total.add(amount);
    survey.ticks_and_notes.0 += u64::from(header.kind == Kind::Tick);
    survey.ticks_and_notes.1 += u64::from(header.kind == Kind::Note);
    between.0.add(amount);
    between.1.get_or_insert(header.time);
}

/// What a scan of a segment has to know.
pub(super) fn bounds(candidates: &[Candidate], index: usize) -> Bounds {
    let head = &candidates[index].head;
    Bounds {
        segment: head.segment,
        data: head.length,
        first: head.first,
        until: candidates.get(index + 1).map(|next| next.head.first),
    }
}

/// What should stand at the end of a segment, by the head of the next one, and does not.
pub(super) fn missing_end(candidates: &[Candidate], index: usize, scan: &Scan) -> Option<Damage> {
    let segment = candidates[index].head.segment;
    let next = candidates.get(index + 1).filter(|next| next.head.previous.segment == segment)?;
    let previous = next.head.previous;
    let bytes = previous.used.checked_sub(scan.used).filter(|_| previous.last > scan.last)?;
    let (first, last) = (scan.last.next(), previous.last);
    Some(Damage { segment, at: scan.used, bytes, first, last })
}

/// The segments whose heads cannot be read, those without any entry too.
fn damaged_heads(folder: &Path, candidates: &[Candidate]) -> Result<Vec<Finding>, Error> {
    let numbers = segment::list(folder).map_err(|error| Error::io("list the segments", error))?;
    let is_sound = |number: &u64| {
        candidates.iter().any(|candidate| candidate.head.segment == *number && candidate.is_sound)
    };
    let mut findings = Vec::new();
    for number in numbers.into_iter().filter(|number| !is_sound(number)) {
        let path = segment::path(folder, number);
        let Ok(file) = File::open(&path) else { continue };
        let is_head =
            matches!(segment::read_head(&file), Ok(Ok((head, ..))) if head.segment == number);
        if is_head {
            // It was begun since the others were listed.
            continue;
        }
        let length = candidates.iter().find(|candidate| candidate.head.segment == number);
        let bytes = match length {
            Some(candidate) => candidate.head.length,
            None => file.metadata().map_or(0, |metadata| metadata.len()),
        };
        let what = "the head of a segment".to_owned();
        findings.push(Finding { path, at: 0, bytes, what, lost: None });
    }
    Ok(findings)
}

fn finding(path: &Path, damage: &Damage) -> Finding {
    let Damage { at, bytes, first, last, .. } = *damage;
    let lost = (first <= last).then_some((first, last));
    let what = if lost.is_some() { "entries" } else { "a record between entries" };
    Finding { path: path.to_owned(), at, bytes, what: what.to_owned(), lost }
}

/// A file that is damaged as a whole.
pub(super) fn whole_file(path: &Path, what: &str) -> Finding {
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    Finding { path: path.to_owned(), at: 0, bytes, what: what.to_owned(), lost: None }
}

/// Opens what the file at `path` holds, unless it has gone meanwhile.
pub(super) fn open_if_there(path: &Path) -> io::Result<Option<Arc<File>>> {
    match File::open(path) {
        Ok(file) => Ok(Some(Arc::new(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
