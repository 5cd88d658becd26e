//! An open file, and what has been written to it. All of this blocks.

use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::anyhow;

use super::tail::Form;
use super::tail::Note;

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
    place: Place,
    file: File,
    /// Whether it has a length and can be synced, as no device and no pipe can.
    is_regular: bool,
    /// Its length after the last sync; what is behind may have to be written again.
    synced: u64,
    /// Its length after the last write.
    end: u64,
    /// Whether someone else writes to it too; then nothing can be taken back.
    is_shared: bool,
    note: Option<Note>,
    /// How records end that were written since it was opened.
    form: Option<Form>,
}

impl Target {
    /// Opens a file, and makes it and its folders where they are missing.
    pub(super) fn open(place: Place, note: Option<Note>) -> anyhow::Result<Target> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(place.file_mode);
        let opened = options.open(&place.path).or_else(|error| {
            let folder = place.path.parent();
            match folder.filter(|_| error.kind() == ErrorKind::NotFound) {
                None => Err(error),
                Some(folder) => {
                    DirBuilder::new().recursive(true).mode(place.folder_mode).create(folder)?;
                    options.open(&place.path)
                }
            }
        });
        let file = opened.with_context(|| format!("cannot open {}", place.path.display()))?;
        let metadata =
            file.metadata().with_context(|| format!("cannot look at {}", place.path.display()))?;
        let length = metadata.len();
        Ok(Target {
            place,
            file,
            is_regular: metadata.is_file(),
            synced: length,
            end: length,
            is_shared: false,
            note,
            form: None,
        })
    }

    /// Appends `bytes`, records that end as `form` says. Where that fails all that was appended
    /// since the last sync is taken back.
    pub(super) fn append(&mut self, bytes: &[u8], form: Form) -> anyhow::Result<()> {
        let length = self.length()?;
        self.is_shared |= length != self.end;
        self.end = length;
        if self.form != Some(form) && self.form != Some(Form::Other) {
            self.form = Some(if self.form.is_some() { Form::Other } else { form });
            self.write_note();
        }
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
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

    fn failed(&mut self, error: std::io::Error) -> anyhow::Result<()> {
        self.take_back();
        Err(error).with_context(|| format!("cannot write to {}", self.name()))
    }

    /// Makes certain all that was appended. What cannot be made certain is taken back.
    pub(super) fn sync(&mut self) -> anyhow::Result<()> {
        if !self.is_regular {
            self.synced = self.end;
            return Ok(());
        }
        // What someone deletes cannot be found again, whatever a sync says.
        let links = self.file.metadata().map(|metadata| metadata.nlink());
        if links.is_ok_and(|links| links == 0) {
            return Err(anyhow!("{} was deleted", self.name()));
        }
        if let Err(error) = self.file.sync_data() {
            self.take_back();
            return Err(error).with_context(|| format!("cannot sync {}", self.name()));
        }
        self.synced = self.end;
        self.write_note();
        Ok(())
    }

    /// Takes away what was appended since the last sync, where nobody else has appended too.
    pub(super) fn take_back(&mut self) {
        if !self.is_regular || self.synced == self.end {
            return;
        }
        let is_ours = !self.is_shared && self.length().is_ok_and(|length| length == self.end);
        if is_ours && self.file.set_len(self.synced).is_ok() {
            self.end = self.synced;
        } else {
            let (from, to) = (self.synced, self.end);
            tracing::warn!(path = %self.name(), from, to, "records in the file will come again");
        }
    }

    /// Notes where the file ends; without the note a kill leaves more behind, and no more.
    fn write_note(&self) {
        if let (true, Some(note), Some(form)) = (self.is_regular, &self.note, self.form)
            && let Err(error) = note.write(&self.file, self.synced, form)
        {
            tracing::debug!(path = %self.name(), %error, "cannot note where the file ends");
        }
    }

    fn length(&self) -> anyhow::Result<u64> {
        let metadata = self.file.metadata();
        Ok(metadata.with_context(|| format!("cannot look at {}", self.name()))?.len())
    }

    fn name(&self) -> std::path::Display<'_> {
        self.place.path.display()
    }
}
