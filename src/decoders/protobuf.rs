//! `ProtobufDecoder`: a record that is a message already.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::formats::json_message::JsonMessage;
use crate::message::Batch;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Form;
use crate::plugin::Record;

/// Takes a record as an encoded Heka message: a protocol buffer, or JSON as clients of 2013 and Metlog
/// clients send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProtobufDecoder {}

impl Described for ProtobufDecoder {
    const NAME: &'static str = "ProtobufDecoder";
    const ABOUT: &'static str = "Takes a record as an encoded Heka message.";
    const EXAMPLE: &'static str = "[ProtobufDecoder]\n";
}

impl Decoder for ProtobufDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        Ok(Box::new(Relay))
    }
}

struct Relay;

impl Decoding for Relay {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        // No message begins with a brace: it would be a group, which messages have none of.
        if record.form == Form::Json || record.bytes.first() == Some(&b'{') {
            let message = JsonMessage::read(record.bytes)?;
            let mut builder = out.begin();
            message.write(record.uuid, record.now, &mut builder);
            builder.marks(record.marks);
            builder.finish()?;
        } else {
            out.push_encoded(record.bytes, record.marks)?;
        }
        Ok(())
    }
}
