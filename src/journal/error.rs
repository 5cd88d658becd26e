//! What can go wrong with the journal.

use std::io;
use std::path::PathBuf;

use super::entry::Position;

/// Why the journal did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine stops; nothing more is taken.
    #[error("the journal is closing")]
    Closing,
    /// Needed entries fill the budget.
    #[error("the journal is full{}", waits_for(reader.as_deref()))]
    Full {
        /// The reader furthest behind, if it is one that fills it.
        reader: Option<String>,
    },
    /// An entry, note or value is larger than can be kept.
    #[error("{bytes} bytes are too many for the journal, which takes at most {largest}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size.
        largest: usize,
    },
    /// There are more of something than can be kept.
    #[error("the journal keeps at most {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there can be.
        most: usize,
    },
    /// Another engine works in the folder.
    #[error("{} is in use by process {pid}", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process, as far as is known.
        pid: String,
    },
    /// A segment was written by a newer program.
    #[error("segment {number} of the journal has format {version}, which this version cannot read")]
    Version {
        /// Number of the segment.
        number: u64,
        /// The version of its format.
        version: u32,
    },
    /// A snapshot was to be stored of something that may be lost yet.
    #[error(
        "the snapshot of {reader} at {position} is ahead of the journal, synced up to {durable}"
    )]
    Ahead {
        /// The reader.
        reader: String,
        /// The position of the snapshot.
        position: Position,
        /// What is synced.
        durable: Position,
    },
    /// A snapshot cannot be read back.
    #[error("the snapshot of {reader} is damaged")]
    Snapshot {
        /// The reader.
        reader: String,
    },
    /// The file system refused.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// What it said.
        source: io::Error,
    },
}

impl Error {
    pub(super) fn io(doing: &str, source: io::Error) -> Error {
        Error::Io { doing: doing.to_owned(), source }
    }

    pub(super) fn segment(number: u64, source: io::Error) -> Error {
        Error::Io { doing: format!("read segment {number} of the journal"), source }
    }
}

fn waits_for(reader: Option<&str>) -> String {
    reader.map_or(String::new(), |reader| format!(" and waits for {reader}"))
}
