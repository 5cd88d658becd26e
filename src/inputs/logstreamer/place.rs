//! A place in a stream as the journal keeps it: which file, known by inode and by content.
//!
//! The detail of a position is JSON:
//!
//! | key | what it is |
//! | --- | --- |
//! | `device`, `inode` | the file, as long as it is on this file system |
//! | `path` | what it was last called, for people |
//! | `read` | how far it was read when this was written, which is at or behind the offset |
//! | `hash` | SHA-1, in hex, of the last 500 bytes before `read`, of fewer where there are no more |
//! | `modified` | when it was last written to, in nanoseconds since the epoch |
//!
//! Offsets in a compressed file count the bytes it holds, not those it takes. Heka's own journal
//! (`{"seek", "file_name", "last_hash"}`) becomes a place without an inode.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use super::reader::Reader;
use super::scan::Identity;
use super::scan::modified;
use super::tail::Tail;
use crate::message::SourcePosition;

/// Which file an offset belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    device: u64,
    inode: u64,
    pub(super) path: PathBuf,
    /// How far the file was read.
    pub(super) read: u64,
    hash: String,
    pub(super) modified: i64,
}

impl Place {
    /// Where `reader` is in the file `path`.
    pub(super) fn of_reader(reader: &Reader, path: &Path) -> Place {
        let Identity { device, inode } = reader.identity();
        Place {
            device,
            inode,
            path: path.to_owned(),
            read: reader.offset(),
            hash: reader.tail().hash(),
            modified: reader.modified(),
        }
    }

    /// The file.
    pub(super) fn identity(&self) -> Identity {
        Identity { device: self.device, inode: self.inode }
    }

    /// Tells whether `tail` is what was read last.
    pub(super) fn follows(&self, tail: &Tail) -> bool {
        self.hash == tail.hash() || (self.inode == 0 && tail.heka_hashes().contains(&self.hash))
    }

    /// The position of `offset` in this file.
    pub(super) fn at(&self, offset: u64) -> SourcePosition {
        let detail = serde_json::to_vec(self).unwrap_or_default();
        // Only a path can be too long, and a place is known without it.
        let detail = if detail.len() > SourcePosition::MAX_DETAIL {
            let short = Place { path: PathBuf::new(), ..self.clone() };
            serde_json::to_vec(&short).unwrap_or_default()
        } else {
            detail
        };
        SourcePosition { offset, detail: Arc::from(detail) }
    }

    /// Reads the detail of a position back; `None` where it is not of this kind.
    pub(super) fn of(position: &SourcePosition) -> Option<Place> {
        serde_json::from_slice(&position.detail).ok()
    }
}

/// What is larger is no journal of Heka.
const LARGEST_JOURNAL: u64 = 64 * 1024;

#[derive(Deserialize)]
struct HekaJournal {
    seek: u64,
    file_name: PathBuf,
    last_hash: String,
}

/// Where Heka stopped in a stream, out of its journal.
pub(super) fn of_heka(folder: &Path, stream: &str) -> Option<(Place, u64)> {
    if stream.split('/').any(|part| part == "..") {
        return None;
    }
    let path = folder.join(stream.trim_start_matches('/'));
    let data = std::fs::metadata(&path).ok().filter(|data| data.len() < LARGEST_JOURNAL)?;
    let journal: HekaJournal = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    let place = Place {
        device: 0,
        inode: 0,
        path: journal.file_name,
        read: journal.seek,
        hash: journal.last_hash,
        // What was written to later has not been read.
        modified: modified(&data),
    };
    Some((place, journal.seek))
}
