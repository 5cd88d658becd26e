//! Documents with the fields beside the header.

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

/// Gives each message as a document for Elasticsearch's bulk API, its fields beside its header.
///
/// A field that is named like a key of the header is called `Fields.NAME`. What a message lacks is
/// left out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::encoders) struct ESJsonEncoder {
    /// The index, in small letters. Places: `%{Type}`, `%{Hostname}`, `%{Pid}`, `%{UUID}`,
    /// `%{Logger}`, `%{EnvVersion}`, `%{Severity}`, `%{NAME}` for a field, `%{%Y.%m.%d}` for a time.
    index: Places,
    /// The type of the documents, with the same places. Only servers before Elasticsearch 7 have
    /// types; newer ones refuse documents that have one, so none is sent unless it is given.
    type_name: Places,
    /// The id of the document, with the same places; the server makes one where it is empty. With one,
    /// such as `%{UUID}`, a document that is sent twice is there once.
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
    /// Other names for keys of the header.
    field_mappings: Mappings,
    /// The dynamic fields that are written; all when empty.
    dynamic_fields: Vec<String>,
    /// What stands in the names of fields instead of each dot.
    replace_dots_with: String,
}

/// Names for keys of the header.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "PascalCase")]
struct Mappings {
    /// The time.
    timestamp: Option<String>,
    /// The name of the message.
    uuid: Option<String>,
    /// The kind of message.
    r#type: Option<String>,
    /// Where it comes from.
    logger: Option<String>,
    /// Syslog severity.
    severity: Option<String>,
    /// The text body.
    payload: Option<String>,
    /// The version of the envelope.
    env_version: Option<String>,
    /// The process id.
    pid: Option<String>,
    /// The host.
    hostname: Option<String>,
}

impl Mappings {
    fn name(&self, key: Key) -> String {
        let other = match key {
            Key::Timestamp => &self.timestamp,
            Key::Uuid => &self.uuid,
            Key::Type => &self.r#type,
            Key::Logger => &self.logger,
            Key::Severity => &self.severity,
            Key::Payload => &self.payload,
            Key::EnvVersion => &self.env_version,
            Key::Pid => &self.pid,
            Key::Hostname => &self.hostname,
            Key::Fields => &None,
        };
        other.clone().unwrap_or_else(|| key.name().to_owned())
    }
}

impl Default for ESJsonEncoder {
    fn default() -> ESJsonEncoder {
        let places = |text| Places::parse(text).expect("the pattern is sound");
        ESJsonEncoder {
            index: places("heka-%{%Y.%m.%d}"),
            type_name: places(""),
            id: places(""),
            action: Action::Index,
            es_index_from_timestamp: false,
            fields: Key::ALL.to_vec(),
            timestamp: TimeForm::default(),
            raw_bytes_fields: Vec::new(),
            field_mappings: Mappings::default(),
            dynamic_fields: Vec::new(),
            replace_dots_with: ".".to_owned(),
        }
    }
}

impl Described for ESJsonEncoder {
    const NAME: &'static str = "ESJsonEncoder";
    const ABOUT: &'static str = "Gives each message as a document for Elasticsearch or OpenSearch.";
    const EXAMPLE: &'static str = "[ESJsonEncoder]\nindex = \"%{Type}-%{%Y.%m.%d}\"\n\
        es_index_from_timestamp = true\nid = \"%{UUID}\"\n\n\
        [ESJsonEncoder.field_mappings]\nTimestamp = \"@timestamp\"\n";
}

impl Encoder for ESJsonEncoder {
    fn start(&self, _cx: &EncoderContext<'_>) -> anyhow::Result<Box<dyn Encoding>> {
        let mut keys = self.fields.clone();
        if !self.dynamic_fields.is_empty() && !keys.contains(&Key::Fields) {
            keys.push(Key::Fields);
        }
        let by_message = self.es_index_from_timestamp;
        let writer = Writer::new(&Shape {
            keys: keys.into_iter().map(|key| (key, self.field_mappings.name(key))).collect(),
            time: self.timestamp.clone(),
            wanted: self.dynamic_fields.clone(),
            raw: self.raw_bytes_fields.clone(),
            dot: self.replace_dots_with.clone(),
            is_flat: true,
        });
        let place = Place::new(self.action, &self.index, &self.type_name, &self.id, by_message);
        Ok(Box::new(Documents { place, writer }))
    }
}
