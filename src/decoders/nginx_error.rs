//! `NginxErrorDecoder`: the error log of nginx.

use anyhow::Context;
use anyhow::bail;
use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use super::envelope::Envelope;
use super::time_layout;
use crate::formats::severity;
use crate::formats::time::TimeFormat;
use crate::message::Batch;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Record;

/// What nginx says behind its text, in the order in which it does.
const DETAILS: [&str; 7] =
    ["client", "server", "request", "subrequest", "upstream", "host", "referrer"];

/// Reads the error log of nginx.
///
/// The message has the time, the severity and the process of the line, its text as payload, and the
/// fields `tid`, `connection`, and `client`, `server`, `request`, `subrequest`, `upstream`, `host`
/// and `referrer` where the text ends with them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NginxErrorDecoder {
    /// The zone of the times, as `Europe/Berlin`.
    #[serde(default = "time_layout::utc")]
    tz: String,
    /// The type of the messages.
    #[serde(default = "message_type")]
    message_type: String,
    /// Whether the payload is the whole line, and not its text alone.
    #[serde(default)]
    payload_keep: bool,
}

fn message_type() -> String {
    "nginx.error".to_owned()
}

impl Described for NginxErrorDecoder {
    const NAME: &'static str = "NginxErrorDecoder";
    const ABOUT: &'static str = "Reads the error log of nginx.";
    const EXAMPLE: &'static str = "[NginxErrorDecoder]\ntz = \"Europe/Berlin\"\n";
}

impl Decoder for NginxErrorDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        Ok(Box::new(Lines {
            zone: time_layout::zone("tz", &self.tz)?,
            layout: TimeFormat::go("2006/01/02 15:04:05"),
            settings: self.clone(),
            inner: envelope::Inner::default(),
        }))
    }
}

struct Lines {
    zone: chrono_tz::Tz,
    layout: TimeFormat,
    settings: NginxErrorDecoder,
    inner: envelope::Inner,
}

impl Decoding for Lines {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let line = envelope::without_line_end(record.bytes);
        let mut envelope = Envelope::of(record);
        let (time, length) = self
            .layout
            .read_start(line, self.zone, record.now)
            .context("the line does not begin with a time as in 2026/11/22 12:51:54")?;
        let head = head(&line[length..]).context("expected [severity] pid#tid: behind the time")?;
        envelope.timestamp = time;
        envelope.message_type = self.settings.message_type.as_bytes();
        envelope.severity = Some(head.severity);
        envelope.pid = i32::try_from(head.pid).ok();
        envelope.payload = Some(if self.settings.payload_keep { line } else { head.text });
        let mut builder = envelope.begin(out);
        builder.integer("tid", "", head.tid);
        if let Some(connection) = head.connection {
            builder.integer("connection", "", connection);
        }
        for (name, value) in details(head.text) {
            builder.string(name, "", value);
        }
        builder.encoded_fields(record.origin.fields());
        builder.finish()?;
        Ok(())
    }
}

/// What stands between the time and the text.
struct Head<'a> {
    severity: i32,
    pid: i64,
    tid: i64,
    connection: Option<i64>,
    text: &'a [u8],
}

/// Reads ` [error] 1234#5678: *90 text`.
fn head(bytes: &[u8]) -> anyhow::Result<Head<'_>> {
    let rest = bytes.strip_prefix(b" [").context("no bracket")?;
    let end = memchr::memchr(b']', rest).context("no bracket")?;
    let word = &rest[..end];
    let Some(severity) = severity::named(word) else {
        bail!("{:?} is no severity that is known", String::from_utf8_lossy(word));
    };
    let rest = rest[end + 1..].strip_prefix(b" ").context("no process")?;
    let (pid, rest) = number(rest).context("no process")?;
    let (tid, rest) = rest.strip_prefix(b"#").and_then(number).context("no thread")?;
    let text = rest.strip_prefix(b": ").or(rest.strip_prefix(b":")).context("no text")?;
    let connection = text.strip_prefix(b"*").and_then(number);
    let (connection, text) = match connection {
        Some((number, rest)) => (Some(number), rest.strip_prefix(b" ").unwrap_or(rest)),
        None => (None, text),
    };
    Ok(Head { severity, pid, tid, connection, text })
}

fn number(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
    Some((number, &bytes[digits..]))
}

/// What the text ends with: `, client: 10.0.0.1, server: x, request: "GET / HTTP/1.1", host: "x"`.
fn details(text: &[u8]) -> Vec<(&'static str, &[u8])> {
    let mut found = Vec::new();
    let mut end = text.len();
    for name in DETAILS.iter().rev() {
        let mark = format!(", {name}: ");
        let Some(at) = memchr::memmem::rfind(&text[..end], mark.as_bytes()) else { continue };
        let value = &text[at + mark.len()..end];
        let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        found.push((*name, quoted.unwrap_or(value)));
        end = at;
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn line_becomes_header_and_fields() {
        check(
            "[NginxErrorDecoder]\ntz = 'Europe/Berlin'",
            "NginxErrorDecoder",
            "2026/11/22 16:33:21 [error] 16842#7: *9 open() \"/a, b\" failed (2: No such file), \
             client: 10.0.0.1, server: www, request: \"GET /a, host: b HTTP/1.1\", host: \"w\"\r\n",
            "time 1000000000\ntype nginx.error\nfrom logger host\nseverity 3\npid 16842\n\
             payload open() \"/a, b\" failed (2: No such file), client: 10.0.0.1, server: www, \
             request: \"GET /a, host: b HTTP/1.1\", host: \"w\"\ntid 7\nconnection 9\n\
             client \"10.0.0.1\"\nserver \"www\"\nrequest \"GET /a, host: b HTTP/1.1\"\nhost \"w\"\n\
             extra 1\n",
        );
        check(
            "[NginxErrorDecoder]\nmessage_type = 'n'\npayload_keep = true",
            "NginxErrorDecoder",
            "2026/11/22 15:33:21 [notice] 1#1: using epoll",
            "time 1000000000\ntype n\nfrom logger host\nseverity 5\npid 1\n\
             payload 2026/11/22 15:33:21 [notice] 1#1: using epoll\ntid 1\nextra 1\n",
        );
    }

    #[test]
    fn mistakes_are_told() {
        let check =
            |line, expected| check("[NginxErrorDecoder]", "NginxErrorDecoder", line, expected);
        check(
            "something",
            "error: the line does not begin with a time as in 2026/11/22 12:51:54\n",
        );
        check(
            "2026/11/22 15:33:21 [purple] 1#1: x",
            "error: expected [severity] pid#tid: behind the time: \"purple\" is no severity that is \
             known\n",
        );
    }
}
