//! A variable of a message, as Heka writes it: `Type`, `Hostname`, `Fields[name]`, `Fields[name][0][1]`.

use serde::Deserialize;

use crate::message::Message;
use crate::message::Value;
use crate::message::template::Template;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Variable {
    /// A header field.
    Header(Template),
    /// A dynamic field: its name, which of that name, which of its values.
    Field(String, usize, usize),
}

impl TryFrom<String> for Variable {
    type Error = String;

    fn try_from(written: String) -> Result<Variable, String> {
        const HEADERS: [&str; 5] = ["Type", "Logger", "Hostname", "Payload", "EnvVersion"];
        if HEADERS.contains(&written.as_str()) {
            return Ok(Variable::Header(Template::braced(&format!("%{{{written}}}"))));
        }
        let mistake = || {
            format!(
                "`{written}` is no variable, expected Type, Logger, Hostname, Payload, EnvVersion, \
                 Fields[name] or Fields[name][0][0]"
            )
        };
        let inner = written.strip_prefix("Fields[").and_then(|rest| rest.strip_suffix(']'));
        let mut parts = inner.ok_or_else(mistake)?.split("][");
        let name = parts.next().filter(|name| !name.is_empty()).ok_or_else(mistake)?;
        let mut number = || parts.next().map_or(Ok(0), |part| part.parse().map_err(|_| mistake()));
        let (field, value) = (number()?, number()?);
        if parts.next().is_some() {
            return Err(mistake());
        }
        Ok(Variable::Field(name.to_owned(), field, value))
    }
}

impl Variable {
    /// Appends the value as text; tells whether the message has one.
    pub(super) fn put(&self, message: &Message<'_>, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        match self {
            Variable::Header(template) => template.put_message(message, out),
            Variable::Field(name, field, value) => {
                match message.value(name.as_bytes(), *field, *value) {
                    None => {}
                    Some(Value::String(text) | Value::Bytes(text)) => out.extend_from_slice(text),
                    Some(Value::Integer(number)) => {
                        out.extend_from_slice(number.to_string().as_bytes());
                    }
                    Some(Value::Double(number)) => {
                        out.extend_from_slice(number.to_string().as_bytes());
                    }
                    Some(Value::Bool(truth)) => out.extend_from_slice(truth.to_string().as_bytes()),
                }
            }
        }
        out.len() > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Batch;

    fn check(written: &str, expected: Result<&str, &str>) {
        let mut batch = Batch::new();
        let mut builder = batch.begin();
        builder.message_type(b"t");
        builder.string("f", "", b"x");
        builder.string("f", "", b"y");
        builder.finish().unwrap();
        let found = Variable::try_from(written.to_owned()).map(|variable| {
            let mut out = Vec::new();
            variable.put(&batch.message(0), &mut out);
            String::from_utf8(out).unwrap()
        });
        match (found, expected) {
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (found, expected) => assert_eq!(found.as_deref().ok(), expected.ok(), "{written}"),
        }
    }

    #[test]
    fn variables_are_written_as_in_heka() {
        check("Type", Ok("t"));
        check("Logger", Ok(""));
        check("Fields[f]", Ok("x"));
        check("Fields[f][1]", Ok("y"));
        check("Fields[f][0][1]", Ok(""));
        check("Fields[none]", Ok(""));
        for wrong in ["type", "Fields", "Fields[]", "Fields[f][x]", "Fields[f][0][0][0]", "Uuid"] {
            check(wrong, Err("is no variable"));
        }
    }
}
