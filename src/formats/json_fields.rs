//! JSON as dynamic fields.
//!
//! The members of objects become fields named by their path, `a.b.c`. Whole numbers are integers,
//! other numbers doubles; `null` leaves no trace. An array of values of one type is one field with
//! these values; in any other its elements are named by their places, counted from one.
//!
//! A text is walked once and nothing is built of it but the fields, encoded as in a message; only
//! arrays are looked at as a whole.

use std::fmt;

use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::Error;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Value as Json;

use crate::message::ArrayBuilder;
use crate::message::Value;

/// Turns JSON into fields, one text after the other.
#[derive(Debug)]
pub struct Flattener {
    /// What stands between the names of a path.
    separator: String,
    /// How many objects deep members become fields; what is deeper is a field with JSON as text.
    maximum_depth: usize,
    /// The fields, each with tag and length.
    fields: Vec<u8>,
    path: String,
    values: ArrayBuilder,
}

/// A member of the outermost object that may be kept out of the fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Text.
    Text(&'a str),
    /// A whole number.
    Integer(i64),
    /// A number.
    Double(f64),
    /// A truth value.
    Bool(bool),
}

/// Says whether it has taken a member of the outermost object, which is then no field.
pub trait Take {
    /// Looks at a member, in the order of the text.
    fn take(&mut self, key: &str, value: Scalar<'_>) -> bool;
}

/// Takes nothing.
impl Take for () {
    fn take(&mut self, _key: &str, _value: Scalar<'_>) -> bool {
        false
    }
}

/// Appends the members of `value`, an object, as fields.
pub(crate) fn flatten(value: &Json, out: &mut Vec<u8>) {
    let mut flattener = Flattener::new(".", usize::MAX);
    flattener.members(value, 0);
    out.extend_from_slice(&flattener.fields);
}

impl Flattener {
    /// Names are joined by `separator`; members deeper than `maximum_depth` objects stay JSON.
    #[must_use]
    pub fn new(separator: &str, maximum_depth: usize) -> Flattener {
        Flattener {
            separator: separator.to_owned(),
            maximum_depth: maximum_depth.max(1),
            fields: Vec::new(),
            path: String::new(),
            values: ArrayBuilder::default(),
        }
    }

    /// The fields of the last text, encoded, each with its tag and length.
    #[must_use]
    pub fn fields(&self) -> &[u8] {
        &self.fields
    }

    /// Reads one text, an object.
    ///
    /// # Errors
    /// When it is not JSON, or no object.
    pub fn read(&mut self, text: &[u8], take: &mut dyn Take) -> Result<(), serde_json::Error> {
        self.fields.clear();
        self.path.clear();
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        deserializer.deserialize_any(Members { flattener: self, take })?;
        deserializer.end()
    }

    fn put(&mut self, scalar: Scalar<'_>) {
        self.values.clear();
        self.values.push(match scalar {
            Scalar::Text(text) => Value::String(text.as_bytes()),
            Scalar::Integer(number) => Value::Integer(number),
            Scalar::Double(number) => Value::Double(number),
            Scalar::Bool(truth) => Value::Bool(truth),
        });
        self.values.put_field(&mut self.fields, self.path.as_bytes(), b"");
    }

    /// Goes down to a member: its name joins the path. Returns how to come back.
    fn enter(&mut self, name: &str, depth: usize) -> usize {
        let length = self.path.len();
        if depth > 0 {
            self.path.push_str(&self.separator);
        }
        self.path.push_str(name);
        length
    }

    fn leave(&mut self, length: usize) {
        self.path.truncate(length);
    }

    fn json(&mut self, value: &Json, depth: usize) {
        match value {
            Json::Null => {}
            Json::Array(values) if self.is_uniform(values) => {
                self.values.put_field(&mut self.fields, self.path.as_bytes(), b"");
            }
            Json::Array(_) | Json::Object(_) if depth >= self.maximum_depth => {
                self.put(Scalar::Text(&value.to_string()));
            }
            Json::Array(_) | Json::Object(_) => self.members(value, depth),
            value => {
                if let Some(scalar) = scalar(value) {
                    self.put(scalar);
                }
            }
        }
    }

    fn members(&mut self, value: &Json, depth: usize) {
        if let Json::Object(members) = value {
            for (name, value) in members {
                let back = self.enter(name, depth);
                self.json(value, depth + 1);
                self.leave(back);
            }
        }
        if let Json::Array(values) = value {
            for (place, value) in (1..).zip(values) {
                let back = self.enter(itoa::Buffer::new().format(place), depth);
                self.json(value, depth + 1);
                self.leave(back);
            }
        }
    }

    /// Collects the values of an array, if they are all of one type.
    fn is_uniform(&mut self, values: &[Json]) -> bool {
        self.values.clear();
        let has_fraction = values.iter().any(Json::is_f64);
        values.iter().filter(|value| !value.is_null()).all(|value| match scalar(value) {
            None => false,
            Some(Scalar::Text(text)) => self.values.push(Value::String(text.as_bytes())),
            Some(Scalar::Bool(truth)) => self.values.push(Value::Bool(truth)),
            Some(Scalar::Double(number)) => self.values.push(Value::Double(number)),
            Some(Scalar::Integer(number)) if has_fraction => {
                self.values.push(Value::Double(number as f64))
            }
            Some(Scalar::Integer(number)) => self.values.push(Value::Integer(number)),
        })
    }
}

fn scalar(value: &Json) -> Option<Scalar<'_>> {
    Some(match value {
        Json::String(text) => Scalar::Text(text),
        Json::Bool(truth) => Scalar::Bool(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Scalar::Integer(number),
            None => Scalar::Double(number.as_f64()?),
        },
        Json::Null | Json::Array(_) | Json::Object(_) => return None,
    })
}

/// Visits the outermost object.
struct Members<'a, 't> {
    flattener: &'a mut Flattener,
    take: &'t mut dyn Take,
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(()) = map.next_key_seed(Key { flattener: self.flattener, depth: 0 })? {
            map.next_value_seed(Member {
                flattener: &mut *self.flattener,
                depth: 1,
                take: Some(&mut *self.take),
            })?;
            self.flattener.leave(0);
        }
        Ok(())
    }
}

/// Puts a key behind the path.
struct Key<'a> {
    flattener: &'a mut Flattener,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        self.flattener.enter(key, self.depth);
        Ok(())
    }
}

/// Visits a member, whose path the flattener has.
struct Member<'a, 't> {
    flattener: &'a mut Flattener,
    depth: usize,
    /// Asked first, where the member is of the outermost object.
    take: Option<&'t mut dyn Take>,
}

impl Member<'_, '_> {
    fn scalar(self, scalar: Scalar<'_>) {
        let is_taken = self.take.is_some_and(|take| take.take(&self.flattener.path, scalar));
        if !is_taken {
            self.flattener.put(scalar);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.scalar(Scalar::Bool(truth));
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.scalar(Scalar::Integer(number));
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.scalar(i64::try_from(number).map_or(Scalar::Double(number as f64), Scalar::Integer));
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.scalar(Scalar::Double(number));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.scalar(Scalar::Text(text));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element::<Json>()? {
            values.push(value);
        }
        self.flattener.json(&Json::Array(values), self.depth);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = self.depth;
        if depth >= self.flattener.maximum_depth {
            let mut members = serde_json::Map::new();
            while let Some((key, value)) = map.next_entry()? {
                members.insert(key, value);
            }
            self.flattener.put(Scalar::Text(&Json::Object(members).to_string()));
            return Ok(());
        }
        let back = self.flattener.path.len();
        while let Some(()) = map.next_key_seed(Key { flattener: self.flattener, depth })? {
            map.next_value_seed(Member {
                flattener: &mut *self.flattener,
                depth: depth + 1,
                take: None,
            })?;
            self.flattener.leave(back);
        }
        Ok(())
    }
}
