//! One stream, read file by file, oldest first, and then followed.
//!
//! A [`Follower`] does one step at a time, on a thread that may block. It moves on to the next file
//! when its own has been read to the end and nothing was written to it for a while: whoever rotates
//! a file goes on writing to it until told. It holds its file open, so it reads it to the end
//! whatever happens to its name.

use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;

use super::find;
use super::find::Found;
use super::place::Place;
use super::reader::CHUNK;
use super::reader::Change;
use super::reader::Reader;
use super::scan::Identity;
use super::scan::Listing;
use super::scan::LogFile;
use super::watch::Waiting;
use crate::message::SourcePosition;

/// How long a compressed file that ends too early may still be in the making.
const IN_THE_MAKING: Duration = Duration::from_secs(10);
/// How soon to come back to such a file.
const AGAIN: Duration = Duration::from_millis(500);
/// How many times a step looks anew before it leaves it for later.
const ATTEMPTS: usize = 64;

/// What a step gave.
#[derive(Debug)]
pub(super) enum Step {
    /// The bytes from a position on.
    Bytes {
        /// Where they begin.
        position: SourcePosition,
        /// The bytes; none where only the position counts.
        bytes: Bytes,
        /// Whether the bytes before them have come to their end, and a record with them.
        is_elsewhere: bool,
    },
    /// There is nothing for now; there may be something later, or after a time without anything.
    Wait(Option<Duration>),
    /// What was read is no more what it was: a new listing is needed to say what became of it.
    Scan,
    /// All has been read.
    Done,
}

/// How a stream is followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// How long a file has to be quiet until reading moves on to the next.
    pub(super) quiet: Duration,
    /// Files that were not written to for this long are passed over, in nanoseconds.
    pub(super) oldest: i64,
    /// Whether to end at the end of the last file.
    pub(super) until_done: bool,
}

/// Where reading begins.
#[derive(Clone, Debug)]
pub(super) enum Start {
    /// With the oldest file.
    Oldest,
    /// At the end of the newest file.
    End,
    /// Where it stopped.
    Place(Place, u64),
}

/// Reads one stream.
pub(super) struct Follower {
    options: Options,
    state: State,
    /// Files that were left for newer ones, and where.
    left: HashMap<Identity, Place>,
    /// Where the current file stands in a listing, if it does.
    rank: Option<(Listing, Option<usize>)>,
    /// Whether the next bytes are not behind those before.
    is_elsewhere: bool,
    /// The file that will be next unless a new listing shows another.
    candidate: Option<Candidate>,
    /// The file that will be next as soon as there is something in it.
    expected: Option<PathBuf>,
}

/// A file that was opened and read a first time.
struct Candidate {
    reader: Reader,
    offset: u64,
    bytes: Vec<u8>,
    /// The listing that had it as the next.
    files: Listing,
}

enum State {
    Starting(Start),
    Reading(Current),
}

struct Current {
    reader: Reader,
    path: PathBuf,
    /// It cannot be read any further.
    is_damaged: bool,
}

impl Candidate {
    /// Tells whether there is nothing in it yet.
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.reader.is_compressed()
    }
}

impl Current {
    fn of(reader: Reader, path: PathBuf) -> Current {
        Current { reader, path, is_damaged: false }
    }

    fn place(&self) -> Place {
        Place::of_reader(&self.reader, &self.path)
    }
}

impl Follower {
    /// A follower that begins at `start`.
    pub(super) fn new(options: Options, start: Start) -> Follower {
        let state = State::Starting(start);
        Follower {
            options,
            state,
            left: HashMap::new(),
            rank: None,
            is_elsewhere: true,
            candidate: None,
            expected: None,
        }
    }

    /// The file that is being read.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.state {
            State::Reading(current) => Some(&current.path),
            State::Starting(_) => None,
        }
    }

    /// What to look at until there is something new.
    pub(super) fn waiting(&self) -> Waiting {
        let current = match &self.state {
            State::Reading(current) => Some((&current.reader, &*current.path)),
            State::Starting(_) => None,
        };
        Waiting::at(current, self.expected.as_deref())
    }

    /// Reads on; `now` is in nanoseconds since the epoch.
    ///
    /// # Errors
    /// When the file cannot be read; the next step tries again.
    pub(super) fn step(&mut self, files: &Listing, now: i64) -> std::io::Result<Step> {
        for _ in 0..ATTEMPTS {
            let step = match &mut self.state {
                State::Starting(_) => self.start(files, now),
                State::Reading(_) => self.read(files, now),
            };
            match step {
                Ok(Some(step)) => return Ok(step),
                Ok(None) => {}
                // The listing is older than what became of the file.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Ok(Step::Scan);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Step::Wait(None))
    }

    fn start(&mut self, files: &Listing, now: i64) -> std::io::Result<Option<Step>> {
        let State::Starting(start) = &self.state else { return Ok(None) };
        let start = start.clone();
        match start {
            Start::Oldest => {
                let Some(file) = files.iter().find(|file| self.is_young(file, now)) else {
                    return Ok(Some(self.nothing()));
                };
                self.begin(file, files)
            }
            Start::End => {
                let Some(file) = files.last() else { return Ok(Some(self.nothing())) };
                let mut reader = Reader::open(&file.path)?;
                reader.advance_to_end()?;
                let current = Current::of(reader, file.path.clone());
                let position = current.place().at(current.reader.offset());
                self.state = State::Reading(current);
                self.is_elsewhere = false;
                Ok(Some(Step::Bytes { position, bytes: Bytes::new(), is_elsewhere: true }))
            }
            Start::Place(place, offset) => match find::find(&place, offset, files) {
                Found::Here(index, reader) => {
                    let path = files[index].path.clone();
                    self.state = State::Reading(Current::of(reader, path));
                    Ok(None)
                }
                Found::Next(index) => self.begin(&files[index], files),
                Found::Nowhere => Ok(Some(self.nothing())),
            },
        }
    }

    /// Begins a file, or goes on in it where it was left before.
    ///
    /// Where it was written to since it was listed, it may as well have been copied and truncated:
    /// then the copy comes first. So the bytes are kept back until a listing that was made after
    /// they were read shows that the file is still the next.
    fn begin(&mut self, file: &LogFile, files: &Listing) -> std::io::Result<Option<Step>> {
        let candidate = match self.candidate.take() {
            Some(candidate)
                if candidate.reader.identity() == file.identity
                    && !Arc::ptr_eq(&candidate.files, files) =>
            {
                candidate
            }
            _ => {
                let candidate = self.candidate(file, files)?;
                let is_empty = candidate.is_empty();
                if !candidate.reader.is_as_listed(file)? {
                    self.candidate = Some(candidate).filter(|_| !is_empty);
                    return Ok(Some(Step::Scan));
                }
                candidate
            }
        };
        if candidate.is_empty() {
            // A place in a file of which nothing has been read says nothing.
            self.expected = Some(file.path.clone());
            return Ok(Some(self.nothing()));
        }
        self.expected = None;
        if let State::Reading(current) = &self.state {
            let place = current.place();
            self.left.retain(|identity, _| files.iter().any(|file| file.identity == *identity));
            self.left.insert(place.identity(), place);
        }
        tracing::debug!(file = %file.path.display(), offset = candidate.offset, "reading");
        let current = Current::of(candidate.reader, file.path.clone());
        let position = current.place().at(candidate.offset);
        self.state = State::Reading(current);
        self.rank = None;
        self.is_elsewhere = true;
        Ok(self.give(position, candidate.bytes))
    }

    /// Opens a file and reads the first of it, or of what it has more than when it was left.
    fn candidate(&self, file: &LogFile, files: &Listing) -> std::io::Result<Candidate> {
        let mut reader = Reader::open(&file.path)?;
        if let Some(place) = self.left.get(&file.identity)
            && !(reader.advance(place.read)? && place.follows(reader.tail()))
        {
            reader = Reader::open(&file.path)?;
        }
        let offset = reader.offset();
        let bytes = match reader.read(CHUNK) {
            // What is wrong with it is told when it is read.
            Err(_) if reader.is_compressed() => {
                reader = Reader::open(&file.path)?;
                Vec::new()
            }
            bytes => bytes?,
        };
        Ok(Candidate { reader, offset, bytes, files: files.clone() })
    }

    fn nothing(&self) -> Step {
        if self.options.until_done { Step::Done } else { Step::Wait(None) }
    }

    fn give(&mut self, position: SourcePosition, bytes: Vec<u8>) -> Option<Step> {
        if bytes.is_empty() {
            return None;
        }
        let is_elsewhere = std::mem::take(&mut self.is_elsewhere);
        Some(Step::Bytes { position, bytes: bytes.into(), is_elsewhere })
    }

    fn read(&mut self, files: &Listing, now: i64) -> std::io::Result<Option<Step>> {
        let State::Reading(current) = &mut self.state else { return Ok(None) };
        if current.reader.change()? == Change::Rewritten {
            let (place, offset) = (current.place(), current.reader.offset());
            tracing::info!(file = %current.path.display(), "truncated or written anew");
            self.state = State::Starting(Start::Place(place, offset));
            self.rank = None;
            return Ok(Some(Step::Scan));
        }
        if current.is_damaged {
            return self.move_on(files, now);
        }
        let offset = current.reader.offset();
        let bytes = match current.reader.read(CHUNK) {
            Ok(bytes) => bytes,
            Err(error) if current.reader.is_compressed() => {
                return self.damaged(&error, now).map(Some);
            }
            Err(error) => return Err(error),
        };
        if bytes.is_empty() {
            return self.move_on(files, now);
        }
        let position = current.place().at(offset);
        Ok(self.give(position, bytes))
    }

    /// Comes back to a compressed file that is still being written, and gives up one that is not.
    fn damaged(&mut self, error: &std::io::Error, now: i64) -> std::io::Result<Step> {
        let State::Reading(current) = &mut self.state else { return Ok(Step::Wait(None)) };
        let (offset, modified) = (current.reader.offset(), current.reader.modified());
        if is_within(now, modified, IN_THE_MAKING) && !self.options.until_done {
            current.reader = Reader::open(&current.path)?;
            current.reader.advance(offset)?;
            return Ok(Step::Wait(Some(AGAIN)));
        }
        let path = current.path.display();
        tracing::error!(file = %path, offset, %error, "a compressed file is damaged, its rest is lost");
        current.is_damaged = true;
        Ok(Step::Wait(Some(Duration::ZERO)))
    }

    /// Goes to the next file, if there is one and the current one has come to rest.
    fn move_on(&mut self, files: &Listing, now: i64) -> std::io::Result<Option<Step>> {
        let next = self.next(files, now);
        let State::Reading(current) = &self.state else { return Ok(None) };
        let Some(next) = next else {
            return Ok(Some(self.nothing()));
        };
        let is_at_rest = self.options.until_done
            || current.reader.is_compressed()
            || !is_within(now, current.reader.modified(), self.options.quiet);
        if !is_at_rest {
            return Ok(Some(Step::Wait(Some(self.options.quiet))));
        }
        self.begin(&files[next], files)
    }

    /// The file behind the current one.
    fn next(&mut self, files: &Listing, now: i64) -> Option<usize> {
        let State::Reading(current) = &mut self.state else { return None };
        let identity = current.reader.identity();
        let rank = match &self.rank {
            Some((listing, rank)) if Arc::ptr_eq(listing, files) => *rank,
            _ => {
                let place = current.place();
                let same = files.iter().position(|file| file.identity == identity);
                same.or_else(|| find::by_content(&place, files))
            }
        };
        self.rank = Some((files.clone(), rank));
        if let Some(file) = rank.map(|rank| &files[rank])
            && file.identity == identity
            && file.path != current.path
        {
            current.path.clone_from(&file.path);
        }
        let modified = current.reader.modified();
        let from = rank.map_or(0, |rank| rank + 1);
        let last = files.len().saturating_sub(1);
        let mut later = files.iter().enumerate().skip(from);
        let found = later.find(|(index, file)| {
            let is_unread = rank.is_some() || file.modified >= modified;
            let left = self.left.get(&file.identity);
            let is_left = left.is_some_and(|left| left.modified == file.modified);
            // The last one may have got something since.
            let is_empty = file.size == 0 && *index < last;
            is_unread
                && !is_left
                && !is_empty
                && file.identity != identity
                && self.is_young(file, now)
        });
        found.map(|(index, _)| index)
    }

    fn is_young(&self, file: &LogFile, now: i64) -> bool {
        now.saturating_sub(file.modified) <= self.options.oldest
    }
}

/// Tells whether `time` is not further back than `span`.
fn is_within(now: i64, time: i64, span: Duration) -> bool {
    now.saturating_sub(time) < i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
