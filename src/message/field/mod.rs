//! Dynamic fields, read in place.
//!
//! A field is an array of one type. Arrays of numbers come packed (one length-delimited run) or
//! unpacked (one tag each), and both are read; only the array that `value_type` names counts.
//!
//! | number | name | wire type |
//! | --- | --- | --- |
//! | 1 | name | bytes |
//! | 2 | value_type: STRING 0, BYTES 1, INTEGER 2, DOUBLE 3, BOOL 4 | varint |
//! | 3 | representation | bytes |
//! | 4 | value_string | bytes, repeated |
//! | 5 | value_bytes | bytes, repeated |
//! | 6 | value_integer | varint, packed |
//! | 7 | value_double | 64 bit, packed |
//! | 8 | value_bool | varint, packed |

#[cfg(test)]
mod tests;

use super::wire;

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ValueType {
    /// Text.
    #[default]
    String,
    /// Bytes that are not text.
    Bytes,
    /// 64-bit signed integers.
    Integer,
    /// 64-bit floating-point numbers.
    Double,
    /// Truth values.
    Bool,
}

impl ValueType {
    /// The number that stands for the type on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            ValueType::String => 0,
            ValueType::Bytes => 1,
            ValueType::Integer => 2,
            ValueType::Double => 3,
            ValueType::Bool => 4,
        }
    }

    /// The type for which `number` stands.
    #[must_use]
    pub fn from_number(number: u64) -> Option<ValueType> {
        Some(match number {
            0 => ValueType::String,
            1 => ValueType::Bytes,
            2 => ValueType::Integer,
            3 => ValueType::Double,
            4 => ValueType::Bool,
            _ => return None,
        })
    }
}

/// One value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text; not necessarily UTF-8.
    String(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Double(f64),
    /// A truth value.
    Bool(bool),
}

impl<'a> Value<'a> {
    /// The bytes of a string or of bytes.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match *self {
            Value::String(bytes) | Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The type of the value.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Value::String(_) => ValueType::String,
            Value::Bytes(_) => ValueType::Bytes,
            Value::Integer(_) => ValueType::Integer,
            Value::Double(_) => ValueType::Double,
            Value::Bool(_) => ValueType::Bool,
        }
    }
}

/// A view of one dynamic field.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    bytes: &'a [u8],
    name: &'a [u8],
    representation: &'a [u8],
    value_type: ValueType,
    /// Where the search for values begins.
    values_at: u32,
}

impl<'a> Field<'a> {
    /// Reads the field encoded in `bytes`; `None` when it is damaged.
    #[inline]
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Field<'a>> {
        Field::parse_usual(bytes).or_else(|| Field::parse_any(bytes))
    }

    /// Reads a field as nearly all are: its parts in the order of their numbers, name and
    /// representation below 128 bytes, and one value or one run of values.
    #[inline]
    fn parse_usual(bytes: &'a [u8]) -> Option<Field<'a>> {
        let (&[tag, length], rest) = bytes.split_first_chunk::<2>()?;
        if tag != 0x0a || length >= 0x80 {
            return None;
        }
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (&[tag, number], mut rest) = rest.split_first_chunk::<2>()?;
        if tag != 0x10 {
            return None;
        }
        let value_type = ValueType::from_number(number.into())?;
        let mut representation: &[u8] = b"";
        if let [0x1a, length, behind @ ..] = rest
            && *length < 0x80
        {
            (representation, rest) = behind.split_at_checked(usize::from(*length))?;
        }
        let values_at = bytes.len() - rest.len();
        let mut at = values_at + 1;
        let length = wire::varint(bytes, &mut at)?;
        let is_own = rest.first() == Some(&((value_type.number() + 4) << 3 | 2));
        if !is_own || (bytes.len() - at) as u64 != length {
            return None;
        }
        let values_at = u32::try_from(values_at).ok()?;
        Some(Field { bytes, name, representation, value_type, values_at })
    }

    fn parse_any(bytes: &'a [u8]) -> Option<Field<'a>> {
        let mut field = Field {
            bytes,
            name: b"",
            representation: b"",
            value_type: ValueType::String,
            values_at: u32::MAX,
        };
        let mut at = 0;
        let mut value_type = 0;
        while at < bytes.len() {
            let tag_at = at;
            match wire::varint(bytes, &mut at)? {
                0x0a => field.name = wire::delimited(bytes, &mut at)?,
                // As of any enumeration the low half counts, and the last where there are several.
                0x10 => value_type = wire::varint(bytes, &mut at)? & u64::from(u32::MAX),
                0x1a => field.representation = wire::delimited(bytes, &mut at)?,
                tag => {
                    field.values_at = field.values_at.min(u32::try_from(tag_at).ok()?);
                    wire::skip(bytes, tag, &mut at)?;
                }
            }
        }
        field.value_type = ValueType::from_number(value_type)?;
        field.values_at = field.values_at.min(u32::try_from(bytes.len()).ok()?);
        Some(field)
    }

    /// The field's name.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The unit or format of the values, empty when none is given.
    #[must_use]
    pub fn representation(&self) -> &'a [u8] {
        self.representation
    }

    /// What the values are.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// The encoded field, as it stands in the message.
    #[must_use]
    pub fn encoded(&self) -> &'a [u8] {
        self.bytes
    }

    /// The values, in order.
    #[must_use]
    pub fn values(&self) -> Values<'a> {
        Values {
            bytes: self.bytes,
            at: self.values_at as usize,
            packed_until: 0,
            value_type: self.value_type,
        }
    }

    /// The value, where there is one and no more.
    #[inline]
    #[must_use]
    pub fn only_value(&self) -> Option<Value<'a>> {
        let value = only_run(self.value_type, self.bytes, self.values_at as usize);
        value.or_else(|| {
            let mut values = self.values();
            let first = values.next()?;
            values.next().is_none().then_some(first)
        })
    }

    /// The value at `index`, counted from zero.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<Value<'a>> {
        self.values().nth(index)
    }
}

/// The value of a field whose values are one run from `at` to its end, with one value in it.
#[inline]
fn only_run(value_type: ValueType, bytes: &[u8], mut at: usize) -> Option<Value<'_>> {
    let own = (value_type.number() + 4) << 3 | 2;
    if bytes.get(at) != Some(&own) {
        return None;
    }
    at += 1;
    let run = wire::delimited(bytes, &mut at)?;
    if at != bytes.len() {
        return None;
    }
    match value_type {
        ValueType::String => Some(Value::String(run)),
        ValueType::Bytes => Some(Value::Bytes(run)),
        ValueType::Double => Some(Value::Double(f64::from_le_bytes(run.try_into().ok()?))),
        ValueType::Bool => match run {
            [truth @ 0..0x80] => Some(Value::Bool(*truth != 0)),
            _ => None,
        },
        ValueType::Integer => {
            let mut end = 0;
            let number = wire::varint(run, &mut end)?;
            (end == run.len()).then_some(Value::Integer(number.cast_signed()))
        }
    }
}

/// All of an encoded field but its values: name, type and representation.
///
/// Messages of one kind have the same heads in the same order; who keeps them knows a field again
/// without reading it.
#[derive(Clone, Debug, Default)]
pub struct FieldHead {
    bytes: Vec<u8>,
    value_type: ValueType,
    /// Whether name, type and representation all stand before the values.
    is_whole: bool,
}

impl FieldHead {
    /// Becomes the head of `field`.
    pub fn copy_from(&mut self, field: &Field<'_>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&field.bytes[..field.values_at as usize]);
        self.value_type = field.value_type;
        self.is_whole = Field::parse(&self.bytes).is_some_and(|head| {
            (head.name, head.value_type, head.representation)
                == (field.name, field.value_type, field.representation)
        });
    }

    /// The value of an encoded field that has this head and one value behind it; `None` for any
    /// other, and for some that are written in an unusual way.
    #[inline]
    #[must_use]
    pub fn only_value<'a>(&self, encoded: &'a [u8]) -> Option<Value<'a>> {
        if !self.is_whole || !encoded.starts_with(&self.bytes) {
            return None;
        }
        only_run(self.value_type, encoded, self.bytes.len())
    }
}

/// Goes through the values of a field.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    bytes: &'a [u8],
    at: usize,
    /// End of the packed run being read; 0 outside one.
    packed_until: usize,
    value_type: ValueType,
}

impl<'a> Values<'a> {
    fn one(&mut self) -> Option<Value<'a>> {
        Some(match self.value_type {
            ValueType::String => Value::String(wire::delimited(self.bytes, &mut self.at)?),
            ValueType::Bytes => Value::Bytes(wire::delimited(self.bytes, &mut self.at)?),
            ValueType::Integer => {
                Value::Integer(wire::varint(self.bytes, &mut self.at)?.cast_signed())
            }
            ValueType::Double => {
                let raw = self.bytes.get(self.at..self.at + 8)?;
                self.at += 8;
                Value::Double(f64::from_le_bytes(raw.try_into().ok()?))
            }
            ValueType::Bool => Value::Bool(wire::varint(self.bytes, &mut self.at)? != 0),
        })
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        loop {
            if self.at < self.packed_until {
                let value = self.one();
                if self.at > self.packed_until {
                    // The run ends within a number: nothing behind it can be trusted.
                    self.at = self.bytes.len();
                    return None;
                }
                return value;
            }
            self.packed_until = 0;
            if self.at >= self.bytes.len() {
                return None;
            }
            let tag = wire::varint(self.bytes, &mut self.at)?;
            let number = u64::from(self.value_type.number()) + 4;
            let own_wire_type = match self.value_type {
                ValueType::String | ValueType::Bytes => 2,
                ValueType::Integer | ValueType::Bool => 0,
                ValueType::Double => 1,
            };
            if tag == number << 3 | own_wire_type {
                return self.one();
            }
            if tag == number << 3 | 2 {
                let run = wire::varint(self.bytes, &mut self.at)?;
                let end = self.at.checked_add(usize::try_from(run).ok()?)?;
                if end > self.bytes.len() {
                    return None;
                }
                self.packed_until = end;
            } else {
                wire::skip(self.bytes, tag, &mut self.at)?;
            }
        }
    }
}

/// Goes through the dynamic fields of a message; damaged ones are passed over.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn starting(bytes: &'a [u8], at: usize) -> Fields<'a> {
        Fields { bytes, at }
    }

    /// The next encoded field, not looked into.
    #[inline]
    pub fn next_encoded(&mut self) -> Option<&'a [u8]> {
        while self.at < self.bytes.len() {
            let tag = wire::varint(self.bytes, &mut self.at)?;
            if tag == 0x52 {
                return wire::delimited(self.bytes, &mut self.at);
            }
            wire::skip(self.bytes, tag, &mut self.at)?;
        }
        None
    }
}

impl<'a> Fields<'a> {
    /// The next encoded field of this name, which may still be damaged behind it.
    ///
    /// Nearly every field is shorter than 128 bytes or than 16 KiB and begins with a short name: such
    /// ones are told apart by three bytes and passed without looking further.
    #[inline]
    pub(super) fn next_called(&mut self, name: &[u8]) -> Option<&'a [u8]> {
        let length = u8::try_from(name.len()).ok().filter(|length| *length < 0x80);
        loop {
            let (from, end) = match *self.bytes.get(self.at..)? {
                [0x52, low @ 0..0x80, ..] => (self.at + 2, self.at + 2 + usize::from(low)),
                [0x52, low, high @ 0..0x80, ..] => {
                    let length = usize::from(low & 0x7f) | usize::from(high) << 7;
                    (self.at + 3, self.at + 3 + length)
                }
                _ => {
                    let encoded = self.next_encoded()?;
                    if name_of(encoded) == Some(name) {
                        return Some(encoded);
                    }
                    continue;
                }
            };
            let encoded = self.bytes.get(from..end)?;
            self.at = end;
            let is_it = match *encoded {
                [0x0a, own @ 0..0x80, ..] if Some(own) == length => {
                    encoded.get(2..).is_some_and(|rest| rest.starts_with(name))
                }
                [0x0a, own @ 0..0x80, ..] if usize::from(own) + 2 <= encoded.len() => false,
                _ => name_of(encoded) == Some(name),
            };
            if is_it {
                return Some(encoded);
            }
        }
    }

    /// The name and the encoding of the next field, which may still be damaged behind its name.
    #[inline]
    pub(crate) fn next_named(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        loop {
            let encoded = self.next_encoded()?;
            if let Some(name) = name_of(encoded) {
                return Some((name, encoded));
            }
        }
    }
}

/// The name of an encoded field, quickly where it comes first; `None` when the field is damaged.
#[inline]
fn name_of(encoded: &[u8]) -> Option<&[u8]> {
    if let [0x0a, length @ 0..0x80, rest @ ..] = encoded
        && let Some(name) = rest.get(..usize::from(*length))
    {
        return Some(name);
    }
    Field::parse(encoded).map(|field| field.name)
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            if let Some(field) = Field::parse(self.next_encoded()?) {
                return Some(field);
            }
        }
    }
}
