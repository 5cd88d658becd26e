//! `ApacheErrorDecoder`: the error log of Apache.

use anyhow::Context;
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

/// Reads the error log of Apache, as versions 2.2 and 2.4 write it unless told otherwise.
///
/// The message has the time, the severity and the process of the line, its text as payload, and the
/// fields `module`, `tid`, `client`, `code` (`AH01276`) and `referer` where the line has them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApacheErrorDecoder {
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
    "apache.error".to_owned()
}

impl Described for ApacheErrorDecoder {
    const NAME: &'static str = "ApacheErrorDecoder";
    const ABOUT: &'static str = "Reads the error log of Apache.";
    const EXAMPLE: &'static str = "[ApacheErrorDecoder]\ntz = \"Europe/Berlin\"\n";
}

impl Decoder for ApacheErrorDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        Ok(Box::new(Lines {
            zone: time_layout::zone("tz", &self.tz)?,
            layout: TimeFormat::go("Mon Jan _2 15:04:05 2006"),
            settings: self.clone(),
            inner: envelope::Inner::default(),
        }))
    }
}

struct Lines {
    zone: chrono_tz::Tz,
    layout: TimeFormat,
    settings: ApacheErrorDecoder,
    inner: envelope::Inner,
}

/// What the brackets of a line say.
#[derive(Default)]
struct Head<'a> {
    severity: Option<i32>,
    module: Option<&'a [u8]>,
    pid: Option<i32>,
    tid: Option<i64>,
    client: Option<&'a [u8]>,
}

impl Decoding for Lines {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let line = envelope::without_line_end(record.bytes);
        let expected = "the line does not begin with a time as in [Sun Nov 22 12:51:54 2026]";
        let (time, rest) = bracket(line).context(expected)?;
        let time = self.layout.read(time, self.zone, record.now).context(expected)?;
        let mut head = Head::default();
        let mut text = rest;
        while let Some((inside, rest)) = bracket(text)
            && head.take(inside)
        {
            text = rest;
        }
        let severity = head.severity.context("there is no [severity] behind the time")?;
        let mut envelope = Envelope::of(record);
        envelope.timestamp = time;
        envelope.severity = Some(severity);
        envelope.message_type = self.settings.message_type.as_bytes();
        envelope.pid = head.pid;
        envelope.payload = Some(if self.settings.payload_keep { line } else { text });
        let mut builder = envelope.begin(out);
        if let Some(module) = head.module {
            builder.string("module", "", module);
        }
        if let Some(tid) = head.tid {
            builder.integer("tid", "", tid);
        }
        if let Some(client) = head.client {
            builder.string("client", "", client);
        }
        if let Some(code) = code(text) {
            builder.string("code", "", code);
        }
        if let Some(at) = memchr::memmem::rfind(text, b", referer: ") {
            builder.string("referer", "", &text[at + 11..]);
        }
        builder.encoded_fields(record.origin.fields());
        builder.finish()?;
        Ok(())
    }
}

/// What stands in the brackets that `bytes` begin with, and what follows them and a space.
fn bracket(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = bytes.strip_prefix(b"[")?;
    // An address of IPv6 may stand in brackets of its own.
    let end = if inside.starts_with(b"client [") {
        memchr::memmem::find(inside, b"] ").filter(|end| inside[..*end].contains(&b']'))
    } else {
        None
    };
    let end = end.or_else(|| memchr::memchr(b']', inside))?;
    let rest = &inside[end + 1..];
    Some((&inside[..end], rest.strip_prefix(b" ").unwrap_or(rest)))
}

impl<'a> Head<'a> {
    /// Takes what stands in brackets; `false` for what belongs to the text.
    fn take(&mut self, inside: &'a [u8]) -> bool {
        if let Some(client) = inside.strip_prefix(b"client ") {
            self.client = Some(client);
            return true;
        }
        if let Some(process) = inside.strip_prefix(b"pid ") {
            let (pid, tid) = match memchr::memmem::find(process, b":tid ") {
                Some(at) => (&process[..at], Some(&process[at + 5..])),
                None => (process, None),
            };
            self.pid = number(pid).and_then(|pid| i32::try_from(pid).ok());
            self.tid = tid.and_then(number);
            return self.pid.is_some();
        }
        if self.severity.is_some() {
            return false;
        }
        let (module, level) = match memchr::memchr(b':', inside) {
            Some(at) => (Some(&inside[..at]), &inside[at + 1..]),
            None => (None, inside),
        };
        // The core itself writes no module: `[:error]`, or `[-:error]` before its modules are there.
        self.module = module.filter(|module| !matches!(*module, b"" | b"-"));
        self.severity = severity::named(level);
        self.severity.is_some()
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The code that a text begins with or has behind the system's answer: `AH00128: File …`,
/// `(2)No such file or directory: AH02454: …`.
fn code(text: &[u8]) -> Option<&[u8]> {
    let at = if text.starts_with(b"AH") {
        0
    } else if text.starts_with(b"(") {
        memchr::memmem::find(text, b": AH")? + 2
    } else {
        return None;
    };
    let code = text.get(at..at + 7)?;
    let is_code = code[2..].iter().all(u8::is_ascii_digit) && text.get(at + 7) == Some(&b':');
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn lines_of_both_versions_are_read() {
        check(
            "[ApacheErrorDecoder]",
            "ApacheErrorDecoder",
            "[Sun Nov 22 15:33:21 2026] [error] [client 10.0.0.1] File does not exist: /x\r\n",
            "time 1000000000\ntype apache.error\nfrom logger host\nseverity 3\n\
             payload File does not exist: /x\nclient \"10.0.0.1\"\nextra 1\n",
        );
        check(
            "[ApacheErrorDecoder]\ntz = 'Europe/Berlin'",
            "ApacheErrorDecoder",
            "[Sun Nov 22 16:33:21.500000 2026] [core:info] [pid 35708:tid 4328636416] \
             [client [::1]:5000] (2)No such file or directory: AH00128: Gone, referer: http://a/\n",
            "time 1500000000\ntype apache.error\nfrom logger host\nseverity 6\npid 35708\n\
             payload (2)No such file or directory: AH00128: Gone, referer: http://a/\nmodule \"core\"\n\
             tid 4328636416\nclient \"[::1]:5000\"\ncode \"AH00128\"\nreferer \"http://a/\"\nextra 1\n",
        );
        check(
            "[ApacheErrorDecoder]\npayload_keep = true",
            "ApacheErrorDecoder",
            "[Sun Nov 22 15:33:21 2026] [ssl:trace6] [pid 7] [x] y",
            "time 1000000000\ntype apache.error\nfrom logger host\nseverity 7\npid 7\n\
             payload [Sun Nov 22 15:33:21 2026] [ssl:trace6] [pid 7] [x] y\nmodule \"ssl\"\nextra 1\n",
        );
    }

    #[test]
    fn mistakes_are_told() {
        let check =
            |line, expected| check("[ApacheErrorDecoder]", "ApacheErrorDecoder", line, expected);
        check(
            "something",
            "error: the line does not begin with a time as in [Sun Nov 22 12:51:54 2026]\n",
        );
        check("[Sun Nov 22 15:33:21 2026] text", "error: there is no [severity] behind the time\n");
    }
}
