//! A disk as it is played: what a power cut leaves of what was done to it.
//!
//! What was synced is there. Of what was not,
//!
//! - each write may be there, missing or torn at any sector, whatever came before or after it;
//! - a file may have grown without the bytes: there are zeros then, or what was deleted long ago;
//! - a file may have another length, or none of the lengths it was given;
//! - names change in the order in which they were changed up to some moment, or some do and some do
//!   not; a folder that is synced holds its own names, and not those of others.
//!
//! What a sync was refused for is lost: the system forgets such pages, and no later sync of the file
//! covers them.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use super::power::Done;
use super::power::below;
use crate::stdx::random::Random;

/// What a disk writes at once or not at all, in bytes.
pub(super) const SECTOR: usize = 512;

/// The disk, as it is played.
#[derive(Default)]
pub(super) struct Disk {
    files: Vec<Contents>,
    /// Names as they are durable, and as the system sees them.
    names: BTreeMap<PathBuf, usize>,
    now: BTreeMap<PathBuf, usize>,
    /// Changes of names that are not durable.
    pending: Vec<Named>,
}

enum Named {
    Put(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

impl Named {
    fn is_in(&self, folder: &Path) -> bool {
        let is_in = |path: &Path| path.parent() == Some(folder);
        match self {
            Named::Put(path, _) | Named::Remove(path) => is_in(path),
            Named::Rename(from, to, _) => is_in(from) || is_in(to),
        }
    }
}

#[derive(Default)]
struct Contents {
    synced: Vec<u8>,
    now: Vec<u8>,
    pending: Vec<Pending>,
}

enum Pending {
    Write(Vec<u8>, usize),
    Resize(usize),
}

impl Disk {
    /// There is a file, and it is durable.
    pub(super) fn put(&mut self, path: &Path, bytes: &[u8]) {
        let file = self.make(path.to_owned());
        self.files[file].synced = bytes.to_vec();
        self.files[file].now = bytes.to_vec();
        self.names.insert(path.to_owned(), file);
    }

    fn make(&mut self, path: PathBuf) -> usize {
        self.files.push(Contents::default());
        self.now.insert(path, self.files.len() - 1);
        self.files.len() - 1
    }

    pub(super) fn play(&mut self, done: &Done) {
        match done {
            Done::Create(path) => {
                if let Some(file) = self.now.get(path) {
                    self.files[*file].change(Pending::Resize(0));
                } else {
                    let file = self.make(path.clone());
                    self.pending.push(Named::Put(path.clone(), file));
                }
            }
            Done::Write(path, bytes, at) => {
                self.files[self.now[path]].change(Pending::Write(bytes.clone(), *at));
            }
            Done::Resize(path, bytes) => {
                self.files[self.now[path]].change(Pending::Resize(*bytes));
            }
            Done::Sync(path) => {
                // A file that was given up may be synced once more.
                let Some(file) = self.now.get(path) else { return };
                self.files[*file].sync();
            }
            Done::FailedSync(path) => {
                let Some(file) = self.now.get(path) else { return };
                self.files[*file].pending.clear();
            }
            Done::Rename(from, to) => {
                let file = self.now.remove(from).unwrap();
                self.now.insert(to.clone(), file);
                self.pending.push(Named::Rename(from.clone(), to.clone(), file));
            }
            Done::Remove(path) => {
                self.now.remove(path);
                self.pending.push(Named::Remove(path.clone()));
            }
            Done::SyncFolder(folder) => {
                let all = std::mem::take(&mut self.pending);
                for named in all {
                    if named.is_in(folder) { self.name(named) } else { self.pending.push(named) }
                }
            }
        }
    }

    fn name(&mut self, named: Named) {
        match named {
            Named::Put(path, file) => {
                self.names.insert(path, file);
            }
            Named::Rename(from, to, file) => {
                self.names.retain(|path, named| *path != from || *named != file);
                self.names.insert(to, file);
            }
            Named::Remove(path) => {
                self.names.remove(&path);
            }
        }
    }

    /// What is left, by its names.
    pub(super) fn cut(mut self, random: &mut Random) -> Vec<(PathBuf, Vec<u8>)> {
        let pending = std::mem::take(&mut self.pending);
        let kept = below(random, pending.len() + 1);
        for named in pending.into_iter().take(kept) {
            self.name(named);
        }
        // What was deleted long ago: bytes of another file.
        let stale = match below(random, self.files.len() + 1) {
            0 => Vec::new(),
            file => self.files[file - 1].now.clone(),
        };
        let names = std::mem::take(&mut self.names);
        let cut = |(path, file): (PathBuf, usize)| (path, self.files[file].cut(random, &stale));
        names.into_iter().map(cut).collect()
    }
}

impl Contents {
    fn change(&mut self, pending: Pending) {
        pending.apply(&mut self.now, |_| true);
        self.pending.push(pending);
    }

    fn sync(&mut self) {
        for pending in self.pending.drain(..) {
            pending.apply(&mut self.synced, |_| true);
        }
    }

    fn cut(&self, random: &mut Random, stale: &[u8]) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        // Some disks lose all, some little.
        let luck = below(random, 4);
        for pending in &self.pending {
            match below(random, 5) {
                0 => pending.apply(&mut bytes, |_| below(random, 2) == 0),
                1 if luck > 0 => pending.grow(&mut bytes, stale),
                lot if lot <= luck => pending.apply(&mut bytes, |_| true),
                _ => {}
            }
        }
        bytes
    }
}

impl Pending {
    /// Does it, as far as sectors are written.
    fn apply(&self, bytes: &mut Vec<u8>, mut is_written: impl FnMut(usize) -> bool) {
        match self {
            Pending::Resize(length) => bytes.resize(*length, 0),
            Pending::Write(written, at) => {
                let mut from = *at;
                while from < at + written.len() {
                    let end = ((from / SECTOR + 1) * SECTOR).min(at + written.len());
                    if is_written(from) {
                        bytes.resize(bytes.len().max(end), 0);
                        bytes[from..end].copy_from_slice(&written[from - at..end - at]);
                    }
                    from = end;
                }
            }
        }
    }

    /// Does of it what it does to the length: the bytes are some that were there before.
    fn grow(&self, bytes: &mut Vec<u8>, stale: &[u8]) {
        let end = match self {
            Pending::Resize(length) => *length,
            Pending::Write(written, at) => at + written.len(),
        };
        for at in bytes.len()..end {
            bytes.push(stale.get(at).copied().unwrap_or(0));
        }
    }
}
