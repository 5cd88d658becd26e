//! Fields as attributes, and what they belong to.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::ArrayValue;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::KeyValueList;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::Value as Json;

use crate::message::Field;
use crate::message::Message;
use crate::message::Value;

/// What a message comes from: what is equal goes together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct From {
    pub(super) resource: Resource,
    pub(super) scope: InstrumentationScope,
}

impl From {
    /// What the message says of it; the service is its logger where it says nothing.
    pub(super) fn of(message: &Message<'_>) -> From {
        let mut from =
            From { resource: Resource::default(), scope: InstrumentationScope::default() };
        for field in message.fields() {
            let name = text(field.name());
            if let Some(name) = name.strip_prefix("resource.") {
                from.resource.attributes.extend(attribute(name, &field));
            } else if let Some(name) = name.strip_prefix("scope.") {
                match (name, field.value(0).and_then(|value| value.as_bytes())) {
                    ("name", Some(bytes)) => from.scope.name = text(bytes).into_owned(),
                    ("version", Some(bytes)) => from.scope.version = text(bytes).into_owned(),
                    _ => from.scope.attributes.extend(attribute(name, &field)),
                }
            }
        }
        let attributes = &mut from.resource.attributes;
        let mut put = |name: &str, value: Any| {
            if !attributes.iter().any(|it| it.key == name) {
                attributes.push(pair(name, value));
            }
        };
        for (name, bytes) in [("service.name", message.logger()), ("host.name", message.hostname())]
        {
            if !bytes.is_empty() {
                put(name, Any::StringValue(text(bytes).into_owned()));
            }
        }
        if message.pid() != 0 {
            put("process.pid", Any::IntValue(message.pid().into()));
        }
        from
    }
}

/// The fields of a message as attributes, without those that say what it comes from and those in `except`.
pub(super) fn all(message: &Message<'_>, except: &[&str]) -> Vec<KeyValue> {
    let mut attributes: Vec<KeyValue> = Vec::new();
    for field in message.fields() {
        let name = text(field.name());
        let is_elsewhere = name.starts_with("resource.") || name.starts_with("scope.");
        if is_elsewhere || except.contains(&&*name) {
            continue;
        }
        let name = name.strip_prefix("attribute.").unwrap_or(&name);
        if !attributes.iter().any(|it| it.key == name) {
            attributes.extend(attribute(name, &field));
        }
    }
    attributes
}

/// A field as an attribute; none where it has no value.
pub(super) fn attribute(name: &str, field: &Field<'_>) -> Option<KeyValue> {
    let mut values = field.values().map(|value| any(value, field.representation()));
    let first = values.next()?;
    let mut all: Vec<AnyValue> = values.map(|value| AnyValue { value: Some(value) }).collect();
    if all.is_empty() {
        return Some(pair(name, first));
    }
    all.insert(0, AnyValue { value: Some(first) });
    Some(pair(name, Any::ArrayValue(ArrayValue { values: all })))
}

pub(super) fn pair(name: &str, value: Any) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn any(value: Value<'_>, representation: &[u8]) -> Any {
    match value {
        Value::String(bytes) if representation == b"json" => {
            let read = serde_json::from_slice(bytes).ok();
            read.and_then(of_json).unwrap_or_else(|| Any::StringValue(text(bytes).into_owned()))
        }
        Value::String(bytes) => Any::StringValue(text(bytes).into_owned()),
        Value::Bytes(bytes) => Any::BytesValue(bytes.to_vec()),
        Value::Integer(number) => Any::IntValue(number),
        Value::Double(number) => Any::DoubleValue(number),
        Value::Bool(truth) => Any::BoolValue(truth),
    }
}

/// Maps and lists; serde_json bounds how deep they are.
fn of_json(json: Json) -> Option<Any> {
    let inner = |value: Json| AnyValue { value: of_json(value) };
    Some(match json {
        Json::Null => return None,
        Json::Bool(truth) => Any::BoolValue(truth),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Any::IntValue(number),
            None => Any::DoubleValue(number.as_f64()?),
        },
        Json::String(text) => Any::StringValue(text),
        Json::Array(list) => {
            Any::ArrayValue(ArrayValue { values: list.into_iter().map(inner).collect() })
        }
        Json::Object(map) => Any::KvlistValue(KeyValueList {
            values: map
                .into_iter()
                .map(|(key, value)| KeyValue {
                    key,
                    value: Some(inner(value)),
                    ..KeyValue::default()
                })
                .collect(),
        }),
    })
}

pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The text in the first value of a field; empty where there is none.
pub(super) fn first_text(message: &Message<'_>, name: &str) -> String {
    let value = message.value(name.as_bytes(), 0, 0);
    value.and_then(|it| it.as_bytes()).map_or(String::new(), |bytes| text(bytes).into_owned())
}

/// Bytes that a field has in hexadecimal; none where it has not.
pub(super) fn id(message: &Message<'_>, name: &str) -> Vec<u8> {
    bytes(&first_text(message, name))
}

/// The bytes that hexadecimal digits are of; none where they are no such.
pub(super) fn bytes(written: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(written.get(at..at + 2)?, 16).ok();
    (0..written.len()).step_by(2).map(byte).collect::<Option<_>>().unwrap_or_default()
}
