//! Frames: what every kind has in common.

use super::Error;
use super::words::HEKA;
use super::words::HELLO;

/// The first byte of a frame.
pub const MAGIC: u8 = 0xac;
/// Bytes before the body.
const HEAD: usize = 10;

/// A whole frame at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What it says it is.
    pub kind: u8,
    /// Bytes of the whole frame, its head included.
    pub length: usize,
}

impl Head {
    /// The body of the frame that `bytes` begins with.
    pub fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[HEAD..self.length]
    }
}

/// Looks for a whole frame at the start of `bytes`, with a body of at most `most` bytes; `None` when
/// its end is not there yet.
///
/// # Errors
/// When there is no frame, one too large, or one that is damaged.
pub fn head(bytes: &[u8], most: usize) -> Result<Option<Head>, Error> {
    match bytes.first() {
        None => return Ok(None),
        Some(&MAGIC) => {}
        Some(&other) => return Err(Error::Magic(other)),
    }
    let Some(head) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
    let body = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
    if body > most {
        return Err(Error::TooLarge { length: body, most });
    }
    let length = HEAD + body;
    if bytes.len() < length {
        return Ok(None);
    }
    let sum = u32::from_le_bytes([head[6], head[7], head[8], head[9]]);
    if checksum(&head[..6], &bytes[HEAD..length]) != sum {
        return Err(Error::Checksum);
    }
    Ok(Some(Head { kind: head[1], length }))
}

/// Tells whether a connection that begins with `bytes` speaks this protocol; `None` when more of it
/// has to be seen.
pub fn begins(bytes: &[u8]) -> Option<bool> {
    let says = |at: usize, expected: &[u8]| {
        bytes.iter().skip(at).zip(expected).all(|(byte, expected)| byte == expected)
    };
    if !says(0, &[MAGIC, HELLO]) || !says(HEAD, HEKA) {
        return Some(false);
    }
    (bytes.len() >= HEAD + HEKA.len()).then_some(true)
}

/// Appends a frame whose body `write` appends.
///
/// # Errors
/// What `write` says; `out` is then as it was.
pub fn put_with<E>(
    out: &mut Vec<u8>,
    kind: u8,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    out.extend_from_slice(&[MAGIC, kind, 0, 0, 0, 0, 0, 0, 0, 0]);
    if let Err(error) = write(out) {
        out.truncate(start);
        return Err(error);
    }
    let body = out.len() - start - HEAD;
    let length = u32::try_from(body).unwrap_or(u32::MAX);
    out[start + 2..start + 6].copy_from_slice(&length.to_le_bytes());
    let sum = checksum(&out[start..start + 6], &out[start + HEAD..]);
    out[start + 6..start + HEAD].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize()
}
