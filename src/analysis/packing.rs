//! Numbers and texts as bytes, by a format such as `>I2s`.
//!
//! | letter | what |
//! | --- | --- |
//! | `>` `<` | what follows is big or little-endian |
//! | `!` `!4` | aligned to the largest power of two, or to 4 |
//! | `x` | a zero byte, passed over when reading |
//! | `b` `B` | one byte, signed or not |
//! | `h` `H` | two |
//! | `l` `L` `T` | eight |
//! | `i` `I` `i3` `I3` | four, or as many as said, at most 8 |
//! | `f` `d` `n` | a float of four bytes, of eight |
//! | `s` | text to a zero byte |
//! | `c5` | five bytes; `c0` writes all, and reads as many as the number before says |
//! | blank | nothing |

/// The most formats in one, and the most bytes one of them stands for.
const MAX_WIDTH: usize = 1 << 24;

/// One item of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A zero byte that is no value.
    Padding,
    /// A whole number of so many bytes.
    Integer {
        /// Bytes, 1 to 8.
        width: usize,
        /// Whether it has a sign.
        is_signed: bool,
    },
    /// A float of four bytes.
    Float,
    /// A float of eight bytes.
    Double,
    /// Text up to a zero byte.
    Terminated,
    /// So many bytes; 0 is as many as there are.
    Text(usize),
}

impl Item {
    /// Bytes it takes where that does not depend on the value.
    #[must_use]
    pub fn width(self) -> Option<usize> {
        match self {
            Item::Padding => Some(1),
            Item::Integer { width, .. } => Some(width),
            Item::Float => Some(4),
            Item::Double => Some(8),
            Item::Terminated | Item::Text(0) => None,
            Item::Text(width) => Some(width),
        }
    }

    fn alignment(self) -> usize {
        match self {
            Item::Padding | Item::Terminated | Item::Text(_) => 1,
            other => other.width().unwrap_or(1),
        }
    }
}

/// What is wrong with a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such letter.
    #[error("invalid format option '{0}'")]
    Unknown(char),
    /// An integer of a width that is none.
    #[error("integral size {0} is not from 1 to 8")]
    Width(usize),
    /// An alignment that is no power of two.
    #[error("alignment {0} is not a power of 2")]
    Alignment(usize),
    /// A number that is too large.
    #[error("a size in the format is too large")]
    TooLarge,
}

/// Goes through a format, item by item.
#[derive(Clone, Copy, Debug)]
pub struct Format<'a> {
    rest: &'a [u8],
    is_big: bool,
    alignment: usize,
}

impl<'a> Format<'a> {
    /// A format at its start: little-endian, not aligned.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Format<'a> {
        Format { rest: text, is_big: false, alignment: 1 }
    }

    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// When the format is wrong here.
    pub fn next_item(&mut self) -> Result<Option<Item>, Error> {
        while let Some((letter, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(Some(match letter {
                b' ' => continue,
                b'>' => {
                    self.is_big = true;
                    continue;
                }
                b'<' => {
                    self.is_big = false;
                    continue;
                }
                b'!' => {
                    let alignment = self.digits()?.unwrap_or(8);
                    if !alignment.is_power_of_two() || alignment > 4096 {
                        return Err(Error::Alignment(alignment));
                    }
                    self.alignment = alignment;
                    continue;
                }
                b'x' => Item::Padding,
                b'b' | b'B' => Item::Integer { width: 1, is_signed: *letter == b'b' },
                b'h' | b'H' => Item::Integer { width: 2, is_signed: *letter == b'h' },
                b'l' | b'L' | b'T' => Item::Integer { width: 8, is_signed: *letter == b'l' },
                b'i' | b'I' => {
                    let width = self.digits()?.unwrap_or(4);
                    if !(1..=8).contains(&width) {
                        return Err(Error::Width(width));
                    }
                    Item::Integer { width, is_signed: *letter == b'i' }
                }
                b'f' => Item::Float,
                b'd' | b'n' => Item::Double,
                b's' => Item::Terminated,
                b'c' => Item::Text(self.digits()?.unwrap_or(1)),
                other => return Err(Error::Unknown(char::from(*other))),
            }));
        }
        Ok(None)
    }

    /// Bytes to leave free at `offset` so that `item` is aligned.
    #[must_use]
    pub fn gap(&self, item: Item, offset: usize) -> usize {
        let alignment = item.alignment().min(self.alignment);
        if alignment <= 1 || !alignment.is_power_of_two() {
            return 0;
        }
        offset.wrapping_neg() & (alignment - 1)
    }

    /// Appends a whole number.
    pub fn put_integer(&self, out: &mut Vec<u8>, width: usize, value: i64) {
        let width = width.min(8);
        if self.is_big {
            out.extend_from_slice(&value.to_be_bytes()[8 - width..]);
        } else {
            out.extend_from_slice(&value.to_le_bytes()[..width]);
        }
    }

    /// Appends a float of four or eight bytes.
    #[allow(clippy::cast_possible_truncation, reason = "four bytes are asked for")]
    pub fn put_float(&self, out: &mut Vec<u8>, item: Item, value: f64) {
        let bits = match item {
            Item::Float => i64::from((value as f32).to_bits()),
            _ => value.to_bits().cast_signed(),
        };
        self.put_integer(out, item.width().unwrap_or(8), bits);
    }

    /// Reads a whole number or float from as many bytes as it has.
    #[must_use]
    pub fn number(&self, item: Item, bytes: &[u8]) -> f64 {
        let mut word = [0; 8];
        let width = bytes.len().min(8);
        for (index, byte) in bytes.iter().take(width).enumerate() {
            word[if self.is_big { width - 1 - index } else { index }] = *byte;
        }
        let bits = u64::from_le_bytes(word);
        match item {
            Item::Float => {
                #[allow(clippy::cast_possible_truncation, reason = "four bytes were read")]
                let bits = bits as u32;
                f64::from(f32::from_bits(bits))
            }
            Item::Double => f64::from_bits(bits),
            Item::Integer { is_signed: true, .. } if width > 0 => {
                let shift = 64 - 8 * width;
                ((bits << shift).cast_signed() >> shift) as f64
            }
            _ => bits as f64,
        }
    }

    fn digits(&mut self) -> Result<Option<usize>, Error> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        if digits.is_empty() {
            return Ok(None);
        }
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        number.filter(|number| *number <= MAX_WIDTH).map(Some).ok_or(Error::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Result<Vec<Item>, Error> {
        let mut format = Format::new(text.as_bytes());
        let mut items = Vec::new();
        while let Some(item) = format.next_item()? {
            items.push(item);
        }
        Ok(items)
    }

    #[test]
    fn formats_are_read() {
        let integer = |width, is_signed| Item::Integer { width, is_signed };
        assert_eq!(
            items("> b H i I3 <l !4 d f s c0 c12 x"),
            Ok(vec![
                integer(1, true),
                integer(2, false),
                integer(4, true),
                integer(3, false),
                integer(8, true),
                Item::Double,
                Item::Float,
                Item::Terminated,
                Item::Text(0),
                Item::Text(12),
                Item::Padding
            ])
        );
        assert_eq!(items("i9"), Err(Error::Width(9)));
        assert_eq!(items("!3"), Err(Error::Alignment(3)));
        assert_eq!(items("z"), Err(Error::Unknown('z')));
        assert_eq!(items("c99999999999999999999"), Err(Error::TooLarge));
    }

    #[test]
    fn numbers_go_there_and_back() {
        for (text, value) in [
            (">i2", -2.0),
            ("<i3", -8_388_608.0),
            (">I4", 4_294_967_295.0),
            ("<d", 0.1),
            (">f", 0.5),
            ("l", -9e15),
            ("B", 255.0),
        ] {
            let mut format = Format::new(text.as_bytes());
            let item = format.next_item().unwrap().unwrap();
            let mut out = Vec::new();
            match item {
                Item::Integer { width, .. } => {
                    #[allow(clippy::cast_possible_truncation, reason = "the numbers are whole")]
                    format.put_integer(&mut out, width, value as i64);
                }
                item => format.put_float(&mut out, item, value),
            }
            assert_eq!(Some(out.len()), item.width());
            assert_eq!(format.number(item, &out), value, "{text}");
        }
        let mut format = Format::new(b"!4 d");
        let item = format.next_item().unwrap().unwrap();
        assert_eq!((format.gap(item, 1), format.gap(item, 4)), (3, 0));
    }
}
