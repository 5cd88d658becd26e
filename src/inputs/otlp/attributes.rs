//! Attributes as fields.

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use serde_json::Value as Json;

use crate::message::ArrayBuilder;
use crate::message::Builder;
use crate::message::Value;

/// Lists of attributes that are deeper than this are text.
const MAX_DEPTH: usize = 64;

/// Writes attributes as fields, with `prefix` before their names. Lists of values of one type are one
/// field with all of them; maps, and lists of different things, are JSON as text.
pub(super) fn put(attributes: &[KeyValue], prefix: &str, message: &mut Builder<'_>) {
    for attribute in attributes {
        let Some(value) = attribute.value.as_ref().and_then(|it| it.value.as_ref()) else {
            continue;
        };
        let name = format!("{prefix}{}", attribute.key);
        match value {
            Any::ArrayValue(list) => {
                let mut values = ArrayBuilder::default();
                let is_uniform = list.values.iter().all(|it| {
                    it.value.as_ref().and_then(simple).is_some_and(|value| values.push(value))
                });
                if is_uniform {
                    message.array(&name, "", &values);
                } else {
                    message.string(&name, "json", text(value).as_bytes());
                }
            }
            Any::KvlistValue(_) => {
                message.string(&name, "json", text(value).as_bytes());
            }
            value => {
                let mut values = ArrayBuilder::default();
                if simple(value).is_some_and(|value| values.push(value)) {
                    message.array(&name, "", &values);
                }
            }
        }
    }
}

fn simple(value: &Any) -> Option<Value<'_>> {
    match value {
        Any::StringValue(text) => Some(Value::String(text.as_bytes())),
        Any::BoolValue(truth) => Some(Value::Bool(*truth)),
        Any::IntValue(number) => Some(Value::Integer(*number)),
        Any::DoubleValue(number) => Some(Value::Double(*number)),
        Any::BytesValue(bytes) => Some(Value::Bytes(bytes)),
        _ => None,
    }
}

/// The text of a value: itself, or JSON.
pub(super) fn text(value: &Any) -> String {
    match value {
        Any::StringValue(text) => text.clone(),
        value => json(value, 0).to_string(),
    }
}

fn json(value: &Any, depth: usize) -> Json {
    let inner = |value: &AnyValue| {
        let value = value.value.as_ref().filter(|_| depth < MAX_DEPTH);
        value.map_or(Json::Null, |value| json(value, depth + 1))
    };
    match value {
        Any::StringValue(text) => Json::from(text.as_str()),
        Any::BoolValue(truth) => Json::from(*truth),
        Any::IntValue(number) => Json::from(*number),
        Any::DoubleValue(number) => Json::from(*number),
        Any::BytesValue(bytes) => Json::from(hex(bytes)),
        Any::ArrayValue(list) => Json::from(list.values.iter().map(inner).collect::<Vec<_>>()),
        Any::KvlistValue(map) => {
            let members = map.values.iter().map(|member| {
                (member.key.clone(), member.value.as_ref().map_or(Json::Null, inner))
            });
            Json::Object(members.collect())
        }
        // A place in a table that requests do not have.
        Any::StringValueStrindex(_) => Json::Null,
    }
}

/// The value of an attribute.
pub(super) fn find<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Any> {
    let found = attributes.iter().find(|it| it.key == name)?;
    found.value.as_ref()?.value.as_ref()
}

/// Bytes as OpenTelemetry writes the names of traces and spans.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
