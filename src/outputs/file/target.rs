//! An open file, and what has been written to it. All of this blocks.

use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use anyhow::anyhow;

use super::note::Note;

/// Where a file is and how it is made.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) file_mode: u32,
    pub(super) folder_mode: u32,
}

/// A file open for appending.
#[derive(Debug)]
pub(super) struct Target {
    path: Arc<Path>,
    file: Arc<File>,
    /// Whether it has a length and can be synced, as no device and no pipe can.
    is_regular: bool,
    /// Its length after the last sync; what is behind may have to be written again.
    certain: u64,
    /// Its length after the last write.
    end: u64,
    /// Whether someone else writes to it too; then nothing can be taken back.
    is_shared: bool,
    note: Option<Arc<Note>>,
}

/// A sync that can be done while more is appended.
#[derive(Debug)]
pub(super) struct Sync {
    path: Arc<Path>,
    file: Option<Arc<File>>,
    note: Option<Arc<Note>>,
    /// The file's length that it covers.
    pub(super) end: u64,
    /// How often others had changed the file when it began.
    changes: u64,
}

impl Target {
    /// Opens a file, and makes it and its folders where they are missing. What an engine that was
    /// killed has left behind its last sync is cut off.
    pub(super) fn open(place: &Place, note: Option<Arc<Note>>) -> anyhow::Result<Target> {
        let path: Arc<Path> = Arc::from(&*place.path);
        let file = place.file().with_context(|| format!("cannot open {}", path.display()))?;
        let metadata = file.metadata();
        let metadata = metadata.with_context(|| format!("cannot look at {}", path.display()))?;
        let is_regular = metadata.is_file();
        let mut length = metadata.len();
        if let (true, Some(note)) = (is_regular, &note) {
            // A note about another file, or an older length, would cut off what is delivered.
            let adopted = note.adopt(&path, &file);
            length =
                adopted.with_context(|| format!("cannot note where {} ends", path.display()))?;
        }
        let file = Arc::new(file);
        Ok(Target {
            path,
            file,
            is_regular,
            certain: length,
            end: length,
            is_shared: false,
            note: note.filter(|_| is_regular),
        })
    }

    /// Appends `bytes`.
    pub(super) fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let length = self.length()?;
        let is_alone = length == self.end;
        self.is_shared |= !is_alone;
        self.end = length;
        if let Some(note) = &self.note {
            let limit = length + bytes.len() as u64;
            let noted = note.expect(length, limit, is_alone);
            noted.with_context(|| format!("cannot note what {} gets", self.path.display()))?;
        }
        let mut written = 0;
        while written < bytes.len() {
            match (&*self.file).write(&bytes[written..]) {
                Ok(0) => return self.failed(ErrorKind::WriteZero.into()),
                Ok(more) => {
                    written += more;
                    self.end += more as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.failed(error),
            }
        }
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> anyhow::Result<()> {
        Err(error).with_context(|| format!("cannot write to {}", self.path.display()))
    }

    /// What makes certain all that was appended so far.
    pub(super) fn sync(&self) -> Sync {
        Sync {
            path: self.path.clone(),
            file: self.is_regular.then(|| self.file.clone()),
            changes: self.note.as_ref().map_or(0, |note| note.changes()),
            note: self.note.clone(),
            end: self.end,
        }
    }

    /// Notes that a sync has succeeded which covered the file up to `end`.
    pub(super) fn settle(&mut self, end: u64) {
        self.certain = end;
    }

    /// Takes away what was appended since the last sync, where nobody else has appended too.
    pub(super) fn take_back(&mut self) {
        if !self.is_regular || self.certain == self.end {
            return;
        }
        let is_ours = !self.is_shared && self.length().is_ok_and(|length| length == self.end);
        // A note that says more than the file holds would pass over what comes again.
        let is_noted = || self.note.as_ref().is_none_or(|note| note.go_back().is_ok());
        if is_ours && is_noted() && self.file.set_len(self.certain).is_ok() {
            self.end = self.certain;
        } else {
            let (path, from, to) = (self.path.display(), self.certain, self.end);
            tracing::warn!(%path, from, to, "records in the file will come again");
        }
    }

    fn length(&self) -> anyhow::Result<u64> {
        let metadata = self.file.metadata();
        Ok(metadata.with_context(|| format!("cannot look at {}", self.path.display()))?.len())
    }
}

impl Place {
    fn file(&self) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(self.file_mode);
        options.open(&self.path).or_else(|error| {
            let folder = self.path.parent();
            match folder.filter(|_| error.kind() == ErrorKind::NotFound) {
                None => Err(error),
                Some(folder) => {
                    DirBuilder::new().recursive(true).mode(self.folder_mode).create(folder)?;
                    options.open(&self.path)
                }
            }
        })
    }
}

impl Sync {
    /// Makes certain what was appended, and notes that everything up to `entry` is delivered.
    pub(super) fn run(&self, entry: u64) -> anyhow::Result<()> {
        let path = self.path.display();
        let Some(file) = &self.file else { return Ok(()) };
        // What someone deletes cannot be found again, whatever a sync says.
        let links = file.metadata().map(|metadata| metadata.nlink());
        if links.is_ok_and(|links| links == 0) {
            return Err(anyhow!("{path} was deleted"));
        }
        file.sync_data().with_context(|| format!("cannot sync {path}"))?;
        let Some(note) = &self.note else { return Ok(()) };
        // Were the cursor to move without it, the next engine would cut off what is delivered.
        let noted = note.settle(self.end, entry, self.changes);
        noted.with_context(|| format!("cannot note what of {path} is certain"))
    }
}
