//! A look at a journal that belongs to somebody else: it locks nothing, writes nothing, and goes on
//! while an engine appends.

use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::Error;
use super::entry::Position;
use super::layout;
use super::layout::RecordHeader;
use super::reader::Missing;
use super::reader::Next;
use super::segment;
use super::table::Cursor;
use super::table::Head;
use super::table::Problem;
use super::table::Sources;
use super::walk::Walk;
use crate::message::Source;
use crate::message::SourcePosition;

/// Opens the journal in the folder `path` for reading; it starts with the oldest entry.
///
/// # Errors
/// When the folder cannot be read, holds no journal, or one of a newer format.
pub fn open_read_only(path: &Path) -> Result<ReadOnly, Error> {
    let mut journal = ReadOnly {
        folder: path.to_owned(),
        segments: Vec::new(),
        sources: Sources::new(),
        cursors: Vec::new(),
        at: Position(0),
        current: None,
    };
    journal.look()?;
    let Some(oldest) = journal.segments.first() else {
        let missing = io::Error::new(io::ErrorKind::NotFound, "there is no segment");
        return Err(Error::io("open the journal", missing));
    };
    journal.at = oldest.first.previous();
    Ok(journal)
}

/// A journal opened for reading.
#[derive(Debug)]
pub struct ReadOnly {
    folder: PathBuf,
    /// Heads, oldest first.
    segments: Vec<Head>,
    sources: Sources,
    cursors: Vec<Cursor>,
    at: Position,
    current: Option<Current>,
}

/// The segment that is being read.
#[derive(Debug)]
struct Current {
    number: u64,
    walk: Walk,
}

impl ReadOnly {
    /// The id of the journal.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.segments.last().map_or([0; 16], |head| head.journal)
    }

    /// The first entry that could be read when the journal was last looked at.
    #[must_use]
    pub fn oldest(&self) -> Position {
        self.segments.first().map_or(Position(0), |head| head.first)
    }

    /// How many segments there are.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// How far the readers were when the newest segment was begun, and whether they are retired.
    #[must_use]
    pub fn cursors(&self) -> Vec<(String, Position, bool)> {
        let cursors = self.cursors.iter();
        cursors.map(|it| (it.reader.to_string(), it.position, it.is_retired)).collect()
    }

    /// How far the sources were when the newest segment was begun.
    #[must_use]
    pub fn sources(&self) -> Vec<(Source, SourcePosition)> {
        let sources = self.sources.iter();
        sources.map(|(source, reached)| (source.clone(), reached.position.clone())).collect()
    }

    /// The last entry read or missed.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// Goes on behind `position`.
    pub fn seek(&mut self, position: Position) {
        self.at = position;
        self.current = None;
    }

    /// Goes on with the newest segment that begins before `time`, in nanoseconds since the epoch, unless
    /// that was read already: what the segments before it hold is older.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn seek_time(&mut self, time: i64) -> Result<(), Error> {
        self.look()?;
        for head in self.segments.iter().rev() {
            if head.first <= self.at {
                return Ok(());
            }
            let failed = |error| Error::segment(head.segment, error);
            let file = match File::open(segment::path(&self.folder, head.segment)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            let mut walk = Walk::new(Arc::new(file), head.segment, head.length);
            let first = walk.header().map_err(failed)?;
            if first.is_some_and(|first| first.kind.is_entry() && first.time < time) {
                let first = head.first;
                self.seek(first.previous());
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next entry, or which cannot be read; empty at the end, where more may come.
    ///
    /// # Errors
    /// When the disk refuses.
    #[allow(clippy::should_implement_trait, reason = "it goes on after nothing, and can fail")]
    pub fn next(&mut self) -> Result<Next, Error> {
        loop {
            if self.current.is_none() {
                if let Some(missed) = self.turn_to_segment()? {
                    return Ok(missed);
                }
                if self.current.is_none() {
                    return Ok(Next::Empty);
                }
            }
            if let Some(next) = self.step()? {
                return Ok(next);
            }
        }
    }

    /// Finds the segment that holds what comes next; says what cannot be had any more.
    fn turn_to_segment(&mut self) -> Result<Option<Next>, Error> {
        self.look()?;
        let next = self.at.next();
        let behind = self.segments.partition_point(|head| head.first <= next);
        let Some(head) = self.segments.get(behind.saturating_sub(1)) else { return Ok(None) };
        if behind == 0 && self.at != Position(0) {
            let last = head.first.previous();
            self.at = last;
            return Ok(Some(Next::Missed { first: next, last, why: Missing::Trimmed }));
        }
        let path = segment::path(&self.folder, head.segment);
        match File::open(path) {
            Ok(file) => {
                let walk = Walk::new(Arc::new(file), head.segment, head.length);
                self.current = Some(Current { number: head.segment, walk });
            }
            // It has been trimmed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::segment(head.segment, error)),
        }
        Ok(None)
    }

    /// Reads on in the segment at hand; nothing when another has to be found.
    fn step(&mut self) -> Result<Option<Next>, Error> {
        let next = self.at.next();
        let Some(current) = &mut self.current else { return Ok(None) };
        let number = current.number;
        let failed = |error| Error::segment(number, error);
        let at_hand = current.walk.header().map_err(failed)?;
        if at_hand.is_none_or(|header| !header.kind.is_entry() || header.position < next) {
            // What has been read of the file may be older than what was written since.
            current.walk.forget();
            current.walk.seek(next).map_err(failed)?;
        }
        let Some(header) = current.walk.header().map_err(failed)? else { return self.at_end() };
        if header.position > next && header.position > self.first_of(number) {
            return Ok(Some(self.miss(header.position.previous())));
        }
        let current = self.current.as_mut().expect("it was there above");
        let mut contents = current.walk.contents(&header).map_err(failed)?;
        if contents.is_none() {
            current.walk.forget();
            contents = current.walk.contents(&header).map_err(failed)?;
        }
        let entry = contents
            .and_then(|(particulars, body)| layout::read_entry(&header, &particulars, body));
        if let Some(entry) = entry {
            current.walk.pass(header.span());
            self.at = header.position;
            return Ok(Some(Next::Entry(Arc::new(entry))));
        }
        if self.is_being_written(&header)? {
            return Ok(Some(Next::Empty));
        }
        Ok(Some(self.miss(header.position)))
    }

    /// Tells whether what is not sound may just not be whole yet.
    fn is_being_written(&mut self, header: &RecordHeader) -> Result<bool, Error> {
        let Some(current) = &mut self.current else { return Ok(false) };
        let number = current.number;
        let mut ahead = Walk::new(current.walk.file(), number, current.walk.at() + header.span());
        let later = ahead.header().map_err(|error| Error::segment(number, error))?;
        let is_synced = later.is_some_and(|later| later.durable >= header.position);
        let is_newest = self.segments.last().is_some_and(|head| head.segment == number);
        Ok(is_newest && !is_synced)
    }

    /// Behind the last record of a segment: there may be a newer one.
    fn at_end(&mut self) -> Result<Option<Next>, Error> {
        let Some(number) = self.current.as_ref().map(|current| current.number) else {
            return Ok(None);
        };
        self.look()?;
        let Some(newer) = self.segments.iter().find(|head| head.segment > number) else {
            return Ok(Some(Next::Empty));
        };
        let (first, previous) = (newer.first, newer.previous);
        self.current = None;
        if previous.segment == number && previous.last > self.at {
            return Ok(Some(self.miss(previous.last)));
        }
        // The positions in between were never used.
        self.at = self.at.max(first.previous());
        Ok(None)
    }

    fn miss(&mut self, last: Position) -> Next {
        let first = self.at.next();
        self.at = last;
        Next::Missed { first, last, why: Missing::Damaged }
    }

    fn first_of(&self, number: u64) -> Position {
        let head = self.segments.iter().find(|head| head.segment == number);
        head.map_or(Position(0), |head| head.first)
    }

    /// Lists the segments anew.
    fn look(&mut self) -> Result<(), Error> {
        let listed = segment::list(&self.folder);
        let numbers = listed.map_err(|error| Error::io("list the segments", error))?;
        self.segments.retain(|head| numbers.binary_search(&head.segment).is_ok());
        let newest = self.segments.last().map_or(0, |head| head.segment);
        for number in numbers.into_iter().filter(|number| *number > newest) {
            let failed = |error| Error::segment(number, error);
            let file = match File::open(segment::path(&self.folder, number)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            match segment::read_head(&file).map_err(failed)? {
                Ok((head, sources, cursors)) => {
                    self.segments.push(head);
                    (self.sources, self.cursors) = (sources, cursors);
                }
                Err(Problem::Version(version)) => return Err(Error::Version { number, version }),
                Err(Problem::Damaged) => {
                    let before = self.segments.last();
                    let guessed = segment::guess_head(&Arc::new(file), number, before);
                    self.segments.extend(guessed.map_err(failed)?);
                }
            }
        }
        Ok(())
    }
}
