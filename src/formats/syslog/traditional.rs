//! RFC 3164 and what programs make of it.

use super::Line;
use super::clock::Clock;
use super::modern;
use super::trimmed;

/// The longest name of a program.
const MAX_PROGRAM: usize = 255;
/// What AIX puts before the host of a message that it passes on.
const FORWARDED: &[u8] = b"Message forwarded from ";

/// Reads what follows the priority.
pub(super) fn read<'a>(bytes: &'a [u8], now: i64, clock: &mut Clock, line: &mut Line<'a>) {
    let after_number = without_sequence_number(bytes);
    let marked = after_number.strip_prefix(b"*").or_else(|| after_number.strip_prefix(b"."));
    let written = marked.unwrap_or(after_number);
    let Some((time, length)) = clock.read(written, now) else {
        // Without a time there may still be a program, and no host.
        if line.priority.is_some() {
            read_program(bytes, line);
        } else {
            line.text = bytes;
        }
        return;
    };
    line.time = Some(time);
    let rest = &written[length..];
    read_names(trimmed(rest.strip_prefix(b":").unwrap_or(rest)), line);
}

/// What follows the number that Cisco's devices count their messages with: `000042: `.
fn without_sequence_number(bytes: &[u8]) -> &[u8] {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match &bytes[digits..] {
        [b':', b' ', rest @ ..] if digits > 0 => rest,
        _ => bytes,
    }
}

/// Reads the host, where there is one, and what follows it.
fn read_names<'a>(bytes: &'a [u8], line: &mut Line<'a>) {
    if let Some(rest) = bytes.strip_prefix(FORWARDED)
        && let Some(end) = memchr::memmem::find(rest, b": ")
    {
        line.hostname = &rest[..end];
        return read_program(trimmed(&rest[end + 1..]), line);
    }
    if program(bytes).is_some() {
        return read_program(bytes, line);
    }
    let end = memchr::memchr(b' ', bytes).unwrap_or(bytes.len());
    line.hostname = &bytes[..end];
    let rest = trimmed(&bytes[end..]);
    // A message of RFC 5424 that a program wrote to /dev/log and rsyslog has not understood.
    let outer = *line;
    if modern::read(rest, line) {
        if line.hostname.is_empty() {
            line.hostname = outer.hostname;
        }
    } else {
        read_program(rest, line);
    }
}

/// Reads the program, where there is one, and the text.
fn read_program<'a>(bytes: &'a [u8], line: &mut Line<'a>) {
    let Some(found) = program(bytes) else {
        line.text = bytes;
        return;
    };
    (line.program, line.process) = (found.name, found.process);
    line.text = found.rest.strip_prefix(b" ").unwrap_or(found.rest);
}

/// The name of a program with the colon or the process behind it.
struct Program<'a> {
    name: &'a [u8],
    process: &'a [u8],
    rest: &'a [u8],
}

/// Reads `name:`, `name[process]:` or `name[process]`.
fn program(bytes: &[u8]) -> Option<Program<'_>> {
    let ends = |byte: &u8| matches!(byte, b':' | b'[' | b' ');
    let window = &bytes[..bytes.len().min(MAX_PROGRAM + 1)];
    let end = window.iter().position(ends).filter(|end| *end > 0)?;
    let (name, rest) = bytes.split_at(end);
    match rest {
        // A colon within a word is that of an address: a host, or a text.
        [b':', rest @ ..] if matches!(rest.first(), None | Some(b' ' | b'\t' | b'[')) => {
            Some(Program { name, process: b"", rest })
        }
        [b'[', rest @ ..] => {
            let end = rest.iter().take(MAX_PROGRAM).position(|byte| *byte == b']')?;
            let (process, rest) = (&rest[..end], &rest[end + 1..]);
            let rest = match rest {
                [b':', rest @ ..] => rest,
                [] | [b' ', ..] => rest,
                _ => return None,
            };
            Some(Program { name, process, rest })
        }
        _ => None,
    }
}
