//! Goes through the records of a segment, from one to the next.
//!
//! A record that is not sound is passed by its length where its header is, else by looking for the
//! next sound header. What was in the file before it was used again is not taken for a record: its
//! segment has another number.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::entry::Position;
use super::layout;
use super::layout::HEADER;
use super::layout::RecordHeader;

/// What places and lengths of reads are multiples of, in bytes.
const BLOCK: usize = 4096;
/// How much is read at once to begin with, in bytes.
const FIRST_CHUNK: usize = 64 << 10;
/// How much is read at once by one who reads on, in bytes.
const LARGEST_CHUNK: usize = 256 << 10;

/// A way through a segment.
#[derive(Debug)]
pub(super) struct Walk {
    file: Arc<File>,
    segment: u64,
    /// Where the next record starts.
    at: u64,
    memory: Vec<u8>,
    /// Where in `memory` the buffer starts, at a multiple of a block.
    start: usize,
    /// How many bytes of the buffer hold what the file says.
    valid: usize,
    /// Where in the file the buffer starts.
    buffer_at: u64,
    chunk: usize,
    /// What the disk cannot give is passed over as if zeros stood there.
    passes_unreadable: bool,
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
        Walk {
            file,
            segment,
            at,
            memory: Vec::new(),
            start: 0,
            valid: 0,
            buffer_at: 0,
            chunk: FIRST_CHUNK,
            passes_unreadable: false,
            limit: u64::MAX,
        }
    }

    /// Looks no further than byte `limit`.
    pub(super) fn up_to(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Says whether what the disk cannot give is a hole, or an error.
    pub(super) fn pass_unreadable(&mut self, passes: bool) {
        self.passes_unreadable = passes;
    }

    /// The file it goes through.
    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Forgets what has been read of the file, which may have been written since.
    pub(super) fn forget(&mut self) {
        self.valid = 0;
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
        let valid = &self.memory[self.start..self.start + self.valid];
        offset.and_then(|offset| valid.get(offset..)).unwrap_or_default()
    }

    /// Sees to it that `wanted` bytes from `at` on are in the buffer, if the file has them.
    fn fill(&mut self, at: u64, wanted: usize) -> io::Result<()> {
        if self.buffered(at).len() >= wanted {
            return Ok(());
        }
        let from = at / BLOCK as u64 * BLOCK as u64;
        let allowed = usize::try_from(self.limit.saturating_sub(from)).unwrap_or(usize::MAX);
        let inside = usize::try_from(at - from).unwrap_or_default();
        // Someone who reads on will read much more.
        self.chunk = if from > self.buffer_at { LARGEST_CHUNK } else { self.chunk };
        let length = (inside + wanted).max(self.chunk).min(allowed).next_multiple_of(BLOCK);
        if self.memory.len() < length + BLOCK {
            self.memory = vec![0; length + BLOCK];
            self.start = self.memory.as_ptr().align_offset(BLOCK).min(BLOCK);
        }
        self.valid = 0;
        self.buffer_at = from;
        while self.valid < length {
            let most = if self.passes_unreadable { BLOCK } else { length };
            let until = length.min(self.valid + most);
            let out = &mut self.memory[self.start + self.valid..self.start + until];
            match read_some(&self.file, out, from + self.valid as u64) {
                Ok(read) => {
                    self.valid += read;
                    // Only at its end does a file give less than whole blocks.
                    if read == 0 || read % BLOCK != 0 {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.passes_unreadable && is_of_the_medium(&error) => {
                    out.fill(0);
                    self.valid = until;
                }
                Err(error) => return Err(error),
            }
        }
        self.valid = self.valid.min(allowed);
        Ok(())
    }

    /// Copies `length` bytes from `from` on; nothing when the file ends before.
    fn copy(&mut self, from: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        let mut out = Vec::with_capacity(length);
        while out.len() < length {
            let at = from + out.len() as u64;
            self.fill(at, 1)?;
            let there = self.buffered(at);
            if there.is_empty() {
                return Ok(None);
            }
            out.extend_from_slice(&there[..there.len().min(length - out.len())]);
        }
        Ok(Some(out))
    }
}

/// Tells whether the disk cannot give what stands at a place, rather than the system what was asked.
pub(super) fn is_of_the_medium(error: &io::Error) -> bool {
    let medium = [Errno::EIO, Errno::ENODATA, Errno::EILSEQ, Errno::EREMOTEIO, Errno::EUCLEAN];
    error.raw_os_error().is_some_and(|number| medium.contains(&Errno::from_raw(number)))
}

fn read_some(file: &File, out: &mut [u8], at: u64) -> io::Result<usize> {
    #[cfg(test)]
    super::faults::read(file, at, out.len())?;
    file.read_at(out, at)
}

/// Opens a segment for one who reads on through it, past the page cache where that can be: what is
/// not in memory any more is read once by each of the few readers that are behind.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let direct = OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECT.bits()).open(path);
    match direct {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => File::open(path),
        opened => opened,
    }
}

/// Fills `out` from byte `at` on, as far as the file goes.
pub(super) fn read_at(file: &File, out: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match read_some(file, &mut out[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
