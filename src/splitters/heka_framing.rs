//! `HekaFramingSplitter`: Heka's stream framing, signatures included.
//!
//! Bytes that are no frame are passed over up to the next separator; a message above
//! `max_message_size` is passed over whole; one whose signature cannot be trusted is dropped. Each
//! says why.

use std::collections::BTreeMap;

use anyhow::bail;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::frame;
use crate::message::frame::FrameHeader;
use crate::message::frame::Step;
use crate::message::sign::Keys;
use crate::plugin::Cut;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Form;
use crate::plugin::Splitter;
use crate::plugin::Splitting;
use crate::stdx::secret::Secret;

/// A message that claims to be larger than this is taken for damage: its bytes are searched for
/// the next frame instead of passed over.
const MAX_PASSED_OVER: usize = 1 << 30;

/// Cuts Heka's stream framing and checks signatures.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HekaFramingSplitter {
    /// The keys of those whose signed messages are let in, by `<name>_<version>`.
    #[serde(default)]
    signer: BTreeMap<String, Signer>,
    /// Whether signatures are not looked at.
    #[serde(default)]
    skip_authentication: bool,
}

/// A key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Signer {
    /// The key that messages are signed with.
    hmac_key: Secret,
}

impl Described for HekaFramingSplitter {
    const NAME: &'static str = "HekaFramingSplitter";
    const ABOUT: &'static str = "Cuts Heka's stream framing and checks signatures.";
    const EXAMPLE: &'static str = "[HekaFramingSplitter.signer.ops_1]\nhmac_key = \"secret\"\n";
}

impl Splitter for HekaFramingSplitter {
    fn start(&self, engine: &Engine) -> anyhow::Result<Box<dyn Splitting>> {
        let mut keys = Keys::default();
        for (name, signer) in &self.signer {
            if !keys.add(name, signer.hmac_key.reveal().as_bytes()) {
                bail!("signer {name:?} is not <name>_<version>, as in \"ops_1\"");
            }
        }
        Ok(Box::new(Frames {
            keys: (!self.skip_authentication).then_some(keys),
            max_message_size: engine.max_message_size,
            passing_over: 0,
        }))
    }
}

struct Frames {
    /// `None` where signatures are not looked at.
    keys: Option<Keys>,
    max_message_size: usize,
    /// How many more bytes of a message that is too large are to be passed over.
    passing_over: usize,
}

impl Frames {
    fn frame(&self, header: &FrameHeader<'_>, message: &[u8], length: usize) -> Cut {
        let checked = self.keys.as_ref().map_or(Ok(None), |keys| keys.check(header, message));
        match checked {
            Ok(signer) => Cut::Record {
                record: length - message.len()..length,
                consumed: length,
                form: if header.encoding == 1 { Form::Json } else { Form::Message },
                signer,
            },
            Err(reason) => Cut::Skip { consumed: length, lost: Some(reason.to_string()) },
        }
    }

    /// How many bytes are no frame, of which `known` are known to be none: separators may come one
    /// after the other, and each would be told of.
    fn garbage(&self, bytes: &[u8], known: usize) -> usize {
        let mut length = known;
        while let Some(rest) = bytes.get(length..).filter(|rest| !rest.is_empty())
            && let Step::Garbage { skip } = frame::step(rest, self.max_message_size)
        {
            length += skip;
        }
        length
    }

    fn pass_over(&mut self, bytes: &[u8], is_end: bool) -> Cut {
        let consumed = self.passing_over.min(bytes.len());
        self.passing_over = if is_end { 0 } else { self.passing_over - consumed };
        Cut::Skip { consumed, lost: None }
    }
}

impl Splitting for Frames {
    fn cut(&mut self, bytes: &[u8], is_end: bool) -> Cut {
        if self.passing_over > 0 {
            return self.pass_over(bytes, is_end);
        }
        match frame::step(bytes, self.max_message_size) {
            Step::Frame { header, message, length } => self.frame(&header, message, length),
            Step::Incomplete { .. } if !is_end => Cut::More,
            Step::Incomplete { needed } => Cut::Skip {
                consumed: bytes.len(),
                lost: Some(format!("stream ends after {} of {needed} bytes", bytes.len())),
            },
            Step::Garbage { skip } => {
                let consumed = self.garbage(bytes, skip);
                Cut::Skip { consumed, lost: Some(format!("{consumed} bytes are no frame")) }
            }
            Step::TooLarge { message_length, skip } => {
                let is_length = message_length <= MAX_PASSED_OVER;
                self.passing_over = if is_length { message_length } else { 0 };
                let limit = self.max_message_size;
                let lost = format!(
                    "message of {message_length} bytes is larger than max_message_size {limit}"
                );
                Cut::Skip { consumed: skip, lost: Some(lost) }
            }
        }
    }

    fn forget(&mut self) {
        self.passing_over = 0;
    }

    fn signer(&self, number: usize) -> Option<&str> {
        self.keys.as_ref()?.signer(number)
    }
}
