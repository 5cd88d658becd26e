//! How messages follow each other in a stream (RFC 6587).
//!
//! | way | a message is |
//! | --- | --- |
//! | octet counting | its length in decimal digits, a space, so many bytes |
//! | by line ends | bytes up to a line feed, a zero, or a carriage return and a line feed |
//!
//! A sender keeps to one of them, but each message tells for itself: one that is counted begins with
//! a digit from 1 to 9, and the message behind the count with `<`.

/// The most digits of a length.
const MAX_DIGITS: usize = 9;

/// What stands at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Message {
        /// Where it begins.
        start: usize,
        /// Where it ends.
        end: usize,
        /// How many bytes it takes from the stream.
        consumed: usize,
    },
    /// Nothing but line ends, so many bytes.
    Nothing(usize),
    /// It takes more bytes to tell; so many need not be looked at again.
    More(usize),
}

/// Finds the first message in `bytes`, of which `seen` were looked at before. At the end of the
/// stream what is left is a message.
#[must_use]
pub fn next(bytes: &[u8], seen: usize, is_end: bool) -> Frame {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\n' | b'\r' | 0)).count();
    if blank > 0 {
        return Frame::Nothing(blank);
    }
    match counted(bytes) {
        Counted::Yes { start, end } if end <= bytes.len() => {
            return Frame::Message { start, end, consumed: end };
        }
        Counted::Yes { start, .. } if is_end => {
            return Frame::Message { start, end: bytes.len(), consumed: bytes.len() };
        }
        Counted::Yes { .. } | Counted::Perhaps if !is_end => return Frame::More(0),
        _ => {}
    }
    let from = seen.min(bytes.len());
    match memchr::memchr2(b'\n', 0, &bytes[from..]) {
        Some(at) => {
            let consumed = from + at + 1;
            let line = &bytes[..from + at];
            let end = line.strip_suffix(b"\r").unwrap_or(line).len();
            Frame::Message { start: 0, end, consumed }
        }
        None if is_end => Frame::Message { start: 0, end: bytes.len(), consumed: bytes.len() },
        None => Frame::More(bytes.len()),
    }
}

/// Whether a message is counted.
enum Counted {
    Yes {
        start: usize,
        end: usize,
    },
    /// It takes more bytes to tell.
    Perhaps,
    No,
}

fn counted(bytes: &[u8]) -> Counted {
    if !matches!(bytes.first(), Some(b'1'..=b'9')) {
        return if bytes.is_empty() { Counted::Perhaps } else { Counted::No };
    }
    // No more are looked at: they would be again whenever more bytes have come.
    let start = bytes.iter().take(MAX_DIGITS + 1);
    let digits = start.take_while(|byte| byte.is_ascii_digit()).count();
    if digits > MAX_DIGITS {
        return Counted::No;
    }
    match bytes[digits..] {
        [] | [b' '] => Counted::Perhaps,
        [b' ', b'<', ..] => {
            let length = bytes[..digits].iter().fold(0, |n, d| n * 10 + usize::from(d - b'0'));
            Counted::Yes { start: digits + 1, end: digits + 1 + length }
        }
        _ => Counted::No,
    }
}
