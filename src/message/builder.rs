//! Writes one message straight into a batch.
//!
//! Header fields are written in the order in which they are given; what is given twice counts
//! once, the last time. The frame header in front is guessed from the size of a usual message and
//! moved only where the guess was wrong. A builder that is dropped unfinished leaves no trace.

use super::Error;
use super::batch::Batch;
use super::batch::Marks;
use super::field::Field;
use super::field::ValueType;
use super::frame;
use super::header;
use super::header::Header;
use super::header::Span;
use super::wire;

/// The length of the plain frame header for a message of 128 to 16 383 bytes.
const USUAL_FRAME_HEADER: usize = 6;

/// A message being written; see the module.
#[derive(Debug)]
pub struct Builder<'a> {
    batch: &'a mut Batch,
    /// Where the frame begins.
    frame: usize,
    /// Where the message begins.
    start: usize,
    header: Header,
    has_fields: bool,
    marks: Marks,
    is_finished: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn begin(batch: &'a mut Batch) -> Builder<'a> {
        let frame = batch.buffer().len();
        let start = frame + USUAL_FRAME_HEADER;
        batch.buffer_mut().resize(start, 0);
        Builder {
            batch,
            frame,
            start,
            header: Header::EMPTY,
            has_fields: false,
            marks: Marks::default(),
            is_finished: false,
        }
    }

    /// Writes the UUID, 16 bytes.
    pub fn uuid(&mut self, uuid: &[u8]) -> &mut Self {
        self.header.uuid = self.delimited(0x0a, uuid);
        self
    }

    /// Writes the timestamp, in nanoseconds since the epoch.
    pub fn timestamp(&mut self, nanoseconds: i64) -> &mut Self {
        self.scalar(0x10, nanoseconds);
        self.header.timestamp = nanoseconds;
        self.header.present |= header::HAS_TIMESTAMP;
        self
    }

    /// Writes the type.
    pub fn message_type(&mut self, text: &[u8]) -> &mut Self {
        self.header.message_type = self.delimited(0x1a, text);
        self
    }

    /// Writes the logger.
    pub fn logger(&mut self, text: &[u8]) -> &mut Self {
        self.header.logger = self.delimited(0x22, text);
        self
    }

    /// Writes the severity.
    pub fn severity(&mut self, severity: i32) -> &mut Self {
        self.scalar(0x28, i64::from(severity));
        self.header.severity = severity;
        self.header.present |= header::HAS_SEVERITY;
        self
    }

    /// Writes the payload.
    pub fn payload(&mut self, bytes: &[u8]) -> &mut Self {
        self.header.payload = self.delimited(0x32, bytes);
        self
    }

    /// Writes the version of the envelope.
    pub fn env_version(&mut self, text: &[u8]) -> &mut Self {
        self.header.env_version = self.delimited(0x3a, text);
        self
    }

    /// Writes the process id.
    pub fn pid(&mut self, pid: i32) -> &mut Self {
        self.scalar(0x40, i64::from(pid));
        self.header.pid = pid;
        self.header.present |= header::HAS_PID;
        self
    }

    /// Writes the hostname.
    pub fn hostname(&mut self, text: &[u8]) -> &mut Self {
        self.header.hostname = self.delimited(0x4a, text);
        self
    }

    /// Sets what is known of the message besides itself.
    pub fn marks(&mut self, marks: Marks) -> &mut Self {
        self.marks = marks;
        self
    }

    /// Writes a field with one text.
    pub fn string(&mut self, name: &str, representation: &str, value: &[u8]) -> &mut Self {
        self.one_delimited(name, representation, ValueType::String, value)
    }

    /// Writes a field with one run of bytes.
    pub fn bytes(&mut self, name: &str, representation: &str, value: &[u8]) -> &mut Self {
        self.one_delimited(name, representation, ValueType::Bytes, value)
    }

    /// Writes a field with one integer.
    pub fn integer(&mut self, name: &str, representation: &str, value: i64) -> &mut Self {
        let width = wire::varint_len(value.cast_unsigned());
        let out = self.field_head(name, representation, ValueType::Integer, 2 + width);
        out.extend_from_slice(&[0x32, short(width)]);
        wire::put_varint(out, value.cast_unsigned());
        self
    }

    /// Writes a field with one floating-point number.
    pub fn double(&mut self, name: &str, representation: &str, value: f64) -> &mut Self {
        let out = self.field_head(name, representation, ValueType::Double, 10);
        out.extend_from_slice(&[0x3a, 8]);
        out.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Writes a field with one truth value.
    pub fn boolean(&mut self, name: &str, representation: &str, value: bool) -> &mut Self {
        let out = self.field_head(name, representation, ValueType::Bool, 3);
        out.extend_from_slice(&[0x42, 1, u8::from(value)]);
        self
    }

    /// Writes a field with one text, under a head that was made before.
    pub fn string_under(&mut self, head: &FieldStart, value: &[u8]) -> &mut Self {
        let width = 1 + wire::varint_len(value.len() as u64) + value.len();
        let out = self.head(head, width);
        wire::put_delimited(out, (ValueType::String.number() + 4) << 3 | 2, value);
        self
    }

    /// Writes a field with one integer, under a head that was made before.
    pub fn integer_under(&mut self, head: &FieldStart, value: i64) -> &mut Self {
        let width = wire::varint_len(value.cast_unsigned());
        let out = self.head(head, 2 + width);
        out.extend_from_slice(&[0x32, short(width)]);
        wire::put_varint(out, value.cast_unsigned());
        self
    }

    /// Writes a field with any number of values; nothing is written for an empty array.
    pub fn array(&mut self, name: &str, representation: &str, values: &ArrayBuilder) -> &mut Self {
        let Some(value_type) = values.value_type else { return self };
        let tag = (value_type.number() + 4) << 3 | 2;
        if matches!(value_type, ValueType::String | ValueType::Bytes) {
            let out = self.field_head(name, representation, value_type, values.encoded.len());
            out.extend_from_slice(&values.encoded);
        } else {
            let width = 1 + wire::varint_len(values.encoded.len() as u64) + values.encoded.len();
            let out = self.field_head(name, representation, value_type, width);
            wire::put_delimited(out, tag, &values.encoded);
        }
        self
    }

    /// Writes a field that another message holds, as it is there.
    pub fn field(&mut self, field: &Field<'_>) -> &mut Self {
        self.encoded_fields_begin();
        wire::put_delimited(self.batch.buffer_mut(), 0x52, field.encoded());
        self
    }

    /// Writes fields that are encoded already, each with its tag and length.
    pub fn encoded_fields(&mut self, encoded: &[u8]) -> &mut Self {
        if !encoded.is_empty() {
            self.encoded_fields_begin();
            self.batch.buffer_mut().extend_from_slice(encoded);
        }
        self
    }

    /// How many bytes the message has so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.buffer().len() - self.start
    }

    /// Tells whether nothing has been written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the message; it is now in the batch.
    ///
    /// # Errors
    /// When the batch would exceed 4 GiB; the message is then not in it.
    pub fn finish(mut self) -> Result<(), Error> {
        let length = self.len();
        let wanted = frame::plain_header_len(length);
        if wanted != USUAL_FRAME_HEADER {
            let filler = vec![0; wanted];
            self.batch.buffer_mut().splice(self.frame..self.start, filler);
            self.start = self.frame + wanted;
        }
        let (at, start) = (self.frame, self.start);
        frame::write_plain_header(&mut self.batch.buffer_mut()[at..start], length);
        if !self.has_fields {
            self.header.fields = u32::try_from(length).map_err(|_| Error::TooLarge)?;
        }
        self.batch.enter(at, start, self.header, self.marks)?;
        self.is_finished = true;
        Ok(())
    }

    fn at(&self) -> u32 {
        u32::try_from(self.batch.buffer().len() - self.start).unwrap_or(u32::MAX)
    }

    fn delimited(&mut self, tag: u8, value: &[u8]) -> Span {
        wire::put_delimited(self.batch.buffer_mut(), tag, value);
        let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
        Span { at: self.at().saturating_sub(len), len }
    }

    fn scalar(&mut self, tag: u8, value: i64) {
        let out = self.batch.buffer_mut();
        out.push(tag);
        wire::put_varint(out, value.cast_unsigned());
    }

    fn encoded_fields_begin(&mut self) {
        if !self.has_fields {
            self.has_fields = true;
            self.header.fields = self.at();
        }
    }

    /// Writes all of a field but its values, which take `width` bytes.
    fn head(&mut self, head: &FieldStart, width: usize) -> &mut Vec<u8> {
        self.encoded_fields_begin();
        let out = self.batch.buffer_mut();
        out.reserve(16 + head.encoded.len() + width);
        out.push(0x52);
        wire::put_varint(out, (head.encoded.len() + width) as u64);
        out.extend_from_slice(&head.encoded);
        out
    }

    /// Writes all of a field but its values, which take `width` bytes.
    fn field_head(
        &mut self,
        name: &str,
        representation: &str,
        value_type: ValueType,
        width: usize,
    ) -> &mut Vec<u8> {
        self.encoded_fields_begin();
        let out = self.batch.buffer_mut();
        put_field_head(out, name.as_bytes(), representation.as_bytes(), value_type, width);
        out
    }

    fn one_delimited(
        &mut self,
        name: &str,
        representation: &str,
        value_type: ValueType,
        value: &[u8],
    ) -> &mut Self {
        let width = 1 + wire::varint_len(value.len() as u64) + value.len();
        let out = self.field_head(name, representation, value_type, width);
        wire::put_delimited(out, (value_type.number() + 4) << 3 | 2, value);
        self
    }
}

/// Appends tag, length, name, value type and representation of a field whose values take `width`
/// bytes.
pub(super) fn put_field_head(
    out: &mut Vec<u8>,
    name: &[u8],
    representation: &[u8],
    value_type: ValueType,
    width: usize,
) {
    let mut length = 1 + wire::varint_len(name.len() as u64) + name.len() + 2 + width;
    if !representation.is_empty() {
        length += 1 + wire::varint_len(representation.len() as u64) + representation.len();
    }
    out.push(0x52);
    wire::put_varint(out, length as u64);
    wire::put_delimited(out, 0x0a, name);
    out.extend_from_slice(&[0x10, value_type.number()]);
    if !representation.is_empty() {
        wire::put_delimited(out, 0x1a, representation);
    }
}

/// A length below 128, as one byte.
#[allow(clippy::cast_possible_truncation, reason = "a varint has at most ten bytes")]
fn short(width: usize) -> u8 {
    width as u8
}

impl Drop for Builder<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            let frame = self.frame;
            self.batch.buffer_mut().truncate(frame);
        }
    }
}

/// What stands before the value of a field, encoded once for many messages.
#[derive(Clone, Debug)]
pub struct FieldStart {
    encoded: Box<[u8]>,
}

impl FieldStart {
    /// The head of a field with values of this type.
    #[must_use]
    pub fn new(name: &str, representation: &str, value_type: ValueType) -> FieldStart {
        let mut encoded = Vec::new();
        wire::put_delimited(&mut encoded, 0x0a, name.as_bytes());
        encoded.extend_from_slice(&[0x10, value_type.number()]);
        if !representation.is_empty() {
            wire::put_delimited(&mut encoded, 0x1a, representation.as_bytes());
        }
        FieldStart { encoded: encoded.into() }
    }
}

/// The values of a field that has several, all of one type.
#[derive(Debug, Default)]
pub struct ArrayBuilder {
    value_type: Option<ValueType>,
    encoded: Vec<u8>,
}

impl ArrayBuilder {
    /// Takes all values away, for the next field.
    pub fn clear(&mut self) {
        self.value_type = None;
        self.encoded.clear();
    }

    /// Appends a value; `false`, and nothing appended, when the others are of another type.
    pub fn push(&mut self, value: super::Value<'_>) -> bool {
        let value_type = value.value_type();
        if self.value_type.is_some_and(|known| known != value_type) {
            return false;
        }
        self.value_type = Some(value_type);
        let out = &mut self.encoded;
        match value {
            super::Value::String(bytes) | super::Value::Bytes(bytes) => {
                wire::put_delimited(out, (value_type.number() + 4) << 3 | 2, bytes);
            }
            super::Value::Integer(number) => wire::put_varint(out, number.cast_unsigned()),
            super::Value::Double(number) => out.extend_from_slice(&number.to_le_bytes()),
            super::Value::Bool(truth) => out.push(u8::from(truth)),
        }
        true
    }

    /// What the values are; `None` while there is none.
    #[must_use]
    pub fn value_type(&self) -> Option<ValueType> {
        self.value_type
    }

    /// Appends the whole field, with tag and length, to `out`; nothing for an empty array.
    pub fn put_field(&self, out: &mut Vec<u8>, name: &[u8], representation: &[u8]) {
        let Some(value_type) = self.value_type else { return };
        if matches!(value_type, ValueType::String | ValueType::Bytes) {
            put_field_head(out, name, representation, value_type, self.encoded.len());
            out.extend_from_slice(&self.encoded);
        } else {
            let width = 1 + wire::varint_len(self.encoded.len() as u64) + self.encoded.len();
            put_field_head(out, name, representation, value_type, width);
            wire::put_delimited(out, (value_type.number() + 4) << 3 | 2, &self.encoded);
        }
    }
}
