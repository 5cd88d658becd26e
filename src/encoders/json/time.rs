//! How the time of a message is written.

use std::borrow::Cow;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;

use crate::formats::json_text;
use crate::stdx::rfc3339::Rfc3339;
use crate::stdx::strftime::Strftime;

/// The form of a timestamp.
#[derive(Clone, Debug)]
pub(in crate::encoders) enum TimeForm {
    /// RFC 3339, in UTC.
    Rfc3339(Rfc3339),
    /// Nanoseconds since the epoch, as a number.
    Nanoseconds,
    /// By a pattern, in UTC.
    Pattern(Strftime),
}

impl Default for TimeForm {
    fn default() -> TimeForm {
        TimeForm::Rfc3339(Rfc3339::default())
    }
}

impl TimeForm {
    /// Appends a JSON value for `nanoseconds` since the epoch.
    pub(in crate::encoders) fn put(&mut self, nanoseconds: i64, out: &mut Vec<u8>) {
        match self {
            TimeForm::Rfc3339(form) => {
                out.push(b'"');
                form.put(nanoseconds, out);
                out.push(b'"');
            }
            TimeForm::Nanoseconds => json_text::put_integer(out, nanoseconds),
            TimeForm::Pattern(pattern) => {
                json_text::put_string(out, pattern.text(nanoseconds).as_bytes());
            }
        }
    }
}

impl<'de> Deserialize<'de> for TimeForm {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<TimeForm, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "rfc3339" => Ok(TimeForm::default()),
            "ns" => Ok(TimeForm::Nanoseconds),
            _ if !text.contains('%') => Err(serde::de::Error::custom(format!(
                "`{text}` is no form of a time, expected `rfc3339`, `ns` or a pattern such as \
                 \"%Y-%m-%d\""
            ))),
            _ => Strftime::parse(&text).map(TimeForm::Pattern).map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for TimeForm {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TimeForm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "anyOf": [{ "enum": ["rfc3339", "ns"] }, { "pattern": "%" }],
            "default": "rfc3339"
        })
    }
}
