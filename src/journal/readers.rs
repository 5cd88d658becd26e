//! The table of readers: how far each has got, and what it holds back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::entry::Position;
use super::reader::Keeps;
use super::settings::FullAction;
use super::table::Cursor;
use crate::stdx::sync::atomic::AtomicU64;

/// Where a reader is; written by the reader, seen by the journal.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The last entry handed out.
    passed: AtomicU64,
    /// The last entry that is done.
    committed: AtomicU64,
    /// Everything up to here it has to do without.
    moved: AtomicU64,
}

impl Place {
    pub(super) fn at(position: Position) -> Place {
        Place {
            passed: AtomicU64::new(position.0),
            committed: AtomicU64::new(position.0),
            moved: AtomicU64::new(0),
        }
    }

    pub(super) fn pass(&self, position: Position) {
        self.passed.store(position.0, Ordering::Relaxed);
    }

    pub(super) fn commit(&self, position: Position) {
        self.committed.fetch_max(position.0, Ordering::AcqRel);
    }

    pub(super) fn committed(&self) -> Position {
        Position(self.committed.load(Ordering::Acquire))
    }

    /// How far it is with what is in memory.
    pub(super) fn passed(&self) -> Position {
        Position(self.passed.load(Ordering::Relaxed)).max(self.committed())
    }

    pub(super) fn moved(&self) -> Position {
        Position(self.moved.load(Ordering::Acquire))
    }

    pub(super) fn move_to(&self, position: Position) {
        self.moved.fetch_max(position.0, Ordering::AcqRel);
        self.commit(position);
    }
}

/// A reader with a name.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) name: Arc<str>,
    pub(super) keeps: Keeps,
    pub(super) place: Arc<Place>,
    /// How far it is after a crash.
    pub(super) stored: Position,
    /// How far its snapshot is good for; not yet written down where it is beyond `stored`.
    pub(super) snapshot: Position,
    pub(super) full_action: Option<FullAction>,
    pub(super) max_bytes: Option<u64>,
    pub(super) is_retired: bool,
    /// When it was last seen, wall clock, nanoseconds since the epoch.
    pub(super) seen: i64,
    /// How many entries it has had to do without.
    pub(super) dropped: u64,
}

impl Tracked {
    /// A reader of which only the durable cursor is known.
    pub(super) fn stored(cursor: &Cursor) -> Tracked {
        Tracked {
            name: cursor.reader.clone(),
            keeps: if cursor.is_snapshot { Keeps::Snapshot } else { Keeps::Cursor },
            place: Arc::new(Place::at(cursor.position)),
            stored: cursor.position,
            snapshot: cursor.position,
            full_action: None,
            max_bytes: None,
            is_retired: cursor.is_retired,
            seen: cursor.seen,
            dropped: 0,
        }
    }

    /// Tells whether entries are kept for it.
    pub(super) fn holds(&self) -> bool {
        !self.is_retired && self.keeps != Keeps::Nothing
    }

    /// The durable cursor as it may be written down when the journal is durable up to `durable`.
    pub(super) fn cursor(&self, durable: Position, now: i64) -> Cursor {
        let position = match self.keeps {
            Keeps::Snapshot => self.snapshot.max(self.stored),
            Keeps::Cursor | Keeps::Nothing => self.place.committed().min(durable).max(self.stored),
        };
        Cursor {
            reader: self.name.clone(),
            position,
            seen: if self.is_retired { self.seen } else { now },
            is_snapshot: self.keeps == Keeps::Snapshot,
            is_retired: self.is_retired,
        }
    }
}

/// All readers: those with a name, and the places of all that are open.
#[derive(Debug, Default)]
pub(super) struct Readers {
    pub(super) tracked: Vec<Tracked>,
    pub(super) open: Vec<Arc<Place>>,
    /// A reader has come, gone or retired since cursors were last written.
    pub(super) is_changed: bool,
    /// Some reader has had a limit of its own.
    pub(super) is_limited: bool,
}

impl Readers {
    pub(super) fn find(&mut self, name: &str) -> Option<&mut Tracked> {
        self.tracked.iter_mut().find(|reader| &*reader.name == name)
    }

    /// The first position that some reader still needs; none when nobody needs any.
    pub(super) fn needed_from(&self, held: impl Fn(&Tracked) -> Position) -> Option<Position> {
        self.tracked.iter().filter(|reader| reader.holds()).map(|it| held(it).next()).min()
    }

    /// The reader that is furthest behind among those that hold entries back.
    pub(super) fn furthest(&mut self, held: impl Fn(&Tracked) -> Position) -> Option<&mut Tracked> {
        self.tracked.iter_mut().filter(|reader| reader.holds()).min_by_key(|reader| held(reader))
    }

    /// The last position that all open readers have passed.
    pub(super) fn passed(&self) -> Position {
        self.open.iter().map(|place| place.passed()).min().unwrap_or(Position(u64::MAX))
    }

    /// How far the last of the open readers is that have got to `position`.
    pub(super) fn last_from(&self, position: Position) -> Option<Position> {
        self.open.iter().map(|place| place.passed()).filter(|passed| *passed >= position).min()
    }

    /// Tells whether an open reader stands there: what comes next is what it will ask for.
    pub(super) fn is_any_at(&self, position: Position) -> bool {
        self.open.iter().any(|place| place.passed() == position)
    }

    /// The table as it may be written down.
    pub(super) fn cursors(&self, durable: Position, now: i64) -> Vec<Cursor> {
        let named = self.tracked.iter().filter(|reader| reader.keeps != Keeps::Nothing);
        named.map(|reader| reader.cursor(durable, now)).collect()
    }

    /// Tells whether writing the cursors down would tell something new.
    pub(super) fn is_dirty(&self, durable: Position) -> bool {
        self.is_changed
            || self.tracked.iter().any(|reader| {
                let reached = match reader.keeps {
                    Keeps::Cursor => reader.place.committed().min(durable),
                    Keeps::Snapshot => reader.snapshot,
                    Keeps::Nothing => Position(0),
                };
                reached > reader.stored
            })
    }

    /// Notes that these cursors are durable.
    pub(super) fn note_stored(&mut self, cursors: &[Cursor]) {
        for (index, cursor) in cursors.iter().enumerate() {
            // Nearly always nobody has come or gone meanwhile.
            let same = self.tracked.get(index).is_some_and(|it| it.name == cursor.reader);
            let reader = if same { self.tracked.get_mut(index) } else { self.find(&cursor.reader) };
            if let Some(reader) = reader {
                reader.stored = reader.stored.max(cursor.position);
            }
        }
    }
}
