//! Goes through the records of a segment, from one to the next.
//!
//! A record that is not sound is passed by its length where its header is, else by looking for the
//! next sound header. What was in the file before it was used again is not taken for a record: its
//! segment has another number.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::entry::Position;
use super::layout;
use super::layout::HEADER;
use super::layout::RecordHeader;

/// How much is read at once, in bytes.
const CHUNK: usize = 256 << 10;

/// A way through a segment.
#[derive(Debug)]
pub(super) struct Walk {
    file: Arc<File>,
    segment: u64,
    /// Where the next record starts.
    at: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer starts.
    buffer_at: u64,
    /// What is behind this byte is not looked at: it may be about to be written.
    limit: u64,
}

/// What stands at a place.
#[derive(Debug)]
pub(super) enum Found {
    /// The header of a record; its contents are not checked yet.
    Record(RecordHeader),
    /// Something unsound of so many bytes, and a sound header behind it.
    Hole(u64),
    /// No record from here on.
    End,
}

impl Walk {
    /// Starts at byte `at` of the segment `segment`.
    pub(super) fn new(file: Arc<File>, segment: u64, at: u64) -> Walk {
        Walk { file, segment, at, buffer: Vec::new(), buffer_at: 0, limit: u64::MAX }
    }

    /// Looks no further than byte `limit`.
    pub(super) fn up_to(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// The file it goes through.
    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Forgets what has been read of the file, which may have been written since.
    pub(super) fn forget(&mut self) {
        self.buffer.clear();
    }

    /// Where the next record starts.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Looks at the next record without passing it.
    pub(super) fn peek(&mut self) -> io::Result<Found> {
        if let Some(header) = self.header()? {
            return Ok(Found::Record(header));
        }
        Ok(self.resync()?.map_or(Found::End, Found::Hole))
    }

    /// Looks at the next record as [`Walk::peek`] does, but only if its header is sound.
    pub(super) fn header(&mut self) -> io::Result<Option<RecordHeader>> {
        self.fill(self.at, HEADER)?;
        Ok(RecordHeader::read(self.buffered(self.at), self.segment))
    }

    /// Passes so many bytes.
    pub(super) fn pass(&mut self, bytes: u64) {
        self.at += bytes;
    }

    /// Particulars and body of the record at hand, if they are whole.
    pub(super) fn contents(
        &mut self,
        header: &RecordHeader,
    ) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let start = self.at + HEADER as u64;
        let particulars = self.copy(start, header.particulars as usize)?;
        let body = self.copy(start + u64::from(header.particulars), header.stored as usize)?;
        let (Some(particulars), Some(body)) = (particulars, body) else { return Ok(None) };
        let mut crc = crc32fast::Hasher::new();
        crc.update(&particulars);
        crc.update(&body);
        Ok((crc.finalize() == header.crc).then_some((particulars, body)))
    }

    /// Passes records until the one at or behind `position` is next; holes are passed too.
    pub(super) fn seek(&mut self, position: Position) -> io::Result<()> {
        loop {
            match self.peek()? {
                Found::Record(header) => {
                    if header.kind.is_entry() && header.position >= position {
                        return Ok(());
                    }
                    self.pass(header.span());
                }
                Found::Hole(bytes) => self.pass(bytes),
                Found::End => return Ok(()),
            }
        }
    }

    /// How far it is to the next sound header.
    fn resync(&mut self) -> io::Result<Option<u64>> {
        let mut at = self.at + 8;
        loop {
            self.fill(at, HEADER)?;
            let window = self.buffered(at);
            if window.len() < HEADER {
                return Ok(None);
            }
            let steps = (window.len() - HEADER) / 8;
            let found = (0..=steps).map(|step| step * 8).find(|&offset| {
                window[offset..].starts_with(&layout::MAGIC)
                    && RecordHeader::read(&window[offset..], self.segment).is_some()
            });
            if let Some(offset) = found {
                return Ok(Some(at + offset as u64 - self.at));
            }
            at += (steps as u64 + 1) * 8;
        }
    }

    fn buffered(&self, at: u64) -> &[u8] {
        let offset = at.checked_sub(self.buffer_at).and_then(|offset| usize::try_from(offset).ok());
        offset.and_then(|offset| self.buffer.get(offset..)).unwrap_or_default()
    }

    /// Sees to it that `wanted` bytes from `at` on are in the buffer, if the file has them.
    fn fill(&mut self, at: u64, wanted: usize) -> io::Result<()> {
        if self.buffered(at).len() >= wanted {
            return Ok(());
        }
        let allowed = usize::try_from(self.limit.saturating_sub(at)).unwrap_or(usize::MAX);
        self.buffer.resize(CHUNK.max(wanted).min(allowed), 0);
        let read = read_at(&self.file, &mut self.buffer, at);
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        self.buffer_at = at;
        read.map(|_| ())
    }

    /// Takes `length` bytes from `from` on out of the buffer, and what is not there from the file.
    fn copy(&mut self, from: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        if self.buffered(from).len() < length && length <= CHUNK / 4 {
            self.fill(from, length)?;
        }
        let buffered = self.buffered(from);
        if let Some(whole) = buffered.get(..length) {
            return Ok(Some(whole.to_vec()));
        }
        let mut out = vec![0; length];
        let have = buffered.len();
        out[..have].copy_from_slice(buffered);
        let read = read_at(&self.file, &mut out[have..], from + have as u64)?;
        Ok((have + read == length).then_some(out))
    }
}

/// Fills `out` from byte `at` on, as far as the file goes.
pub(super) fn read_at(file: &File, out: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match file.read_at(&mut out[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
