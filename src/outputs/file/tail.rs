//! What a kill leaves at the end of a file, and how it is known.
//!
//! A write that is cut short by `kill -9` leaves the start of a record, and what comes next would
//! be read as its rest. So a note in `base_dir` says, after every sync, how long the file is then
//! (an end of a record) and how records end behind it; the next engine cuts the file behind its
//! last whole record. Whole records stay, certain or not.
//!
//! The note is one line, filled up with spaces: device, inode, length and form, with a space
//! between them.

use std::fs::File;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use crate::message::frame;

/// The length of a note.
const LENGTH: usize = 96;
/// The longest tail that is looked at, in bytes; more than a sync ever waits for.
const MAX_TAIL: u64 = 64 << 20;

/// How records end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In a newline.
    Lines,
    /// Where their frame says.
    Frames,
    /// Unknown; then nothing is cut.
    Other,
}

impl Form {
    /// What the records of a load are, none of which is known to be of another form.
    pub(super) fn of<'a>(is_framed: bool, mut records: impl Iterator<Item = &'a [u8]>) -> Form {
        if is_framed {
            Form::Frames
        } else if records.all(|record| record.is_empty() || record.last() == Some(&b'\n')) {
            Form::Lines
        } else {
            Form::Other
        }
    }

    fn letter(self) -> &'static str {
        match self {
            Form::Lines => "lines",
            Form::Frames => "frames",
            Form::Other => "other",
        }
    }
}

/// The file of the note of one output.
#[derive(Debug)]
pub(super) struct Note {
    file: File,
}

impl Note {
    /// Opens the note of the output called `name`.
    pub(super) fn open(base_dir: &Path, name: &str) -> anyhow::Result<Note> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let name: String = name.chars().map(plain).collect();
        let folder = base_dir.join("outputs");
        let path: PathBuf = folder.join(format!("{name}.end"));
        std::fs::create_dir_all(&folder)
            .and_then(|()| {
                let mut options = OpenOptions::new();
                options.read(true).write(true).create(true).truncate(false).open(&path)
            })
            .map(|file| Note { file })
            .with_context(|| format!("cannot open {}", path.display()))
    }

    /// Notes how long `file` is and how records end behind that.
    pub(super) fn write(&self, file: &File, end: u64, form: Form) -> std::io::Result<()> {
        let metadata = file.metadata()?;
        let text = format!("{} {} {end} {}", metadata.dev(), metadata.ino(), form.letter());
        self.file.write_all_at(format!("{text:<width$}\n", width = LENGTH - 1).as_bytes(), 0)
    }

    /// The length and form that were noted for `file`; `None` when it was another file.
    fn read(&self, file: &File) -> Option<(u64, Form)> {
        let mut bytes = [0; LENGTH];
        self.file.read_exact_at(&mut bytes, 0).ok()?;
        let mut words = std::str::from_utf8(&bytes).ok()?.split_ascii_whitespace();
        let mut number = || words.next()?.parse::<u64>().ok();
        let (device, inode, end) = (number()?, number()?, number()?);
        let metadata = file.metadata().ok()?;
        if (device, inode) != (metadata.dev(), metadata.ino()) || end > metadata.len() {
            return None;
        }
        let form = match words.next()? {
            "lines" => Form::Lines,
            "frames" => Form::Frames,
            _ => return None,
        };
        Some((end, form))
    }

    /// Cuts half a record off the end of the file that the note is about; says how many bytes.
    pub(super) fn repair(&self, path: &Path, max_message_size: usize) -> std::io::Result<u64> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let Some((end, form)) = self.read(&file) else { return Ok(0) };
        let length = file.metadata()?.len();
        if length == end || length - end > MAX_TAIL {
            return Ok(0);
        }
        let mut tail = vec![0; usize::try_from(length - end).unwrap_or(0)];
        file.read_exact_at(&mut tail, end)?;
        let whole = match form {
            Form::Lines => memchr::memrchr(b'\n', &tail).map_or(0, |at| at + 1),
            Form::Frames => whole_frames(&tail, max_message_size),
            Form::Other => tail.len(),
        };
        let torn = (tail.len() - whole) as u64;
        if torn > 0 {
            file.set_len(length - torn)?;
        }
        Ok(torn)
    }
}

fn whole_frames(tail: &[u8], max_message_size: usize) -> usize {
    let mut at = 0;
    while at < tail.len() {
        let frame::Step::Frame { length, .. } = frame::step(&tail[at..], max_message_size) else {
            break;
        };
        at += length;
    }
    at
}
