//! A message as JSON.
//!
//! Clients of 2013 frame such bodies beside protocol buffers (encoding 1); their predecessors, the
//! Metlog clients, and later ones send them as datagrams or lines.
//!
//! | key, in any case | value |
//! | --- | --- |
//! | `uuid` | base64 of 16 bytes, or the text form |
//! | `timestamp` | nanoseconds since the epoch, or RFC 3339 |
//! | `type` `logger` `payload` `env_version` `hostname` | text |
//! | `severity` `pid` | numbers |
//! | `fields` | an array of `{name, value_type, representation, value_string …}`, or an object |
//!
//! `EnvVersion`, `metlog_hostname` and `metlog_pid` are read as what they stand for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value as Json;

use super::json_fields;
use super::time;
use crate::message;
use crate::message::ArrayBuilder;
use crate::message::Builder;
use crate::message::Value;
use crate::message::ValueType;

/// Why a text is no message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not JSON.
    #[error("message is not JSON")]
    Syntax(#[from] serde_json::Error),
    /// It is JSON and not an object.
    #[error("message is JSON and not an object")]
    NoObject,
    /// A header field has a value that it cannot have.
    #[error("{key:?} of the message is {value}, expected {expected}")]
    Header {
        /// The key, as written.
        key: String,
        /// The start of the value.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
    /// A dynamic field has a value that it cannot have.
    #[error("field {name:?} of the message {reason}")]
    Field {
        /// The name of the field.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// A message that was read, to be written.
#[derive(Debug, Default)]
pub struct JsonMessage {
    header: Map<String, Json>,
    fields: Vec<u8>,
    uuid: Option<[u8; 16]>,
    timestamp: Option<i64>,
    severity: Option<i32>,
    pid: Option<i32>,
}

impl JsonMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// When the text is none; see [`Error`].
    pub fn read(bytes: &[u8]) -> Result<JsonMessage, Error> {
        let Json::Object(object) = serde_json::from_slice(bytes)? else {
            return Err(Error::NoObject);
        };
        let mut message = JsonMessage::default();
        for (key, value) in object {
            if !value.is_null() {
                message.take(&key, value)?;
            }
        }
        Ok(message)
    }

    /// Writes the message; what it has no name or time for gets `uuid` and `now`, in nanoseconds
    /// since the epoch.
    pub fn write(&self, uuid: [u8; 16], now: i64, out: &mut Builder<'_>) {
        let text = |key: &str| self.header.get(key).and_then(Json::as_str).map(str::as_bytes);
        out.uuid(&self.uuid.unwrap_or(uuid)).timestamp(self.timestamp.unwrap_or(now));
        if let Some(text) = text("type") {
            out.message_type(text);
        }
        if let Some(text) = text("logger") {
            out.logger(text);
        }
        if let Some(severity) = self.severity {
            out.severity(severity);
        }
        if let Some(text) = text("payload") {
            out.payload(text);
        }
        if let Some(text) = text("envversion") {
            out.env_version(text);
        }
        if let Some(pid) = self.pid {
            out.pid(pid);
        }
        if let Some(text) = text("hostname") {
            out.hostname(text);
        }
        out.encoded_fields(&self.fields);
    }

    fn take(&mut self, key: &str, value: Json) -> Result<(), Error> {
        let wrong = |value: &Json, expected| Error::Header {
            key: key.to_owned(),
            value: value.to_string().chars().take(60).collect(),
            expected,
        };
        let plain = key.to_ascii_lowercase().replace('_', "");
        let plain = plain.strip_prefix("metlog").unwrap_or(&plain);
        match plain {
            "uuid" => {
                let uuid = value.as_str().and_then(uuid);
                self.uuid = Some(uuid.ok_or_else(|| wrong(&value, "base64 of 16 bytes"))?);
            }
            "timestamp" => {
                let time = timestamp(&value);
                self.timestamp = Some(time.ok_or_else(|| wrong(&value, "nanoseconds or a time"))?);
            }
            "severity" => self.severity = Some(small(&value).ok_or_else(|| wrong(&value, SMALL))?),
            "pid" => self.pid = Some(small(&value).ok_or_else(|| wrong(&value, SMALL))?),
            "type" | "logger" | "payload" | "envversion" | "hostname" => {
                if !value.is_string() {
                    return Err(wrong(&value, "text"));
                }
                self.header.insert(plain.to_owned(), value);
            }
            "fields" => match value {
                Json::Array(fields) => {
                    for field in fields {
                        self.field(&field)?;
                    }
                }
                Json::Object(_) => json_fields::flatten(&value, &mut self.fields),
                value => return Err(wrong(&value, "an array or an object")),
            },
            // As in the protocol buffer, what is not known is passed over.
            _ => {}
        }
        Ok(())
    }

    /// Takes a field in the form of the protocol buffer.
    fn field(&mut self, field: &Json) -> Result<(), Error> {
        let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
        let wrong = |reason| Error::Field { name: name.to_owned(), reason };
        let number = field.get("value_type").map_or(Some(0), type_number);
        let value_type = number
            .and_then(ValueType::from_number)
            .ok_or_else(|| wrong("has a value_type that is none"))?;
        let key = match value_type {
            ValueType::String => "value_string",
            ValueType::Bytes => "value_bytes",
            ValueType::Integer => "value_integer",
            ValueType::Double => "value_double",
            ValueType::Bool => "value_bool",
        };
        let mut values = ArrayBuilder::default();
        for value in field.get(key).and_then(Json::as_array).map_or(&[][..], Vec::as_slice) {
            push(value_type, value, &mut values)
                .ok_or_else(|| wrong("has a value of another type than it says"))?;
        }
        let representation = field.get("representation").and_then(Json::as_str);
        let representation = representation.unwrap_or_default().as_bytes();
        values.put_field(&mut self.fields, name.as_bytes(), representation);
        Ok(())
    }
}

const SMALL: &str = "a whole number of 32 bits";

fn push(value_type: ValueType, value: &Json, out: &mut ArrayBuilder) -> Option<()> {
    match value_type {
        ValueType::String => out.push(Value::String(value.as_str()?.as_bytes())),
        ValueType::Bytes => out.push(Value::Bytes(&STANDARD.decode(value.as_str()?).ok()?)),
        ValueType::Integer => out.push(Value::Integer(value.as_i64()?)),
        ValueType::Double => out.push(Value::Double(value.as_f64()?)),
        ValueType::Bool => out.push(Value::Bool(value.as_bool()?)),
    };
    Some(())
}

fn type_number(value: &Json) -> Option<u64> {
    let names = ["STRING", "BYTES", "INTEGER", "DOUBLE", "BOOL"];
    match value.as_str() {
        Some(name) => names.iter().zip(0..).find(|(known, _)| **known == name).map(|(_, n)| n),
        None => value.as_u64(),
    }
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    message::parse_uuid(text.as_bytes()).or_else(|| STANDARD.decode(text).ok()?.try_into().ok())
}

fn timestamp(value: &Json) -> Option<i64> {
    match value.as_str() {
        None => value.as_i64(),
        Some(text) => {
            let (nanoseconds, length) = time::read_rfc3339(text.as_bytes(), 0)?;
            (length == text.len()).then_some(nanoseconds)
        }
    }
}

fn small(value: &Json) -> Option<i32> {
    value.as_i64()?.try_into().ok()
}
