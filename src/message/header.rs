//! Where the header of a message lies in its bytes.
//!
//! A message is a protocol buffer (proto2) with these fields; everything else is skipped.
//!
//! | number | name | wire type |
//! | --- | --- | --- |
//! | 1 | uuid | bytes |
//! | 2 | timestamp, ns since the epoch | varint |
//! | 3 | type | bytes |
//! | 4 | logger | bytes |
//! | 5 | severity, default 7 | varint |
//! | 6 | payload | bytes |
//! | 7 | env_version | bytes |
//! | 8 | pid | varint |
//! | 9 | hostname | bytes |
//! | 10 | dynamic fields, repeated | bytes |
//!
//! [`Header::locate`] walks the top level once. As in any protocol buffer the last of a repeated
//! scalar counts. Dynamic fields are not looked into, only where the first begins is kept.

use super::Error;
use super::wire;

/// A stretch of a message's bytes: offset from its start and length.
///
/// Absent is told from empty by [`Span::ABSENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) at: u32,
    pub(crate) len: u32,
}

impl Span {
    pub(crate) const ABSENT: Span = Span { at: u32::MAX, len: 0 };

    pub(crate) fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(self.at as usize..)?.get(..self.len as usize)
    }
}

/// The places of a message's header fields, found once and kept beside the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub(crate) timestamp: i64,
    pub(crate) severity: i32,
    pub(crate) pid: i32,
    pub(crate) uuid: Span,
    pub(crate) message_type: Span,
    pub(crate) logger: Span,
    pub(crate) payload: Span,
    pub(crate) env_version: Span,
    pub(crate) hostname: Span,
    /// Where the first dynamic field's tag is; the message's length when it has none.
    pub(crate) fields: u32,
    /// One bit for each of the scalars present: timestamp 1, severity 2, pid 4.
    pub(crate) present: u8,
}

pub(crate) const HAS_TIMESTAMP: u8 = 1;
pub(crate) const HAS_SEVERITY: u8 = 2;
pub(crate) const HAS_PID: u8 = 4;

/// The severity of a message that names none.
pub const DEFAULT_SEVERITY: i32 = 7;

impl Header {
    /// The header of a message without a single field.
    pub(crate) const EMPTY: Header = Header {
        timestamp: 0,
        severity: DEFAULT_SEVERITY,
        pid: 0,
        uuid: Span::ABSENT,
        message_type: Span::ABSENT,
        logger: Span::ABSENT,
        payload: Span::ABSENT,
        env_version: Span::ABSENT,
        hostname: Span::ABSENT,
        fields: 0,
        present: 0,
    };

    /// Finds the header of the message in `bytes`.
    ///
    /// # Errors
    /// When the bytes are not a protocol buffer, a header field has another wire type than its own,
    /// or the message is larger than 4 GiB.
    pub fn locate(bytes: &[u8]) -> Result<Header, Error> {
        let length = u32::try_from(bytes.len()).map_err(|_| Error::TooLarge)?;
        let mut header = Header { fields: length, ..Header::EMPTY };
        let mut at = 0;
        while at < bytes.len() {
            let tag_at = at;
            let tag = wire::varint(bytes, &mut at).ok_or(Error::Truncated { at: tag_at })?;
            match tag {
                0x0a => header.uuid = span(bytes, &mut at)?,
                0x10 => {
                    header.timestamp = scalar(bytes, &mut at)?.cast_signed();
                    header.present |= HAS_TIMESTAMP;
                }
                0x1a => header.message_type = span(bytes, &mut at)?,
                0x22 => header.logger = span(bytes, &mut at)?,
                0x28 => {
                    header.severity = low_half(scalar(bytes, &mut at)?);
                    header.present |= HAS_SEVERITY;
                }
                0x32 => header.payload = span(bytes, &mut at)?,
                0x3a => header.env_version = span(bytes, &mut at)?,
                0x40 => {
                    header.pid = low_half(scalar(bytes, &mut at)?);
                    header.present |= HAS_PID;
                }
                0x4a => header.hostname = span(bytes, &mut at)?,
                0x52 => {
                    if header.fields == length {
                        header.fields = offset(tag_at);
                    }
                    span(bytes, &mut at)?;
                }
                _ if (1..=10).contains(&(tag >> 3)) => {
                    return Err(Error::WireType { number: tag >> 3, at: tag_at });
                }
                _ => wire::skip(bytes, tag, &mut at).ok_or(Error::Truncated { at: tag_at })?,
            }
        }
        Ok(header)
    }
}

fn span(bytes: &[u8], at: &mut usize) -> Result<Span, Error> {
    let start = *at;
    let slice = wire::delimited(bytes, at).ok_or(Error::Truncated { at: start })?;
    Ok(Span { at: offset(*at - slice.len()), len: offset(slice.len()) })
}

fn scalar(bytes: &[u8], at: &mut usize) -> Result<u64, Error> {
    let start = *at;
    wire::varint(bytes, at).ok_or(Error::Truncated { at: start })
}

/// What an int32 field means that was written as a 64-bit varint.
#[allow(clippy::cast_possible_truncation, reason = "an int32 is the low half of its varint")]
fn low_half(value: u64) -> i32 {
    value as i32
}

/// An offset into a message, whose length was found to fit.
#[allow(clippy::cast_possible_truncation, reason = "the length of the message fits in 32 bits")]
fn offset(at: usize) -> u32 {
    at as u32
}
