//! Heka's stream framing.
//!
//! | offset | content |
//! | --- | --- |
//! | 0 | 0x1E, record separator |
//! | 1 | H, length of the header, 0 to 255 |
//! | 2 | header, a protocol buffer of H bytes |
//! | 2 + H | 0x1F, unit separator |
//! | 3 + H | the message, as many bytes as the header says |
//!
//! Header: `message_length` 1, `message_encoding` 2 (2013 clients: 0 protobuf, 1 JSON),
//! `hmac_hash_function` 3 (MD5 0, SHA-1 1; SHA-256 2 is ours), `hmac_signer` 4,
//! `hmac_key_version` 5, `hmac` 6.
//!
//! A reader that finds no header where one should be skips the separator and searches the next.

use super::wire;

/// Opens a frame.
pub const RECORD_SEPARATOR: u8 = 0x1e;
/// Stands between header and message.
pub const UNIT_SEPARATOR: u8 = 0x1f;
/// The most that framing adds to a message: separators, length and the largest header.
pub const MAX_OVERHEAD: usize = 3 + 255;

/// The header of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameHeader<'a> {
    /// Bytes of the message that follows.
    pub message_length: usize,
    /// 0 is a protocol buffer, 1 JSON (clients of 2013).
    pub encoding: u64,
    /// The hash of the signature: MD5 0, SHA-1 1, SHA-256 2.
    pub hash: u64,
    /// Who signed; empty when nobody did.
    pub signer: &'a [u8],
    /// The version of the signer's key.
    pub key_version: u32,
    /// The signature over the message's bytes.
    pub hmac: &'a [u8],
}

/// What stands at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole frame of `length` bytes.
    Frame {
        /// The header.
        header: FrameHeader<'a>,
        /// What was framed.
        message: &'a [u8],
        /// Bytes of the whole frame.
        length: usize,
    },
    /// A frame whose end is not there yet; it needs `needed` bytes in all, as far as is known.
    Incomplete {
        /// Bytes from the frame's start to its end, or to the end of its header.
        needed: usize,
    },
    /// No frame: `skip` bytes up to the next separator.
    Garbage {
        /// Bytes to pass over, at least one.
        skip: usize,
    },
    /// A frame whose message is larger than allowed; `skip` bytes of header to pass over.
    TooLarge {
        /// What the header says.
        message_length: usize,
        /// Bytes to pass over.
        skip: usize,
    },
}

/// Looks at the start of `bytes`, which must not be empty.
#[must_use]
pub fn step(bytes: &[u8], max_message_size: usize) -> Step<'_> {
    if bytes.first() != Some(&RECORD_SEPARATOR) {
        return garbage(bytes, 0);
    }
    let Some(&header_length) = bytes.get(1) else { return Step::Incomplete { needed: 3 } };
    let start = 3 + usize::from(header_length);
    if bytes.len() < start {
        return Step::Incomplete { needed: start };
    }
    if bytes[start - 1] != UNIT_SEPARATOR {
        return garbage(bytes, 1);
    }
    let Some(header) = parse_header(&bytes[2..start - 1]) else { return garbage(bytes, 1) };
    if header.message_length > max_message_size {
        return Step::TooLarge { message_length: header.message_length, skip: start };
    }
    let length = start + header.message_length;
    match bytes.get(start..length) {
        Some(message) => Step::Frame { header, message, length },
        None => Step::Incomplete { needed: length },
    }
}

fn garbage(bytes: &[u8], from: usize) -> Step<'_> {
    let skip = memchr::memchr(RECORD_SEPARATOR, &bytes[from..]);
    Step::Garbage { skip: skip.map_or(bytes.len(), |at| at + from).max(1) }
}

fn parse_header(bytes: &[u8]) -> Option<FrameHeader<'_>> {
    let mut header = FrameHeader::default();
    let mut has_length = false;
    let mut at = 0;
    while at < bytes.len() {
        match wire::varint(bytes, &mut at)? {
            0x08 => {
                header.message_length = usize::try_from(wire::varint(bytes, &mut at)?).ok()?;
                has_length = true;
            }
            0x10 => header.encoding = wire::varint(bytes, &mut at)?,
            0x18 => header.hash = wire::varint(bytes, &mut at)?,
            0x22 => header.signer = wire::delimited(bytes, &mut at)?,
            0x28 => header.key_version = u32::try_from(wire::varint(bytes, &mut at)?).ok()?,
            0x32 => header.hmac = wire::delimited(bytes, &mut at)?,
            tag => wire::skip(bytes, tag, &mut at)?,
        }
    }
    has_length.then_some(header)
}

/// How many bytes the plain frame header of a message of `message_length` bytes takes.
#[must_use]
pub fn plain_header_len(message_length: usize) -> usize {
    4 + wire::varint_len(message_length as u64)
}

/// Writes the plain frame header of a message of `message_length` bytes into `out`, which is as
/// long as [`plain_header_len`] says.
pub(super) fn write_plain_header(out: &mut [u8], message_length: usize) {
    let width = out.len() - 4;
    out[0] = RECORD_SEPARATOR;
    #[allow(clippy::cast_possible_truncation, reason = "a varint has at most ten bytes")]
    {
        out[1] = width as u8 + 1;
    }
    out[2] = 0x08;
    let mut value = message_length;
    for byte in &mut out[3..3 + width] {
        *byte = value.to_le_bytes()[0] | 0x80;
        value >>= 7;
    }
    out[2 + width] &= 0x7f;
    out[3 + width] = UNIT_SEPARATOR;
}

/// Appends `message` with a plain frame around it.
pub fn put(out: &mut Vec<u8>, message: &[u8]) {
    let at = out.len();
    out.resize(at + plain_header_len(message.len()), 0);
    write_plain_header(&mut out[at..], message.len());
    out.extend_from_slice(message);
}

/// Appends `message` with the frame that `header` describes; its length is that of `message`.
pub fn put_signed(out: &mut Vec<u8>, header: &FrameHeader<'_>, message: &[u8]) {
    let mut encoded = Vec::with_capacity(64);
    encoded.push(0x08);
    wire::put_varint(&mut encoded, message.len() as u64);
    if !header.signer.is_empty() {
        encoded.push(0x18);
        wire::put_varint(&mut encoded, header.hash);
        wire::put_delimited(&mut encoded, 0x22, header.signer);
        encoded.push(0x28);
        wire::put_varint(&mut encoded, u64::from(header.key_version));
        wire::put_delimited(&mut encoded, 0x32, header.hmac);
    }
    encoded.truncate(255);
    out.push(RECORD_SEPARATOR);
    out.push(u8::try_from(encoded.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(&encoded);
    out.push(UNIT_SEPARATOR);
    out.extend_from_slice(message);
}
