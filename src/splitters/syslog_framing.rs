//! `SyslogFramingSplitter`: messages of syslog as they follow each other in a stream.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::formats::syslog::framing;
use crate::formats::syslog::framing::Frame;
use crate::plugin::Cut;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Form;
use crate::plugin::Splitter;
use crate::plugin::Splitting;

/// Cuts messages that are counted in octets or end with a line feed or a zero; each tells for itself
/// (RFC 6587).
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SyslogFramingSplitter {}

impl Described for SyslogFramingSplitter {
    const NAME: &'static str = "SyslogFramingSplitter";
    const ABOUT: &'static str = "Cuts messages of syslog, counted in octets or ended by lines.";
    const EXAMPLE: &'static str = "[SyslogFramingSplitter]\n";
}

impl Splitter for SyslogFramingSplitter {
    fn start(&self, _engine: &Engine) -> anyhow::Result<Box<dyn Splitting>> {
        Ok(Box::new(Frames { seen: 0 }))
    }
}

struct Frames {
    /// How far the bytes have been searched.
    seen: usize,
}

impl Splitting for Frames {
    fn cut(&mut self, bytes: &[u8], is_end: bool) -> Cut {
        match framing::next(bytes, std::mem::take(&mut self.seen), is_end) {
            Frame::Message { start, end, consumed } => {
                Cut::Record { record: start..end, consumed, form: Form::Payload, signer: None }
            }
            Frame::Nothing(consumed) => Cut::Skip { consumed, lost: None },
            Frame::More(seen) => {
                self.seen = seen;
                Cut::More
            }
        }
    }

    fn forget(&mut self) {
        self.seen = 0;
    }
}
