//! From a file to batches of messages: splitter and decoder, in this thread.
//!
//! A file that begins with a frame of Heka's is a stream of framed messages, one that begins as
//! gzip does is unpacked, and anything else is a log of lines.

use std::fs::File;
use std::io::Cursor;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use flate2::read::MultiGzDecoder;

use super::parts::MAX_MESSAGE_SIZE;
use super::parts::Parts;
use crate::message::Batch;
use crate::message::Marks;
use crate::message::Uuids;
use crate::message::frame;
use crate::message::frame::Step;
use crate::plugin::Cut;
use crate::plugin::Decoding;
use crate::plugin::Form;
use crate::plugin::Origin;
use crate::plugin::Quiet;
use crate::plugin::Record;
use crate::plugin::Splitting;

/// Bytes asked for at a time.
const CHUNK: usize = 256 * 1024;
/// The longest record, in bytes.
const MAX_RECORD: usize = MAX_MESSAGE_SIZE + frame::MAX_OVERHEAD;
/// How much of a file is looked at to tell what it is.
const BEGINNING: usize = 512;
/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What messages are given to.
pub(in crate::cli) trait Taker {
    /// Takes a batch; breaks when it wants no more.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn batch(&mut self, batch: &Batch) -> anyhow::Result<ControlFlow<()>>;

    /// Is told of a record that is no message.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn undecodable(&mut self, place: &str, reason: &str) -> anyhow::Result<()>;

    /// Is told of bytes that are no record.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn damaged(&mut self, place: &str, reason: &str) -> anyhow::Result<()> {
        self.undecodable(place, reason)
    }

    /// Shows everything so far, before something is waited for.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn flush(&mut self) -> anyhow::Result<()>;
}

/// What time it is to records that do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Now {
    /// The time at which they are read.
    Read,
    /// The time at which the file was written last, so that reading it again gives the same; the
    /// names of messages are the same again too.
    Written,
}

/// Reads a file to its end, and gives its messages to `taker`; breaks when that does.
///
/// # Errors
/// When the file cannot be read, a plugin does not start or the output cannot be written.
pub(in crate::cli) fn feed(
    file: &Path,
    parts: &Parts,
    now: Now,
    taker: &mut dyn Taker,
) -> anyhow::Result<ControlFlow<()>> {
    let from: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(file)?)
    };
    let name = if file == Path::new("-") { "stdin".into() } else { file.to_string_lossy() };
    let written = match now {
        Now::Read => None,
        Now::Written => written(file),
    };
    feed_from(from, &name, written, parts, taker)
}

/// As [`feed`], with what a file could hold.
///
/// # Errors
/// As [`feed`].
pub(in crate::cli) fn feed_text(
    text: Vec<u8>,
    parts: &Parts,
    taker: &mut dyn Taker,
) -> anyhow::Result<ControlFlow<()>> {
    feed_from(Box::new(Cursor::new(text)), "text", Some(0), parts, taker)
}

fn feed_from(
    from: Box<dyn Read>,
    name: &str,
    written: Option<i64>,
    parts: &Parts,
    taker: &mut dyn Taker,
) -> anyhow::Result<ControlFlow<()>> {
    let (from, is_framed) = open(from)?;
    let mut origin = Origin::default();
    let message_type = if name == "stdin" { "stdin" } else { "logfile" };
    origin.message_type = message_type.as_bytes().to_vec();
    origin.logger = name.as_bytes().to_vec();
    origin.hostname = parts.engine.hostname.as_bytes().to_vec();
    origin.pid = Some(parts.engine.pid);
    let mut feed = Feed {
        name: name.to_owned(),
        is_framed,
        splitting: parts.start_splitter(is_framed)?,
        decoding: parts.start_decoder(is_framed)?,
        origin,
        uuids: if written.is_some() { Uuids::seeded(0) } else { Uuids::default() },
        written,
        now: 0,
        offset: 0,
        is_skipping: false,
        batch: Batch::new(),
        taker,
    };
    feed.read(from)
}

/// Unpacks what is packed, and tells whether it is a stream of framed messages.
fn open(from: Box<dyn Read>) -> anyhow::Result<(Box<dyn Read>, bool)> {
    let (start, from) = look(from)?;
    if !start.starts_with(&GZIP) {
        return Ok((from, is_frame(&start)));
    }
    let (start, from) = look(Box::new(MultiGzDecoder::new(from)))?;
    Ok((from, is_frame(&start)))
}

/// The first bytes, and all bytes.
fn look(mut from: Box<dyn Read>) -> std::io::Result<(Vec<u8>, Box<dyn Read>)> {
    let mut start = Vec::new();
    // One byte tells a log; only what may be a frame or gzip is waited for.
    while start.len() < BEGINNING && matches!(start.first(), None | Some(0x1e | 0x1f)) {
        let mut buffer = [0; BEGINNING];
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => start.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if is_frame(&start) {
            break;
        }
    }
    let all = Cursor::new(start.clone()).chain(from);
    Ok((start, Box::new(all)))
}

fn is_frame(start: &[u8]) -> bool {
    let Some(1..) = start.len().checked_sub(1) else { return false };
    match frame::step(start, MAX_MESSAGE_SIZE) {
        Step::Frame { .. } | Step::TooLarge { .. } => true,
        Step::Incomplete { .. } => start[0] == frame::RECORD_SEPARATOR && start.len() > 2,
        Step::Garbage { .. } => false,
    }
}

/// One file on its way.
struct Feed<'a> {
    name: String,
    /// It is a stream of messages: what cannot be read of it is damage.
    is_framed: bool,
    splitting: Box<dyn Splitting>,
    decoding: Option<Box<dyn Decoding>>,
    origin: Origin,
    uuids: Uuids,
    /// When the file was written, where that is the time of its records.
    written: Option<i64>,
    /// When the bytes at hand were read, in nanoseconds since the epoch.
    now: i64,
    /// Where in the file the buffer begins.
    offset: u64,
    /// A record that is too long is being passed over.
    is_skipping: bool,
    batch: Batch,
    taker: &'a mut dyn Taker,
}

impl Feed<'_> {
    fn read(&mut self, mut from: impl Read) -> anyhow::Result<ControlFlow<()>> {
        let mut buffer = Vec::new();
        loop {
            self.taker.flush()?;
            let had = buffer.len();
            buffer.resize(had + CHUNK, 0);
            let read = match from.read(&mut buffer[had..]) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                    buffer.truncate(had);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            buffer.truncate(had + read);
            self.now = self.written.unwrap_or_else(wall);
            let is_end = read == 0;
            let used = match self.cut_all(&buffer, is_end)? {
                ControlFlow::Continue(used) => used,
                ControlFlow::Break(()) => return Ok(ControlFlow::Break(())),
            };
            buffer.drain(..used);
            self.offset += used as u64;
            if is_end {
                return self.hand_over();
            }
            if buffer.len() > MAX_RECORD {
                if !self.is_skipping {
                    self.complain(0, "a record exceeds the largest and is dropped")?;
                }
                self.offset += buffer.len() as u64;
                buffer.clear();
                self.splitting.forget();
                self.is_skipping = true;
            }
            if self.hand_over()?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// Cuts and decodes all whole records; says how many bytes they took.
    fn cut_all(&mut self, bytes: &[u8], is_end: bool) -> anyhow::Result<ControlFlow<(), usize>> {
        let mut at = 0;
        while at < bytes.len() {
            match self.splitting.cut(&bytes[at..], is_end) {
                Cut::Record { record, consumed, form, .. } => {
                    let record = &bytes[at + record.start..at + record.end];
                    if !std::mem::take(&mut self.is_skipping) {
                        self.decode(record, form, at)?;
                    }
                    at += consumed.max(1);
                    if self.batch.is_full() && self.hand_over()?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Cut::Skip { consumed, lost } => {
                    if let Some(reason) = lost {
                        self.complain(at, &reason)?;
                    }
                    at += consumed.max(1);
                }
                Cut::More if is_end => {
                    self.complain(at, "the end of a record is missing")?;
                    at = bytes.len();
                }
                Cut::More => break,
            }
        }
        Ok(ControlFlow::Continue(at.min(bytes.len())))
    }

    fn decode(&mut self, bytes: &[u8], form: Form, at: usize) -> anyhow::Result<()> {
        let record = Record {
            bytes,
            form,
            origin: &self.origin,
            now: self.now,
            uuid: self.uuids.make(),
            marks: Marks::default(),
        };
        let before = self.batch.len();
        let decoded = match &mut self.decoding {
            Some(decoding) => decoding.decode(&record, &mut self.batch),
            None => record.write(&mut self.batch).map_err(Into::into),
        };
        if let Err(error) = decoded {
            self.batch.truncate(before);
            if !error.is::<Quiet>() {
                let (place, reason) =
                    (self.place(at), format!("cannot decode a record: {error:#}"));
                if self.is_framed {
                    self.taker.damaged(&place, &reason)?;
                } else {
                    self.taker.undecodable(&place, &reason)?;
                }
            }
        }
        Ok(())
    }

    fn complain(&mut self, at: usize, reason: &str) -> anyhow::Result<()> {
        let place = self.place(at);
        self.taker.damaged(&place, reason)
    }

    fn place(&self, at: usize) -> String {
        format!("{}, byte {}", self.name, self.offset + at as u64)
    }

    /// Gives the batch away.
    fn hand_over(&mut self) -> anyhow::Result<ControlFlow<()>> {
        let flow = self.taker.batch(&self.batch)?;
        self.batch.truncate(0);
        Ok(flow)
    }
}

/// When a file was written last; `None` for stdin.
fn written(file: &Path) -> Option<i64> {
    Some(nanoseconds(file.metadata().ok()?.modified().ok()?))
}

/// The time of the wall clock, in nanoseconds since the epoch.
fn wall() -> i64 {
    nanoseconds(SystemTime::now())
}

fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
