//! Writes the objects.
//!
//! Keys are written with a comma in front, and the first comma is made a brace afterwards: so no
//! key has to know whether it is the first. Fields are written in one pass. The names of a log come
//! in the same order again and again: each is kept with its text at its place, and only where
//! another name comes it is looked for among those before it. Where one does come twice the fields
//! are written again, sorted by name.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde::de::IgnoredAny;

use super::settings::Key;
use super::time::TimeForm;
use crate::formats::json_text;
use crate::message::Field;
use crate::message::FieldHead;
use crate::message::Message;
use crate::message::Value;
use crate::message::uuid_text;
use crate::plugin::Encoding;

/// So many places are kept; a message with more fields is sorted by name.
const MAX_PLACES: usize = 64;

/// What the objects look like.
#[derive(Clone, Debug)]
pub(in crate::encoders) struct Shape {
    /// What is written, in this order, and how each is called.
    pub(in crate::encoders) keys: Vec<(Key, String)>,
    /// How the time is written.
    pub(in crate::encoders) time: TimeForm,
    /// The dynamic fields that are written; all when empty.
    pub(in crate::encoders) wanted: Vec<String>,
    /// Fields whose text is JSON already.
    pub(in crate::encoders) raw: Vec<String>,
    /// What stands in the names of fields instead of each dot.
    pub(in crate::encoders) dot: String,
    /// Whether dynamic fields stand beside the header.
    pub(in crate::encoders) is_flat: bool,
}

/// A part of the header, and how it is opened behind other keys.
struct Column {
    key: Key,
    name: Vec<u8>,
    opening: Vec<u8>,
}

/// Writes messages as JSON.
pub(in crate::encoders) struct Writer {
    columns: Vec<Column>,
    time: TimeForm,
    wanted: Vec<Vec<u8>>,
    raw: Vec<Vec<u8>>,
    /// What stands for a dot; `None` leaves dots alone.
    dot: Option<Vec<u8>>,
    is_flat: bool,
    /// What came at each place of the fields.
    places: Vec<Place>,
    /// So many of them were in one message; those behind may repeat a name.
    in_one: usize,
    /// The last type, logger, version and hostname, which the next message mostly has too.
    repeated: [Repeated; 4],
}

/// A text of the header, and how it is written with its key.
#[derive(Default)]
struct Repeated {
    text: Vec<u8>,
    written: Vec<u8>,
}

impl Repeated {
    fn put(&mut self, opening: &[u8], text: &[u8], out: &mut Vec<u8>) {
        if self.text != text || self.written.is_empty() {
            self.text.clear();
            self.text.extend_from_slice(text);
            self.written.clear();
            self.written.extend_from_slice(opening);
            json_text::put_string(&mut self.written, text);
        }
        out.extend_from_slice(&self.written);
    }
}

/// A name of a field, and what follows from it.
#[derive(Default)]
struct Place {
    head: FieldHead,
    name: Vec<u8>,
    /// A comma, the name as it is written, and a colon.
    opening: Vec<u8>,
    is_wanted: bool,
    is_raw: bool,
}

impl Writer {
    pub(in crate::encoders) fn new(shape: &Shape) -> Writer {
        let bytes = |names: &[String]| names.iter().map(|name| name.clone().into_bytes()).collect();
        let column = |(key, name): &(Key, String)| {
            let mut opening = vec![b','];
            json_text::put_string(&mut opening, name.as_bytes());
            opening.push(b':');
            Column { key: *key, name: name.clone().into_bytes(), opening }
        };
        Writer {
            columns: shape.keys.iter().map(column).collect(),
            time: shape.time.clone(),
            wanted: bytes(&shape.wanted),
            raw: bytes(&shape.raw),
            dot: (shape.dot != ".").then(|| shape.dot.clone().into_bytes()),
            is_flat: shape.is_flat,
            places: Vec::new(),
            in_one: 0,
            repeated: Default::default(),
        }
    }

    fn put_column(&mut self, at: usize, message: &Message<'_>, out: &mut Vec<u8>) {
        if self.columns[at].key == Key::Fields {
            self.put_all_fields(at, message, out);
            return;
        }
        let [message_type, logger, env_version, hostname] = &mut self.repeated;
        let Column { key, opening, .. } = &self.columns[at];
        match key {
            Key::Type if message.has_message_type() => {
                message_type.put(opening, message.message_type(), out);
            }
            Key::Logger if message.has_logger() => logger.put(opening, message.logger(), out),
            Key::EnvVersion if message.has_env_version() => {
                env_version.put(opening, message.env_version(), out);
            }
            Key::Hostname if message.has_hostname() => {
                hostname.put(opening, message.hostname(), out);
            }
            Key::Payload if message.has_payload() => {
                out.extend_from_slice(opening);
                json_text::put_string(out, message.payload());
            }
            Key::Uuid => {
                if let Some(uuid) = uuid_text(message.uuid()) {
                    out.extend_from_slice(opening);
                    out.push(b'"');
                    out.extend_from_slice(&uuid);
                    out.push(b'"');
                }
            }
            Key::Timestamp if message.has_timestamp() => {
                out.extend_from_slice(opening);
                self.time.put(message.timestamp(), out);
            }
            // A message that names no severity has one: the default counts.
            Key::Severity => {
                out.extend_from_slice(opening);
                json_text::put_integer(out, message.severity().into());
            }
            Key::Pid if message.has_pid() => {
                out.extend_from_slice(opening);
                json_text::put_integer(out, message.pid().into());
            }
            // What the message lacks is left out.
            _ => {}
        }
    }

    fn put_all_fields(&mut self, at: usize, message: &Message<'_>, out: &mut Vec<u8>) {
        if self.is_flat {
            self.put_fields(message, out);
            return;
        }
        let start = out.len();
        out.extend_from_slice(&self.columns[at].opening);
        let first = out.len();
        self.put_fields(message, out);
        if out.len() == first {
            out.truncate(start);
        } else {
            out[first] = b'{';
            out.push(b'}');
        }
    }

    fn put_fields(&mut self, message: &Message<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        let mut fields = message.fields();
        let mut index = 0;
        while let Some(encoded) = fields.next_encoded() {
            let known = self.places[..self.in_one].get(index);
            if let Some(place) = known
                && let Some(value) = place.head.only_value(encoded)
            {
                if place.is_wanted {
                    out.extend_from_slice(&place.opening);
                    put_value(value, place.is_raw, out);
                }
                index += 1;
                continue;
            }
            let Some(field) = Field::parse(encoded) else { continue };
            if !self.learn(index, &field) {
                out.truncate(start);
                self.put_fields_by_name(message, out);
                return;
            }
            let place = &self.places[index];
            if place.is_wanted {
                out.extend_from_slice(&place.opening);
                self.put_values(std::slice::from_ref(&field), out);
            }
            index += 1;
        }
    }

    /// Notes that a field comes at `index`, behind the names before; `false` when it has one of
    /// these names, or there are too many.
    fn learn(&mut self, index: usize, field: &Field<'_>) -> bool {
        let name = field.name();
        if index < self.in_one && self.places[index].name == name {
            self.places[index].head.copy_from(field);
            return true;
        }
        let before = &self.places[..index.min(self.places.len())];
        if index >= MAX_PLACES || before.iter().any(|place| place.name == name) {
            return false;
        }
        self.in_one = index + 1;
        if index == self.places.len() {
            self.places.push(Place::default());
        }
        let mut place = std::mem::take(&mut self.places[index]);
        place.head.copy_from(field);
        place.name.clear();
        place.name.extend_from_slice(name);
        place.opening.clear();
        self.put_name(name, &mut place.opening);
        place.is_wanted = self.is_wanted(name);
        place.is_raw = self.is_raw(name);
        self.places[index] = place;
        true
    }

    /// Writes each name once, with the values of all fields that carry it.
    #[cold]
    fn put_fields_by_name(&self, message: &Message<'_>, out: &mut Vec<u8>) {
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        let mut groups: Vec<Vec<Field<'_>>> = Vec::new();
        for field in message.fields().filter(|field| self.is_wanted(field.name())) {
            match places.entry(field.name()) {
                Entry::Occupied(place) => groups[*place.get()].push(field),
                Entry::Vacant(place) => {
                    place.insert(groups.len());
                    groups.push(vec![field]);
                }
            }
        }
        for fields in &groups {
            self.put_name(fields[0].name(), out);
            self.put_values(fields, out);
        }
    }

    fn is_wanted(&self, name: &[u8]) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted == name)
    }

    fn is_raw(&self, name: &[u8]) -> bool {
        self.raw.iter().any(|raw| raw == name)
    }

    fn put_name(&self, name: &[u8], out: &mut Vec<u8>) {
        out.push(b',');
        let clashes = self.is_flat && self.columns.iter().any(|column| column.name == name);
        if let Some(dot) = &self.dot
            && (clashes || name.contains(&b'.'))
        {
            let whole = if clashes { [b"Fields.", name].concat() } else { name.to_vec() };
            let parts: Vec<_> = whole.split(|byte| *byte == b'.').collect();
            json_text::put_string(out, &parts.join(dot.as_slice()));
        } else if clashes {
            json_text::put_string(out, &[b"Fields.", name].concat());
        } else {
            json_text::put_string(out, name);
        }
        out.push(b':');
    }

    /// Writes the values of fields of one name: one as it is, several as an array.
    fn put_values(&self, fields: &[Field<'_>], out: &mut Vec<u8>) {
        let is_raw = self.is_raw(fields[0].name());
        let start = out.len();
        let mut count = 0;
        for value in fields.iter().flat_map(Field::values) {
            if count == 1 {
                out.insert(start, b'[');
            }
            if count > 0 {
                out.push(b',');
            }
            put_value(value, is_raw, out);
            count += 1;
        }
        match count {
            0 => out.extend_from_slice(b"null"),
            1 => {}
            _ => out.push(b']'),
        }
    }
}

impl Encoding for Writer {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let start = out.len();
        for at in 0..self.columns.len() {
            self.put_column(at, message, out);
        }
        match out.get_mut(start) {
            Some(first) => *first = b'{',
            None => out.push(b'{'),
        }
        out.extend_from_slice(b"}\n");
        Ok(true)
    }
}

fn put_value(value: Value<'_>, is_raw: bool, out: &mut Vec<u8>) {
    match value {
        Value::String(bytes) | Value::Bytes(bytes) if is_raw && is_json(bytes) => {
            // A newline in JSON stands between its parts only, and would end the line here.
            out.extend(bytes.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
        }
        Value::String(bytes) | Value::Bytes(bytes) => json_text::put_string(out, bytes),
        Value::Integer(number) => json_text::put_integer(out, number),
        Value::Double(number) => json_text::put_double(out, number),
        Value::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}
