//! A stream of framed messages, read with whatever damage it has.
//!
//! Behind damage the search goes on at the next separator; behind a message that cannot be read, or
//! a frame that the stream ends in, it goes on right behind that frame's first byte, so that a wrong
//! length hides nothing.

use std::io::Read;

use crate::message::Header;
use crate::message::frame;
use crate::message::frame::Step;

/// Bytes asked for at a time.
const CHUNK: usize = 256 * 1024;

/// Reads frames.
pub(super) struct Frames<R> {
    from: R,
    buffer: Vec<u8>,
    /// Where in the buffer the next frame should begin.
    at: usize,
    /// Where in the stream the buffer begins.
    offset: u64,
    max_message_size: usize,
    damage: Option<Damage>,
}

/// A stretch of the stream that is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// Where it begins, in bytes from the start of the stream.
    pub(super) at: u64,
    /// How many bytes it has.
    pub(super) length: u64,
    /// What is wrong with it.
    pub(super) reason: String,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// An encoded message, with its header located.
    Message(&'a [u8], Header),
    /// A message as JSON, as clients of 2013 send it.
    Json(&'a [u8]),
    /// Something else.
    Damage(Damage),
    /// The end, as far as the stream goes now.
    End,
}

/// What stands at the start of the buffer, borrowed from nothing.
enum Next {
    Message { start: usize, end: usize, header: Header },
    Json { start: usize, end: usize },
    Damage { skip: usize, reason: String },
    More,
}

impl<R: Read> Frames<R> {
    /// Reads from `from`, which stands at `offset` of its stream.
    pub(super) fn new(from: R, offset: u64, max_message_size: usize) -> Frames<R> {
        Frames { from, buffer: Vec::new(), at: 0, offset, max_message_size, damage: None }
    }

    /// What comes next. After [`Found::End`] it may be asked again; a frame that is not whole is
    /// damage only where `is_final`.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub(super) fn next(&mut self, is_final: bool) -> std::io::Result<Found<'_>> {
        let mut is_end = false;
        loop {
            match self.look(is_end && is_final) {
                Next::More if is_end => {
                    return Ok(self.damage.take().map_or(Found::End, Found::Damage));
                }
                Next::More => is_end = self.fill()? == 0,
                Next::Damage { skip, reason } => self.pass_over(skip, reason),
                _ if self.damage.is_some() => {
                    return Ok(self.damage.take().map_or(Found::End, Found::Damage));
                }
                Next::Message { start, end, header } => {
                    self.at = end;
                    return Ok(Found::Message(&self.buffer[start..end], header));
                }
                Next::Json { start, end } => {
                    self.at = end;
                    return Ok(Found::Json(&self.buffer[start..end]));
                }
            }
        }
    }

    fn look(&self, is_final: bool) -> Next {
        let bytes = &self.buffer[self.at..];
        if bytes.is_empty() {
            return Next::More;
        }
        match frame::step(bytes, self.max_message_size) {
            Step::Frame { header, message, length } => {
                let (start, end) = (self.at + length - message.len(), self.at + length);
                if header.encoding == 1 {
                    return Next::Json { start, end };
                }
                match Header::locate(message) {
                    Ok(header) => Next::Message { start, end, header },
                    Err(error) => Next::Damage { skip: 1, reason: error.to_string() },
                }
            }
            Step::Incomplete { .. } if is_final => {
                Next::Damage { skip: 1, reason: "stream ends within a frame".to_owned() }
            }
            Step::Incomplete { .. } => Next::More,
            Step::Garbage { skip } => Next::Damage { skip, reason: "no frame".to_owned() },
            Step::TooLarge { message_length, skip } => {
                let reason = format!(
                    "message of {message_length} bytes exceeds the largest of {}",
                    self.max_message_size
                );
                Next::Damage { skip, reason }
            }
        }
    }

    /// Counts `skip` bytes as damage, together with what stands right before them.
    fn pass_over(&mut self, skip: usize, reason: String) {
        let at = self.offset + self.at as u64;
        let damage = self.damage.get_or_insert(Damage { at, length: 0, reason });
        damage.length += skip as u64;
        self.at += skip;
    }

    fn fill(&mut self) -> std::io::Result<usize> {
        self.buffer.drain(..self.at);
        self.offset += self.at as u64;
        self.at = 0;
        let len = self.buffer.len();
        self.buffer.resize(len + CHUNK, 0);
        let read = loop {
            match self.from.read(&mut self.buffer[len..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(len + *read.as_ref().unwrap_or(&0));
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Batch;

    /// The stream is described by letters: `a` is a message with payload `a`, `#` a byte that is
    /// no frame, `<` a frame cut off, `x` a frame whose message is damaged.
    fn check(stream: &str, expected: &str) {
        let mut bytes = Vec::new();
        for letter in stream.chars() {
            match letter {
                '#' => bytes.push(b'#'),
                '<' => bytes.extend([0x1e, 2, 8, 100, 0x1f, 1]),
                'x' => bytes.extend([0x1e, 2, 8, 2, 0x1f, 0xff, 0xff]),
                letter => {
                    let mut batch = Batch::new();
                    let mut message = batch.begin();
                    message.payload(letter.to_string().as_bytes());
                    message.finish().unwrap();
                    bytes.extend_from_slice(batch.bytes());
                }
            }
        }
        let mut found = String::new();
        let mut frames = Frames::new(bytes.as_slice(), 0, 1000);
        loop {
            match frames.next(true).unwrap() {
                Found::Message(message, header) => {
                    let message = crate::message::Message::new(message, &header);
                    found.push(char::from(message.payload()[0]));
                }
                Found::Json(_) => found.push('J'),
                Found::Damage(damage) => {
                    found.push_str(&format!("[{}+{}]", damage.at, damage.length));
                }
                Found::End => break,
            }
        }
        assert_eq!(found, expected, "{stream}");
    }

    #[test]
    fn damage_is_named_once_and_hides_nothing() {
        check("", "");
        check("abc", "abc");
        check("##a", "[0+2]a");
        check("a##b#", "a[8+2]b[18+1]");
        check("a<", "a[8+6]");
        check("a<bc", "a[8+6]bc");
        check("xa", "[0+7]a");
    }

    #[test]
    fn a_frame_that_still_grows_is_no_damage() {
        let mut frames = Frames::new([0x1e, 2, 8, 100, 0x1f, 1].as_slice(), 0, 1000);
        assert!(matches!(frames.next(false).unwrap(), Found::End));
        assert!(matches!(frames.next(true).unwrap(), Found::Damage(_)));
    }

    #[test]
    fn a_message_beyond_the_limit_is_damage() {
        let mut frames = Frames::new([0x1e, 3, 8, 0xe9, 7, 0x1f, 1].as_slice(), 0, 1000);
        let Found::Damage(damage) = frames.next(true).unwrap() else { panic!("no damage") };
        assert_eq!(damage.reason, "message of 1001 bytes exceeds the largest of 1000");
        assert_eq!(damage.length, 7);
    }
}
