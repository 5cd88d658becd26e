//! `ScribbleDecoder`: sets fields to fixed texts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use super::envelope::Envelope;
use super::message_fields::Filled;
use super::message_fields::MessageFields;
use crate::message::Batch;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Origin;
use crate::plugin::Record;

/// Sets header fields and adds dynamic fields, always the same.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScribbleDecoder {
    /// What is set: `Type`, `Logger`, `Hostname`, `Payload`, `Severity`, `EnvVersion`, `Pid`, or the
    /// name of a field, with its representation behind a bar (`"Load|count"`).
    #[serde(default)]
    message_fields: BTreeMap<String, String>,
}

impl Described for ScribbleDecoder {
    const NAME: &'static str = "ScribbleDecoder";
    const ABOUT: &'static str = "Sets fields of each message to fixed texts.";
    const EXAMPLE: &'static str =
        "[ScribbleDecoder.message_fields]\nType = \"app.log\"\nenvironment = \"production\"\n";
}

impl Decoder for ScribbleDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        let fields = MessageFields::read(&self.message_fields)?;
        let mut filled = Filled::default();
        fields.fill(&mut filled, &mut |_, _| false);
        let decoding = Scribble { fields, filled, inner: envelope::Inner::default() };
        // Numbers that are none are mistakes of the configuration, not of the records.
        let empty = Record {
            bytes: b"",
            form: crate::plugin::Form::Payload,
            origin: &Origin::default(),
            now: 0,
            uuid: [0; 16],
            marks: crate::message::Marks::default(),
        };
        let mut envelope = Envelope::of(&empty);
        decoding.fields.set_headers(&decoding.filled, &BTreeMap::new(), &mut envelope)?;
        Ok(Box::new(decoding))
    }
}

struct Scribble {
    fields: MessageFields,
    filled: Filled,
    inner: envelope::Inner,
}

impl Decoding for Scribble {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let mut envelope = Envelope::of(record);
        envelope.payload = Some(record.bytes);
        self.fields.set_headers(&self.filled, &BTreeMap::new(), &mut envelope)?;
        let mut builder = envelope.begin(out);
        builder.encoded_fields(record.origin.fields());
        self.fields.write_fields(&self.filled, &mut builder);
        builder.finish()?;
        Ok(())
    }
}
