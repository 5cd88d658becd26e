//! An entry on disk.
//!
//! Numbers are little-endian. An entry starts at a multiple of 8 and is a header of 64 bytes, its
//! particulars (where a batch came from, who signed), its body, and zeros up to a multiple of 8.
//!
//! | at | bytes | what |
//! | --- | --- | --- |
//! | 0 | 4 | magic `HkE1` |
//! | 4 | 4 | CRC32 of bytes 8 to 63 |
//! | 8 | 4 | number of the segment, its lowest 32 bits: what is left in a file used again has another |
//! | 12 | 1 | kind: 1 batch, 2 tick, 3 note, 4 cursors, 5 clean end, 6 cut |
//! | 13 | 1 | compression of the body: 0 none, 1 LZ4, 2 zstd |
//! | 14 | 2 | 0 |
//! | 16 | 8 | position; of cursors and a clean end, that of the last entry before; of a cut, the last one lost |
//! | 24 | 8 | time of append, wall clock, nanoseconds since the epoch |
//! | 32 | 8 | time of append, nanoseconds of the engine |
//! | 40 | 8 | position up to which the journal was synced when this was written |
//! | 48 | 4 | bytes of the particulars |
//! | 52 | 4 | bytes of the body as it stands here |
//! | 56 | 4 | bytes of the body once uncompressed |
//! | 60 | 4 | CRC32 of particulars and body as they stand here |
//!
//! The header is checked by itself, so that the entry after a damaged one is found by its length.
//! The position synced tells damage from a torn write: a hole that a later entry calls synced was
//! whole once; any other was never acknowledged, and the journal is cut there.
//!
//! Particulars of a batch, lengths and counts as varints: number of sources, each with name, offset
//! (varint) and detail; number of signers, each a name; then for each message that has a signer or
//! a loop count: how many messages it is behind the last such, number of the signer (1 byte), loop
//! count (1 byte). The body is the frames of the batch as they are. The particulars of a note are
//! its subject. Cursors have a table (see [`super::table`]) as their body. A cut stands where a repair
//! found what could not be read; its body is zeros.

use std::sync::Arc;

use super::encoding::Cut;
use super::encoding::put_prefixed;
use super::encoding::put_varint;
use super::entry::Body;
use super::entry::Entry;
use super::entry::Note;
use super::entry::Position;
use super::settings::Compression;
use crate::message::Batch;
use crate::message::Marks;
use crate::message::Source;
use crate::message::SourcePosition;

/// Bytes of an entry's header.
pub(super) const HEADER: usize = 64;
pub(super) const MAGIC: [u8; 4] = *b"HkE1";
/// The largest entry, header and particulars included.
pub(super) const LARGEST: usize = 65 << 20;

/// What a record in a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Batch = 1,
    Tick = 2,
    Note = 3,
    Cursors = 4,
    CleanEnd = 5,
    Cut = 6,
}

impl Kind {
    fn of(code: u8) -> Option<Kind> {
        [Kind::Batch, Kind::Tick, Kind::Note, Kind::Cursors, Kind::CleanEnd, Kind::Cut]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }

    /// Tells whether the record is an entry, with a position of its own.
    pub(super) fn is_entry(self) -> bool {
        matches!(self, Kind::Batch | Kind::Tick | Kind::Note)
    }
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) segment: u32,
    pub(super) kind: Kind,
    pub(super) compression: Compression,
    pub(super) position: Position,
    pub(super) time: i64,
    pub(super) engine_time: u64,
    pub(super) durable: Position,
    pub(super) particulars: u32,
    pub(super) stored: u32,
    pub(super) plain: u32,
    pub(super) crc: u32,
}

impl RecordHeader {
    /// Bytes from the start of this record to the start of the next.
    pub(super) fn span(&self) -> u64 {
        padded(HEADER as u64 + u64::from(self.particulars) + u64::from(self.stored))
    }

    pub(super) fn write(&self, out: &mut [u8]) {
        out[..4].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&self.segment.to_le_bytes());
        out[12] = self.kind as u8;
        out[13] = self.compression as u8;
        out[14..16].fill(0);
        out[16..24].copy_from_slice(&self.position.0.to_le_bytes());
        out[24..32].copy_from_slice(&self.time.to_le_bytes());
        out[32..40].copy_from_slice(&self.engine_time.to_le_bytes());
        out[40..48].copy_from_slice(&self.durable.0.to_le_bytes());
        out[48..52].copy_from_slice(&self.particulars.to_le_bytes());
        out[52..56].copy_from_slice(&self.stored.to_le_bytes());
        out[56..60].copy_from_slice(&self.plain.to_le_bytes());
        out[60..64].copy_from_slice(&self.crc.to_le_bytes());
        let crc = crc32fast::hash(&out[8..HEADER]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the header at the start of `bytes`, if a sound one of this segment stands there.
    pub(super) fn read(bytes: &[u8], segment: u64) -> Option<RecordHeader> {
        let bytes = bytes.get(..HEADER)?;
        if bytes[..4] != MAGIC {
            return None;
        }
        let mut from = Cut::new(&bytes[4..]);
        if from.u32()? != crc32fast::hash(&bytes[8..]) {
            return None;
        }
        let header = RecordHeader {
            segment: from.u32()?,
            kind: Kind::of(from.u8()?)?,
            compression: compression_of(from.u8()?)?,
            position: {
                from.bytes(2)?;
                Position(from.u64()?)
            },
            time: from.u64()?.cast_signed(),
            engine_time: from.u64()?,
            durable: Position(from.u64()?),
            particulars: from.u32()?,
            stored: from.u32()?,
            plain: from.u32()?,
            crc: from.u32()?,
        };
        let is_ours = u64::from(header.segment) == segment & u64::from(u32::MAX);
        let is_bounded = header.span() <= LARGEST as u64 * 2 && header.plain as usize <= LARGEST;
        (is_ours && is_bounded).then_some(header)
    }
}

/// The next multiple of 8.
pub(super) fn padded(bytes: u64) -> u64 {
    bytes.div_ceil(8) * 8
}

fn compression_of(code: u8) -> Option<Compression> {
    [Compression::None, Compression::Lz4, Compression::Zstd]
        .into_iter()
        .find(|compression| *compression as u8 == code)
}

/// What tells the records of one segment, written at one time, from others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) segment: u64,
    pub(super) durable: Position,
    pub(super) compression: Compression,
}

/// Appends header and particulars of `entry` to `out`; gives what is written as its body instead of
/// [`plain_body`], if that was compressed.
pub(super) fn write_entry(out: &mut Vec<u8>, entry: &Entry, stamp: Stamp) -> Option<Vec<u8>> {
    let at = out.len();
    out.resize(at + HEADER, 0);
    let kind = match &entry.body {
        Body::Batch(batch) => {
            put_particulars(out, batch);
            Kind::Batch
        }
        Body::Tick => Kind::Tick,
        Body::Note(note) => {
            out.extend_from_slice(note.subject.as_bytes());
            Kind::Note
        }
    };
    let plain = plain_body(entry);
    let packed = pack(plain, stamp.compression);
    let stored = packed.as_deref().unwrap_or(plain);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&out[at + HEADER..]);
    crc.update(stored);
    let header = RecordHeader {
        segment: low_bits(stamp.segment),
        kind,
        compression: if packed.is_some() { stamp.compression } else { Compression::None },
        position: entry.position,
        time: entry.time,
        engine_time: entry.engine_time,
        durable: stamp.durable,
        particulars: narrow(out.len() - at - HEADER),
        stored: narrow(stored.len()),
        plain: narrow(plain.len()),
        crc: crc.finalize(),
    };
    header.write(&mut out[at..at + HEADER]);
    packed
}

/// Appends a whole record that is no entry.
pub(super) fn write_control(out: &mut Vec<u8>, kind: Kind, last: &RecordTimes, body: &[u8]) {
    let at = out.len();
    out.resize(at + HEADER, 0);
    out.extend_from_slice(body);
    let header = RecordHeader {
        segment: low_bits(last.stamp.segment),
        kind,
        compression: Compression::None,
        position: last.position,
        time: last.time,
        engine_time: last.engine_time,
        durable: last.stamp.durable,
        particulars: 0,
        stored: narrow(body.len()),
        plain: narrow(body.len()),
        crc: crc32fast::hash(body),
    };
    header.write(&mut out[at..at + HEADER]);
    let end = at + usize::try_from(header.span()).expect("a record fits memory");
    out.resize(end, 0);
}

/// Where and when a record that is no entry is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordTimes {
    pub(super) stamp: Stamp,
    pub(super) position: Position,
    pub(super) time: i64,
    pub(super) engine_time: u64,
}

/// The body of an entry as it is in memory.
pub(super) fn plain_body(entry: &Entry) -> &[u8] {
    match &entry.body {
        Body::Batch(batch) => batch.bytes(),
        Body::Tick => &[],
        Body::Note(note) => &note.body,
    }
}

/// About how many bytes an entry takes on disk, uncompressed; never less than it does.
pub(super) fn stored_bytes(body: &Body) -> u64 {
    let variable = match body {
        Body::Batch(batch) => {
            let sources: usize = batch
                .reached()
                .iter()
                .map(|(source, position)| source.len() + position.detail.len() + 20)
                .sum();
            let signers: usize = batch.signers().iter().map(|signer| signer.len() + 5).sum();
            batch.bytes().len() + sources + signers + batch.len() * 5 + 30
        }
        Body::Tick => 0,
        Body::Note(note) => note.subject.len() + note.body.len(),
    };
    padded((HEADER + variable) as u64)
}

/// Puts an entry together again; nothing when it is no entry or what stands there makes no sense.
pub(super) fn read_entry(
    header: &RecordHeader,
    particulars: &[u8],
    body: Vec<u8>,
) -> Option<Entry> {
    let body = unpack(header, body)?;
    let body = match header.kind {
        Kind::Batch => Body::Batch(read_batch(particulars, body)?),
        Kind::Tick => Body::Tick,
        Kind::Note => {
            Body::Note(Note { subject: Arc::from(std::str::from_utf8(particulars).ok()?), body })
        }
        Kind::Cursors | Kind::CleanEnd | Kind::Cut => return None,
    };
    Some(Entry {
        position: header.position,
        time: header.time,
        engine_time: header.engine_time,
        body,
    })
}

/// The sources that the particulars of a batch name, and how far each has been read.
pub(super) fn read_reached(particulars: &[u8]) -> Option<Vec<(Source, SourcePosition)>> {
    reached(&mut Cut::new(particulars))
}

fn reached(from: &mut Cut<'_>) -> Option<Vec<(Source, SourcePosition)>> {
    let count = from.length()?;
    let mut sources = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        let name = from.text()?;
        let offset = from.varint()?;
        let detail = from.prefixed()?;
        sources.push((Source::from(name), SourcePosition { offset, detail: Arc::from(detail) }));
    }
    Some(sources)
}

fn put_particulars(out: &mut Vec<u8>, batch: &Batch) {
    put_varint(out, batch.reached().len() as u64);
    for (source, position) in batch.reached() {
        put_prefixed(out, source.as_bytes());
        put_varint(out, position.offset);
        put_prefixed(out, &position.detail);
    }
    put_varint(out, batch.signers().len() as u64);
    for signer in batch.signers() {
        put_prefixed(out, signer.as_bytes());
    }
    let mut last = 0;
    for index in 0..batch.len() {
        let marks = batch.marks(index);
        if marks != Marks::default() {
            put_varint(out, (index - last) as u64);
            out.extend_from_slice(&[marks.signer, marks.loops]);
            last = index;
        }
    }
}

fn read_batch(particulars: &[u8], frames: Vec<u8>) -> Option<Batch> {
    let mut from = Cut::new(particulars);
    let sources = reached(&mut from)?;
    let mut batch = Batch::from_frames(frames).ok()?;
    for (source, position) in sources {
        batch.reach(&source, position);
    }
    for _ in 0..from.length()? {
        let signer = from.text()?;
        batch.signer_number(signer);
    }
    let mut index = 0;
    while !from.is_empty() {
        index += from.length()?;
        let marks = Marks { signer: from.u8()?, loops: from.u8()? };
        if index >= batch.len() {
            return None;
        }
        batch.mark(index, marks);
    }
    Some(batch)
}

fn pack(plain: &[u8], compression: Compression) -> Option<Vec<u8>> {
    /// Below this, what is saved is lost in the padding.
    const SMALLEST: usize = 128;
    if plain.len() < SMALLEST {
        return None;
    }
    let packed = match compression {
        Compression::None => return None,
        Compression::Lz4 => lz4_flex::block::compress(plain),
        Compression::Zstd => zstd::bulk::compress(plain, 1).ok()?,
    };
    (packed.len() < plain.len()).then_some(packed)
}

fn unpack(header: &RecordHeader, stored: Vec<u8>) -> Option<Vec<u8>> {
    let plain = match header.compression {
        Compression::None => stored,
        Compression::Lz4 => lz4_flex::block::decompress(&stored, header.plain as usize).ok()?,
        Compression::Zstd => zstd::bulk::decompress(&stored, header.plain as usize).ok()?,
    };
    (plain.len() == header.plain as usize).then_some(plain)
}

#[allow(clippy::cast_possible_truncation, reason = "the lowest bits are what is wanted")]
fn low_bits(number: u64) -> u32 {
    number as u32
}

fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("an entry is at most 65 MiB")
}
