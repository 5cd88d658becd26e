//! `NullSplitter`: what was read at once is a record.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::plugin::Cut;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Form;
use crate::plugin::Splitter;
use crate::plugin::Splitting;

/// Makes one record of each read, datagram or body.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NullSplitter {
    /// Whether a record is an encoded message, for a `ProtobufDecoder`, instead of a payload.
    #[serde(default)]
    use_message_bytes: bool,
}

impl Described for NullSplitter {
    const NAME: &'static str = "NullSplitter";
    const ABOUT: &'static str = "Takes what was read at once as one record.";
    const EXAMPLE: &'static str = "[NullSplitter]\n";
}

impl Splitter for NullSplitter {
    fn start(&self, _engine: &Engine) -> anyhow::Result<Box<dyn Splitting>> {
        let form = if self.use_message_bytes { Form::Message } else { Form::Payload };
        Ok(Box::new(Whole { form }))
    }
}

struct Whole {
    form: Form,
}

impl Splitting for Whole {
    fn cut(&mut self, bytes: &[u8], _is_end: bool) -> Cut {
        Cut::Record { record: 0..bytes.len(), consumed: bytes.len(), form: self.form, signer: None }
    }
}
