//! `ProtobufDecoder`: a record that is a message already.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Batch;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Form;
use crate::plugin::Record;

/// Takes a record as an encoded Heka message.
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
        match record.form {
            Form::Message | Form::Payload => out.push_encoded(record.bytes, record.marks)?,
            Form::Json => anyhow::bail!("message is JSON, which is not read yet"),
        }
        Ok(())
    }
}
