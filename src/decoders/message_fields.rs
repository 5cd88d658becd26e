//! `message_fields`: what header fields and dynamic fields are set to.
//!
//! A key is the name of a header field, or the name of a dynamic field, with its representation
//! behind a bar: `"ResponseTime|s"`. A value is text with places.

use std::collections::BTreeMap;

use anyhow::Context;
use anyhow::bail;

use super::envelope::Envelope;
use crate::message;
use crate::message::Builder;
use crate::message::template::Template;

/// The keys, read.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageFields {
    headers: Vec<(Header, Template)>,
    fields: Vec<(String, String, Template)>,
}

/// A header field that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Uuid,
    Type,
    Logger,
    Hostname,
    Severity,
    Payload,
    EnvVersion,
    Pid,
}

/// The texts that were made, one behind the other; used again and again.
#[derive(Debug, Default)]
pub(super) struct Filled {
    bytes: Vec<u8>,
    /// Where each ends, header fields first.
    ends: Vec<usize>,
}

/// Appends what belongs into a place, or says that it knows none.
pub(super) type Fill<'a> = dyn FnMut(&str, &mut Vec<u8>) -> bool + 'a;

impl MessageFields {
    /// Reads the keys and values.
    ///
    /// # Errors
    /// When a key is the time of a message, which is not set like this.
    pub(super) fn read(keys: &BTreeMap<String, String>) -> anyhow::Result<MessageFields> {
        let mut read = MessageFields::default();
        for (key, value) in keys {
            let template = Template::percent(value);
            let header = match key.as_str() {
                "Uuid" => Some(Header::Uuid),
                "Type" => Some(Header::Type),
                "Logger" => Some(Header::Logger),
                "Hostname" => Some(Header::Hostname),
                "Severity" => Some(Header::Severity),
                "Payload" => Some(Header::Payload),
                "EnvVersion" => Some(Header::EnvVersion),
                "Pid" => Some(Header::Pid),
                "Timestamp" => bail!("Timestamp in message_fields is set by a group of that name"),
                _ => None,
            };
            if let Some(header) = header {
                read.headers.push((header, template));
            } else {
                let (name, representation) = key.split_once('|').unwrap_or((key, ""));
                read.fields.push((name.to_owned(), representation.to_owned(), template));
            }
        }
        Ok(read)
    }

    /// The names of all places.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let headers = self.headers.iter().flat_map(|(_, template)| template.names());
        headers.chain(self.fields.iter().flat_map(|(.., template)| template.names()))
    }

    /// Makes the texts.
    pub(super) fn fill(&self, filled: &mut Filled, fill: &mut Fill<'_>) {
        filled.bytes.clear();
        filled.ends.clear();
        let headers = self.headers.iter().map(|(_, template)| template);
        for template in headers.chain(self.fields.iter().map(|(.., template)| template)) {
            template.put(&mut filled.bytes, fill);
            filled.ends.push(filled.bytes.len());
        }
    }

    /// Sets the header fields; a severity may be a word of `severities`.
    ///
    /// # Errors
    /// When a number is none, or a UUID.
    pub(super) fn set_headers<'a>(
        &self,
        filled: &'a Filled,
        severities: &BTreeMap<String, i32>,
        envelope: &mut Envelope<'a>,
    ) -> anyhow::Result<()> {
        for (index, (header, _)) in self.headers.iter().enumerate() {
            let text = filled.text(index);
            match header {
                Header::Uuid => {
                    envelope.uuid =
                        message::parse_uuid(text).with_context(|| wrong(text, "a UUID"))?;
                }
                Header::Type => envelope.message_type = text,
                Header::Logger => envelope.logger = text,
                Header::Hostname => envelope.hostname = text,
                Header::Payload => envelope.payload = Some(text),
                Header::EnvVersion => envelope.env_version = text,
                Header::Severity => {
                    let severity = severity(text, severities);
                    envelope.severity = Some(severity.with_context(|| wrong(text, "a severity"))?);
                }
                Header::Pid => {
                    envelope.pid = Some(number(text).with_context(|| wrong(text, "a process id"))?);
                }
            }
        }
        Ok(())
    }

    /// Writes the dynamic fields.
    pub(super) fn write_fields(&self, filled: &Filled, out: &mut Builder<'_>) {
        for (index, (name, representation, _)) in self.fields.iter().enumerate() {
            out.string(name, representation, filled.text(self.headers.len() + index));
        }
    }
}

impl Filled {
    fn text(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }
}

/// A severity by its word or number.
pub(super) fn severity(text: &[u8], words: &BTreeMap<String, i32>) -> Option<i32> {
    let text = std::str::from_utf8(text).ok()?;
    words.get(text).copied().or_else(|| text.parse().ok())
}

fn number(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn wrong(text: &[u8], expected: &str) -> String {
    format!("{:?} is not {expected}", String::from_utf8_lossy(text))
}
