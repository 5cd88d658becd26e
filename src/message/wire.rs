//! The few primitives of the protocol buffer wire format that a message needs.
//!
//! Source: the Protocol Buffers encoding specification. Varints are little-endian groups of seven
//! bits, at most ten bytes; a tag is `number << 3 | wire type`.

/// How deep groups may stand in one another.
const MAX_NESTED: usize = 100;

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
        3 => return skip_group(bytes, tag >> 3, at),
        5 => 4,
        _ => return None,
    };
    bytes.get(*at..*at + width)?;
    *at += width;
    Some(())
}

/// Moves behind a group, which nobody writes any more: fields up to the tag that ends it.
#[cold]
fn skip_group(bytes: &[u8], number: u64, at: &mut usize) -> Option<()> {
    let mut open = vec![number];
    while let Some(innermost) = open.last() {
        let tag = varint(bytes, at)?;
        match tag & 7 {
            3 if open.len() < MAX_NESTED => open.push(tag >> 3),
            3 => return None,
            4 if tag >> 3 == *innermost => {
                open.pop();
            }
            _ => skip(bytes, tag, at)?,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_passed_over_to_their_own_end() {
        let check = |bytes: &[u8], expected: Option<usize>| {
            let mut at = 0;
            let tag = varint(bytes, &mut at).unwrap();
            assert_eq!(skip(bytes, tag, &mut at).map(|()| at), expected, "{bytes:?}");
        };
        check(b"\x7b\x7c", Some(2));
        check(b"\x7b\x08\x01\x73\x12\x01x\x74\x7c\x08", Some(9));
        check(b"\x7b\x74", None);
        check(b"\x7b\x08\x01", None);
        check(b"\x7c", None);
        let nested = |depth| [vec![0x7b; depth], vec![0x7c; depth]].concat();
        check(&nested(MAX_NESTED), Some(2 * MAX_NESTED));
        check(&nested(MAX_NESTED + 1), None);
    }
}
