//! All that the journal does to files: they are for their owner alone, and small ones are there
//! whole or not at all.
//!
//! Whatever changes something on the disk goes through here, so that tests can let it fail, and can
//! play what a power cut leaves of it.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::FallocateFlags;
use nix::fcntl::fallocate;

/// The permissions of new files.
pub(super) const OWNER_ALONE: u32 = 0o600;
/// The permissions of new folders.
const OWNER_ALONE_ENTERS: u32 = 0o700;

/// Something that changes what is on the disk.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), allow(dead_code, reason = "tests look at what is done"))]
pub(super) enum Change<'a> {
    /// A file is made, or emptied.
    Create,
    Write(&'a [u8], u64),
    Resize(u64),
    /// What was written to the file is durable.
    Sync,
    Rename(&'a Path),
    Remove,
    /// The names in the folder are durable.
    SyncFolder,
}

/// Makes a change to what is at `path`.
#[cfg(not(test))]
fn change<T>(_: &Path, _: Change<'_>, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    make()
}

#[cfg(test)]
use super::faults::change;

/// Makes a folder, and those above it, unless it is there.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(OWNER_ALONE_ENTERS).create(path)
}

/// Opens the file at `path` for reading and writing; makes one where there is none.
pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
    let open = |is_new: bool| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(is_new).mode(OWNER_ALONE).open(path)
    };
    match open(false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            change(path, Change::Create, || open(true))
        }
        opened => opened,
    }
}

/// Writes `bytes` into the file at `path` from byte `at` on.
pub(super) fn write_at(path: &Path, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    change(path, Change::Write(bytes, at), || file.write_all_at(bytes, at))
}

/// Sees to it that the file at `path` has room for `bytes`.
pub(super) fn reserve(path: &Path, file: &File, bytes: u64) -> io::Result<()> {
    let length = file.metadata()?.len();
    if length >= bytes {
        return Ok(());
    }
    let from = i64::try_from(length).map_err(io::Error::other)?;
    let more = i64::try_from(bytes - length).map_err(io::Error::other)?;
    change(path, Change::Resize(bytes), || {
        match fallocate(file, FallocateFlags::empty(), from, more) {
            Ok(()) => Ok(()),
            // A file system that cannot reserve grows the file as it is written.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => file.set_len(bytes),
            Err(error) => Err(error.into()),
        }
    })
}

/// Makes the file at `path` so long.
pub(super) fn resize(path: &Path, file: &File, bytes: u64) -> io::Result<()> {
    change(path, Change::Resize(bytes), || file.set_len(bytes))
}

/// Makes durable what is in the file at `path`, and its length.
pub(super) fn sync(path: &Path, file: &File) -> io::Result<()> {
    change(path, Change::Sync, || file.sync_data())
}

/// Gives a file another name, in place of what had it.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    change(from, Change::Rename(to), || fs::rename(from, to))
}

/// Removes a file.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    change(path, Change::Remove, || fs::remove_file(path))
}

/// Makes names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    change(folder, Change::SyncFolder, || File::open(folder)?.sync_all())
}

/// Puts a file with these contents at `path`, in place of what was there; durable on return.
pub(super) fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let unfinished = path.with_extension("new");
    let file = change(&unfinished, Change::Create, || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(OWNER_ALONE).open(&unfinished)
    })?;
    let mut at = 0;
    for part in parts {
        write_at(&unfinished, &file, part, at)?;
        at += part.len() as u64;
    }
    sync(&unfinished, &file)?;
    rename(&unfinished, path)?;
    sync_folder(folder)
}

/// The files in `folder` with this extension; none where there is no folder.
pub(super) fn list(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let paths = listed.map(|file| Ok(file?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    Ok(paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect())
}
