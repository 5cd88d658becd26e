//! One JSON object a message, one a line.

mod settings;
#[cfg(test)]
mod tests;
mod time;
mod writer;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use self::settings::Key;
pub(super) use self::time::TimeForm;
pub(super) use self::writer::Shape;
pub(super) use self::writer::Writer;
use crate::plugin::Described;
use crate::plugin::Encoder;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;

/// Gives each message as a JSON object on a line of its own.
///
/// A message's header comes under the keys `Uuid`, `Timestamp`, `Type`, `Logger`, `Severity`,
/// `Payload`, `EnvVersion`, `Pid` and `Hostname`, what it lacks left out, and its fields under
/// `Fields`. A field with several values, or a name that comes several times, is an array.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct JsonEncoder {
    /// What is written, in this order.
    fields: Vec<Key>,
    /// The dynamic fields that are written; all when empty.
    dynamic_fields: Vec<String>,
    /// Whether dynamic fields stand beside the header instead of under `Fields`. One that is named
    /// like a key of the header is then called `Fields.NAME`.
    flatten: bool,
    /// How the time is written: `rfc3339`, `ns` (nanoseconds since 1970, a number), or a pattern of
    /// strftime, in UTC.
    timestamp: TimeForm,
    /// Fields whose text is JSON already and goes in as such; what is none goes in as text.
    raw_bytes_fields: Vec<String>,
    /// What stands in the names of fields instead of each dot.
    replace_dots_with: String,
}

impl Default for JsonEncoder {
    fn default() -> JsonEncoder {
        JsonEncoder {
            fields: Key::ALL.to_vec(),
            dynamic_fields: Vec::new(),
            flatten: false,
            timestamp: TimeForm::default(),
            raw_bytes_fields: Vec::new(),
            replace_dots_with: ".".to_owned(),
        }
    }
}

impl Described for JsonEncoder {
    const NAME: &'static str = "JsonEncoder";
    const ABOUT: &'static str = "Gives each message as a JSON object, one a line.";
    const EXAMPLE: &'static str =
        "[JsonEncoder]\nfields = [\"Timestamp\", \"Hostname\", \"Fields\"]\nflatten = true\n";
}

impl Encoder for JsonEncoder {
    fn start(&self, _cx: &EncoderContext<'_>) -> anyhow::Result<Box<dyn Encoding>> {
        Ok(Box::new(Writer::new(&self.shape())))
    }
}

impl JsonEncoder {
    fn shape(&self) -> Shape {
        Shape {
            keys: self.fields.iter().map(|key| (*key, key.name().to_owned())).collect(),
            time: self.timestamp.clone(),
            wanted: self.dynamic_fields.clone(),
            raw: self.raw_bytes_fields.clone(),
            dot: self.replace_dots_with.clone(),
            is_flat: self.flatten,
        }
    }
}
