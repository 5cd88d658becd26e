//! Text with places that are filled from elsewhere.
//!
//! | form | place | used by |
//! | --- | --- | --- |
//! | [`Template::percent`] | `%Name%`, letters, digits and `_` | decoders, from what a regular expression captured |
//! | [`Template::braced`] | `%{Name}` | encoders and outputs, from a message |

use super::field::Value;
use super::uuid;
use super::view::Message;

/// A text with named places; see the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Percent,
    Braced,
}

impl Template {
    /// Reads a text with places such as `%Name%`. A percent sign that opens no such place is text.
    #[must_use]
    pub fn percent(text: &str) -> Template {
        let place = |rest: &str| {
            let behind = rest.strip_prefix('%')?;
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            let length = behind.find(|letter| !is_part(letter))?;
            (length > 0 && behind[length..].starts_with('%')).then(|| (1..=length, length + 2))
        };
        Template { parts: parts(text, place), form: Form::Percent }
    }

    /// Reads a text with places such as `%{Name}`.
    #[must_use]
    pub fn braced(text: &str) -> Template {
        let place = |rest: &str| {
            let length = rest.strip_prefix("%{")?.find('}')?;
            (length > 0).then(|| (2..=length + 1, length + 3))
        };
        Template { parts: parts(text, place), form: Form::Braced }
    }

    /// The names of the places, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Place(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Appends the text to `out`; `fill` appends what belongs into a place, or says that it knows
    /// none, and then the place stays as it is written.
    pub fn put(&self, out: &mut Vec<u8>, fill: &mut dyn FnMut(&str, &mut Vec<u8>) -> bool) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Place(name) if fill(name, out) => {}
                Part::Place(name) => {
                    let (open, close) = match self.form {
                        Form::Percent => ("%", "%"),
                        Form::Braced => ("%{", "}"),
                    };
                    for piece in [open, name, close] {
                        out.extend_from_slice(piece.as_bytes());
                    }
                }
            }
        }
    }

    /// Appends the text, filled from `message`: by `Type`, `Logger`, `Hostname`, `EnvVersion`,
    /// `Payload`, `Severity`, `Pid`, `UUID` and `Timestamp` (nanoseconds), or by the first value of
    /// the field of that name.
    pub fn put_message(&self, message: &Message<'_>, out: &mut Vec<u8>) {
        self.put(out, &mut |name, out| put_variable(message, name, out));
    }
}

/// Cuts a text at its places; `place` tells which part of the rest is a name, and how long the place
/// is in all.
fn parts(
    text: &str,
    place: impl Fn(&str) -> Option<(std::ops::RangeInclusive<usize>, usize)>,
) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((name, length)) = place(rest) {
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Place(rest[name].to_owned()));
            rest = &rest[length..];
        } else {
            literal.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    parts
}

/// Appends what `name` stands for in `message`; `false` when it has none.
pub(super) fn put_variable(message: &Message<'_>, name: &str, out: &mut Vec<u8>) -> bool {
    let mut put_number = |number: i64| {
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        true
    };
    let text = match name {
        "Type" => message.message_type(),
        "Logger" => message.logger(),
        "Hostname" => message.hostname(),
        "EnvVersion" => message.env_version(),
        "Payload" => message.payload(),
        "Severity" => return put_number(i64::from(message.severity())),
        "Pid" => return put_number(i64::from(message.pid())),
        "Timestamp" => return put_number(message.timestamp()),
        "UUID" | "Uuid" => {
            out.extend_from_slice(uuid::text(message.uuid()).as_ref().map_or(&[], |text| text));
            return true;
        }
        name => match message.value(name.as_bytes(), 0, 0) {
            None => return false,
            Some(Value::String(text) | Value::Bytes(text)) => text,
            Some(Value::Integer(number)) => return put_number(number),
            Some(Value::Double(number)) => {
                out.extend_from_slice(number.to_string().as_bytes());
                return true;
            }
            Some(Value::Bool(truth)) => {
                if truth {
                    &b"true"[..]
                } else {
                    b"false"
                }
            }
        },
    };
    out.extend_from_slice(text);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Batch;

    #[test]
    fn places_between_percent_signs_are_filled() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            Template::percent(text).put(&mut out, &mut |name, out| {
                out.extend_from_slice(name.to_uppercase().as_bytes());
                name != "none"
            });
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check("%a%", "A");
        check("x %a%%b_1% y", "x AB_1 y");
        check("100% of %a%", "100% of A");
        check("50%", "50%");
        check("%%a%", "%A");
        check("%é%", "%é%");
        assert_eq!(Template::percent("%a% %b%").names().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn unknown_places_stay() {
        let mut out = Vec::new();
        Template::percent("%a% b").put(&mut out, &mut |_, _| false);
        assert_eq!(out, b"%a% b");
    }

    #[test]
    fn places_in_braces_are_filled_from_a_message() {
        let mut batch = Batch::new();
        let mut builder = batch.begin();
        builder.message_type(b"T").uuid(&[1; 16]).timestamp(5).pid(-2).string("s", "", b"text");
        builder.integer("i", "", 7).double("d", "", 0.5).boolean("b", "", true);
        builder.finish().unwrap();
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            Template::braced(text).put_message(&batch.message(0), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check("%{Type}.%{Logger}.%{Severity}.%{Pid}", "T..7.-2");
        check("%{s} %{i} %{d} %{b} %{Timestamp}", "text 7 0.5 true 5");
        check("%{UUID}", "01010101-0101-0101-0101-010101010101");
        check("%{none} %{} %{open", "%{none} %{} %{open");
    }
}
