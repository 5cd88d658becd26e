//! The view of a message: its bytes, and where the header fields lie in them.

use super::field::Field;
use super::field::Fields;
use super::field::Value;
use super::header;
use super::header::Header;
use super::wire;

/// A message, read in place.
///
/// Strings are bytes: nothing on the wire makes them UTF-8. What a message lacks reads as its
/// default (empty, 0, severity 7); the `has_…` questions tell absent from default.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: &'a Header,
}

impl<'a> Message<'a> {
    /// Joins the bytes of a message with its header, which must have been located in them.
    #[must_use]
    pub fn new(bytes: &'a [u8], header: &'a Header) -> Message<'a> {
        Message { bytes, header }
    }

    /// The encoded message.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where the header fields lie.
    #[must_use]
    pub fn header(&self) -> &'a Header {
        self.header
    }

    /// The UUID: 16 bytes in a sound message, empty when absent.
    #[must_use]
    pub fn uuid(&self) -> &'a [u8] {
        self.header.uuid.of(self.bytes).unwrap_or_default()
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.header.timestamp
    }

    /// The kind of message.
    #[must_use]
    pub fn message_type(&self) -> &'a [u8] {
        self.header.message_type.of(self.bytes).unwrap_or_default()
    }

    /// Where the message comes from.
    #[must_use]
    pub fn logger(&self) -> &'a [u8] {
        self.header.logger.of(self.bytes).unwrap_or_default()
    }

    /// Syslog severity, 7 when absent.
    #[must_use]
    pub fn severity(&self) -> i32 {
        self.header.severity
    }

    /// The text body.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.header.payload.of(self.bytes).unwrap_or_default()
    }

    /// The version of the envelope.
    #[must_use]
    pub fn env_version(&self) -> &'a [u8] {
        self.header.env_version.of(self.bytes).unwrap_or_default()
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.header.pid
    }

    /// The host the message comes from.
    #[must_use]
    pub fn hostname(&self) -> &'a [u8] {
        self.header.hostname.of(self.bytes).unwrap_or_default()
    }

    /// Tells whether the message has a UUID.
    #[must_use]
    pub fn has_uuid(&self) -> bool {
        self.header.uuid != header::Span::ABSENT
    }

    /// Tells whether the message has a timestamp.
    #[must_use]
    pub fn has_timestamp(&self) -> bool {
        self.header.present & header::HAS_TIMESTAMP != 0
    }

    /// Tells whether the message has a type.
    #[must_use]
    pub fn has_message_type(&self) -> bool {
        self.header.message_type != header::Span::ABSENT
    }

    /// Tells whether the message has a logger.
    #[must_use]
    pub fn has_logger(&self) -> bool {
        self.header.logger != header::Span::ABSENT
    }

    /// Tells whether the message has a severity of its own.
    #[must_use]
    pub fn has_severity(&self) -> bool {
        self.header.present & header::HAS_SEVERITY != 0
    }

    /// Tells whether the message has a payload.
    #[must_use]
    pub fn has_payload(&self) -> bool {
        self.header.payload != header::Span::ABSENT
    }

    /// Tells whether the message has an envelope version.
    #[must_use]
    pub fn has_env_version(&self) -> bool {
        self.header.env_version != header::Span::ABSENT
    }

    /// Tells whether the message has a process id.
    #[must_use]
    pub fn has_pid(&self) -> bool {
        self.header.present & header::HAS_PID != 0
    }

    /// Tells whether the message has a hostname.
    #[must_use]
    pub fn has_hostname(&self) -> bool {
        self.header.hostname != header::Span::ABSENT
    }

    /// The dynamic fields, in order.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields::starting(self.bytes, self.header.fields as usize)
    }

    /// Appends the dynamic fields to `out`, encoded, each with its tag and length.
    pub fn put_fields(&self, out: &mut Vec<u8>) {
        let mut fields = self.fields();
        while let Some(encoded) = fields.next_encoded() {
            wire::put_delimited(out, 0x52, encoded);
        }
    }

    /// The field called `name` that comes as number `index` of that name, counted from zero.
    #[must_use]
    pub fn field(&self, name: &[u8], index: usize) -> Option<Field<'a>> {
        let mut fields = self.fields();
        let mut left = index;
        while let Some(encoded) = fields.next_called(name) {
            if let Some(field) = Field::parse(encoded) {
                if left == 0 {
                    return Some(field);
                }
                left -= 1;
            }
        }
        None
    }

    /// One value of one field: number `value` of field number `index` called `name`.
    #[must_use]
    pub fn value(&self, name: &[u8], index: usize, value: usize) -> Option<Value<'a>> {
        self.field(name, index)?.value(value)
    }
}
