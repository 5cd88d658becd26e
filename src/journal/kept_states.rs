//! States of filters as somebody else's journal keeps them: they are looked at and left alone.

use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use super::Error;
use super::entry::Position;
use super::states::Kept;
use super::states::read_head;
use super::states::read_state;

/// A state that is kept.
#[derive(Clone, Debug)]
pub struct KeptState {
    /// The filter.
    pub reader: String,
    /// The last entry that has made the state what it is.
    pub position: Position,
    /// When it was stored, in nanoseconds since the epoch.
    pub time: i64,
    file: PathBuf,
    kept: Kept,
}

impl KeptState {
    /// Reads the state.
    ///
    /// # Errors
    /// When it is gone by now or damaged.
    pub fn read(&self) -> Result<Vec<u8>, Error> {
        let failed = |error| Error::io("read a snapshot", error);
        let file = File::open(&self.file).map_err(failed)?;
        let state = read_state(&file, &self.kept).map_err(failed)?;
        state.ok_or_else(|| Error::Snapshot { reader: self.reader.clone() })
    }
}

/// The states kept in a file of snapshots, or in the journal in a folder; the oldest first. Files
/// that are damaged have none.
///
/// # Errors
/// When the folder or a file cannot be read.
pub fn kept_states(path: &Path) -> Result<Vec<KeptState>, Error> {
    let failed = |error| Error::io("read the snapshots", error);
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files.clear();
        for file in path.join("snapshots").read_dir().map_err(failed)? {
            files.push(file.map_err(failed)?.path());
        }
        files.retain(|file| file.extension().is_some_and(|ending| ending == "snapshots"));
        files.sort();
    }
    let mut states = Vec::new();
    for file in files {
        let stored = match read_head(&file) {
            Ok(Some((_, stored))) => stored,
            Ok(None) => continue,
            // Its owner has cleaned up since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_dir() => continue,
            Err(error) => return Err(failed(error)),
        };
        states.extend(stored.states.into_iter().map(|kept| KeptState {
            reader: kept.reader.clone(),
            position: kept.position,
            time: stored.time,
            file: file.clone(),
            kept,
        }));
    }
    Ok(states)
}
