//! A message that is still being changed.
//!
//! Decoders and encoders that set, replace or delete single values work on a draft; what only
//! writes a message from start to end uses a [`Builder`](super::Builder), which is cheaper. One
//! draft is used again and again, so that its buffers are allocated once.

use super::Error;
use super::batch::Batch;
use super::batch::Marks;
use super::builder::ArrayBuilder;
use super::field::Field;
use super::field::Fields;
use super::field::Value;
use super::view::Message;
use super::wire;

/// The header fields and the encoded dynamic fields of a message; `None` is absent.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// 16 bytes.
    pub uuid: Option<[u8; 16]>,
    /// Nanoseconds since the epoch.
    pub timestamp: Option<i64>,
    /// The kind of message.
    pub message_type: Option<Vec<u8>>,
    /// Where it comes from.
    pub logger: Option<Vec<u8>>,
    /// Syslog severity.
    pub severity: Option<i32>,
    /// The text body.
    pub payload: Option<Vec<u8>>,
    /// The version of the envelope.
    pub env_version: Option<Vec<u8>>,
    /// The process id.
    pub pid: Option<i32>,
    /// The host it comes from.
    pub hostname: Option<Vec<u8>>,
    /// What is known of it besides itself.
    pub marks: Marks,
    /// The dynamic fields, each with tag and length.
    fields: Vec<u8>,
    /// Where the encoded fields begin, with their tags.
    places: Vec<usize>,
}

impl Draft {
    /// Makes the draft a copy of `message`.
    pub fn copy_from(&mut self, message: &Message<'_>) {
        self.uuid = message.uuid().try_into().ok();
        self.timestamp = message.has_timestamp().then(|| message.timestamp());
        self.severity = message.has_severity().then(|| message.severity());
        self.pid = message.has_pid().then(|| message.pid());
        copy(&mut self.message_type, message.has_message_type(), message.message_type());
        copy(&mut self.logger, message.has_logger(), message.logger());
        copy(&mut self.payload, message.has_payload(), message.payload());
        copy(&mut self.env_version, message.has_env_version(), message.env_version());
        copy(&mut self.hostname, message.has_hostname(), message.hostname());
        self.marks = Marks::default();
        self.clear_fields();
        for field in message.fields() {
            self.push_encoded(field.encoded());
        }
    }

    /// Takes away all dynamic fields.
    pub fn clear_fields(&mut self) {
        self.fields.clear();
        self.places.clear();
    }

    /// The dynamic fields, in order.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields::starting(&self.fields, 0)
    }

    /// The dynamic fields, encoded, each with its tag and length.
    #[must_use]
    pub fn encoded_fields(&self) -> &[u8] {
        &self.fields
    }

    /// The field called `name` that comes as number `index` of that name.
    #[must_use]
    pub fn field(&self, name: &[u8], index: usize) -> Option<Field<'_>> {
        self.fields().filter(|field| field.name() == name).nth(index)
    }

    /// Appends a field with one value.
    pub fn push(&mut self, name: &[u8], representation: &[u8], value: Value<'_>) {
        let mut values = ArrayBuilder::default();
        values.push(value);
        self.push_array(name, representation, &values);
    }

    /// Appends a field with several values; nothing when there are none.
    pub fn push_array(&mut self, name: &[u8], representation: &[u8], values: &ArrayBuilder) {
        if values.value_type().is_some() {
            self.places.push(self.fields.len());
            values.put_field(&mut self.fields, name, representation);
        }
    }

    /// Appends a field encoded as in a message, without tag and length.
    pub fn push_encoded(&mut self, field: &[u8]) {
        self.places.push(self.fields.len());
        wire::put_delimited(&mut self.fields, 0x52, field);
    }

    /// Sets the first field called `name` to one value, or appends it.
    pub fn set(&mut self, name: &[u8], representation: &[u8], value: Value<'_>) {
        let mut values = ArrayBuilder::default();
        values.push(value);
        self.set_array(name, 0, representation, &values);
    }

    /// Replaces field number `index` called `name`, or appends it where there is none.
    pub fn set_array(
        &mut self,
        name: &[u8],
        index: usize,
        representation: &[u8],
        values: &ArrayBuilder,
    ) {
        match self.place(name, index) {
            None => self.push_array(name, representation, values),
            Some(place) => {
                let mut encoded = Vec::new();
                values.put_field(&mut encoded, name, representation);
                self.splice(place, encoded);
            }
        }
    }

    /// Takes away field number `index` called `name`; tells whether there was one.
    pub fn remove(&mut self, name: &[u8], index: usize) -> bool {
        let place = self.place(name, index);
        if let Some(place) = place {
            self.splice(place, Vec::new());
        }
        place.is_some()
    }

    /// Writes the message into `batch`.
    ///
    /// # Errors
    /// When the batch would exceed 4 GiB.
    pub fn write(&self, batch: &mut Batch) -> Result<(), Error> {
        let mut out = batch.begin();
        if let Some(uuid) = &self.uuid {
            out.uuid(uuid);
        }
        if let Some(timestamp) = self.timestamp {
            out.timestamp(timestamp);
        }
        if let Some(text) = &self.message_type {
            out.message_type(text);
        }
        if let Some(text) = &self.logger {
            out.logger(text);
        }
        if let Some(severity) = self.severity {
            out.severity(severity);
        }
        if let Some(text) = &self.payload {
            out.payload(text);
        }
        if let Some(text) = &self.env_version {
            out.env_version(text);
        }
        if let Some(pid) = self.pid {
            out.pid(pid);
        }
        if let Some(text) = &self.hostname {
            out.hostname(text);
        }
        out.encoded_fields(&self.fields).marks(self.marks);
        out.finish()
    }

    /// Number of the encoded field that is number `index` called `name`.
    fn place(&self, name: &[u8], index: usize) -> Option<usize> {
        let named = |place: &usize| {
            let mut at = self.places[*place] + 1;
            wire::delimited(&self.fields, &mut at)
                .and_then(Field::parse)
                .is_some_and(|field| field.name() == name)
        };
        (0..self.places.len()).filter(named).nth(index)
    }

    fn splice(&mut self, place: usize, encoded: Vec<u8>) {
        let start = self.places[place];
        let end = self.places.get(place + 1).copied().unwrap_or(self.fields.len());
        let new_end = start + encoded.len();
        if encoded.is_empty() {
            self.places.remove(place);
        }
        let first_behind = if encoded.is_empty() { place } else { place + 1 };
        for behind in &mut self.places[first_behind..] {
            *behind = *behind - end + new_end;
        }
        self.fields.splice(start..end, encoded);
    }
}

/// Copies into a buffer that is already there.
fn copy(to: &mut Option<Vec<u8>>, is_present: bool, from: &[u8]) {
    if is_present {
        let buffer = to.get_or_insert_default();
        buffer.clear();
        buffer.extend_from_slice(from);
    } else {
        *to = None;
    }
}
