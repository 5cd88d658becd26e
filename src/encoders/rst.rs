//! The whole message as text that a person can read.

use std::io::Write;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Field;
use crate::message::Message;
use crate::message::Value;
use crate::message::ValueType;
use crate::message::uuid_text;
use crate::plugin::Described;
use crate::plugin::Encoder;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;
use crate::stdx::rfc3339::Rfc3339;

/// Gives all there is in a message, a line each, as a field list of reStructuredText.
///
/// Control characters are escaped, so that a terminal shows what is there.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RstEncoder {}

impl Described for RstEncoder {
    const NAME: &'static str = "RstEncoder";
    const ABOUT: &'static str = "Gives the whole message as readable text, to look at.";
    const EXAMPLE: &'static str = "[RstEncoder]\n";
}

impl Encoder for RstEncoder {
    fn start(&self, _cx: &EncoderContext<'_>) -> anyhow::Result<Box<dyn Encoding>> {
        Ok(Box::new(Rst { times: Rfc3339::default() }))
    }
}

struct Rst {
    times: Rfc3339,
}

impl Encoding for Rst {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        out.extend_from_slice(b":Timestamp: ");
        self.times.put(message.timestamp(), out);
        put_line(out, "Type", message.message_type());
        put_line(out, "Hostname", message.hostname());
        write!(out, "\n:Pid: {}", message.pid())?;
        let uuid = uuid_text(message.uuid());
        put_line(out, "Uuid", uuid.as_ref().map_or(b"", |text| text));
        put_line(out, "Logger", message.logger());
        put_line(out, "Payload", message.payload());
        put_line(out, "EnvVersion", message.env_version());
        write!(out, "\n:Severity: {}", message.severity())?;
        let mut fields = message.fields().peekable();
        if fields.peek().is_some() {
            out.extend_from_slice(b"\n:Fields:");
        }
        for field in fields {
            put_field(out, &field)?;
        }
        out.extend_from_slice(b"\n\n");
        Ok(true)
    }
}

fn put_line(out: &mut Vec<u8>, name: &str, text: &[u8]) {
    out.extend_from_slice(b"\n:");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    for character in String::from_utf8_lossy(text).trim_end_matches('\n').chars() {
        match character {
            // What follows belongs to the same line of the list.
            '\n' => out.extend_from_slice(b"\n    "),
            '\t' => out.push(b'\t'),
            _ if character.is_control() => {
                out.extend_from_slice(character.escape_default().to_string().as_bytes());
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn put_field(out: &mut Vec<u8>, field: &Field<'_>) -> std::io::Result<()> {
    let value_type = match field.value_type() {
        ValueType::String => "string",
        ValueType::Bytes => "bytes",
        ValueType::Integer => "integer",
        ValueType::Double => "double",
        ValueType::Bool => "bool",
    };
    let name = String::from_utf8_lossy(field.name());
    write!(out, "\n    | name:{name:?} type:{value_type} value:")?;
    let mut values = field.values();
    let (first, second) = (values.next(), values.next());
    if second.is_none() {
        if let Some(value) = first {
            put_value(out, value)?;
        }
    } else {
        for (index, value) in field.values().enumerate() {
            out.push(if index == 0 { b'[' } else { b',' });
            put_value(out, value)?;
        }
        out.push(b']');
    }
    let representation = String::from_utf8_lossy(field.representation());
    if representation.is_empty() {
        return Ok(());
    }
    write!(out, " representation:{representation:?}")
}

fn put_value(out: &mut Vec<u8>, value: Value<'_>) -> std::io::Result<()> {
    match value {
        Value::String(bytes) => write!(out, "{:?}", String::from_utf8_lossy(bytes)),
        Value::Bytes(bytes) => write!(out, "\"{}\"", bytes.escape_ascii()),
        Value::Integer(number) => write!(out, "{number}"),
        Value::Double(number) => write!(out, "{number}"),
        Value::Bool(truth) => write!(out, "{truth}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ArrayBuilder;
    use crate::message::Batch;
    use crate::message::Builder;

    fn check(write: impl FnOnce(&mut Builder<'_>), expected: &str) {
        let mut batch = Batch::new();
        let mut builder = batch.begin();
        write(&mut builder);
        builder.finish().unwrap();
        let mut out = Vec::new();
        Rst { times: Rfc3339::default() }.encode(&batch.message(0), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn all_of_a_message_is_shown() {
        let mut numbers = ArrayBuilder::default();
        numbers.push(Value::Integer(1));
        numbers.push(Value::Integer(-2));
        check(
            |builder| {
                builder
                    .uuid(&[0xab; 16])
                    .timestamp(1_416_840_893_000_000_000)
                    .message_type(b"TEST")
                    .payload(b"two\nlines\x1b[0m\n")
                    .string("request", "", b"GET \"/\"")
                    .bytes("raw", "", b"\xff\x00")
                    .array("sizes", "B", &numbers)
                    .double("d", "s", 0.5)
                    .boolean("ok", "", true);
            },
            concat!(
                ":Timestamp: 2014-11-24T14:54:53Z\n",
                ":Type: TEST\n",
                ":Hostname: \n",
                ":Pid: 0\n",
                ":Uuid: abababab-abab-abab-abab-abababababab\n",
                ":Logger: \n",
                ":Payload: two\n    lines\\u{1b}[0m\n",
                ":EnvVersion: \n",
                ":Severity: 7\n",
                ":Fields:\n",
                "    | name:\"request\" type:string value:\"GET \\\"/\\\"\"\n",
                "    | name:\"raw\" type:bytes value:\"\\xff\\x00\"\n",
                "    | name:\"sizes\" type:integer value:[1,-2] representation:\"B\"\n",
                "    | name:\"d\" type:double value:0.5 representation:\"s\"\n",
                "    | name:\"ok\" type:bool value:true\n",
                "\n",
            ),
        );
    }
}
