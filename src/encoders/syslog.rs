//! Lines of syslog, in the form of RFC 5424 or of RFC 3164, or as programs write them to the socket of
//! their own machine, `/dev/log`: as RFC 3164, without a host.
//!
//! What goes where is in `formats/syslog`. Over UDP and in datagrams a record is a message; in a stream
//! each needs a mark of where it ends (RFC 6587), which `framing` puts there.

use std::io::Write;

use anyhow::Context;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Field;
use crate::message::Message;
use crate::message::Places;
use crate::message::Value;
use crate::message::places::verbatim;
use crate::plugin::Described;
use crate::plugin::Encoder;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;
use crate::stdx::rfc3339::Rfc3339;
use crate::stdx::strftime::Strftime;

/// Gives each message as a line of syslog.
///
/// The facility is the field `syslogfacility` where the message has one, the program the field
/// `programname` or else the logger, the kind of message the field `msgid`: what `SyslogDecoder` has
/// read goes on as it came.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SyslogEncoder {
    /// The form: `rfc5424`, `rfc3164`, or `local` for `/dev/log`.
    format: Format,
    /// How messages are told apart in a stream: `none` for datagrams, `octet_counted` or `newline` for
    /// TCP and TLS.
    framing: Framing,
    /// The facility of messages that say none: a number to 23, or a name such as `local0`.
    facility: Facility,
    /// The program, with places such as `%{Type}`.
    app_name: Option<Places>,
    /// The kind of message, with places; only in RFC 5424.
    message_id: Option<Places>,
    /// The text, with places; the payload where it is left out.
    text: Option<Places>,
    /// The id of an element of structured data that fields go into, such as `heka@32473`; only in RFC
    /// 5424.
    structured_data_id: String,
    /// The fields that go there; all when empty.
    structured_data_fields: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Rfc5424,
    Rfc3164,
    Local,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Framing {
    #[default]
    None,
    OctetCounted,
    Newline,
}

/// A facility by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Facility {
    Kern,
    #[default]
    User,
    Mail,
    Daemon,
    Auth,
    Syslog,
    Lpr,
    News,
    Uucp,
    Cron,
    Authpriv,
    Ftp,
    Local0 = 16,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

impl Default for SyslogEncoder {
    fn default() -> SyslogEncoder {
        SyslogEncoder {
            format: Format::Rfc5424,
            framing: Framing::None,
            facility: Facility::User,
            app_name: None,
            message_id: None,
            text: None,
            structured_data_id: String::new(),
            structured_data_fields: Vec::new(),
        }
    }
}

impl Described for SyslogEncoder {
    const NAME: &'static str = "SyslogEncoder";
    const ABOUT: &'static str = "Gives each message as a line of syslog, RFC 5424 or RFC 3164.";
    const EXAMPLE: &'static str =
        "[SyslogEncoder]\nfacility = \"local0\"\nframing = \"octet_counted\"\n";

    fn check(&self) -> anyhow::Result<()> {
        let id = &self.structured_data_id;
        let is_name = |byte: u8| byte.is_ascii_graphic() && !b"=]\"".contains(&byte);
        anyhow::ensure!(
            id.is_empty() || id.len() <= 32 && id.bytes().all(is_name),
            "`{id}` is no id of structured data, expected such as `heka@32473`"
        );
        let is_new = self.format == Format::Rfc5424;
        anyhow::ensure!(
            is_new || id.is_empty() && self.message_id.is_none(),
            "`structured_data_id` and `message_id` are for `format = \"rfc5424\"`"
        );
        Ok(())
    }
}

impl Encoder for SyslogEncoder {
    fn start(&self, _cx: &EncoderContext<'_>) -> anyhow::Result<Box<dyn Encoding>> {
        let old_time = Strftime::parse("%b %e %H:%M:%S").context("the pattern is sound")?;
        Ok(Box::new(Lines {
            settings: self.clone(),
            times: Rfc3339::default(),
            old_time,
            line: Vec::new(),
            text: Vec::new(),
        }))
    }
}

struct Lines {
    settings: SyslogEncoder,
    times: Rfc3339,
    old_time: Strftime,
    line: Vec<u8>,
    text: Vec<u8>,
}

impl Encoding for Lines {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let own = self.settings.facility as i64;
        let facility = match message.value(b"syslogfacility", 0, 0) {
            Some(Value::Integer(number @ 0..=23)) => number,
            _ => own,
        };
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        write!(line, "<{}>", facility * 8 + i64::from(message.severity().clamp(0, 7)))?;
        match self.settings.format {
            Format::Rfc5424 => self.put_new(message, &mut line)?,
            Format::Rfc3164 | Format::Local => self.put_old(message, &mut line)?,
        }
        self.put_text(message, &mut line)?;
        match self.settings.framing {
            Framing::None => out.extend_from_slice(&line),
            Framing::Newline => {
                out.extend_from_slice(&line);
                out.push(b'\n');
            }
            Framing::OctetCounted => {
                write!(out, "{} ", line.len())?;
                out.extend_from_slice(&line);
            }
        }
        self.line = line;
        Ok(true)
    }
}

impl Lines {
    fn put_new(&mut self, message: &Message<'_>, line: &mut Vec<u8>) -> anyhow::Result<()> {
        line.extend_from_slice(b"1 ");
        // RFC 5424 has no finer time than microseconds.
        self.times.put(message.timestamp() / 1000 * 1000, line);
        line.push(b' ');
        put_word(message.hostname(), 255, line);
        line.push(b' ');
        self.find_program(message)?;
        put_word(&self.text, 48, line);
        line.push(b' ');
        match message.value(b"procid", 0, 0) {
            Some(Value::String(process)) => put_word(process, 128, line),
            _ if message.pid() != 0 => write!(line, "{}", message.pid())?,
            _ => line.push(b'-'),
        }
        line.push(b' ');
        self.text.clear();
        match (&mut self.settings.message_id, message.value(b"msgid", 0, 0)) {
            (Some(id), _) => id.put(message, message.timestamp(), verbatim, &mut self.text)?,
            (None, Some(Value::String(id))) => self.text.extend_from_slice(id),
            _ => {}
        }
        put_word(&self.text, 32, line);
        line.push(b' ');
        self.put_data(message, line)?;
        line.push(b' ');
        Ok(())
    }

    fn put_old(&mut self, message: &Message<'_>, line: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut time = String::new();
        self.old_time.put(message.timestamp(), &mut time);
        line.extend_from_slice(time.as_bytes());
        line.push(b' ');
        if self.settings.format == Format::Rfc3164 {
            put_word(message.hostname(), 255, line);
            line.push(b' ');
        }
        self.find_program(message)?;
        put_word(&self.text, 32, line);
        match message.value(b"procid", 0, 0) {
            Some(Value::String(process)) => {
                line.push(b'[');
                put_word(process, 128, line);
                line.extend_from_slice(b"]: ");
            }
            _ if message.pid() != 0 => write!(line, "[{}]: ", message.pid())?,
            _ => line.extend_from_slice(b": "),
        }
        Ok(())
    }

    /// Leaves the name of the program in `text`.
    fn find_program(&mut self, message: &Message<'_>) -> anyhow::Result<()> {
        self.text.clear();
        match (&mut self.settings.app_name, message.value(b"programname", 0, 0)) {
            (Some(name), _) => name.put(message, message.timestamp(), verbatim, &mut self.text)?,
            (None, Some(Value::String(name))) => self.text.extend_from_slice(name),
            _ => self.text.extend_from_slice(message.logger()),
        }
        Ok(())
    }

    fn put_data(&mut self, message: &Message<'_>, line: &mut Vec<u8>) -> anyhow::Result<()> {
        let start = line.len();
        if !self.settings.structured_data_id.is_empty() {
            let wanted = &self.settings.structured_data_fields;
            write!(line, "[{}", self.settings.structured_data_id)?;
            let empty = line.len();
            for field in message.fields() {
                let name = String::from_utf8_lossy(field.name()).into_owned();
                if wanted.is_empty() || wanted.contains(&name) {
                    put_parameter(&name, &field, line)?;
                }
            }
            if line.len() > empty {
                line.push(b']');
                return Ok(());
            }
            line.truncate(start);
        }
        line.push(b'-');
        Ok(())
    }

    fn put_text(&mut self, message: &Message<'_>, line: &mut Vec<u8>) -> anyhow::Result<()> {
        self.text.clear();
        match &mut self.settings.text {
            Some(text) => text.put(message, message.timestamp(), verbatim, &mut self.text)?,
            None => self.text.extend_from_slice(message.payload()),
        }
        let is_line = self.settings.framing == Framing::Newline;
        for byte in self.text.trim_ascii_end() {
            match byte {
                // As rsyslogd writes a newline that is none.
                b'\n' if is_line => line.extend_from_slice(b"#012"),
                _ => line.push(*byte),
            }
        }
        Ok(())
    }
}

/// Appends one word of the header, at most so long; `-` where there is none.
fn put_word(word: &[u8], most: usize, line: &mut Vec<u8>) {
    if word.is_empty() {
        line.push(b'-');
    }
    let printable = |byte: &u8| if byte.is_ascii_graphic() { *byte } else { b'_' };
    line.extend(word.iter().take(most).map(printable));
}

fn put_parameter(name: &str, field: &Field<'_>, line: &mut Vec<u8>) -> std::io::Result<()> {
    let is_name = |byte: u8| byte.is_ascii_graphic() && !b"=]\"".contains(&byte);
    line.push(b' ');
    line.extend(name.bytes().take(32).map(|byte| if is_name(byte) { byte } else { b'_' }));
    line.extend_from_slice(b"=\"");
    for (at, value) in field.values().enumerate() {
        if at > 0 {
            line.push(b',');
        }
        match value {
            Value::String(text) | Value::Bytes(text) => {
                for character in String::from_utf8_lossy(text).chars() {
                    if "\"\\]".contains(character) {
                        line.push(b'\\');
                    }
                    line.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            Value::Integer(number) => write!(line, "{number}")?,
            Value::Double(number) => write!(line, "{number}")?,
            Value::Bool(truth) => write!(line, "{truth}")?,
        }
    }
    line.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::Batch;
    use crate::plugin::Engine;

    fn check(settings: &str, expected: &str) {
        let encoder: SyslogEncoder = toml::from_str(settings).unwrap();
        encoder.check().unwrap();
        let mut batch = Batch::new();
        let mut builder = batch.begin();
        builder
            .timestamp(1_416_840_893_250_001_999)
            .logger(b"my app")
            .severity(3)
            .payload(b"it\nis\n")
            .pid(42)
            .hostname(b"web")
            .string("a]b", "", b"x\"\\]")
            .integer("n", "", 7);
        builder.finish().unwrap();
        let engine = Engine {
            hostname: Arc::from("host"),
            pid: 1,
            base_dir: std::path::PathBuf::new(),
            share_dir: std::path::PathBuf::new(),
            max_message_size: 65536,
            max_message_loops: 4,
            max_process_inject: 1,
            max_timer_inject: 10,
            memory: Arc::default(),
            metrics: Arc::default(),
        };
        let mut encoding =
            encoder.start(&EncoderContext { name: "syslog", engine: &engine }).unwrap();
        let mut out = Vec::new();
        encoding.encode(&batch.message(0), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{settings}");
    }

    #[test]
    fn a_line_is_as_the_standards_say() {
        check("", "<11>1 2014-11-24T14:54:53.250001Z web my_app 42 - - it\nis");
        check("format = 'rfc3164'", "<11>Nov 24 14:54:53 web my_app[42]: it\nis");
        check("format = 'local'", "<11>Nov 24 14:54:53 my_app[42]: it\nis");
    }

    #[test]
    fn every_option_changes_it() {
        check(
            "facility = 'local0'\napp_name = '%{Hostname}.x'\nmessage_id = 'M'\ntext = '%{n}'\n\
             structured_data_id = 'a@1'",
            "<131>1 2014-11-24T14:54:53.250001Z web web.x 42 M [a@1 a_b=\"x\\\"\\\\\\]\" n=\"7\"] 7",
        );
        check(
            "structured_data_id = 'a@1'\nstructured_data_fields = ['n']\nframing = 'newline'",
            "<11>1 2014-11-24T14:54:53.250001Z web my_app 42 - [a@1 n=\"7\"] it#012is\n",
        );
        check("format = 'rfc3164'\nframing = 'octet_counted'", {
            "41 <11>Nov 24 14:54:53 web my_app[42]: it\nis"
        });
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for (settings, expected) in [
            ("structured_data_id = 'a b'", "is no id of structured data"),
            ("format = 'rfc3164'\nmessage_id = 'a'", "are for `format"),
        ] {
            let encoder: SyslogEncoder = toml::from_str(settings).unwrap();
            let error = encoder.check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(toml::from_str::<SyslogEncoder>("facility = 'local9'").is_err());
    }
}
