//! RFC 5424: version, time, host, program, process, kind, structured data, text.

use super::Line;
use super::data;
use crate::formats::time;

/// The mark that text in UTF-8 may begin with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads what follows the priority; `false`, and nothing changed, when it is not of this form.
pub(super) fn read<'a>(bytes: &'a [u8], line: &mut Line<'a>) -> bool {
    let Some(rest) = bytes.strip_prefix(b"1 ") else { return false };
    let mut found = *line;
    let rest = if let Some(rest) = rest.strip_prefix(b"- ") {
        rest
    } else {
        let Some((time, length)) = time::read_rfc3339(rest, 0) else { return false };
        found.time = Some(time);
        let Some(rest) = rest[length..].strip_prefix(b" ") else { return false };
        rest
    };
    if read_names(rest, &mut found).is_none() {
        return false;
    }
    *line = found;
    true
}

fn read_names<'a>(bytes: &'a [u8], line: &mut Line<'a>) -> Option<()> {
    let (hostname, rest) = word(bytes)?;
    let (program, rest) = word(rest)?;
    let (process, rest) = word(rest)?;
    let (message_id, rest) = last_word(rest)?;
    (line.hostname, line.program) = (hostname, program);
    (line.process, line.message_id) = (process, message_id);
    let rest = match rest.strip_prefix(b"-") {
        Some(rest) if rest.first().is_none_or(|next| *next == b' ') => rest,
        _ => {
            // What is not whole belongs to the text, so that nothing is lost.
            let length = data::length(rest).unwrap_or(0);
            line.data = &rest[..length];
            &rest[length..]
        }
    };
    let text = rest.strip_prefix(b" ").unwrap_or(rest);
    line.text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    Some(())
}

/// A word and what follows the space behind it; a `-` is an empty one.
fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', bytes).filter(|end| *end > 0)?;
    Some((present(&bytes[..end]), &bytes[end + 1..]))
}

/// As [`word`], for one that may be the last of the message.
fn last_word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    word(bytes).or_else(|| (!bytes.contains(&b' ')).then(|| (present(bytes), &b""[..])))
}

fn present(word: &[u8]) -> &[u8] {
    if word == b"-" { b"" } else { word }
}
