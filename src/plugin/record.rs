//! A record: bytes a splitter cut, and what the input knows of them.

use crate::message::ArrayBuilder;
use crate::message::Batch;
use crate::message::Draft;
use crate::message::Error;
use crate::message::Header;
use crate::message::Marks;
use crate::message::Message;
use crate::message::Value;

/// What an input says of the messages of one stream, where a decoder says nothing else.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The kind of message.
    pub message_type: Vec<u8>,
    /// Where it comes from; Heka's inputs give their name or that of the stream.
    pub logger: Vec<u8>,
    /// The host it comes from; empty leaves it out.
    pub hostname: Vec<u8>,
    /// Syslog severity.
    pub severity: Option<i32>,
    /// The version of the envelope; empty leaves it out.
    pub env_version: Vec<u8>,
    /// The process id.
    pub pid: Option<i32>,
    /// Dynamic fields, encoded, each with tag and length; see [`Origin::push`].
    fields: Vec<u8>,
}

impl Origin {
    /// Adds a field that every message of the stream gets.
    pub fn push(&mut self, name: &str, representation: &str, value: Value<'_>) {
        let mut values = ArrayBuilder::default();
        values.push(value);
        values.put_field(&mut self.fields, name.as_bytes(), representation.as_bytes());
    }

    /// Makes it what `message` says of itself, but for name, time and payload: a decoder that goes on
    /// where another ended finds it there.
    pub fn copy_from(&mut self, message: &Message<'_>) {
        fn copy(to: &mut Vec<u8>, from: &[u8]) {
            to.clear();
            to.extend_from_slice(from);
        }
        copy(&mut self.message_type, message.message_type());
        copy(&mut self.logger, message.logger());
        copy(&mut self.hostname, message.hostname());
        copy(&mut self.env_version, message.env_version());
        self.severity = message.has_severity().then(|| message.severity());
        self.pid = message.has_pid().then(|| message.pid());
        self.fields.clear();
        message.put_fields(&mut self.fields);
    }

    /// The fields that every message of the stream gets, encoded, each with tag and length.
    pub fn fields(&self) -> &[u8] {
        &self.fields
    }
}

/// What the bytes of a record are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The text of a message, its payload.
    Payload,
    /// A whole message, encoded.
    Message,
    /// A whole message as JSON, as clients of 2013 send it.
    Json,
}

/// A record on its way into a decoder.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What the splitter cut.
    pub bytes: &'a [u8],
    /// What the bytes are.
    pub form: Form,
    /// What the input says of them.
    pub origin: &'a Origin,
    /// When they were read, in nanoseconds since the epoch.
    pub now: i64,
    /// A fresh name for the message.
    pub uuid: [u8; 16],
    /// Who signed them.
    pub marks: Marks,
}

impl Record<'_> {
    /// Writes the message that the record is without a decoder: the bytes as payload under the
    /// header of the input, or the message itself.
    ///
    /// # Errors
    /// When the bytes should be a message and are damaged.
    pub fn write(&self, out: &mut Batch) -> Result<(), Error> {
        if self.form == Form::Message {
            return out.push_encoded(self.bytes, self.marks);
        }
        let mut builder = out.begin();
        let origin = self.origin;
        builder.uuid(&self.uuid).timestamp(self.now);
        builder.message_type(&origin.message_type).logger(&origin.logger);
        if let Some(severity) = origin.severity {
            builder.severity(severity);
        }
        builder.payload(self.bytes);
        if !origin.env_version.is_empty() {
            builder.env_version(&origin.env_version);
        }
        if let Some(pid) = origin.pid {
            builder.pid(pid);
        }
        if !origin.hostname.is_empty() {
            builder.hostname(&origin.hostname);
        }
        builder.encoded_fields(&origin.fields).marks(self.marks);
        builder.finish()
    }

    /// Makes `draft` the message that the record is without a decoder.
    ///
    /// # Errors
    /// When the bytes should be a message and are damaged.
    pub fn draft(&self, draft: &mut Draft) -> Result<(), Error> {
        if self.form == Form::Message {
            let header = Header::locate(self.bytes)?;
            draft.copy_from(&Message::new(self.bytes, &header));
        } else {
            let mut batch = Batch::new();
            self.write(&mut batch)?;
            draft.copy_from(&batch.message(0));
        }
        draft.marks = self.marks;
        Ok(())
    }
}
