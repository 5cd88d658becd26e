//! A reader: takes entries from the tail, and from the disk what is no longer there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Error;
use super::entry::Entry;
use super::entry::Position;
use super::layout;
use super::layout::RecordHeader;
use super::readers::Place;
use super::segment::Segment;
use super::settings::FullAction;
use super::state::Shared;
use super::state::State;
use super::walk;
use super::walk::Walk;
use crate::stdx::sync::Instant;

/// How long the disk is asked for what it does not give.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 10_000 });

/// Where a reader begins that the journal does not know yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// Behind everything there is.
    #[default]
    End,
    /// At the oldest entry there is.
    Oldest,
    /// Behind the given position.
    At(Position),
}

/// What is durable of a reader's way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keeps {
    /// How far it has committed.
    #[default]
    Cursor,
    /// Its snapshot, and with it the position.
    Snapshot,
    /// Nothing: it holds nothing back, and begins anew each time.
    Nothing,
}

/// Which entries a reader is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// All.
    Appended,
    /// Those that are synced; asking for one that is not asks for a sync.
    #[default]
    Durable,
}

/// How a reader reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReaderOptions {
    /// Where it begins if it is new.
    pub start: Start,
    /// What is durable of its way.
    pub keeps: Keeps,
    /// Which entries it is given.
    pub reads: Reads,
    /// What happens when what it needs fills the budget, if not what the journal says.
    pub full_action: Option<FullAction>,
    /// How many bytes behind the end count as a full budget for it.
    pub max_bytes: Option<u64>,
}

/// What comes next.
#[derive(Clone, Debug)]
pub enum Next {
    /// An entry.
    Entry(Arc<Entry>),
    /// Nothing yet.
    Empty,
    /// Entries that cannot be had.
    Missed {
        /// The first of them.
        first: Position,
        /// The last of them.
        last: Position,
        /// Where they went.
        why: Missing,
    },
}

/// Why entries cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// They have been given up as history.
    Trimmed,
    /// They were given up to make room, as the reader's `full_action` says.
    Dropped,
    /// They are damaged on disk.
    Damaged,
}

/// How far a reader is behind the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Entries not yet handed out.
    pub entries: u64,
    /// About how many bytes they take.
    pub bytes: u64,
}

/// A way through the journal; one thread uses it at a time.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    place: Arc<Place>,
    reads: Reads,
    at: Position,
    disk: Option<DiskWalk>,
}

/// The place on disk where a reader that has fallen behind reads.
#[derive(Debug)]
struct DiskWalk {
    segment: Arc<Segment>,
    walk: Walk,
    /// Since when the disk does not give what is asked for.
    fails_since: Option<Instant>,
}

/// A header, and what it tells of, particulars and body, where that is sound.
type Found = (RecordHeader, Option<(Vec<u8>, Vec<u8>)>);

/// Where the next entry is to be found.
enum Where {
    Here(Next),
    On(Arc<Segment>),
    Again,
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        place: Arc<Place>,
        reads: Reads,
        at: Position,
    ) -> Reader {
        place.pass(at);
        shared.lock().readers.open.push(place.clone());
        Reader { shared, place, reads, at, disk: None }
    }

    /// The next entry, if there is one; never waits for one.
    ///
    /// # Errors
    /// When the disk refuses; the same entry comes next.
    #[allow(clippy::should_implement_trait, reason = "it goes on after nothing, and can fail")]
    pub fn next(&mut self) -> Result<Next, Error> {
        // Whether it was moved matters only when it has not passed the place by itself.
        if self.at >= self.limit() && self.at >= self.place.moved() && !self.asks() {
            return Ok(Next::Empty);
        }
        loop {
            match self.locate() {
                Where::Here(next) => return Ok(next),
                Where::Again => {}
                Where::On(segment) => {
                    if let Some(next) = self.read(&segment)? {
                        return Ok(next);
                    }
                }
            }
        }
    }

    /// The last entry handed out or missed; what comes next is behind it.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// Goes on behind `position`.
    pub fn seek(&mut self, position: Position) {
        self.at = position;
        self.disk = None;
        self.place.pass(position);
    }

    /// Needs nothing in memory until it seeks: somebody else reads for it meanwhile.
    pub fn rest(&mut self) {
        self.disk = None;
        self.place.pass(Position(u64::MAX));
    }

    /// Notes that everything up to and including `position` is done. It is written down within a
    /// second, and when the journal is closed, as far as the journal is durable.
    pub fn commit(&mut self, position: Position) {
        self.place.commit(position);
    }

    /// How far it is behind the end.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let state = self.shared.lock();
        Lag { entries: state.entries_after(self.at), bytes: state.bytes_after(self.at) }
    }

    fn limit(&self) -> Position {
        match self.reads {
            Reads::Appended => self.shared.end(),
            Reads::Durable => self.shared.readable(),
        }
    }

    /// Tells whether the lock must be taken to ask for a sync.
    fn asks(&self) -> bool {
        self.reads == Reads::Durable
    }

    fn locate(&mut self) -> Where {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        if let Some(missed) = self.missed(&state) {
            return Where::Here(missed);
        }
        let limit = self.limit().min(state.end);
        if self.at >= limit {
            self.ask_for_sync(&mut state);
            return Where::Here(Next::Empty);
        }
        let next = self.at.next();
        if let Some(held) = state.tail.entry(next) {
            let entry = held.entry.clone();
            drop(state);
            self.disk = None;
            self.advance(next);
            return Where::Here(Next::Entry(entry));
        }
        let holding = segment_of(&state, next);
        if let Some(segment) = holding.filter(|segment| segment.first <= limit) {
            return Where::On(segment);
        }
        // Positions between the last segment and the tail were never used.
        let from = state.tail.first().map_or(state.end, Position::previous).min(limit);
        drop(state);
        self.advance(from.max(next));
        Where::Again
    }

    /// What this reader cannot have any more, if it stands before it.
    fn missed(&mut self, state: &State) -> Option<Next> {
        if self.at < state.started {
            self.advance(state.started);
        }
        let moved = self.place.moved();
        let (last, why) = if moved > self.at {
            (moved, Missing::Dropped)
        } else if state.oldest.previous() > self.at {
            (state.oldest.previous(), Missing::Trimmed)
        } else {
            return None;
        };
        let first = self.at.next();
        self.disk = None;
        self.advance(last);
        Some(Next::Missed { first, last, why })
    }

    /// At the tail: what has been said and is not durable is wanted, or what comes next will be.
    fn ask_for_sync(&self, state: &mut State) {
        if self.reads != Reads::Durable {
            return;
        }
        if state.last_said <= state.durable {
            state.is_awaited = true;
            return;
        }
        let wanted = state.last_said;
        if state.want(wanted) {
            state.writer_waits = false;
            self.shared.work.notify_one();
        }
    }

    fn advance(&mut self, position: Position) {
        self.at = position;
        self.place.pass(position);
    }

    /// Reads the next entry from `segment`; nothing when it has to be located anew.
    fn read(&mut self, segment: &Arc<Segment>) -> Result<Option<Next>, Error> {
        let next = self.at.next();
        let failed = |error| Error::segment(segment.number, error);
        if self.disk.as_ref().is_none_or(|disk| disk.segment.number != segment.number) {
            let file = match walk::open(&segment.path) {
                Ok(file) => Arc::new(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            let from = segment.place_before(next.max(segment.first));
            let walk = Walk::new(file, segment.number, from);
            self.disk = Some(DiskWalk { segment: segment.clone(), walk, fails_since: None });
        }
        let disk = self.disk.as_mut().expect("just put there");
        let (found, last) = (disk.find(next).map_err(failed)?, segment.last());
        let Some((header, contents)) = found.filter(|(header, _)| header.position <= last) else {
            return Ok(self.pass_lost(segment.first, last));
        };
        if header.position > next && header.position > segment.first {
            return Ok(self.pass_lost(segment.first, header.position.previous()));
        }
        let entry = contents
            .and_then(|(particulars, body)| layout::read_entry(&header, &particulars, body));
        disk.walk.pass(header.span());
        let Some(entry) = entry else { return Ok(self.pass_lost(segment.first, header.position)) };
        self.advance(header.position);
        Ok(Some(Next::Entry(Arc::new(entry))))
    }

    /// Passes entries that could not be read; they may have been trimmed meanwhile.
    fn pass_lost(&mut self, start: Position, last: Position) -> Option<Next> {
        let mut state = self.shared.lock();
        if state.oldest > self.at.next() {
            return None;
        }
        let first = self.at.next().max(start);
        if last < first {
            return None;
        }
        state.damaged_entries += last.next().0 - first.0;
        drop(state);
        self.advance(last);
        Some(Next::Missed { first, last, why: Missing::Damaged })
    }
}

impl DiskWalk {
    /// Finds the entry at or behind `position`. What the disk does not give is asked for again, for a
    /// while; then it is taken for damage.
    fn find(&mut self, position: Position) -> io::Result<Option<Found>> {
        self.walk.up_to(self.segment.used());
        let found = self.look(position);
        match &found {
            Ok(_) => {
                self.fails_since = None;
                self.walk.pass_unreadable(false);
            }
            Err(error) if walk::is_of_the_medium(error) => {
                let since = *self.fails_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= PATIENCE {
                    let segment = self.segment.number;
                    tracing::error!(%error, segment, "what cannot be read is passed over");
                    self.walk.pass_unreadable(true);
                }
            }
            Err(_) => {}
        }
        found
    }

    fn look(&mut self, position: Position) -> io::Result<Option<Found>> {
        self.walk.seek(position)?;
        let Some(header) = self.walk.header()? else { return Ok(None) };
        Ok(Some((header, self.walk.contents(&header)?)))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Another reader of the same name may have been opened meanwhile.
        let open = &mut self.shared.lock().readers.open;
        if let Some(index) = open.iter().position(|place| Arc::ptr_eq(place, &self.place)) {
            open.swap_remove(index);
        }
    }
}

/// The segment that holds `position`, or the next one if no segment does.
fn segment_of(state: &State, position: Position) -> Option<Arc<Segment>> {
    let behind = state.segments.partition_point(|segment| segment.first <= position);
    let index = behind.saturating_sub(1);
    let mut following = state.segments.range(index..);
    following.find(|segment| segment.last() >= position.max(segment.first)).cloned()
}

impl Shared {
    /// The last position that may leave the engine or be written down.
    pub(super) fn settled(&self) -> Position {
        Position(self.readable.load(Ordering::Acquire))
    }
}
