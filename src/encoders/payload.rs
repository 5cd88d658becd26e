//! The payload alone, as lines.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Message;
use crate::plugin::Described;
use crate::plugin::Encoder;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;
use crate::stdx::clock::Clock;
use crate::stdx::clock::System;
use crate::stdx::strftime::Strftime;

/// Gives the payload of each message, with the time in front and a newline behind where asked for.
///
/// Heka appended a newline to every payload; here a payload that ends in one gets no second.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PayloadEncoder {
    /// Whether a payload that does not end in a newline gets one.
    append_newlines: bool,
    /// Whether the time is written in front of the payload.
    prefix_ts: bool,
    /// Whether that time is the message's; the time of writing otherwise.
    ts_from_message: bool,
    /// How that time is written, in UTC: a pattern of strftime, or a Go layout.
    ts_format: Strftime,
}

impl Default for PayloadEncoder {
    fn default() -> PayloadEncoder {
        let ts_format = Strftime::parse("[%Y/%b/%d:%H:%M:%S %z] ").expect("the pattern is sound");
        PayloadEncoder { append_newlines: true, prefix_ts: false, ts_from_message: true, ts_format }
    }
}

impl Described for PayloadEncoder {
    const NAME: &'static str = "PayloadEncoder";
    const ABOUT: &'static str = "Gives the payload of each message, a line each.";
    const EXAMPLE: &'static str = "[PayloadEncoder]\nprefix_ts = true\n";
}

impl Encoder for PayloadEncoder {
    fn start(&self, _cx: &EncoderContext<'_>) -> anyhow::Result<Box<dyn Encoding>> {
        Ok(self.encoding(Box::new(System::new())))
    }
}

impl PayloadEncoder {
    fn encoding(&self, clock: Box<dyn Clock>) -> Box<dyn Encoding> {
        let prefix = self.prefix_ts.then(|| Prefix {
            format: self.ts_format.clone(),
            clock: (!self.ts_from_message).then_some(clock),
            text: String::new(),
        });
        Box::new(Payloads { append_newlines: self.append_newlines, prefix })
    }
}

struct Payloads {
    append_newlines: bool,
    prefix: Option<Prefix>,
}

struct Prefix {
    format: Strftime,
    /// Tells the time where it is not the message's.
    clock: Option<Box<dyn Clock>>,
    text: String,
}

impl Encoding for Payloads {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        if let Some(prefix) = &mut self.prefix {
            let time = prefix.clock.as_ref().map_or_else(|| message.timestamp(), |c| c.wall());
            prefix.text.clear();
            prefix.format.put(time, &mut prefix.text);
            out.extend_from_slice(prefix.text.as_bytes());
        }
        let payload = message.payload();
        out.extend_from_slice(payload);
        if self.append_newlines && payload.last() != Some(&b'\n') {
            out.push(b'\n');
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Batch;
    use crate::stdx::clock::Manual;

    fn check(settings: &str, payload: &str, expected: &str) {
        let encoder: PayloadEncoder = toml::from_str(settings).unwrap();
        let mut batch = Batch::new();
        let mut builder = batch.begin();
        builder.timestamp(1_416_840_893_000_000_000).payload(payload.as_bytes());
        builder.finish().unwrap();
        let mut out = Vec::new();
        let mut encoding = encoder.encoding(Box::new(Manual::at(0)));
        assert!(encoding.encode(&batch.message(0), &mut out).unwrap());
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_line_ends_in_one_newline() {
        check("", "one", "one\n");
        check("", "one\n", "one\n");
        check("", "", "\n");
        check("append_newlines = false", "one", "one");
    }

    #[test]
    fn the_time_goes_in_front() {
        check("prefix_ts = true", "one", "[2014/Nov/24:14:54:53 +0000] one\n");
        check("prefix_ts = true\nts_format = '%s '", "one", "1416840893 one\n");
        check(
            "prefix_ts = true\nts_from_message = false\nts_format = '2006-01-02 '",
            "one\n",
            "1970-01-01 one\n",
        );
    }
}
