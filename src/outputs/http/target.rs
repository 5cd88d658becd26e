//! Where a record goes: its URL and its headers, which may be filled from the message.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::Context;
use reqwest::Url;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use super::sender;
use crate::message::Message;
use crate::message::Places;
use crate::message::places::verbatim;
use crate::stdx::secret::Secret;

/// The URL and the headers of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
}

/// Targets, filled from messages or always the same.
pub(super) struct Targets {
    address: Places,
    headers: Vec<(HeaderName, Places)>,
    fixed: Option<Target>,
}

impl std::fmt::Debug for Targets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Targets").finish_non_exhaustive()
    }
}

impl Targets {
    /// Reads an address and headers; places in them are filled from messages.
    pub(super) fn parse(
        address: &str,
        headers: &BTreeMap<String, Header>,
    ) -> anyhow::Result<Targets> {
        let address = Places::parse(address)?;
        let mut named = Vec::new();
        for (name, Header(values)) in headers {
            let key = HeaderName::from_bytes(name.as_bytes())
                .with_context(|| format!("`{name}` is no name of a header"))?;
            for value in values {
                HeaderValue::from_str(value)
                    .with_context(|| format!("the value of the header `{name}` is none"))?;
                named.push((key.clone(), Places::parse(value)?));
            }
        }
        let mut targets = Targets { address, headers: named, fixed: None };
        if targets.address.is_fixed() && targets.headers.iter().all(|(_, value)| value.is_fixed()) {
            targets.fixed = Some(targets.fill(None)?);
        } else {
            let written = targets.address.written();
            let start = &written[..written.find("%{").unwrap_or(written.len())];
            anyhow::ensure!(
                start.starts_with("http://") || start.starts_with("https://"),
                "`{written}` is no address for http, expected `http://` or `https://`"
            );
        }
        Ok(targets)
    }

    /// Whether it is spoken in TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.address.written().starts_with("https://")
    }

    /// Whether messages are looked at.
    pub(super) fn reads_messages(&self) -> bool {
        self.fixed.is_none()
    }

    /// The target that all records have.
    pub(super) fn fixed(&self) -> Option<&Target> {
        self.fixed.as_ref()
    }

    /// The target of a record made from `message`.
    ///
    /// # Errors
    /// When the message lacks something, or what it says fits into no address or header.
    pub(super) fn fill(&mut self, message: Option<&Message<'_>>) -> anyhow::Result<Target> {
        let time = message.map_or(0, Message::timestamp);
        let mut text = Vec::new();
        let put = |places: &mut Places, escape, text: &mut Vec<u8>| -> anyhow::Result<()> {
            text.clear();
            match message {
                Some(message) => places.put(message, time, escape, text)?,
                None => text.extend_from_slice(places.written().as_bytes()),
            }
            Ok(())
        };
        put(&mut self.address, escaped, &mut text)?;
        let url = sender::url(&String::from_utf8_lossy(&text))?;
        let mut headers = HeaderMap::new();
        for (name, places) in &mut self.headers {
            put(places, verbatim, &mut text)?;
            let value = HeaderValue::from_bytes(&text).with_context(|| {
                format!("what the message says fits into no header, `{name}` wants it")
            })?;
            headers.append(name.clone(), value);
        }
        Ok(Target { url, headers })
    }
}

/// Appends text so that it is one part of a path or one value of a query.
fn escaped(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

/// The values of a header; a single one may be a secret, kept elsewhere.
#[derive(Clone, Default)]
pub(super) struct Header(pub(super) Vec<String>);

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Header(…)")
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Header, D::Error> {
        from.deserialize_any(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> serde::de::Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "a text, a list of texts, or a secret as { env = \"NAME\" } or { file = \"PATH\" }",
        )
    }

    fn visit_str<E>(self, text: &str) -> Result<Header, E> {
        Ok(Header(vec![text.to_owned()]))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Header, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Header(values))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Header, A::Error> {
        let secret = Secret::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Header(vec![secret.reveal().to_owned()]))
    }
}

impl JsonSchema for Header {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Header".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" } },
                { "type": "object", "properties": { "env": { "type": "string" }, "file": { "type": "string" } } }
            ]
        })
    }
}
