//! Text with `%NAME%` in it, which stands for something in a message.

use std::borrow::Cow;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;

use crate::message::Message;
use crate::message::Value;

/// A text, and what is to be put into it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    parts: Vec<Part>,
    /// The number that it is without any message.
    constant: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Type,
    Logger,
    Hostname,
    Payload,
    /// The first value of the field with this name.
    Field(String),
}

impl Template {
    /// Reads a template; a percent sign that has no second stands for itself.
    fn parse(written: &str) -> Template {
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some((text, behind)) = rest.split_once('%') {
            let Some((name, behind)) = behind.split_once('%') else { break };
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            parts.push(match name {
                "" => Part::Text("%".to_owned()),
                "Type" => Part::Type,
                "Logger" => Part::Logger,
                "Hostname" => Part::Hostname,
                "Payload" => Part::Payload,
                _ => Part::Field(name.to_owned()),
            });
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let constant = match parts.as_slice() {
            [Part::Text(text)] => text.trim().parse().ok(),
            _ => None,
        };
        Template { parts, constant }
    }

    /// The number that the text is, written into `text` on the way; `None` when it is none.
    pub(super) fn number(&self, message: &Message<'_>, text: &mut Vec<u8>) -> Option<f64> {
        if let Some(constant) = self.constant {
            return Some(constant);
        }
        if let [Part::Field(name)] = self.parts.as_slice() {
            match message.value(name.as_bytes(), 0, 0)? {
                Value::Integer(number) => return Some(number as f64),
                Value::Double(number) => return Some(number).filter(|number| number.is_finite()),
                Value::Bool(truth) => return Some(f64::from(u8::from(truth))),
                Value::String(_) | Value::Bytes(_) => {}
            }
        }
        if !self.put(message, text, false) {
            return None;
        }
        let number: f64 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// Appends the text for a message; `false` when the message lacks something.
    pub(super) fn put(
        &self,
        message: &Message<'_>,
        out: &mut Vec<u8>,
        replaces_dots: bool,
    ) -> bool {
        for part in &self.parts {
            let start = out.len();
            let is_there = match part {
                Part::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    continue;
                }
                Part::Type => put_header(out, message.has_message_type(), message.message_type()),
                Part::Logger => put_header(out, message.has_logger(), message.logger()),
                Part::Hostname => put_header(out, message.has_hostname(), message.hostname()),
                Part::Payload => put_header(out, message.has_payload(), message.payload()),
                Part::Field(name) => match message.value(name.as_bytes(), 0, 0) {
                    Some(value) => {
                        put_value(out, value);
                        true
                    }
                    None => false,
                },
            };
            if !is_there {
                return false;
            }
            if replaces_dots {
                let dots = out[start..].iter_mut().filter(|byte| **byte == b'.');
                dots.for_each(|dot| *dot = b'_');
            }
        }
        true
    }
}

fn put_header(out: &mut Vec<u8>, is_there: bool, text: &[u8]) -> bool {
    out.extend_from_slice(text);
    is_there
}

fn put_value(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::String(bytes) | Value::Bytes(bytes) => out.extend_from_slice(bytes),
        Value::Integer(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Value::Double(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Template, D::Error> {
        String::deserialize(from).map(|written| Template::parse(&written))
    }
}

impl JsonSchema for Template {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}
