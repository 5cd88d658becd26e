//! A disk that is watched: what is changed on it is written down, may fail, and can be played up to
//! any moment as a power cut would have left it.
//!
//! What was synced is there. Of what was not, each write may be there, missing or torn at a sector,
//! whatever came before or after it; names change in the order in which they were changed, up to
//! some moment.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::journal::files::Change;
use crate::stdx::random::Random;

/// What a disk writes at once or not at all, in bytes.
const SECTOR: usize = 512;

static WATCHED: Mutex<Vec<Arc<Watched>>> = Mutex::new(Vec::new());

/// A folder whose changes are watched.
#[derive(Debug)]
pub(in crate::journal) struct Watched {
    folder: PathBuf,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    before: Vec<(PathBuf, Vec<u8>)>,
    done: Vec<Done>,
    is_lying: bool,
    failing: Option<Failing>,
}

/// Changes fail from some on.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Failing {
    /// So many succeed before.
    pub(in crate::journal) after: usize,
    /// So many fail.
    pub(in crate::journal) times: usize,
    pub(in crate::journal) error: nix::errno::Errno,
}

/// What was done, by paths below the folder.
#[derive(Clone, Debug)]
enum Done {
    Create(PathBuf),
    Write(PathBuf, Vec<u8>, usize),
    Resize(PathBuf, usize),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncFolder(PathBuf),
}

/// Makes a change to what is at `path`, unless it is to fail.
pub(in crate::journal) fn change<T>(
    path: &Path,
    change: Change<'_>,
    make: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let watched = lock(&WATCHED).iter().find(|one| path.starts_with(&one.folder)).cloned();
    let Some(watched) = watched else { return make() };
    let mut log = lock(&watched.log);
    if let Some(failing) = &mut log.failing {
        if failing.after > 0 {
            failing.after -= 1;
        } else if failing.times > 0 {
            failing.times -= 1;
            return Err(failing.error.into());
        }
    }
    let made = make()?;
    let below = |path: &Path| path.strip_prefix(&watched.folder).unwrap_or(path).to_owned();
    let at = below(path);
    log.done.push(match change {
        Change::Create => Done::Create(at),
        Change::Write(bytes, to) => Done::Write(at, bytes.to_vec(), index(to)),
        Change::Resize(bytes) => Done::Resize(at, index(bytes)),
        Change::Sync => Done::Sync(at),
        Change::Rename(to) => Done::Rename(at, below(to)),
        Change::Remove => Done::Remove(at),
        Change::SyncFolder => Done::SyncFolder(at),
    });
    Ok(made)
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watched {
    /// Watches `folder` from now on; what is there counts as durable.
    pub(in crate::journal) fn new(folder: &Path) -> Arc<Watched> {
        let mut before = Vec::new();
        read_all(folder, folder, &mut before);
        let log = Mutex::new(Log { before, ..Log::default() });
        let watched = Arc::new(Watched { folder: folder.to_owned(), log });
        lock(&WATCHED).push(watched.clone());
        watched
    }

    /// What was done, but for the bytes: each change, where, and how much of it.
    pub(in crate::journal) fn outline(&self) -> Vec<String> {
        let outline = |done: &Done| match done {
            Done::Write(path, bytes, at) => format!("write {path:?} {} at {at}", bytes.len()),
            other => format!("{other:?}"),
        };
        lock(&self.log).done.iter().map(outline).collect()
    }

    /// No longer watches.
    pub(in crate::journal) fn end(&self) {
        lock(&WATCHED).retain(|one| one.folder != self.folder);
    }

    /// How many changes there were.
    pub(in crate::journal) fn changes(&self) -> usize {
        lock(&self.log).done.len()
    }

    /// Lets changes fail.
    pub(in crate::journal) fn fail(&self, failing: Failing) {
        lock(&self.log).failing = Some(failing);
    }

    /// How many failures are still to come.
    pub(in crate::journal) fn failures_left(&self) -> usize {
        lock(&self.log).failing.map_or(0, |failing| failing.times)
    }

    /// Forgets what it is told to sync, as bad disks do.
    pub(in crate::journal) fn lie(&self) {
        lock(&self.log).is_lying = true;
    }

    /// Puts into `folder` what a power cut right behind the first `changes` leaves.
    pub(in crate::journal) fn cut(&self, changes: usize, random: &mut Random, folder: &Path) {
        let log = lock(&self.log);
        let mut disk = Disk::default();
        for (path, bytes) in &log.before {
            let file = disk.make(path.clone());
            disk.files[file].synced.clone_from(bytes);
            disk.files[file].now.clone_from(bytes);
            disk.names.insert(path.clone(), file);
        }
        for done in &log.done[..changes] {
            let is_sync = matches!(done, Done::Sync(_));
            if !(is_sync && log.is_lying) {
                disk.play(done);
            }
        }
        drop(log);
        for (path, bytes) in disk.cut(random) {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

fn read_all(root: &Path, folder: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) {
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            read_all(root, &path, into);
        } else {
            let bytes = fs::read(&path).unwrap();
            into.push((path.strip_prefix(root).unwrap().to_owned(), bytes));
        }
    }
}

/// The disk, as it is played.
#[derive(Default)]
struct Disk {
    files: Vec<Contents>,
    /// Names as they are durable, and as the system sees them.
    names: BTreeMap<PathBuf, usize>,
    now: BTreeMap<PathBuf, usize>,
    /// Changes of names that are not durable.
    pending: Vec<Named>,
}

enum Named {
    Put(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
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
    fn make(&mut self, path: PathBuf) -> usize {
        self.files.push(Contents::default());
        self.now.insert(path, self.files.len() - 1);
        self.files.len() - 1
    }

    fn play(&mut self, done: &Done) {
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
                let file = &mut self.files[*file];
                file.pending.clear();
                file.synced.clone_from(&file.now);
            }
            Done::Rename(from, to) => {
                let file = self.now.remove(from).unwrap();
                self.now.insert(to.clone(), file);
                self.pending.push(Named::Rename(from.clone(), to.clone()));
            }
            Done::Remove(path) => {
                self.now.remove(path);
                self.pending.push(Named::Remove(path.clone()));
            }
            Done::SyncFolder(folder) => {
                // What was done to names elsewhere comes first, as in the journal of a file system.
                let is_in = |path: &PathBuf| path.parent() == Some(folder);
                let last = self.pending.iter().rposition(|named| match named {
                    Named::Put(path, _) | Named::Remove(path) => is_in(path),
                    Named::Rename(from, to) => is_in(from) || is_in(to),
                });
                let settled: Vec<Named> =
                    self.pending.drain(..last.map_or(0, |last| last + 1)).collect();
                self.name_all(settled);
            }
        }
    }

    fn name_all(&mut self, settled: Vec<Named>) {
        for named in settled {
            self.name(named);
        }
    }

    fn name(&mut self, named: Named) {
        match named {
            Named::Put(path, file) => {
                self.names.insert(path, file);
            }
            Named::Rename(from, to) => {
                if let Some(file) = self.names.remove(&from) {
                    self.names.insert(to, file);
                }
            }
            Named::Remove(path) => {
                self.names.remove(&path);
            }
        }
    }

    /// What is left, by its names.
    fn cut(mut self, random: &mut Random) -> Vec<(PathBuf, Vec<u8>)> {
        let kept = below(random, self.pending.len() + 1);
        let settled: Vec<Named> = self.pending.drain(..kept).collect();
        self.name_all(settled);
        let names = std::mem::take(&mut self.names);
        names.into_iter().map(|(path, file)| (path, self.files[file].cut(random))).collect()
    }
}

impl Contents {
    fn change(&mut self, pending: Pending) {
        pending.apply(&mut self.now, |_| true);
        self.pending.push(pending);
    }

    fn cut(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        // Some disks lose all, some little.
        let luck = below(random, 4);
        for pending in &self.pending {
            match below(random, 4) {
                0 => pending.apply(&mut bytes, |_| below(random, 2) == 0),
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
}

/// A random number below `limit`.
pub(in crate::journal) fn below(random: &mut Random, limit: usize) -> usize {
    let limit = u64::try_from(limit).unwrap();
    usize::try_from(random.next() % limit).unwrap()
}
