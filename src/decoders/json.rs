//! `JsonDecoder`: a JSON object becomes fields.

use std::num::NonZeroUsize;

use anyhow::Context;
use anyhow::bail;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use super::envelope::Envelope;
use super::time_layout::TimeLayout;
use crate::formats::json_fields::Flattener;
use crate::formats::json_fields::Scalar;
use crate::formats::json_fields::Take;
use crate::message;
use crate::message::Batch;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Record;

/// Makes fields of a JSON object.
///
/// Members of objects in it are named by their path, `a.b.c`; whole numbers are integers, `null` is
/// left out, an array of values of one type is one field with all of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonDecoder {
    /// The type of the messages.
    #[serde(default = "json")]
    message_type: String,
    /// Whether the text is kept as payload.
    #[serde(default)]
    payload_keep: bool,
    /// Whether the members named below become header fields; they are fields like others where not.
    #[serde(default)]
    map_fields: bool,
    /// The member that is the payload.
    #[serde(rename = "Payload")]
    payload: Option<String>,
    /// The member that is the UUID, as text.
    #[serde(rename = "Uuid")]
    uuid: Option<String>,
    /// The member that is the type.
    #[serde(rename = "Type")]
    kind: Option<String>,
    /// The member that is the logger.
    #[serde(rename = "Logger")]
    logger: Option<String>,
    /// The member that is the hostname.
    #[serde(rename = "Hostname")]
    hostname: Option<String>,
    /// The member that is the severity.
    #[serde(rename = "Severity")]
    severity: Option<String>,
    /// The member that is the version of the envelope.
    #[serde(rename = "EnvVersion")]
    env_version: Option<String>,
    /// The member that is the process id.
    #[serde(rename = "Pid")]
    pid: Option<String>,
    /// The member that is the time.
    #[serde(rename = "Timestamp")]
    timestamp: Option<String>,
    /// How the time is written: a pattern of strftime, a layout of Go, `Epoch`, `EpochMilli`,
    /// `EpochMicro` or `EpochNano`. Where it is left out, numbers are nanoseconds since the epoch and
    /// texts RFC 3339.
    timestamp_format: Option<String>,
    /// How many objects deep members become fields; what is deeper is a field with JSON as text.
    maximum_depth: Option<NonZeroUsize>,
    /// What stands between the names of a path.
    #[serde(default = "dot")]
    separator: String,
}

fn json() -> String {
    "json".to_owned()
}

fn dot() -> String {
    ".".to_owned()
}

impl Described for JsonDecoder {
    const NAME: &'static str = "JsonDecoder";
    const ABOUT: &'static str = "Makes fields of a JSON object.";
    const EXAMPLE: &'static str = "\
[JsonDecoder]
map_fields = true
Payload = \"message\"
Timestamp = \"time\"
timestamp_format = \"%Y-%m-%dT%H:%M:%S%z\"
";
}

impl Decoder for JsonDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        let keys = [
            (Target::Payload, &self.payload),
            (Target::Uuid, &self.uuid),
            (Target::Type, &self.kind),
            (Target::Logger, &self.logger),
            (Target::Hostname, &self.hostname),
            (Target::Severity, &self.severity),
            (Target::EnvVersion, &self.env_version),
            (Target::Pid, &self.pid),
            (Target::Timestamp, &self.timestamp),
        ];
        let mut mapped = Vec::new();
        for (target, key) in keys {
            if let Some(key) = key.as_ref().filter(|_| self.map_fields) {
                mapped.push((key.clone(), target));
            }
        }
        let layout = self.timestamp_format.as_ref().map(|format| {
            TimeLayout::compile(format, Tz::UTC).context("cannot use `timestamp_format`")
        });
        let maximum_depth = self.maximum_depth.map_or(usize::MAX, NonZeroUsize::get);
        Ok(Box::new(Objects {
            flattener: Flattener::new(&self.separator, maximum_depth),
            headers: Headers { mapped, layout: layout.transpose()?, ..Headers::default() },
            message_type: self.message_type.clone(),
            payload_keep: self.payload_keep,
            inner: envelope::Inner::default(),
        }))
    }
}

struct Objects {
    flattener: Flattener,
    headers: Headers,
    message_type: String,
    payload_keep: bool,
    inner: envelope::Inner,
}

/// A header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Payload,
    Uuid,
    Type,
    Logger,
    Hostname,
    Severity,
    EnvVersion,
    Pid,
    Timestamp,
}

/// Which members are header fields, and what the last text had for them.
#[derive(Default)]
struct Headers {
    mapped: Vec<(String, Target)>,
    layout: Option<TimeLayout>,
    now: i64,
    texts: Vec<u8>,
    found: Vec<(Target, std::ops::Range<usize>)>,
    uuid: Option<[u8; 16]>,
    timestamp: Option<i64>,
    severity: Option<i32>,
    pid: Option<i32>,
    /// Why the time cannot be read.
    problem: Option<anyhow::Error>,
}

impl Decoding for Objects {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        self.headers.begin(record.now);
        self.flattener.read(record.bytes, &mut self.headers).context("record is no JSON object")?;
        if let Some(problem) = self.headers.problem.take() {
            bail!(problem);
        }
        let mut envelope = Envelope::of(record);
        envelope.message_type = self.message_type.as_bytes();
        envelope.payload = self.payload_keep.then_some(record.bytes);
        self.headers.set(&mut envelope);
        let mut builder = envelope.begin(out);
        builder.encoded_fields(self.flattener.fields()).encoded_fields(record.origin.fields());
        builder.finish()?;
        Ok(())
    }
}

impl Headers {
    fn begin(&mut self, now: i64) {
        self.now = now;
        self.texts.clear();
        self.found.clear();
        (self.uuid, self.timestamp, self.severity, self.pid) = (None, None, None, None);
        self.problem = None;
    }

    fn set<'a>(&'a self, envelope: &mut Envelope<'a>) {
        for (target, range) in &self.found {
            let text = &self.texts[range.clone()];
            match target {
                Target::Payload => envelope.payload = Some(text),
                Target::Type => envelope.message_type = text,
                Target::Logger => envelope.logger = text,
                Target::Hostname => envelope.hostname = text,
                Target::EnvVersion => envelope.env_version = text,
                Target::Uuid | Target::Severity | Target::Pid | Target::Timestamp => {}
            }
        }
        envelope.uuid = self.uuid.unwrap_or(envelope.uuid);
        envelope.timestamp = self.timestamp.unwrap_or(envelope.timestamp);
        envelope.severity = self.severity.or(envelope.severity);
        envelope.pid = self.pid.or(envelope.pid);
    }

    fn time(&mut self, value: Scalar<'_>) -> Option<i64> {
        let text = match value {
            Scalar::Text(text) => text.to_owned(),
            Scalar::Integer(number) if self.layout.is_none() => return Some(number),
            Scalar::Integer(number) => number.to_string(),
            Scalar::Double(number) => number.to_string(),
            Scalar::Bool(_) => return None,
        };
        let found = match &self.layout {
            Some(layout) => layout.read(text.as_bytes(), self.now),
            None => TimeLayout::rfc3339(text.as_bytes()),
        };
        found.map_err(|problem| self.problem = Some(problem)).ok()
    }
}

impl Take for Headers {
    /// Takes a value that the header field can have; any other stays a field.
    fn take(&mut self, key: &str, value: Scalar<'_>) -> bool {
        let mapped = self.mapped.iter().find(|(mapped, _)| mapped == key);
        let Some(&(_, target)) = mapped else { return false };
        match target {
            Target::Uuid => {
                let Scalar::Text(text) = value else { return false };
                self.uuid = message::parse_uuid(text.as_bytes());
                self.uuid.is_some()
            }
            Target::Severity => {
                self.severity = small(value);
                self.severity.is_some()
            }
            Target::Pid => {
                self.pid = small(value);
                self.pid.is_some()
            }
            Target::Timestamp => {
                self.timestamp = self.time(value);
                self.timestamp.is_some()
            }
            target => {
                let start = self.texts.len();
                match value {
                    Scalar::Text(text) => self.texts.extend_from_slice(text.as_bytes()),
                    Scalar::Integer(number) => {
                        self.texts.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                    }
                    Scalar::Double(_) | Scalar::Bool(_) => return false,
                }
                self.found.push((target, start..self.texts.len()));
                true
            }
        }
    }
}

fn small(value: Scalar<'_>) -> Option<i32> {
    match value {
        Scalar::Integer(number) => number.try_into().ok(),
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Double(_) | Scalar::Bool(_) => None,
    }
}
