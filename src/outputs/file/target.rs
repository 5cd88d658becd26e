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
}

impl Target {
    /// Opens a file, and makes it and its folders where they are missing.
    pub(super) fn open(place: Place) -> anyhow::Result<Target> {
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
        })
    }

    /// Appends `bytes`, whole or not at all.
    pub(super) fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let start = self.length()?;
        self.is_shared |= start != self.end;
        let mut written = 0;
        while written < bytes.len() {
            let error = match self.file.write(&bytes[written..]) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(more) => {
                    written += more;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            self.take_back(start, start + written as u64);
            self.end = self.length()?;
            return Err(error).with_context(|| format!("cannot write to {}", self.name()));
        }
        self.end = start + bytes.len() as u64;
        Ok(())
    }

    /// Makes certain all that was written. What cannot be made certain is taken back.
    pub(super) fn sync(&mut self) -> anyhow::Result<()> {
        if !self.is_regular {
            return Ok(());
        }
        // What someone deletes cannot be found again, whatever a sync says.
        let links = self.file.metadata().map(|metadata| metadata.nlink());
        match links {
            Ok(0) => Err(anyhow!("{} was deleted", self.name())),
            _ => self
                .file
                .sync_data()
                .with_context(|| format!("cannot sync {}", self.name()))
                .inspect_err(|_| {
                    if !self.is_shared {
                        self.take_back(self.synced, self.end);
                    }
                }),
        }?;
        self.synced = self.end;
        Ok(())
    }

    /// Cuts the file back to `start` where nobody has written behind `end`.
    pub(super) fn take_back(&self, start: u64, end: u64) {
        if !self.is_regular || start == end {
            return;
        }
        let is_ours = self.length().is_ok_and(|length| length == end);
        if !is_ours || self.file.set_len(start).is_err() {
            tracing::error!(
                path = %self.name(),
                from = start,
                to = end,
                "a part of a record is left in the file and cannot be taken back"
            );
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
