//! The files that scripts of inputs and outputs hold.

use std::fs::File;
use std::io::Error;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::Child;

use super::context::Context;
use super::raw::Args;
use super::raw::Complaint;
use super::waiting;

/// What is read ahead and held back, each, in bytes.
pub(super) const BUFFER: usize = 16 * 1024;

/// A file as a script holds it.
#[derive(Debug)]
pub(super) struct LuaFile {
    /// `None` when it is closed.
    pub(super) file: Option<File>,
    child: Option<Child>,
    /// Bytes read ahead, and how many of them were taken.
    pub(super) ahead: Vec<u8>,
    pub(super) taken: usize,
    /// Bytes not yet written.
    pub(super) behind: Vec<u8>,
    pub(super) is_unbuffered: bool,
    is_at_end: bool,
}

impl LuaFile {
    pub(super) fn new(file: File, child: Option<Child>) -> LuaFile {
        LuaFile {
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

impl Drop for LuaFile {
    fn drop(&mut self) {
        let _ = self.write_behind();
        self.file = None;
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads until `is_enough` says how many bytes are wanted, or the end.
pub(super) fn take(
    cx: &mut Context,
    args: &Args<'_>,
    file: &mut LuaFile,
    is_enough: impl Fn(&[u8]) -> Option<usize>,
) -> Result<(Vec<u8>, bool), Complaint> {
    loop {
        if let Some(count) = is_enough(&file.ahead[file.taken..]) {
            let taken = file.ahead[file.taken..file.taken + count].to_vec();
            file.taken += count;
            return Ok((taken, true));
        }
        if !args.admit(file.ahead.len() - file.taken + BUFFER) {
            return Err("not enough memory".into());
        }
        if !file.fill(cx, args)? {
            let rest = file.ahead.split_off(file.taken);
            if !file.is_at_end {
                // Only a stop ends the wait: the rest stays for whoever asks again.
                file.ahead = rest;
                file.taken = 0;
                return Ok((Vec::new(), false));
            }
            file.ahead.clear();
            file.taken = 0;
            return Ok((rest, false));
        }
    }
}

/// The next line without its end; `None` at the end.
pub(super) fn line(
    cx: &mut Context,
    args: &Args<'_>,
    file: &mut LuaFile,
) -> Result<Option<Vec<u8>>, Complaint> {
    let newline = |bytes: &[u8]| memchr::memchr(b'\n', bytes).map(|at| at + 1);
    let (mut line, is_ended) = take(cx, args, file, newline)?;
    if is_ended {
        line.pop();
    }
    Ok((is_ended || !line.is_empty()).then_some(line))
}

/// The next word, blanks before it passed over.
pub(super) fn word(
    cx: &mut Context,
    args: &Args<'_>,
    file: &mut LuaFile,
) -> Result<Option<Vec<u8>>, Complaint> {
    let blank = |bytes: &[u8]| bytes.iter().position(|byte| !byte.is_ascii_whitespace());
    take(cx, args, file, blank)?;
    let end = |bytes: &[u8]| bytes.iter().position(u8::is_ascii_whitespace);
    let (word, _) = take(cx, args, file, end)?;
    Ok((!word.is_empty()).then_some(word))
}
