//! How far an output has got with its file, written down beside the journal.
//!
//! Whatever ends the engine, the file holds what was certain and perhaps more: whole records, half
//! of one, all of it in the journal still. The note lets the next engine cut that off and go on
//! behind what was certain, so that no record is torn, lost or doubled. It is one line, filled up
//! with spaces:
//!
//! | word | what |
//! | --- | --- |
//! | device, inode | the file it is about |
//! | certain | the file's length when it was last synced |
//! | limit | what the file's length is at most, unless others write to it; 0 when they do |
//! | entry | the entry of the journal that was delivered then, 0 before any was |
//! | journal | the journal's id, in hexadecimal digits |
//!
//! The limit is written before a record is, the rest when a sync is done and before the cursor
//! moves.

use std::fs::File;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use anyhow::Context;

/// The length of a note.
const LENGTH: usize = 160;

/// The note of one output.
#[derive(Debug)]
pub(super) struct Note {
    file: File,
    journal: [u8; 16],
    says: Mutex<Says>,
}

/// What the note says.
#[derive(Clone, Copy, Debug, Default)]
struct Says {
    device: u64,
    inode: u64,
    certain: u64,
    limit: u64,
    entry: u64,
}

/// What was found in a file that an earlier engine has written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is as it was left, or another file.
    Nothing,
    /// So many bytes were not certain and are cut off: they come again.
    CutOff(u64),
    /// Others write to it too: so many bytes behind what was certain stay, and may come twice.
    Others(u64),
}

impl Note {
    /// Opens the note of the output called `name`.
    pub(super) fn open(base_dir: &Path, name: &str, journal: [u8; 16]) -> anyhow::Result<Note> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let name: String = name.chars().map(plain).collect();
        let folder = base_dir.join("outputs");
        let path = folder.join(format!("{name}.end"));
        let opened = std::fs::create_dir_all(&folder).and_then(|()| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).open(&path)
        });
        let file = opened.with_context(|| format!("cannot open {}", path.display()))?;
        let says = Mutex::new(read(&file, journal).unwrap_or_default());
        Ok(Note { file, journal, says })
    }

    /// The last entry that is certain; `None` before any was.
    pub(super) fn entry(&self) -> Option<u64> {
        let entry = self.lock().entry;
        (entry > 0).then_some(entry)
    }

    /// Is about `file` from now on, which holds records up to the length it then has.
    pub(super) fn adopt(&self, file: &File) -> std::io::Result<(u64, Found)> {
        let metadata = file.metadata()?;
        let mut says = self.lock();
        let is_same = (says.device, says.inode) == (metadata.dev(), metadata.ino());
        let mut length = metadata.len();
        let mut found = Found::Nothing;
        if is_same && length > says.certain {
            let behind = length - says.certain;
            if length <= says.limit {
                file.set_len(says.certain)?;
                length = says.certain;
                found = Found::CutOff(behind);
            } else {
                found = Found::Others(behind);
            }
        }
        let (device, inode) = (metadata.dev(), metadata.ino());
        *says = Says { device, inode, certain: length, limit: length, ..*says };
        self.write(&says)?;
        Ok((length, found))
    }

    /// Notes that the file will not be longer than this, as far as the output knows: 0 where others
    /// write to it too.
    pub(super) fn expect(&self, limit: u64) -> std::io::Result<()> {
        let mut says = self.lock();
        says.limit = limit;
        self.write(&says)
    }

    /// Notes what is certain, for good.
    pub(super) fn settle(&self, certain: u64, entry: u64) -> std::io::Result<()> {
        {
            let mut says = self.lock();
            (says.certain, says.entry) = (certain, says.entry.max(entry));
            self.write(&says)?;
        }
        self.file.sync_data()
    }

    fn lock(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, says: &Says) -> std::io::Result<()> {
        let Says { device, inode, certain, limit, entry } = says;
        let journal = u128::from_be_bytes(self.journal);
        let text = format!("{device} {inode} {certain} {limit} {entry} {journal:032x}");
        self.file.write_all_at(format!("{text:<width$}\n", width = LENGTH - 1).as_bytes(), 0)
    }
}

/// What was noted, for this journal.
fn read(file: &File, journal: [u8; 16]) -> Option<Says> {
    let mut bytes = [0; LENGTH];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let mut words = std::str::from_utf8(&bytes).ok()?.split_ascii_whitespace();
    let mut number = || words.next()?.parse::<u64>().ok();
    let says = Says {
        device: number()?,
        inode: number()?,
        certain: number()?,
        limit: number()?,
        entry: number()?,
    };
    let written = u128::from_str_radix(words.next()?, 16).ok()?;
    (written == u128::from_be_bytes(journal)).then_some(says)
}
