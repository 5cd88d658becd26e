//! Text of one's own, filled from the message: bodies for services that take JSON of a form of
//! theirs, lines for programs.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::formats::json_text;
use crate::message::Message;
use crate::message::Places;
use crate::message::places::verbatim;
use crate::plugin::Described;
use crate::plugin::Encoder;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;

/// Gives a text with places that are filled from each message.
///
/// `%{Payload}`, `%{Type}`, `%{Hostname}`, `%{Logger}`, `%{Severity}`, `%{Pid}`, `%{UUID}` and
/// `%{Timestamp}` (nanoseconds) stand for the header, `%{name}` for the first value of a field, and
/// `%{%Y-%m-%d}` for the time of the message, in UTC.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplateEncoder {
    /// The text.
    template: Places,
    /// How what comes from the message is written: `json` as it stands between the quotes of a JSON
    /// text, `url` for an address, `html`, or `none` as it is.
    #[serde(default)]
    escape: Escape,
    /// Whether a message is refused that lacks something; it is left empty otherwise.
    #[serde(default)]
    require_all: bool,
    /// Whether the text ends in a newline.
    #[serde(default)]
    append_newlines: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Escape {
    #[default]
    Json,
    Url,
    Html,
    None,
}

impl Described for TemplateEncoder {
    const NAME: &'static str = "TemplateEncoder";
    const ABOUT: &'static str = "Gives a text of your own that is filled from each message.";
    const EXAMPLE: &'static str =
        "[TemplateEncoder]\ntemplate = '{\"text\": \"%{Hostname}: %{Payload}\"}'\n";
}

impl Encoder for TemplateEncoder {
    fn start(&self, _cx: &EncoderContext<'_>) -> anyhow::Result<Box<dyn Encoding>> {
        Ok(Box::new(Filling(self.clone())))
    }
}

struct Filling(TemplateEncoder);

impl Encoding for Filling {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let settings = &mut self.0;
        let escape = match settings.escape {
            Escape::Json => json,
            Escape::Url => url,
            Escape::Html => html,
            Escape::None => verbatim,
        };
        let put = settings.template.put(message, message.timestamp(), escape, out);
        if settings.require_all {
            put?;
        }
        if settings.append_newlines {
            out.push(b'\n');
        }
        Ok(true)
    }
}

fn json(text: &[u8], out: &mut Vec<u8>) {
    let mut quoted = Vec::new();
    json_text::put_string(&mut quoted, text);
    out.extend_from_slice(&quoted[1..quoted.len() - 1]);
}

fn url(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

fn html(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            _ => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Batch;

    fn check(settings: &str, expected: Result<&str, &str>) {
        let encoder: TemplateEncoder = toml::from_str(settings).unwrap();
        let mut batch = Batch::new();
        let mut builder = batch.begin();
        builder.timestamp(1_416_840_893_000_000_000).payload(b"a \"<b>\"\n").integer("n", "", 3);
        builder.finish().unwrap();
        let mut out = Vec::new();
        let encoded = Filling(encoder).encode(&batch.message(0), &mut out);
        let text = String::from_utf8(out).unwrap();
        let found = encoded.map(|_| text).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{settings}");
    }

    #[test]
    fn what_comes_from_the_message_is_escaped() {
        let payload = "template = '{\"t\":\"%{Payload}\"}'";
        check(payload, Ok(r#"{"t":"a \"<b>\"\n"}"#));
        check("template = '/%{Payload}'\nescape = 'url'", Ok("/a%20%22%3Cb%3E%22%0A"));
        check("template = '%{Payload}'\nescape = 'html'", Ok("a &quot;&lt;b&gt;&quot;\n"));
        check("template = '%{Payload}'\nescape = 'none'", Ok("a \"<b>\"\n"));
        check("template = '%{n} %{%Y}'\nappend_newlines = true", Ok("3 2014\n"));
    }

    #[test]
    fn what_the_message_lacks_is_empty_or_refuses_it() {
        check("template = '[%{x}]'", Ok("[]"));
        let error = "the message has no `x`, which `%{x}` asks for";
        check("template = '[%{x}]'\nrequire_all = true", Err(error));
    }
}
