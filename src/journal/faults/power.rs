//! A folder that is watched: what is changed in it is written down, may fail, and can be played up to
//! any moment as a power cut would have left it ([`super::disk`]).

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::disk::Disk;
use super::disk::SECTOR;
use crate::journal::files::Change;
use crate::stdx::random::Random;

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
pub(super) enum Done {
    Create(PathBuf),
    Write(PathBuf, Vec<u8>, usize),
    Resize(PathBuf, usize),
    Sync(PathBuf),
    /// It was refused.
    FailedSync(PathBuf),
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
    let below = |path: &Path| path.strip_prefix(&watched.folder).unwrap_or(path).to_owned();
    let at = below(path);
    if let Some(failing) = &mut log.failing {
        if failing.after > 0 {
            failing.after -= 1;
        } else if failing.times > 0 {
            failing.times -= 1;
            let error = failing.error;
            log.done.extend(half_done(path, &at, change));
            return Err(error.into());
        }
    }
    let made = make()?;
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

/// What a change does that is refused: half of a write, and what a sync would have covered is lost.
fn half_done(path: &Path, at: &Path, change: Change<'_>) -> Option<Done> {
    match change {
        Change::Write(bytes, to) => {
            let half = &bytes[..bytes.len() / 2 / SECTOR * SECTOR];
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(half, to).unwrap();
            Some(Done::Write(at.to_owned(), half.to_vec(), index(to)))
        }
        Change::Sync => Some(Done::FailedSync(at.to_owned())),
        _ => None,
    }
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
            disk.put(path, bytes);
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

/// A random number below `limit`.
pub(in crate::journal) fn below(random: &mut Random, limit: usize) -> usize {
    let limit = u64::try_from(limit).unwrap();
    usize::try_from(random.next() % limit).unwrap()
}
