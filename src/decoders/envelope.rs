//! The header of a message that a decoder writes from start to end.

use crate::message;
use crate::message::Batch;
use crate::message::Builder;
use crate::message::Header;
use crate::message::Marks;
use crate::message::Message;
use crate::plugin::Form;
use crate::plugin::Origin;
use crate::plugin::Record;

/// What the header is to be; at first what is known of the record besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a> {
    pub(super) uuid: [u8; 16],
    /// Nanoseconds since the epoch.
    pub(super) timestamp: i64,
    pub(super) message_type: &'a [u8],
    pub(super) logger: &'a [u8],
    pub(super) severity: Option<i32>,
    pub(super) payload: Option<&'a [u8]>,
    /// Empty leaves it out.
    pub(super) env_version: &'a [u8],
    pub(super) pid: Option<i32>,
    /// Empty leaves it out.
    pub(super) hostname: &'a [u8],
    marks: Marks,
}

impl<'a> Envelope<'a> {
    /// The name and time of the record, and what its origin says; no payload.
    pub(super) fn of(record: &Record<'a>) -> Envelope<'a> {
        let origin = record.origin;
        Envelope {
            uuid: record.uuid,
            timestamp: record.now,
            message_type: &origin.message_type,
            logger: &origin.logger,
            severity: origin.severity,
            payload: None,
            env_version: &origin.env_version,
            pid: origin.pid,
            hostname: &origin.hostname,
            marks: record.marks,
        }
    }

    /// Begins a message with this header; the fields are to follow.
    #[inline]
    pub(super) fn begin<'b>(&self, out: &'b mut Batch) -> Builder<'b> {
        let mut builder = out.begin();
        builder.uuid(&self.uuid).timestamp(self.timestamp);
        builder.message_type(self.message_type).logger(self.logger);
        if let Some(severity) = self.severity {
            builder.severity(severity);
        }
        if let Some(payload) = self.payload {
            builder.payload(payload);
        }
        if !self.env_version.is_empty() {
            builder.env_version(self.env_version);
        }
        if let Some(pid) = self.pid {
            builder.pid(pid);
        }
        if !self.hostname.is_empty() {
            builder.hostname(self.hostname);
        }
        builder.marks(self.marks);
        builder
    }
}

/// The record as text to be decoded: of a message its payload, under its own header, for which
/// `inner` is the place.
///
/// # Errors
/// When the record should be a message and is damaged.
pub(super) fn text_of<'a>(
    record: &Record<'a>,
    inner: &'a mut Inner,
) -> Result<Record<'a>, message::Error> {
    if record.form != Form::Message {
        return Ok(*record);
    }
    let header = inner.header.insert(Header::locate(record.bytes)?);
    Ok(within(&Message::new(record.bytes, header), record, &mut inner.origin))
}

/// The place for what is known of a message that is to be decoded.
#[derive(Debug, Default)]
pub(super) struct Inner {
    origin: Origin,
    header: Option<Header>,
}

/// The payload of a message that was made of `record`, as a record.
pub(super) fn within<'a>(
    message: &Message<'a>,
    record: &Record<'a>,
    origin: &'a mut Origin,
) -> Record<'a> {
    origin.copy_from(message);
    Record {
        bytes: message.payload(),
        form: Form::Payload,
        origin,
        now: if message.has_timestamp() { message.timestamp() } else { record.now },
        uuid: message.uuid().try_into().unwrap_or(record.uuid),
        marks: record.marks,
    }
}

/// The bytes without the end of the line they close with.
pub(super) fn without_line_end(bytes: &[u8]) -> &[u8] {
    let Some(line) = bytes.strip_suffix(b"\n") else { return bytes };
    line.strip_suffix(b"\r").unwrap_or(line)
}
