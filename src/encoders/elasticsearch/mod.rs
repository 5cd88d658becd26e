//! Documents for Elasticsearch and OpenSearch, as lines of the bulk API.
//!
//! Each message becomes two lines: where the document goes, and the document.

mod json;
mod logstash;
mod place;
#[cfg(test)]
mod tests;

pub(super) use self::json::ESJsonEncoder;
pub(super) use self::logstash::ESLogstashV0Encoder;

use self::place::Place;
use super::json::Writer;
use crate::message::Message;
use crate::plugin::Encoding;

/// Writes documents and where they go.
struct Documents {
    place: Place,
    writer: Writer,
}

impl Encoding for Documents {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        self.place.put(message, out)?;
        self.writer.encode(message, out)
    }
}
