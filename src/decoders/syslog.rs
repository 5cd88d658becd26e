//! `SyslogDecoder`: messages of syslog, old and new.

use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use super::envelope::Envelope;
use super::time_layout;
use crate::formats::syslog;
use crate::formats::syslog::Line;
use crate::message::Batch;
use crate::message::Builder;
use crate::message::FieldStart;
use crate::message::ValueType;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Record;

/// Reads messages of syslog: RFC 5424, RFC 3164 and what programs make of it, with a priority or
/// without, as in files.
///
/// The message has the time, the host, the severity and the process of the line, its text as
/// payload, and the fields `programname`, `syslogfacility` (0 to 23), `msgid`, `procid` where the
/// process is no number, and each parameter of structured data as `ID.NAME`. What has no header is
/// payload as it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SyslogDecoder {
    /// The type of the messages; that of the input where it is left out.
    #[serde(default)]
    message_type: Option<String>,
    /// The zone of times that name none, as `Europe/Berlin`.
    #[serde(default = "time_layout::utc")]
    tz: String,
    /// Whether the host is a field too, `hostname`.
    #[serde(default)]
    hostname_keep: bool,
}

impl Described for SyslogDecoder {
    const NAME: &'static str = "SyslogDecoder";
    const ABOUT: &'static str = "Reads messages of syslog: RFC 3164 as it is met, and RFC 5424.";
    const EXAMPLE: &'static str =
        "[SyslogDecoder]\nmessage_type = \"syslog\"\ntz = \"Europe/Berlin\"\n";
}

impl Decoder for SyslogDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        let start = |name, value_type| FieldStart::new(name, "", value_type);
        Ok(Box::new(Messages {
            reader: syslog::Reader::new(time_layout::zone("tz", &self.tz)?),
            message_type: self.message_type.clone(),
            hostname_keep: self.hostname_keep,
            program: start("programname", ValueType::String),
            facility: start("syslogfacility", ValueType::Integer),
            name: String::new(),
            value: Vec::new(),
            inner: envelope::Inner::default(),
        }))
    }
}

struct Messages {
    reader: syslog::Reader,
    message_type: Option<String>,
    hostname_keep: bool,
    program: FieldStart,
    facility: FieldStart,
    /// The name and the value of a parameter while they are put together.
    name: String,
    value: Vec<u8>,
    inner: envelope::Inner,
}

impl Decoding for Messages {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let line = self.reader.read(record.bytes, record.now);
        let process = number(line.process);
        let mut envelope = Envelope::of(record);
        if let Some(message_type) = &self.message_type {
            envelope.message_type = message_type.as_bytes();
        }
        envelope.payload = Some(line.text);
        envelope.severity = line.severity().or(envelope.severity);
        if line.has_header() {
            // The process of the input is not the one that wrote the line.
            envelope.pid = process;
        }
        if let Some(time) = line.time {
            envelope.timestamp = time;
        }
        if !line.hostname.is_empty() {
            envelope.hostname = line.hostname;
        }
        let mut builder = envelope.begin(out);
        if !line.program.is_empty() {
            builder.string_under(&self.program, line.program);
        }
        if let Some(facility) = line.facility() {
            builder.integer_under(&self.facility, facility);
        }
        if process.is_none() && !line.process.is_empty() {
            builder.string("procid", "", line.process);
        }
        if !line.message_id.is_empty() {
            builder.string("msgid", "", line.message_id);
        }
        if self.hostname_keep && !line.hostname.is_empty() {
            builder.string("hostname", "", line.hostname);
        }
        if !line.data.is_empty() {
            put_data(&line, &mut self.name, &mut self.value, &mut builder);
        }
        builder.encoded_fields(record.origin.fields());
        builder.finish()?;
        Ok(())
    }
}

/// Writes a field for each parameter of structured data.
fn put_data(line: &Line<'_>, name: &mut String, value: &mut Vec<u8>, out: &mut Builder<'_>) {
    for parameter in line.parameters() {
        name.clear();
        name.push_str(&String::from_utf8_lossy(parameter.id));
        if !parameter.name.is_empty() {
            name.push('.');
            name.push_str(&String::from_utf8_lossy(parameter.name));
        }
        if parameter.is_plain() {
            out.string(name, "", parameter.written);
        } else {
            value.clear();
            parameter.put_value(value);
            out.string(name, "", value);
        }
    }
}

/// A process id as a number.
fn number(digits: &[u8]) -> Option<i32> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    let add = |sum: i32, digit: &u8| {
        let digit = i32::from(digit.wrapping_sub(b'0'));
        (digit < 10).then(|| sum.checked_mul(10)?.checked_add(digit))?
    };
    digits.iter().try_fold(0, add)
}

#[cfg(test)]
mod tests {
    use crate::decoders::tests::check;

    #[test]
    fn header_and_data_are_found() {
        check(
            "[SyslogDecoder]\nmessage_type = 'syslog'\nhostname_keep = true",
            "SyslogDecoder",
            "<165>1 2026-11-22T15:33:21.5+00:00 web-1 app 8710 ID4 [a@1 x=\"1\\\"\"] It's time.\n",
            "time 1500000000\ntype syslog\nfrom logger web-1\nseverity 5\npid 8710\n\
             payload It's time.\nprogramname \"app\"\nsyslogfacility 20\nmsgid \"ID4\"\n\
             hostname \"web-1\"\na@1.x \"1\\\"\"\nextra 1\n",
        );
        check(
            "[SyslogDecoder]\ntz = 'Europe/Berlin'",
            "SyslogDecoder",
            "<13>Nov 22 16:33:19 vm cron[main]: ran\r\n",
            "time -1000000000\ntype input\nfrom logger vm\nseverity 5\npayload ran\n\
             programname \"cron\"\nsyslogfacility 1\nprocid \"main\"\nextra 1\n",
        );
    }

    #[test]
    fn text_without_header_keeps_what_the_input_says() {
        check(
            "[SyslogDecoder]",
            "SyslogDecoder",
            "just text\n",
            "time 0\ntype input\nfrom logger host\npayload just text\nextra 1\n",
        );
    }
}
