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
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Field<'a>> {
        let mut field = Field {
            bytes,
            name: b"",
            representation: b"",
            value_type: ValueType::String,
            values_at: u32::MAX,
        };
        let mut at = 0;
        while at < bytes.len() {
            let tag_at = at;
            match wire::varint(bytes, &mut at)? {
                0x0a => field.name = wire::delimited(bytes, &mut at)?,
                0x10 => field.value_type = ValueType::from_number(wire::varint(bytes, &mut at)?)?,
                0x1a => field.representation = wire::delimited(bytes, &mut at)?,
                tag => {
                    field.values_at = field.values_at.min(u32::try_from(tag_at).ok()?);
                    wire::skip(bytes, tag, &mut at)?;
                }
            }
        }
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

    /// The value at `index`, counted from zero.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<Value<'a>> {
        self.values().nth(index)
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
    pub(super) fn next_encoded(&mut self) -> Option<&'a [u8]> {
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
pub(super) fn name_of(encoded: &[u8]) -> Option<&[u8]> {
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
