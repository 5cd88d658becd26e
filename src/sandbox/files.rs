//! The files that scripts of inputs and outputs hold.

use std::fs::File;
use std::io::Error;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::Child;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::context::Context;
use super::raw::Args;
use super::raw::Complaint;
use super::waiting;

/// What is read ahead and held back, each, in bytes.
pub(super) const BUFFER: usize = 16 * 1024;

/// A file as a script holds it; several objects may stand for the same one.
#[derive(Clone, Debug)]
pub(super) struct LuaFile(Arc<Mutex<OpenFile>>);

impl LuaFile {
    pub(super) fn new(file: OpenFile) -> LuaFile {
        LuaFile(Arc::new(Mutex::new(file)))
    }

    /// The file itself, for as long as the answer is kept.
    pub(super) fn lock(&self) -> MutexGuard<'_, OpenFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files that `io.read` and `io.write` are about, made when they are first asked for.
#[derive(Debug, Default)]
pub(super) struct Standard {
    pub(super) input: Option<LuaFile>,
    pub(super) output: Option<LuaFile>,
}

/// A file that is open, or was.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// `None` when it is closed.
    pub(super) file: Option<File>,
    child: Option<Child>,
    /// Bytes read ahead, and how many of them were taken.
    pub(super) ahead: Vec<u8>,
    pub(super) taken: usize,
    /// Bytes not yet written.
    pub(super) behind: Vec<u8>,
    pub(super) is_unbuffered: bool,
    pub(super) is_at_end: bool,
}

impl OpenFile {
    pub(super) fn new(file: File, child: Option<Child>) -> OpenFile {
        OpenFile {
            file: Some(file),
            child,
            ahead: Vec::new(),
            taken: 0,
            behind: Vec::new(),
            is_unbuffered: false,
            is_at_end: false,
        }
    }

    pub(super) fn file(&mut self) -> Result<&mut File, Complaint> {
        self.file.as_mut().ok_or_else(|| "attempt to use a closed file".into())
    }

    /// Reads what there is, up to the size of `buffer`; 0 at the end.
    pub(super) fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Complaint> {
        let waiting = &self.ahead[self.taken..];
        if !waiting.is_empty() {
            let count = waiting.len().min(buffer.len());
            buffer[..count].copy_from_slice(&waiting[..count]);
            self.taken += count;
            return Ok(count);
        }
        self.file()?.read(buffer).map_err(|error| error.to_string().into())
    }

    /// Reads ahead; false at the end.
    pub(super) fn fill(&mut self, cx: &mut Context, args: &Args<'_>) -> Result<bool, Complaint> {
        let _ = self.write_behind();
        let file = self.file()?;
        if !waiting::readable(cx, args, file.as_fd(), None)? {
            return Ok(false);
        }
        let mut chunk = [0; BUFFER];
        let count = file.read(&mut chunk).map_err(|error| error.to_string())?;
        self.ahead.drain(..self.taken);
        self.taken = 0;
        self.ahead.extend_from_slice(&chunk[..count]);
        self.is_at_end = count == 0;
        Ok(count > 0)
    }

    pub(super) fn write_behind(&mut self) -> Result<(), Error> {
        let behind = std::mem::take(&mut self.behind);
        match &mut self.file {
            Some(file) if !behind.is_empty() => file.write_all(&behind),
            _ => Ok(()),
        }
    }

    pub(super) fn close(&mut self) -> Result<(), Error> {
        let written = self.write_behind();
        self.file = None;
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        written
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let _ = self.write_behind();
        self.file = None;
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
