//! JSON as text (RFC 8259): strings and numbers, appended to a buffer.

/// What stands for bytes that are not UTF-8.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Appends `bytes` as a string with its quotes; what is not UTF-8 in them is replaced.
#[inline]
pub fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let plain = plain_len(bytes);
    out.extend_from_slice(&bytes[..plain]);
    if plain < bytes.len() {
        put_special(out, &bytes[plain..]);
    }
    out.push(b'"');
}

/// Appends the rest of a string from the first byte on that is not plain.
fn put_special(out: &mut Vec<u8>, bytes: &[u8]) {
    if std::str::from_utf8(bytes).is_ok() {
        put_escaped(out, bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        put_escaped(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(REPLACEMENT);
        }
    }
}

/// Appends an integer, with all its digits.
pub fn put_integer(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number so that it is read back as the same; `null` for what JSON has no number for.
pub fn put_double(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(number);
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends text that is UTF-8, escaped.
fn put_escaped(out: &mut Vec<u8>, mut text: &[u8]) {
    loop {
        let plain = plain_len(text);
        out.extend_from_slice(&text[..plain]);
        let Some(&byte) = text.get(plain) else { return };
        if byte >= 0x80 {
            let end = text[plain..].iter().position(u8::is_ascii).unwrap_or(text.len() - plain);
            out.extend_from_slice(&text[plain..plain + end]);
            text = &text[plain + end..];
        } else {
            put_escape(out, byte);
            text = &text[plain + 1..];
        }
    }
}

#[cold]
fn put_control(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u00");
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

fn put_escape(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => return put_control(out, byte),
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// How many bytes at the start are ASCII and need no escape.
#[inline]
fn plain_len(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(eight) = text.get(at..at + 8) {
        if let Some(found) = special_in(eight) {
            return at + found;
        }
        at += 8;
    }
    // The last bytes once more with those before them, which are known to be plain.
    if let Some(start) = text.len().checked_sub(8) {
        return special_in(&text[start..]).map_or(text.len(), |found| start + found);
    }
    let special = text.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\' | 0x80..));
    special.unwrap_or(text.len())
}

/// The first of eight bytes that is not ASCII or needs an escape. All are looked at at once: a
/// subtraction borrows into the high bit of a byte that is below the limit, and besides only in
/// those above the first such byte.
#[inline]
fn special_in(eight: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 0x80;
    let word = u64::from_le_bytes(eight.try_into().expect("there are eight bytes"));
    let quote = word ^ (ONES * u64::from(b'"'));
    let backslash = word ^ (ONES * u64::from(b'\\'));
    let found = word
        | word.wrapping_sub(ONES * 0x20)
        | quote.wrapping_sub(ONES)
        | backslash.wrapping_sub(ONES);
    (found & HIGH != 0).then(|| (found & HIGH).trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(input: &[u8], expected: &str) {
        let mut out = Vec::new();
        put_string(&mut out, input);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn strings_are_escaped() {
        check(b"", r#""""#);
        check(b"plain text of some length", r#""plain text of some length""#);
        check(
            b"a \"b\" \\ \n\r\t\x08\x0c\x01\x1f\x7f",
            "\"a \\\"b\\\" \\\\ \\n\\r\\t\\b\\f\\u0001\\u001f\x7f\"",
        );
        check("naïve 日本 \u{2028}".as_bytes(), "\"naïve 日本 \u{2028}\"");
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        check(b"a\xffb\xe6\x97", "\"a\u{fffd}b\u{fffd}\"");
    }

    #[test]
    fn numbers_are_read_back_as_they_were() {
        let text = |number| {
            let mut out = Vec::new();
            put_double(&mut out, number);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(3.0), "3");
        assert_eq!(text(0.1), "0.1");
        assert_eq!(text(1e300), "1e300");
        assert_eq!(text(f64::NAN), "null");
        let mut out = Vec::new();
        put_integer(&mut out, i64::MIN);
        assert_eq!(out, b"-9223372036854775808");
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was(text in any::<String>()) {
            let mut out = Vec::new();
            put_string(&mut out, text.as_bytes());
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn any_bytes_become_what_the_lossy_text_is(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(0x1f)], 0..40)
        ) {
            let mut out = Vec::new();
            put_string(&mut out, &bytes);
            let expected = String::from_utf8_lossy(&bytes);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), expected);
        }
    }
}
