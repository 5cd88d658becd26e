//! How far an output has got with its file, written down beside the journal.
//!
//! Whatever ends the engine, the file holds what was certain and perhaps more: whole records, half
//! of one, all of it in the journal still. The note lets the next engine cut that off and go on
//! behind what was certain, so that no record is torn, lost or doubled. It is one line, filled up
//! with spaces, and the path:
//!
//! | word | what |
//! | --- | --- |
//! | device, inode | the file it is about |
//! | certain | the file's length when it was last synced; [`UNKNOWN`] once others have changed it |
//! | end | its length before the last write |
//! | limit | its length after the last write |
//! | entry | the entry of the journal that was delivered when it was synced, 0 before any was |
//! | journal | the journal's id, in hexadecimal digits |
//! | boot | the machine's start in which it was written, in hexadecimal digits |
//!
//! End and limit are written before a record is, the rest when a sync is done and before the cursor
//! moves. A file is synced before another one is begun, so that one note is enough. A kill cuts no
//! note in half, as it lies in one page.
//!
//! A power cut takes what was not synced from the note as well, and leaves the file at any length, zeros
//! and half a record in it. Where the note is of an earlier start of the machine and nobody has
//! changed the file since this one, all behind what was certain is cut off.
//!
//! Where the file is longer or shorter than a kill can have left it, others have changed it: then
//! nothing is cut off, and records may be there twice. Where a journal does not outlive the engine,
//! what was not certain does not come again: then half a record is cut off, and no more.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use anyhow::Context;

use crate::stdx::host;
use crate::stdx::host::Boot;

/// The length of a note without the path.
const LENGTH: usize = 192;
/// Stands where no length is known up to which the file is as this output has left it.
const UNKNOWN: u64 = u64::MAX;

/// The note of one output.
#[derive(Debug)]
pub(super) struct Note {
    file: File,
    /// The journal, where its entries come again.
    journal: Option<[u8; 16]>,
    boot: Option<Boot>,
    says: Mutex<Says>,
}

/// What the note says.
#[derive(Clone, Copy, Debug, Default)]
struct Says {
    device: u64,
    inode: u64,
    certain: u64,
    end: u64,
    limit: u64,
    entry: u64,
    /// The start of the machine in which it was written; 0 where that is not known.
    boot: u32,
    /// How often others have changed the file while this engine runs; not written down.
    changes: u64,
    /// Whether another has taken the note over; not written down.
    is_over: bool,
}

/// What was found in a file that an earlier engine has written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is as it was left.
    Nothing,
    /// So many bytes were not certain and are cut off: they come again.
    CutOff(u64),
    /// Others have changed it: what was not certain stays, and may come twice.
    Changed,
}

/// Where the note of the output called `name` is.
fn path_of(base_dir: &Path, name: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    // Names that look alike have notes of their own.
    let number = crc32fast::hash(name.as_bytes());
    let looks: String = name.chars().map(plain).take(100).collect();
    base_dir.join("outputs").join(format!("{looks}-{number:08x}.end"))
}

/// Removes the note of the output called `name`; tells whether there was one.
pub(super) fn forget(base_dir: &Path, name: &str) -> std::io::Result<bool> {
    match std::fs::remove_file(path_of(base_dir, name)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Note {
    /// Opens the note of the output called `name`, and cuts off its file what comes again.
    pub(super) fn open(
        base_dir: &Path,
        name: &str,
        journal: Option<[u8; 16]>,
    ) -> anyhow::Result<Note> {
        let path = path_of(base_dir, name);
        let folder = path.parent().unwrap_or(base_dir);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        let opened = made.and_then(|()| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)
        });
        let file = opened.with_context(|| format!("cannot open {}", path.display()))?;
        let mut note = Note { file, journal, boot: host::boot(), says: Mutex::default() };
        let bytes = std::fs::read(&path);
        let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
        if let Some((says, of, path)) = read(&bytes) {
            note.repair(says, journal.is_some_and(|id| id == of), &path);
            // What is read here may not be on the disk yet, and the cursor moves by it.
            let synced = note.write(&note.lock(), &[]).and_then(|()| note.file.sync_data());
            synced.with_context(|| format!("cannot sync {}", path_of(base_dir, name).display()))?;
        }
        Ok(note)
    }

    fn repair(&mut self, mut says: Says, comes_again: bool, path: &Path) {
        match says.repair(path, comes_again, self.boot) {
            Ok(found) => tell(path, found),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "what comes again cannot be cut off");
            }
        }
        if !comes_again {
            says.entry = 0;
        }
        *self.says.get_mut().unwrap_or_else(PoisonError::into_inner) = says;
    }

    /// The last entry that is certain; `None` before any was.
    pub(super) fn entry(&self) -> Option<u64> {
        let entry = self.lock().entry;
        (entry > 0).then_some(entry)
    }

    /// Is about `file` from now on, all of which is certain; gives its length.
    pub(super) fn adopt(&self, path: &Path, file: &File) -> std::io::Result<u64> {
        let metadata = file.metadata()?;
        let length = metadata.len();
        let mut says = self.lock();
        (says.device, says.inode) = (metadata.dev(), metadata.ino());
        (says.certain, says.end, says.limit) = (length, length, length);
        self.write(&says, path.as_os_str().as_bytes())?;
        Ok(length)
    }

    /// Notes that a write will make the file longer; `is_alone` unless others have changed it.
    pub(super) fn expect(&self, end: u64, limit: u64, is_alone: bool) -> std::io::Result<()> {
        let mut says = self.lock();
        (says.end, says.limit) = (end, limit);
        if !is_alone {
            says.certain = UNKNOWN;
            says.changes += 1;
        }
        self.write(&says, &[])
    }

    /// How often others have changed the file.
    pub(super) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Notes for good what is certain since others had changed the file so often. Where that fails
    /// it is as certain as before.
    pub(super) fn settle(&self, certain: u64, entry: u64, changes: u64) -> std::io::Result<()> {
        let (before, written) = {
            let mut says = self.lock();
            let before = *says;
            says.certain = if says.changes == changes { certain } else { UNKNOWN };
            says.entry = says.entry.max(entry);
            (before, self.write(&says, &[]))
        };
        // Meanwhile more may be appended.
        let settled = written.and_then(|()| self.file.sync_data());
        if settled.is_err() {
            let mut says = self.lock();
            says.entry = before.entry;
            if says.certain != UNKNOWN {
                says.certain = before.certain;
            }
        }
        settled
    }

    /// Notes for good that nothing is certain but what has been settled, before the rest is cut off.
    pub(super) fn go_back(&self) -> std::io::Result<()> {
        self.write(&self.lock(), &[])?;
        self.file.sync_data()
    }

    /// Writes nothing any more: a sync that outlives its output must not say what holds no longer.
    pub(super) fn end(&self) {
        self.lock().is_over = true;
    }

    fn lock(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what it says, and the path unless it is as before.
    fn write(&self, says: &Says, path: &[u8]) -> std::io::Result<()> {
        if says.is_over {
            return Err(std::io::Error::other("the output has ended"));
        }
        let Says { device, inode, certain, end, limit, entry, .. } = says;
        let journal = u128::from_be_bytes(self.journal.unwrap_or_default());
        let boot = self.boot.map_or(0, |boot| boot.id);
        let text =
            format!("{device} {inode} {certain} {end} {limit} {entry} {journal:032x} {boot:08x}");
        let mut line = format!("{text:<width$}\n", width = LENGTH - 1).into_bytes();
        line.extend_from_slice(path);
        if !path.is_empty() {
            line.push(b'\n');
        }
        self.file.write_all_at(&line, 0)
    }
}

impl Says {
    /// Cuts off what comes again, where the file is as a kill leaves it; half a record in any case.
    fn repair(&self, path: &Path, comes_again: bool, boot: Option<Boot>) -> std::io::Result<Found> {
        let metadata = std::fs::metadata(path).ok().filter(|metadata| self.is_about(metadata));
        if let (true, Some(metadata), Some(boot)) = (comes_again, &metadata, boot)
            && self.is_cut_short(metadata, boot)
        {
            return self.cut(path, metadata.len(), self.certain);
        }
        let length = metadata.map(|metadata| metadata.len());
        let is_as_left = length.is_some_and(|it| (self.end..=self.limit).contains(&it));
        if self.certain == self.limit || length == Some(self.certain) {
            return Ok(Found::Nothing);
        }
        let cut = match length.filter(|_| is_as_left) {
            Some(length) if comes_again && self.certain <= self.end => {
                return self.cut(path, length, self.certain);
            }
            Some(length) if self.end < length && length < self.limit => {
                self.cut(path, length, self.end)?
            }
            _ => Found::Nothing,
        };
        Ok(if comes_again { Found::Changed } else { cut })
    }

    /// Tells whether the machine went down with this file open, and nobody has changed it since.
    fn is_cut_short(&self, metadata: &std::fs::Metadata, boot: Boot) -> bool {
        let is_older = metadata.modified().is_ok_and(|changed| changed < boot.began);
        let is_longer = self.certain < metadata.len();
        self.boot != 0 && self.boot != boot.id && is_older && is_longer
    }

    fn is_about(&self, metadata: &std::fs::Metadata) -> bool {
        (self.device, self.inode) == (metadata.dev(), metadata.ino())
    }

    fn cut(&self, path: &Path, from: u64, to: u64) -> std::io::Result<Found> {
        let file = OpenOptions::new().write(true).open(path)?;
        if !self.is_about(&file.metadata()?) {
            return Ok(Found::Changed);
        }
        file.set_len(to)?;
        Ok(Found::CutOff(from.saturating_sub(to)))
    }
}

/// What was noted, of which journal, and the path.
fn read(bytes: &[u8]) -> Option<(Says, [u8; 16], PathBuf)> {
    let (line, rest) = bytes.split_at_checked(LENGTH)?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let mut number = || words.next()?.parse::<u64>().ok();
    let mut says = Says {
        device: number()?,
        inode: number()?,
        certain: number()?,
        end: number()?,
        limit: number()?,
        entry: number()?,
        ..Says::default()
    };
    let journal = u128::from_str_radix(words.next()?, 16).ok()?;
    says.boot = u32::from_str_radix(words.next()?, 16).ok()?;
    let path = rest.split(|&byte| byte == b'\n').next()?;
    Some((says, journal.to_be_bytes(), OsStr::from_bytes(path).into()))
}

fn tell(path: &Path, found: Found) {
    let path = path.display();
    match found {
        Found::Nothing => {}
        Found::CutOff(bytes) => {
            tracing::info!(%path, bytes, "what was not certain is cut off and comes again");
        }
        Found::Changed => tracing::warn!(
            %path,
            "others have changed this file: nothing is cut off, and records may come twice"
        ),
    }
}
