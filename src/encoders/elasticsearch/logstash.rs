//! Documents as the first Logstash wrote them, for Kibana 3.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Documents;
use super::place::Action;
use super::place::Place;
use crate::encoders::json::Key;
use crate::encoders::json::Shape;
use crate::encoders::json::TimeForm;
use crate::encoders::json::Writer;
use crate::message::Places;
use crate::plugin::Described;
use crate::plugin::Encoder;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;

/// Gives each message as a document in the first format of Logstash: the header under `@uuid`,
/// `@timestamp`, `@type`, `@logger`, `@severity`, `@message`, `@envversion`, `@pid` and
/// `@source_host`, the fields under `@fields`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::encoders) struct ESLogstashV0Encoder {
    /// The index, in small letters, with places such as `%{Type}` or `%{%Y.%m.%d}`.
    index: Places,
    /// The type of the documents, with the same places. Only servers before Elasticsearch 7 have
    /// types; newer ones refuse documents that have one, so none is sent unless it is given.
    type_name: Places,
    /// Whether the type of a document is the message's.
    use_message_type: bool,
    /// The id of the document, with the same places; the server makes one where it is empty.
    id: Places,
    /// What is done with a document: `index` or `create`; a data stream wants `create`.
    action: Action,
    /// Whether the time in `index` and `id` is that of the message; that of sending otherwise.
    es_index_from_timestamp: bool,
    /// What is written, in this order.
    fields: Vec<Key>,
    /// How the time is written: `rfc3339`, `ns` (nanoseconds since 1970, a number), or a pattern of
    /// strftime, in UTC.
    timestamp: TimeForm,
    /// Fields whose text is JSON already and goes in as such; what is none goes in as text.
    raw_bytes_fields: Vec<String>,
    /// The dynamic fields that are written; all when empty.
    dynamic_fields: Vec<String>,
    /// What stands in the names of fields instead of each dot.
    replace_dots_with: String,
}

impl Default for ESLogstashV0Encoder {
    fn default() -> ESLogstashV0Encoder {
        let places = |text| Places::parse(text).expect("the pattern is sound");
        ESLogstashV0Encoder {
            index: places("logstash-%{%Y.%m.%d}"),
            type_name: places(""),
            use_message_type: false,
            id: places(""),
            action: Action::Index,
            es_index_from_timestamp: false,
            fields: Key::ALL.to_vec(),
            timestamp: TimeForm::default(),
            raw_bytes_fields: Vec::new(),
            dynamic_fields: Vec::new(),
            replace_dots_with: ".".to_owned(),
        }
    }
}

impl Described for ESLogstashV0Encoder {
    const NAME: &'static str = "ESLogstashV0Encoder";
    const ABOUT: &'static str = "Gives each message as a document in the first format of Logstash.";
    const EXAMPLE: &'static str = "[ESLogstashV0Encoder]\nes_index_from_timestamp = true\n";
}

impl Encoder for ESLogstashV0Encoder {
    fn start(&self, _cx: &EncoderContext<'_>) -> anyhow::Result<Box<dyn Encoding>> {
        let mut keys = self.fields.clone();
        if !self.dynamic_fields.is_empty() && !keys.contains(&Key::Fields) {
            keys.push(Key::Fields);
        }
        let writer = Writer::new(&Shape {
            keys: keys.into_iter().map(|key| (key, name(key).to_owned())).collect(),
            time: self.timestamp.clone(),
            wanted: self.dynamic_fields.clone(),
            raw: self.raw_bytes_fields.clone(),
            dot: self.replace_dots_with.clone(),
            is_flat: false,
        });
        let by_type = self.use_message_type.then(|| Places::parse("%{Type}")).transpose()?;
        let type_name = by_type.as_ref().unwrap_or(&self.type_name);
        let by_message = self.es_index_from_timestamp;
        let place = Place::new(self.action, &self.index, type_name, &self.id, by_message);
        Ok(Box::new(Documents { place, writer }))
    }
}

/// What a key is called in this format.
fn name(key: Key) -> &'static str {
    match key {
        Key::Uuid => "@uuid",
        Key::Timestamp => "@timestamp",
        Key::Type => "@type",
        Key::Logger => "@logger",
        Key::Severity => "@severity",
        Key::Payload => "@message",
        Key::EnvVersion => "@envversion",
        Key::Pid => "@pid",
        Key::Hostname => "@source_host",
        Key::Fields => "@fields",
    }
}
