//! Values in a snapshot.
//!
//! | tag | value | behind it |
//! | --- | --- | --- |
//! | 0, 1, 2 | nil, false, true | |
//! | 3 | number | 8 bytes |
//! | 4 | integer | 8 bytes |
//! | 5 | string | length, bytes |
//! | 6 | buffer | length, bytes |
//! | 7 | table or native object | its number, counted from one |
//! | 8 | what cannot be kept: it stays as loading made it | 1 if that is of the host |
//! | 9 | `cjson.null` | |
//!
//! A definition is 0 and a table (number of its metatable or 0, count of pairs, keys and values), or
//! 1 and a native object (tag, length, bytes), or 2 and a native object with values that it refers to
//! (tag, length, bytes, count, values).

/// One value, read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::sandbox) enum Saved<'a> {
    Nil,
    Bool(bool),
    Number(f64),
    Integer(i64),
    Text(&'a [u8]),
    Buffer(&'a [u8]),
    Reference(usize),
    /// `cjson.null`.
    Null,
    Left {
        is_host: bool,
    },
}

/// Where a value is rooted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::sandbox) enum RootKind {
    /// A global of this name.
    Global,
    /// A module of this name.
    Module,
    /// A local captured by the function on the path.
    Local,
}

/// A named value.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Root<'a> {
    pub(in crate::sandbox) kind: RootKind,
    pub(in crate::sandbox) path: &'a [u8],
    pub(in crate::sandbox) name: &'a [u8],
    /// Which of the locals of this name in the function.
    pub(in crate::sandbox) ordinal: usize,
    /// Whether it differs from what loading the script made of it.
    pub(in crate::sandbox) is_changed: bool,
    pub(in crate::sandbox) value: Saved<'a>,
}

/// A table or native object.
#[derive(Clone, Debug)]
pub(in crate::sandbox) enum Definition<'a> {
    Table { metatable: usize, pairs: Vec<(Saved<'a>, Saved<'a>)> },
    Object { tag: u8, state: &'a [u8], values: Vec<Saved<'a>> },
}

/// A snapshot taken apart.
#[derive(Debug)]
pub(in crate::sandbox) struct Parsed<'a> {
    pub(in crate::sandbox) roots: Vec<Root<'a>>,
    pub(in crate::sandbox) definitions: Vec<Definition<'a>>,
}

impl<'a> Parsed<'a> {
    /// Reads roots and definitions; `None` when they are damaged.
    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Parsed<'a>> {
        let mut roots = Vec::new();
        for _ in 0..reader.count()? {
            roots.push(reader.root()?);
        }
        let mut definitions = Vec::new();
        for _ in 0..reader.count()? {
            definitions.push(reader.definition()?);
        }
        let parsed = Parsed { roots, definitions };
        (reader.rest.is_empty() && parsed.is_sound()).then_some(parsed)
    }

    /// Tells whether every reference has a definition.
    fn is_sound(&self) -> bool {
        let count = self.definitions.len();
        let is_sound = |value: &Saved<'_>| match value {
            Saved::Reference(number) => (1..=count).contains(number),
            _ => true,
        };
        self.roots.iter().all(|root| is_sound(&root.value))
            && self.definitions.iter().all(|definition| match definition {
                Definition::Object { values, .. } => values.iter().all(is_sound),
                Definition::Table { metatable, pairs } => {
                    *metatable <= count
                        && pairs.iter().all(|(key, value)| is_sound(key) && is_sound(value))
                }
            })
    }
}

/// Reads a snapshot.
#[derive(Debug)]
pub(in crate::sandbox) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(in crate::sandbox) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(super) fn raw(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.raw(1).map(|bytes| bytes[0])
    }

    pub(super) fn word(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.raw(8)?.try_into().ok()?))
    }

    fn count(&mut self) -> Option<usize> {
        let mut count = 0_u64;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            count |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return usize::try_from(count).ok();
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        self.raw(length)
    }

    pub(in crate::sandbox) fn value(&mut self) -> Option<Saved<'a>> {
        Some(match self.byte()? {
            0 => Saved::Nil,
            1 => Saved::Bool(false),
            2 => Saved::Bool(true),
            3 => Saved::Number(f64::from_bits(self.word()?)),
            4 => Saved::Integer(self.word()?.cast_signed()),
            5 => Saved::Text(self.text()?),
            6 => Saved::Buffer(self.text()?),
            7 => Saved::Reference(self.count()?),
            8 => Saved::Left { is_host: self.byte()? != 0 },
            9 => Saved::Null,
            _ => return None,
        })
    }

    /// The bytes of a value that stands for itself.
    pub(super) fn scalar_bytes(&mut self) -> Option<&'a [u8]> {
        let start = self.rest;
        self.value()?;
        Some(&start[..start.len() - self.rest.len()])
    }

    fn root(&mut self) -> Option<Root<'a>> {
        let kind = match self.byte()? {
            0 => RootKind::Global,
            1 => RootKind::Module,
            2 => RootKind::Local,
            _ => return None,
        };
        let (path, name) = (self.text()?, self.text()?);
        let (ordinal, is_changed) = (self.count()?, self.byte()? != 0);
        Some(Root { kind, path, name, ordinal, is_changed, value: self.value()? })
    }

    fn definition(&mut self) -> Option<Definition<'a>> {
        match self.byte()? {
            0 => {
                let metatable = self.count()?;
                let mut pairs = Vec::new();
                for _ in 0..self.count()? {
                    pairs.push((self.value()?, self.value()?));
                }
                Some(Definition::Table { metatable, pairs })
            }
            1 => {
                let (tag, state) = (self.byte()?, self.text()?);
                Some(Definition::Object { tag, state, values: Vec::new() })
            }
            2 => {
                let (tag, state) = (self.byte()?, self.text()?);
                let mut values = Vec::new();
                for _ in 0..self.count()? {
                    values.push(self.value()?);
                }
                Some(Definition::Object { tag, state, values })
            }
            _ => None,
        }
    }
}

/// Writes a snapshot.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(in crate::sandbox) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    pub(in crate::sandbox) fn bytes(&self) -> &[u8] {
        &self.out
    }

    pub(in crate::sandbox) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(in crate::sandbox) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub(in crate::sandbox) fn word(&mut self, word: u64) {
        self.raw(&word.to_le_bytes());
    }

    pub(in crate::sandbox) fn count(&mut self, count: usize) {
        let mut rest = count;
        while rest >= 0x80 {
            #[allow(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
            self.byte(rest as u8 | 0x80);
            rest >>= 7;
        }
        #[allow(clippy::cast_possible_truncation, reason = "below 128")]
        self.byte(rest as u8);
    }

    pub(in crate::sandbox) fn text(&mut self, text: &[u8]) {
        self.count(text.len());
        self.raw(text);
    }

    pub(in crate::sandbox) fn value(&mut self, value: Saved<'_>) {
        match value {
            Saved::Nil => self.byte(0),
            Saved::Bool(truth) => self.byte(1 + u8::from(truth)),
            Saved::Number(number) => {
                self.byte(3);
                self.word(number.to_bits());
            }
            Saved::Integer(integer) => {
                self.byte(4);
                self.word(integer.cast_unsigned());
            }
            Saved::Text(text) => {
                self.byte(5);
                self.text(text);
            }
            Saved::Buffer(bytes) => {
                self.byte(6);
                self.text(bytes);
            }
            Saved::Reference(number) => {
                self.byte(7);
                self.count(number);
            }
            Saved::Null => self.byte(9),
            Saved::Left { is_host } => {
                self.byte(8);
                self.byte(u8::from(is_host));
            }
        }
    }
}

impl RootKind {
    pub(in crate::sandbox) fn number(self) -> u8 {
        match self {
            RootKind::Global => 0,
            RootKind::Module => 1,
            RootKind::Local => 2,
        }
    }
}
