//! Snapshots of filters: states at positions, many in one file.
//!
//! What is in a file is told in [`super::states`]. A file goes when newer ones have a state of each
//! reader in it, save one an hour, which stays as long as the history behind it. A state that has not
//! changed is not written again: the cursor of its reader moves.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fs;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::Error;
use super::entry::Position;
use super::files;
use super::segment;
use super::states;
use super::states::Stored;
use super::walk;

/// Holds the room for one round of snapshots.
const RESERVE: &str = "reserve";
const HOUR: i64 = 3_600_000_000_000;

/// A filter's state at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The name of its reader.
    pub reader: String,
    /// The last entry that has made the state what it is.
    pub position: Position,
    /// The state, or nothing when it is as it was and only the position moves.
    pub state: Option<Vec<u8>>,
}

/// All snapshots of a journal.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    folder: PathBuf,
    id: [u8; 16],
    files: BTreeMap<u64, Stored>,
    /// The file with the newest state of each reader.
    newest: HashMap<String, u64>,
    next: u64,
}

impl Snapshots {
    /// Reads what is in `folder`. What is damaged is left out, what belongs to another journal is
    /// set to `end`; both are named.
    pub(super) fn open(
        folder: PathBuf,
        id: [u8; 16],
        end: Position,
        remarks: &mut Vec<String>,
    ) -> Result<Snapshots, Error> {
        let failed = |error| Error::io("read the snapshots", error);
        files::make_folder(&folder).map_err(failed)?;
        let mut snapshots = Snapshots { folder, id, next: 1, ..Snapshots::default() };
        for file in fs::read_dir(&snapshots.folder).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            let is_whole = path.extension().is_some_and(|extension| extension == "snapshots");
            let (Some(number), true) = (number, is_whole) else {
                files::remove(&path).map_err(failed)?;
                continue;
            };
            snapshots.next = snapshots.next.max(number + 1);
            let head = match states::read_head(&path) {
                Err(error) if walk::is_of_the_medium(&error) => None,
                head => head.map_err(failed)?,
            };
            let Some((journal, mut stored)) = head else {
                remarks.push(format!("snapshot file {number} is damaged and left out"));
                continue;
            };
            for kept in &mut stored.states {
                if journal != id || kept.position > end {
                    let why =
                        if journal == id { "is beyond the end" } else { "is of another journal" };
                    let name = &kept.reader;
                    remarks.push(format!("the snapshot of {name} {why} and is set to {end}"));
                    kept.position = end;
                }
            }
            snapshots.files.insert(number, stored);
        }
        for (number, stored) in &snapshots.files {
            for kept in &stored.states {
                snapshots.newest.insert(kept.reader.clone(), *number);
            }
        }
        Ok(snapshots)
    }

    /// Writes the states into one file and syncs it. Gives up files no longer needed whose history
    /// before `history` (wall clock) is gone.
    pub(super) fn store(
        &mut self,
        snapshots: &[&Snapshot],
        time: i64,
        history: i64,
    ) -> Result<(), Error> {
        let number = self.next;
        let (head, kept) = states::encode(&self.id, time, snapshots)?;
        let at = head.len() as u64 + kept.iter().map(|kept| kept.bytes).sum::<u64>();
        let mut parts = vec![&head[..]];
        parts.extend(snapshots.iter().map(|it| it.state.as_deref().unwrap_or_default()));
        self.write(number, &parts, at)?;
        self.next += 1;
        for kept in &kept {
            self.newest.insert(kept.reader.clone(), number);
        }
        self.files.insert(number, Stored { time, bytes: at, states: kept });
        self.clean(history);
        Ok(())
    }

    /// Writes a file; where there is no room, into what was reserved for it. Then as much is
    /// reserved for the next.
    fn write(&self, number: u64, parts: &[&[u8]], bytes: u64) -> Result<(), Error> {
        let reserve = self.folder.join(RESERVE);
        let path = self.path(number);
        let mut written = files::replace(&path, parts);
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::StorageFull) {
            let _ = files::remove(&path.with_extension("new"));
            let _ = files::remove(&reserve);
            written = files::replace(&path, parts);
        }
        written.map_err(|error| Error::io("store snapshots", error))?;
        let newest = self.newest.values().filter_map(|number| self.files.get(number));
        let round = newest.map(|stored| stored.bytes).max().unwrap_or(0).max(bytes);
        if let Err(error) = segment::reserve_file(&reserve, round) {
            tracing::debug!(%error, "no room is reserved for the next snapshots");
        }
        Ok(())
    }

    /// The newest state of `reader`.
    pub(super) fn newest(&self, reader: &str) -> Result<Option<(Position, Vec<u8>)>, Error> {
        match self.newest.get(reader) {
            Some(number) => self.read(*number, reader),
            None => Ok(None),
        }
    }

    /// Whether there is a state of `reader`.
    pub(super) fn has_state(&self, reader: &str) -> bool {
        self.newest.contains_key(reader)
    }

    /// The newest state of `reader` that is kept and not beyond `position`.
    pub(super) fn before(
        &self,
        reader: &str,
        position: Position,
    ) -> Result<Option<(Position, Vec<u8>)>, Error> {
        let number = self.files.iter().rev().find(|(_, stored)| {
            stored.states.iter().any(|kept| kept.reader == reader && kept.position <= position)
        });
        match number {
            Some((number, _)) => self.read(*number, reader),
            None => Ok(None),
        }
    }

    /// Forgets the states of `reader`.
    pub(super) fn forget(&mut self, reader: &str) {
        self.newest.remove(reader);
        for stored in self.files.values_mut() {
            stored.states.retain(|kept| kept.reader != reader);
        }
        self.clean(i64::MIN);
    }

    /// Where the newest state of each reader stands.
    pub(super) fn positions(&self) -> impl Iterator<Item = (&str, Position)> {
        self.newest.iter().filter_map(|(reader, number)| {
            let kept = self.files.get(number)?.states.iter().find(|kept| kept.reader == *reader)?;
            Some((reader.as_str(), kept.position))
        })
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|stored| stored.bytes).sum()
    }

    fn read(&self, number: u64, reader: &str) -> Result<Option<(Position, Vec<u8>)>, Error> {
        let kept = self
            .files
            .get(&number)
            .and_then(|stored| stored.states.iter().find(|kept| kept.reader == reader));
        let Some(kept) = kept else { return Ok(None) };
        let failed = |error| Error::io("read a snapshot", error);
        let file = File::open(self.path(number)).map_err(failed)?;
        match states::read_state(&file, kept).map_err(failed)? {
            Some(state) => Ok(Some((kept.position, state))),
            None => Err(Error::Snapshot { reader: reader.to_owned() }),
        }
    }

    fn clean(&mut self, history: i64) {
        let mut last_kept = i64::MIN;
        let mut gone = Vec::new();
        for (number, stored) in &self.files {
            let is_newest =
                stored.states.iter().any(|kept| self.newest.get(&kept.reader) == Some(number));
            let is_hourly = stored.time >= last_kept.saturating_add(HOUR)
                && stored.time >= history
                && !stored.states.is_empty();
            if is_newest || is_hourly {
                last_kept = if is_hourly { stored.time } else { last_kept };
            } else {
                gone.push(*number);
            }
        }
        for number in gone {
            if let Err(error) = files::remove(&self.path(number)) {
                tracing::warn!(%error, number, "cannot remove a snapshot file");
            }
            self.files.remove(&number);
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:012}.snapshots"))
    }
}
