//! Reading one file, plain or compressed, from an offset on.

use std::fs::File;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::scan::Identity;
use super::scan::LogFile;
use super::scan::modified;
use super::tail::TAIL;
use super::tail::Tail;

/// The most that is read at a time.
pub(super) const CHUNK: usize = 256 * 1024;
/// The least room a read is given.
const SMALLEST: u64 = 4 * 1024;
/// How a compressed file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// An open file and how far it has been read.
pub(super) struct Reader {
    file: Arc<File>,
    content: Content,
    identity: Identity,
    offset: u64,
    tail: Tail,
    modified: i64,
    size: u64,
}

enum Content {
    Plain,
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

/// What became of a plain file since it was last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// It is longer, or was touched.
    Grown,
    /// It is another file now: shorter, or with something else before the offset.
    Rewritten,
}

impl Reader {
    /// Opens `path` at its start.
    pub(super) fn open(path: &Path) -> std::io::Result<Reader> {
        let file = File::open(path)?;
        let mut magic = [0; 2];
        let is_gzip = file.read_exact_at(&mut magic, 0).is_ok() && magic == GZIP;
        let content = if is_gzip {
            let buffered = BufReader::with_capacity(64 * 1024, file.try_clone()?);
            Content::Gzip(Box::new(MultiGzDecoder::new(buffered)))
        } else {
            Content::Plain
        };
        let data = file.metadata()?;
        let (identity, modified, size) = (Identity::of(&data), modified(&data), data.len());
        let file = Arc::new(file);
        Ok(Reader { file, content, identity, offset: 0, tail: Tail::default(), modified, size })
    }

    /// Goes to `offset`, which lies ahead; `false` when the file ends before it.
    pub(super) fn advance(&mut self, offset: u64) -> std::io::Result<bool> {
        match &self.content {
            Content::Plain => {
                if self.file.metadata()?.len() < offset {
                    return Ok(false);
                }
                let start = offset.saturating_sub(TAIL as u64);
                let mut tail = [0; TAIL];
                let length = usize::try_from(offset - start).expect("a tail is short");
                match self.file.read_exact_at(&mut tail[..length], start) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
                    Err(error) => return Err(error),
                }
                self.tail = Tail::of(&tail[..length]);
                self.offset = offset;
                Ok(true)
            }
            Content::Gzip(_) => {
                while self.offset < offset {
                    let most = usize::try_from(offset - self.offset).unwrap_or(CHUNK).min(CHUNK);
                    if self.read(most)?.is_empty() {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    /// Reads what comes next, at most `most` bytes; nothing at the end.
    pub(super) fn read(&mut self, most: usize) -> std::io::Result<Vec<u8>> {
        let bytes = match &mut self.content {
            Content::Plain => {
                let data = self.file.metadata()?;
                self.modified = modified(&data);
                self.size = data.len();
                let left = data.len().saturating_sub(self.offset);
                let room = usize::try_from(left.max(SMALLEST)).unwrap_or(most).min(most);
                let mut bytes = Vec::with_capacity(room);
                let spare = rustix::buffer::spare_capacity(&mut bytes);
                rustix::io::pread(&self.file, spare, self.offset)?;
                bytes.truncate(most);
                bytes
            }
            Content::Gzip(decoder) => {
                let mut bytes = vec![0; most.min(CHUNK)];
                let mut filled = 0;
                while filled < bytes.len() {
                    match decoder.read(&mut bytes[filled..]) {
                        Ok(0) => break,
                        Ok(read) => filled += read,
                        // What came before is good.
                        Err(_) if filled > 0 => break,
                        Err(error) => return Err(error),
                    }
                }
                bytes.truncate(filled);
                bytes
            }
        };
        self.offset += bytes.len() as u64;
        self.tail.push(&bytes);
        Ok(bytes)
    }

    /// Goes to the end of what there is now.
    pub(super) fn advance_to_end(&mut self) -> std::io::Result<()> {
        match &self.content {
            Content::Plain => {
                let end = self.file.metadata()?.len();
                self.advance(end).map(|_| ())
            }
            Content::Gzip(_) => {
                while !self.read(CHUNK)?.is_empty() {}
                Ok(())
            }
        }
    }

    /// What became of the file since it was last read.
    pub(super) fn change(&self) -> std::io::Result<Change> {
        if self.is_compressed() {
            return Ok(Change::None);
        }
        let data = self.file.metadata()?;
        if data.len() == self.offset && modified(&data) == self.modified {
            return Ok(Change::None);
        }
        if data.len() < self.offset {
            return Ok(Change::Rewritten);
        }
        let tail = self.tail.bytes();
        let mut there = [0; TAIL];
        let there = &mut there[..tail.len()];
        // Of a file that was written to and is as long as before, some file systems show what they
        // have in memory until it is opened again.
        let opened = (data.len() == self.offset).then(|| self.open_again().ok()).flatten();
        let file = opened.as_ref().unwrap_or(&self.file);
        match file.read_exact_at(there, self.offset - tail.len() as u64) {
            Ok(()) if there == tail => Ok(Change::Grown),
            Ok(()) => Ok(Change::Rewritten),
            // It was truncated just now.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Change::Rewritten),
            Err(error) => Err(error),
        }
    }

    /// Opens the same file once more, whatever it is called by now.
    fn open_again(&self) -> std::io::Result<File> {
        File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// Tells whether the file is the one that was listed and was not written to since.
    pub(super) fn is_as_listed(&self, file: &LogFile) -> std::io::Result<bool> {
        let data = self.file.metadata()?;
        Ok(self.identity == file.identity
            && data.len() == file.size
            && modified(&data) == file.modified)
    }

    /// When the file had last been written to when it was last read, in nanoseconds since the epoch.
    pub(super) fn modified(&self) -> i64 {
        self.modified
    }

    /// Tells whether it is compressed, and so will not grow.
    pub(super) fn is_compressed(&self) -> bool {
        matches!(self.content, Content::Gzip(_))
    }

    /// The file.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Where the next byte lies.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The last bytes that were read.
    pub(super) fn tail(&self) -> &Tail {
        &self.tail
    }

    /// How many bytes the file took when it was last read.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The open file, to look at its size.
    pub(super) fn handle(&self) -> Arc<File> {
        self.file.clone()
    }
}
