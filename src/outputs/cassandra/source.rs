//! What a column gets of a message.

use std::borrow::Cow;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;
use serde::Deserializer;

use super::value::Datum;
use crate::message::Message;
use crate::message::Places;
use crate::message::Value;
use crate::message::places::verbatim;

/// What a column gets.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Timestamp,
    Uuid,
    Text(Header),
    Severity,
    Pid,
    /// The place of the message in the journal.
    Position,
    /// All fields, as a map.
    Fields,
    /// Those that are texts, as a map.
    Tags,
    Field(Vec<u8>),
    /// Text with several places.
    Places(Box<Places>),
    /// The name of the series that a row is of.
    SeriesName,
    /// Its number.
    SeriesValue,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Header {
    Type,
    Logger,
    Hostname,
    EnvVersion,
    Payload,
}

/// What a row is made from.
pub(super) struct Subject<'a> {
    pub(super) message: Message<'a>,
    pub(super) position: [u8; 16],
    /// The name and the number, for a row of a series.
    pub(super) series: Option<(&'a [u8], Value<'a>)>,
}

impl Source {
    fn parse(text: &str) -> Result<Source, crate::stdx::strftime::Error> {
        let name = text.strip_prefix("%{").and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = name.filter(|name| !name.contains(['%', '{', '}'])) else {
            return Ok(Source::Places(Box::new(Places::parse(text)?)));
        };
        Ok(match name {
            "Timestamp" => Source::Timestamp,
            "UUID" | "Uuid" => Source::Uuid,
            "Type" => Source::Text(Header::Type),
            "Logger" => Source::Text(Header::Logger),
            "Hostname" => Source::Text(Header::Hostname),
            "EnvVersion" => Source::Text(Header::EnvVersion),
            "Payload" => Source::Text(Header::Payload),
            "Severity" => Source::Severity,
            "Pid" => Source::Pid,
            "Position" => Source::Position,
            "Fields" => Source::Fields,
            "Tags" => Source::Tags,
            name => Source::Field(name.as_bytes().to_vec()),
        })
    }

    /// What there is of it.
    pub(super) fn of<'a>(&mut self, subject: &'a Subject<'_>) -> Option<Datum<'a>> {
        let message = &subject.message;
        let whole = |number: i32| Datum::One(Value::Integer(number.into()), b"");
        Some(match self {
            Source::Timestamp => Datum::Time(message.timestamp()),
            Source::Uuid => Datum::Uuid(message.uuid().try_into().ok()?),
            Source::Severity => whole(message.severity()),
            Source::Pid => whole(message.pid()),
            Source::Position => Datum::Uuid(subject.position),
            Source::Fields => Datum::Map(*message, false),
            Source::Tags => Datum::Map(*message, true),
            Source::Field(name) => Datum::Field(message.field(name, 0)?),
            Source::Text(header) => {
                let text = match header {
                    Header::Type => message.message_type(),
                    Header::Logger => message.logger(),
                    Header::Hostname => message.hostname(),
                    Header::EnvVersion => message.env_version(),
                    Header::Payload => message.payload(),
                };
                Datum::One(Value::String(text), b"")
            }
            Source::Places(places) => {
                let mut text = Vec::new();
                places.put(message, message.timestamp(), verbatim, &mut text).ok()?;
                Datum::Made(text)
            }
            Source::SeriesName => Datum::One(Value::String(subject.series?.0), b""),
            Source::SeriesValue => Datum::One(subject.series?.1, b""),
        })
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Source, D::Error> {
        let text = String::deserialize(from)?;
        Source::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Source {
    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// The name of a message for all time, as a uuid of version 8: 44 bits of the id of the journal, 16 of the
/// index in the entry, 62 of the entry.
pub(super) fn position(journal: &[u8; 16], entry: u64, index: u16) -> [u8; 16] {
    let journal = u64::from_be_bytes(journal[..8].try_into().expect("there are eight bytes")) >> 20;
    let index = u64::from(index);
    let high = journal << 20 | (index >> 12) << 16 | 0x8000 | (index & 0xfff);
    let low = 1 << 63 | (entry & (u64::MAX >> 2));
    let mut uuid = [0; 16];
    uuid[..8].copy_from_slice(&high.to_be_bytes());
    uuid[8..].copy_from_slice(&low.to_be_bytes());
    uuid
}
