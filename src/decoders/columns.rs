//! What a decoder finds in a line, by place: header fields and typed fields.
//!
//! A place is described as `name`, `name|representation`, either with a kind behind it: `size|B:int`.
//! The names `Timestamp`, `Type`, `Logger`, `Severity`, `Payload`, `EnvVersion`, `Pid` and
//! `Hostname` are those of the header, an empty one is passed over.

use std::collections::BTreeMap;

use anyhow::Context;
use anyhow::bail;

use super::envelope::Envelope;
use super::time_layout::TimeLayout;
use crate::formats::grok::Kind;
use crate::formats::severity;
use crate::message::Batch;
use crate::message::FieldStart;
use crate::message::ValueType;
use crate::plugin::Record;

/// What is found where, and how it is read.
#[derive(Debug)]
pub(super) struct Columns {
    places: Vec<Column>,
    pub(super) layout: TimeLayout,
    pub(super) severities: BTreeMap<String, i32>,
    pub(super) message_type: Option<String>,
    pub(super) payload_keep: bool,
}

#[derive(Debug)]
enum Column {
    Nothing,
    Header(Header),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Timestamp,
    Type,
    Logger,
    Severity,
    Payload,
    EnvVersion,
    Pid,
    Hostname,
}

#[derive(Debug)]
struct Field {
    name: String,
    representation: String,
    kind: Kind,
    text: FieldStart,
    integer: FieldStart,
}

impl Columns {
    /// No columns yet; times are read by `layout`.
    pub(super) fn new(layout: TimeLayout) -> Columns {
        Columns {
            places: Vec::new(),
            layout,
            severities: BTreeMap::new(),
            message_type: None,
            payload_keep: false,
        }
    }

    /// Adds a column by its description.
    ///
    /// # Errors
    /// When the kind in it is none.
    pub(super) fn describe(&mut self, written: &str) -> anyhow::Result<()> {
        let (name, kind) = match written.rsplit_once(':') {
            Some((name, kind)) => {
                let known = Kind::named(kind);
                let wrong = || format!("{kind:?} is no kind, expected int, float, bool or string");
                (name, known.with_context(wrong)?)
            }
            None => (written, Kind::Text),
        };
        self.add(name, kind);
        Ok(())
    }

    /// Adds a column.
    pub(super) fn add(&mut self, name: &str, kind: Kind) {
        let header = match name {
            "" => return self.places.push(Column::Nothing),
            "Timestamp" => Some(Header::Timestamp),
            "Type" => Some(Header::Type),
            "Logger" => Some(Header::Logger),
            "Severity" => Some(Header::Severity),
            "Payload" => Some(Header::Payload),
            "EnvVersion" => Some(Header::EnvVersion),
            "Pid" => Some(Header::Pid),
            "Hostname" => Some(Header::Hostname),
            _ => None,
        };
        self.places.push(header.map_or_else(
            || {
                let (name, representation) = name.split_once('|').unwrap_or((name, ""));
                let start = |value_type| FieldStart::new(name, representation, value_type);
                Column::Field(Field {
                    name: name.to_owned(),
                    representation: representation.to_owned(),
                    kind,
                    text: start(ValueType::String),
                    integer: start(ValueType::Integer),
                })
            },
            Column::Header,
        ));
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Writes the message of a line, whose value in a column `value` gives.
    ///
    /// # Errors
    /// When a time, a severity or a process cannot be read.
    pub(super) fn write<'a>(
        &'a self,
        record: &Record<'a>,
        line: &'a [u8],
        value: &dyn Fn(usize) -> Option<&'a [u8]>,
        out: &mut Batch,
    ) -> anyhow::Result<()> {
        let mut envelope = Envelope::of(record);
        if let Some(message_type) = &self.message_type {
            envelope.message_type = message_type.as_bytes();
        }
        envelope.payload = self.payload_keep.then_some(line);
        for (index, column) in self.places.iter().enumerate() {
            if let (Column::Header(header), Some(text)) = (column, value(index)) {
                self.set(*header, text, record.now, &mut envelope)?;
            }
        }
        let mut builder = envelope.begin(out);
        for (index, column) in self.places.iter().enumerate() {
            let (Column::Field(field), Some(text)) = (column, value(index)) else { continue };
            match field.kind {
                Kind::Text => {
                    builder.string_under(&field.text, text);
                }
                Kind::Integer => match number::<i64>(text) {
                    Some(number) => {
                        builder.integer_under(&field.integer, number);
                    }
                    // What is no number is kept as it is, so that nothing is lost.
                    None if is_said(text) => {
                        builder.string_under(&field.text, text);
                    }
                    None => {}
                },
                Kind::Double => match number::<f64>(text) {
                    Some(number) => {
                        builder.double(&field.name, &field.representation, number);
                    }
                    None if is_said(text) => {
                        builder.string_under(&field.text, text);
                    }
                    None => {}
                },
                Kind::Bool => {
                    if is_said(text) {
                        builder.boolean(&field.name, &field.representation, truth(text));
                    }
                }
            }
        }
        builder.encoded_fields(record.origin.fields());
        builder.finish()?;
        Ok(())
    }

    fn set<'a>(
        &self,
        header: Header,
        text: &'a [u8],
        now: i64,
        envelope: &mut Envelope<'a>,
    ) -> anyhow::Result<()> {
        match header {
            Header::Payload => envelope.payload = Some(text),
            _ if !is_said(text) => {}
            Header::Timestamp => envelope.timestamp = self.layout.read(text, now)?,
            Header::Type => envelope.message_type = text,
            Header::Logger => envelope.logger = text,
            Header::EnvVersion => envelope.env_version = text,
            Header::Hostname => envelope.hostname = text,
            Header::Pid => envelope.pid = Some(number(text).with_context(|| wrong(text))?),
            Header::Severity => {
                let word = std::str::from_utf8(text).unwrap_or_default();
                let Some(found) = self.severities.get(word).copied().or(severity::named(text))
                else {
                    bail!("{word:?} is no severity that is known");
                };
                envelope.severity = Some(found);
            }
        }
        Ok(())
    }
}

fn wrong(text: &[u8]) -> String {
    format!("{:?} is no process id", String::from_utf8_lossy(text))
}

/// Tells whether there is something: a minus is what logs write where there is nothing.
fn is_said(text: &[u8]) -> bool {
    !matches!(text, b"" | b"-")
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Tells whether a word says yes.
fn truth(text: &[u8]) -> bool {
    ["true", "t", "yes", "y", "on", "1"].iter().any(|yes| text.eq_ignore_ascii_case(yes.as_bytes()))
}
