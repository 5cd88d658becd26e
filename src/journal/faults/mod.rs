//! Faults that tests inject where the disk would show them.

mod disk;
pub(super) mod power;
pub(super) mod steps;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use nix::errno::Errno;

pub(super) use power::change;

use super::disk::Disk;

/// Places that cannot be read: number of the file, first byte and the one behind the last.
static UNREADABLE: Mutex<Vec<(u64, u64, u64)>> = Mutex::new(Vec::new());

/// A file with a place that cannot be read, until this is dropped.
pub(super) struct Worn(u64);

impl Drop for Worn {
    fn drop(&mut self) {
        UNREADABLE.lock().unwrap().retain(|(number, ..)| *number != self.0);
    }
}

/// Has the disk not give these bytes of a file.
pub(super) fn wear_out(path: &Path, bytes: Range<u64>) -> Worn {
    let number = std::fs::metadata(path).unwrap().ino();
    UNREADABLE.lock().unwrap().push((number, bytes.start, bytes.end));
    Worn(number)
}

/// Fails if the file has a place among these bytes that cannot be read.
pub(super) fn read(file: &File, at: u64, length: usize) -> io::Result<()> {
    let unreadable = UNREADABLE.lock().unwrap();
    if unreadable.is_empty() {
        return Ok(());
    }
    let (number, end) = (file.metadata()?.ino(), at + length as u64);
    let is_met =
        unreadable.iter().any(|(of, from, until)| *of == number && at < *until && *from < end);
    if is_met { Err(Errno::EIO.into()) } else { Ok(()) }
}

/// What is to go wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// So many of the next syncs fail.
    pub(super) syncs: AtomicU32,
    /// The disk is full.
    pub(super) is_full: AtomicBool,
    /// The writer ends as if the process had been killed.
    pub(super) is_killed: AtomicBool,
    /// The file last synced, how much of it was written then, and how much is by now.
    pub(super) synced: Mutex<Option<(PathBuf, u64)>>,
    /// What the writer is to do, where it does nothing of its own accord.
    pub(super) steps: steps::Steps,
}

impl Faults {
    /// Fails if a sync is to fail now.
    pub(super) fn sync(&self) -> io::Result<()> {
        let taken =
            self.syncs.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if taken.is_ok() { Err(io::Error::other("injected")) } else { Ok(()) }
    }

    /// Fails if there is to be no room.
    pub(super) fn write(&self) -> io::Result<()> {
        let is_full = self.is_full.load(Ordering::SeqCst);
        if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Notes how far the disk is synced.
    pub(super) fn note_synced(&self, disk: &Disk) {
        let active = disk.active.as_ref().map(|active| (active.segment.path.clone(), active.at()));
        *self.synced.lock().unwrap() = active;
    }

    /// Tells whether the writer is to end at once.
    pub(super) fn is_killed(&self) -> bool {
        self.is_killed.load(Ordering::SeqCst)
    }
}
