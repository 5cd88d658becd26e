//! The head of a segment: what it is, and all a start needs to know of what lies before it.
//!
//! | at | bytes | what |
//! | --- | --- | --- |
//! | 0 | 8 | magic `HEKAJRNL` |
//! | 8 | 4 | version of the format, 1 |
//! | 12 | 4 | CRC32 of all of the head but these bytes |
//! | 16 | 4 | bytes of the head, a multiple of 4096; entries follow |
//! | 20 | 4 | partition, 0 |
//! | 24 | 16 | id of the journal |
//! | 40 | 8 | epoch: how many times the journal had been opened for writing |
//! | 48 | 8 | number of the segment |
//! | 56 | 8 | first position that may stand in it |
//! | 64 | 8 | when it was begun, wall clock, nanoseconds since the epoch |
//! | 72 | 8 | when it was begun, nanoseconds of the engine |
//! | 80 | 8 | number of the segment before |
//! | 88 | 8 | last position that counts in the segment before |
//! | 96 | 8 | bytes in use in the segment before |
//! | 104 | 4 | bytes of the table of sources |
//! | 108 | 4 | bytes of the table of cursors |
//! | 112 | | the two tables, then zeros |
//!
//! For a position the newest segment counts: what an older one holds from there on is void. Both
//! tables tell how things stood right before the first position.
//!
//! Table of sources: a varint count, then for each its name, offset (varint), detail, and when it
//! last moved (8 bytes, wall clock). Table of cursors: a varint count, then for each reader its
//! name, how far it is (8 bytes), when it was last seen (8 bytes, wall clock) and its state (1 byte:
//! 1 its cursor is its snapshot, 2 retired). Names and details carry their length as a varint.

use std::collections::HashMap;
use std::sync::Arc;

use super::encoding::Cut;
use super::encoding::put_prefixed;
use super::encoding::put_varint;
use super::entry::Position;
use crate::message::Source;
use crate::message::SourcePosition;

const MAGIC: [u8; 8] = *b"HEKAJRNL";
/// The version of the format that is written.
pub(super) const VERSION: u32 = 1;
const FIXED: usize = 112;
const PAGE: usize = 4096;
/// The largest head that is believed, in bytes.
pub(super) const LARGEST_HEAD: usize = 64 << 20;

/// How far a source has been read, and when that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) position: SourcePosition,
    /// Wall clock, nanoseconds since the epoch.
    pub(super) seen: i64,
}

/// How far every source has been read.
pub(super) type Sources = HashMap<Source, Reached>;

/// How far a reader has durably got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) reader: Arc<str>,
    pub(super) position: Position,
    /// Wall clock, nanoseconds since the epoch.
    pub(super) seen: i64,
    /// Its cursor is its snapshot.
    pub(super) is_snapshot: bool,
    pub(super) is_retired: bool,
}

/// The head of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) journal: [u8; 16],
    pub(super) epoch: u64,
    pub(super) segment: u64,
    pub(super) first: Position,
    pub(super) time: i64,
    pub(super) engine_time: u64,
    pub(super) previous: Previous,
    /// Bytes of the head; 0 in one not yet written.
    pub(super) length: u64,
}

/// What a head says of the segment before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Previous {
    pub(super) segment: u64,
    /// The last position in it that counts.
    pub(super) last: Position,
    /// Bytes in use.
    pub(super) used: u64,
}

/// What can stand where a head should be.
#[derive(Debug)]
pub(super) enum Problem {
    /// Of a version this program does not know.
    Version(u32),
    /// Cut off, overwritten or never written.
    Damaged,
}

impl Head {
    /// Encodes head and tables.
    pub(super) fn encode(&self, sources: &Sources, cursors: &[Cursor]) -> Vec<u8> {
        let (sources, cursors) = (encode_sources(sources), encode_cursors(cursors));
        let length = (FIXED + sources.len() + cursors.len()).div_ceil(PAGE) * PAGE;
        self.put_together(length, &sources, &cursors)
    }

    /// Encodes head and tables into what fits `room` bytes of whole pages; nothing when they do not.
    pub(super) fn encode_into(
        &self,
        room: u64,
        sources: &Sources,
        cursors: &[Cursor],
    ) -> Option<Vec<u8>> {
        let (sources, cursors) = (encode_sources(sources), encode_cursors(cursors));
        let length = usize::try_from(room).ok()? / PAGE * PAGE;
        let fits = FIXED + sources.len() + cursors.len() <= length && length > 0;
        fits.then(|| self.put_together(length, &sources, &cursors))
    }

    fn put_together(&self, length: usize, sources: &[u8], cursors: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&narrow(length));
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.journal);
        for number in [
            self.epoch,
            self.segment,
            self.first.0,
            self.time.cast_unsigned(),
            self.engine_time,
            self.previous.segment,
            self.previous.last.0,
            self.previous.used,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&narrow(sources.len()));
        out.extend_from_slice(&narrow(cursors.len()));
        out.extend_from_slice(sources);
        out.extend_from_slice(cursors);
        out.resize(length, 0);
        let crc = checksum(&out);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// How long the head that starts with `bytes` is, as far as can be told before it is checked.
    pub(super) fn length(bytes: &[u8]) -> Result<usize, Problem> {
        let mut from = Cut::new(bytes);
        if from.array() != Some(MAGIC) {
            return Err(Problem::Damaged);
        }
        from.u64();
        let length = from.u32().ok_or(Problem::Damaged)? as usize;
        let is_plausible = (PAGE..=LARGEST_HEAD).contains(&length) && length.is_multiple_of(PAGE);
        if is_plausible { Ok(length) } else { Err(Problem::Damaged) }
    }

    /// Checks and reads a whole head.
    pub(super) fn read(bytes: &[u8]) -> Result<(Head, Sources, Vec<Cursor>), Problem> {
        if bytes.len() != Head::length(bytes)? {
            return Err(Problem::Damaged);
        }
        let crc = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        if crc != checksum(bytes) {
            return Err(Problem::Damaged);
        }
        // Newer versions have these first fields too, so that damage is not taken for one.
        let version = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        if version != VERSION {
            return Err(Problem::Version(version));
        }
        Head::fields(bytes).ok_or(Problem::Damaged)
    }

    fn fields(bytes: &[u8]) -> Option<(Head, Sources, Vec<Cursor>)> {
        let mut from = Cut::new(&bytes[24..]);
        let head = Head {
            journal: from.array()?,
            epoch: from.u64()?,
            segment: from.u64()?,
            first: Position(from.u64()?),
            time: from.u64()?.cast_signed(),
            engine_time: from.u64()?,
            previous: Previous {
                segment: from.u64()?,
                last: Position(from.u64()?),
                used: from.u64()?,
            },
            length: bytes.len() as u64,
        };
        let sources = from.u32()? as usize;
        let cursors = from.u32()? as usize;
        let sources = decode_sources(from.bytes(sources)?)?;
        let cursors = decode_cursors(from.bytes(cursors)?)?;
        Some((head, sources, cursors))
    }
}

fn checksum(head: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[..12]);
    crc.update(&head[16..]);
    crc.finalize()
}

/// Encodes the table of sources.
pub(super) fn encode_sources(sources: &Sources) -> Vec<u8> {
    let mut out = Vec::with_capacity(sources.len() * 64);
    put_varint(&mut out, sources.len() as u64);
    for (source, reached) in sources {
        put_prefixed(&mut out, source.as_bytes());
        put_varint(&mut out, reached.position.offset);
        put_prefixed(&mut out, &reached.position.detail);
        out.extend_from_slice(&reached.seen.to_le_bytes());
    }
    out
}

/// Reads the table of sources.
pub(super) fn decode_sources(bytes: &[u8]) -> Option<Sources> {
    let mut from = Cut::new(bytes);
    let count = from.length()?;
    let mut sources = Sources::with_capacity(count.min(bytes.len()));
    for _ in 0..count {
        let source = Source::from(from.text()?);
        let offset = from.varint()?;
        let detail = Arc::from(from.prefixed()?);
        let seen = from.u64()?.cast_signed();
        sources.insert(source, Reached { position: SourcePosition { offset, detail }, seen });
    }
    Some(sources)
}

/// Encodes the table of cursors.
pub(super) fn encode_cursors(cursors: &[Cursor]) -> Vec<u8> {
    let mut out = Vec::with_capacity(cursors.len() * 48);
    put_varint(&mut out, cursors.len() as u64);
    for cursor in cursors {
        put_prefixed(&mut out, cursor.reader.as_bytes());
        out.extend_from_slice(&cursor.position.0.to_le_bytes());
        out.extend_from_slice(&cursor.seen.to_le_bytes());
        out.push(u8::from(cursor.is_snapshot) | u8::from(cursor.is_retired) << 1);
    }
    out
}

/// Reads the table of cursors.
pub(super) fn decode_cursors(bytes: &[u8]) -> Option<Vec<Cursor>> {
    let mut from = Cut::new(bytes);
    let count = from.length()?;
    let mut cursors = Vec::with_capacity(count.min(bytes.len()));
    for _ in 0..count {
        let reader = Arc::from(from.text()?);
        let position = Position(from.u64()?);
        let seen = from.u64()?.cast_signed();
        let state = from.u8()?;
        let (is_snapshot, is_retired) = (state & 1 != 0, state & 2 != 0);
        cursors.push(Cursor { reader, position, seen, is_snapshot, is_retired });
    }
    Some(cursors)
}

fn narrow(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("the tables of a segment are far below 4 GiB").to_le_bytes()
}
