//! RFC 5424: version, time, host, program, process, kind, structured data, text.

use super::Line;
use super::data;
use crate::formats::time;

/// The mark that text in UTF-8 may begin with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads what follows the priority; `false`, and nothing changed, when it is not of this form.
pub(super) fn read<'a>(bytes: &'a [u8], line: &mut Line<'a>) -> bool {
    let Some(found) = bytes.strip_prefix(b"1 ").and_then(|rest| read_behind_version(rest, *line))
    else {
        return false;
    };
    // A message that rsyslog has not understood: it took the version for the program.
    let inner = (found.program == b"1" && found.process.is_empty())
        .then(|| read_behind_version(super::trimmed(found.text), found))
        .flatten();
    *line = inner.unwrap_or(found);
    true
}

fn read_behind_version<'a>(bytes: &'a [u8], outer: Line<'a>) -> Option<Line<'a>> {
    let mut line = outer;
    let rest = if let Some(rest) = bytes.strip_prefix(b"- ") {
        rest
    } else {
        let (time, length) = time::read_rfc3339(bytes, 0)?;
        line.time = Some(time);
        bytes[length..].strip_prefix(b" ")?
    };
    read_names(rest, &mut line)?;
    Some(line)
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
    // Programs that have a text behind a colon and a space in mind, rsyslog's too, write two.
    let text = text.strip_prefix(b" ").unwrap_or(text);
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
