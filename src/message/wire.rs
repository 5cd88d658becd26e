//! The few primitives of the protocol buffer wire format that a message needs.
//!
//! Source: the Protocol Buffers encoding specification. Varints are little-endian groups of seven
//! bits, at most ten bytes; a tag is `number << 3 | wire type`.

/// Reads a varint at `at` and moves behind it; `None` when it is cut off or longer than ten bytes.
#[inline]
pub(crate) fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(u64::from(first));
    }
    long_varint(bytes, at)
}

fn long_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for (count, byte) in bytes.get(*at..)?.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * count);
        if byte & 0x80 == 0 {
            *at += count + 1;
            return Some(value);
        }
    }
    None
}

/// Reads a length and as many bytes at `at` and moves behind them.
#[inline]
pub(crate) fn delimited<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(bytes, at)?).ok()?;
    let slice = bytes.get(*at..at.checked_add(length)?)?;
    *at += length;
    Some(slice)
}

/// Moves behind the value of a field that is of no interest.
pub(crate) fn skip(bytes: &[u8], tag: u64, at: &mut usize) -> Option<()> {
    let width = match tag & 7 {
        0 => {
            varint(bytes, at)?;
            return Some(());
        }
        1 => 8,
        2 => {
            delimited(bytes, at)?;
            return Some(());
        }
        5 => 4,
        _ => return None,
    };
    bytes.get(*at..*at + width)?;
    *at += width;
    Some(())
}

/// Appends `value` as a varint.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends a tag below 16, a length and the bytes.
#[inline]
pub(crate) fn put_delimited(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// How many bytes `value` takes as a varint.
#[inline]
pub(crate) fn varint_len(value: u64) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => (63 - (value | 1).leading_zeros() as usize) / 7 + 1,
    }
}
