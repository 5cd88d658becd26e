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
pub(super) struct NullSplitter {}

impl Described for NullSplitter {
    const NAME: &'static str = "NullSplitter";
    const ABOUT: &'static str = "Takes what was read at once as one record.";
    const EXAMPLE: &'static str = "[NullSplitter]\n";
}

impl Splitter for NullSplitter {
    fn start(&self, _engine: &Engine) -> anyhow::Result<Box<dyn Splitting>> {
        Ok(Box::new(Whole))
    }
}

struct Whole;

impl Splitting for Whole {
    fn cut(&mut self, bytes: &[u8], _is_end: bool) -> Cut {
        Cut::Record {
            record: 0..bytes.len(),
            consumed: bytes.len(),
            form: Form::Payload,
            signer: None,
        }
    }
}
