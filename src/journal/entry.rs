//! What the journal is made of: entries, their numbers and what is in them.

use std::fmt;
use std::sync::Arc;

use crate::message::Batch;

/// The number of an entry; the first is 1, and 0 stands before the first.
///
/// As the place of a reader it means: everything up to and including this entry has been passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// The position of the entry after this one.
    #[must_use]
    pub fn next(self) -> Position {
        Position(self.0 + 1)
    }

    /// The position of the entry before this one; that of 0 is 0.
    #[must_use]
    pub fn previous(self) -> Position {
        Position(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One entry of the journal; once appended it never changes.
#[derive(Debug)]
pub struct Entry {
    /// Its number, used once in the life of a journal.
    pub position: Position,
    /// When it was appended, in nanoseconds since the epoch by the wall clock, which may step.
    pub time: i64,
    /// When it was appended, in nanoseconds the engine has run; never goes back, and a start goes
    /// on from the last entry's.
    pub engine_time: u64,
    /// What it says.
    pub body: Body,
}

impl Entry {
    /// The batch of messages, if it is one.
    #[must_use]
    pub fn batch(&self) -> Option<&Batch> {
        match &self.body {
            Body::Batch(batch) => Some(batch),
            Body::Tick | Body::Note(_) => None,
        }
    }
}

/// What an entry says.
#[derive(Debug)]
pub enum Body {
    /// Messages, the sources they came from and how far those have been read.
    Batch(Batch),
    /// What time it is: the times of the entry.
    Tick,
    /// How a filter changed.
    Note(Note),
}

impl Body {
    /// How many bytes of memory an entry with this body takes, about.
    pub(super) fn footprint(&self) -> u64 {
        let inside = match self {
            Body::Batch(batch) => batch.footprint(),
            Body::Tick => 0,
            Body::Note(note) => note.body.capacity(),
        };
        (size_of::<Entry>() + inside) as u64
    }
}

/// Something that makes a filter differ: a start, a new script, a message set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The filter, at most 1 KiB.
    pub subject: Arc<str>,
    /// Opaque to the journal, at most 1 MiB.
    pub body: Vec<u8>,
}

impl Note {
    /// The longest subject, in bytes.
    pub const MAX_SUBJECT: usize = 1024;
    /// The longest body, in bytes.
    pub const MAX_BODY: usize = 1024 * 1024;
}
