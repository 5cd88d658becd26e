//! The message as it is: a Heka protocol buffer.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Message;
use crate::plugin::Described;
use crate::plugin::Encoder;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;

/// Gives each message as it stands in its batch, never encoded again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProtobufEncoder {}

impl Described for ProtobufEncoder {
    const NAME: &'static str = "ProtobufEncoder";
    const ABOUT: &'static str = "Gives each message as a Heka protocol buffer, as it is.";
    const EXAMPLE: &'static str = "[ProtobufEncoder]\n";
}

impl Encoder for ProtobufEncoder {
    fn start(&self, _cx: &EncoderContext<'_>) -> anyhow::Result<Box<dyn Encoding>> {
        Ok(Box::new(Unchanged))
    }

    fn gives_messages(&self) -> bool {
        true
    }
}

struct Unchanged;

impl Encoding for Unchanged {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        out.extend_from_slice(message.bytes());
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Batch;
    use crate::plugin::Encoded;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mut batch = Batch::new();
        for payload in ["one", "two"] {
            let mut builder = batch.begin();
            builder.uuid(&[7; 16]).payload(payload.as_bytes()).integer("n", "", i64::MAX);
            builder.finish().unwrap();
        }
        let mut out = Encoded::default();
        Unchanged.encode_batch(&batch, &[0, 1], &mut out, &mut |_, _| panic!("none fails"));
        let expected: Vec<_> = batch.iter().map(|message| message.bytes().to_vec()).collect();
        assert_eq!(out.records().collect::<Vec<_>>(), expected);
    }
}
