//! Writes the objects.
//!
//! Keys are written with a comma in front, and the first comma is made a brace afterwards: so no
//! key has to know whether it is the first. Fields are written in one pass; only where a name comes
//! twice they are written again, sorted by name.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde::de::IgnoredAny;

use super::JsonEncoder;
use super::settings::Key;
use super::time::TimeForm;
use crate::formats::json_text;
use crate::message::Field;
use crate::message::Message;
use crate::message::Value;
use crate::message::uuid_text;
use crate::plugin::Encoding;

/// So many names are compared one by one before the fields are sorted.
const MAX_COMPARED: usize = 64;

/// Writes messages as JSON.
pub(super) struct Writer {
    keys: Vec<Key>,
    time: TimeForm,
    wanted: Vec<Vec<u8>>,
    raw: Vec<Vec<u8>>,
    /// What stands for a dot; `None` leaves dots alone.
    dot: Option<Vec<u8>>,
    is_flat: bool,
}

impl Writer {
    pub(super) fn new(settings: &JsonEncoder) -> Writer {
        let bytes = |names: &[String]| names.iter().map(|name| name.clone().into_bytes()).collect();
        let dot = settings.replace_dots_with.as_str();
        Writer {
            keys: settings.fields.clone(),
            time: settings.timestamp.clone(),
            wanted: bytes(&settings.dynamic_fields),
            raw: bytes(&settings.raw_bytes_fields),
            dot: (dot != ".").then(|| dot.as_bytes().to_vec()),
            is_flat: settings.flatten,
        }
    }

    fn put_key(&mut self, key: Key, message: &Message<'_>, out: &mut Vec<u8>) {
        let mut text = |is_there: bool, text: &[u8]| {
            if is_there {
                out.extend_from_slice(key.opening());
                json_text::put_string(out, text);
            }
        };
        match key {
            Key::Type => text(message.has_message_type(), message.message_type()),
            Key::Logger => text(message.has_logger(), message.logger()),
            Key::Payload => text(message.has_payload(), message.payload()),
            Key::EnvVersion => text(message.has_env_version(), message.env_version()),
            Key::Hostname => text(message.has_hostname(), message.hostname()),
            Key::Uuid => {
                if let Some(uuid) = uuid_text(message.uuid()) {
                    out.extend_from_slice(key.opening());
                    out.push(b'"');
                    out.extend_from_slice(&uuid);
                    out.push(b'"');
                }
            }
            Key::Timestamp if message.has_timestamp() => {
                out.extend_from_slice(key.opening());
                self.time.put(message.timestamp(), out);
            }
            // A message that names no severity has one: the default counts.
            Key::Severity => {
                out.extend_from_slice(key.opening());
                json_text::put_integer(out, message.severity().into());
            }
            Key::Pid if message.has_pid() => {
                out.extend_from_slice(key.opening());
                json_text::put_integer(out, message.pid().into());
            }
            Key::Timestamp | Key::Pid => {}
            Key::Fields if self.is_flat => self.put_fields(message, out),
            Key::Fields => {
                let start = out.len();
                out.extend_from_slice(key.opening());
                let first = out.len();
                self.put_fields(message, out);
                if out.len() == first {
                    out.truncate(start);
                } else {
                    out[first] = b'{';
                    out.push(b'}');
                }
            }
        }
    }

    fn put_fields(&self, message: &Message<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        // One bit for each name that came, by its length and ends: most messages need no more to
        // show that no name comes twice.
        let mut seen = 0u64;
        let mut count = 0;
        for field in message.fields() {
            let name = field.name();
            if !self.is_wanted(name) {
                continue;
            }
            let bit = 1 << (fingerprint(name) & 63);
            if seen & bit != 0 && (count > MAX_COMPARED || has_before(message, &field)) {
                out.truncate(start);
                self.put_fields_by_name(message, out);
                return;
            }
            seen |= bit;
            count += 1;
            self.put_name(name, out);
            self.put_values(std::slice::from_ref(&field), out);
        }
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

    fn put_name(&self, name: &[u8], out: &mut Vec<u8>) {
        out.push(b',');
        let clashes = self.is_flat && self.keys.iter().any(|key| key.name().as_bytes() == name);
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
        let is_raw = !self.raw.is_empty() && self.raw.iter().any(|raw| raw == fields[0].name());
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
        for index in 0..self.keys.len() {
            self.put_key(self.keys[index], message, out);
        }
        match out.get_mut(start) {
            Some(first) => *first = b'{',
            None => out.push(b'{'),
        }
        out.extend_from_slice(b"}\n");
        Ok(true)
    }
}

fn fingerprint(name: &[u8]) -> u32 {
    let first = name.first().copied().unwrap_or(0);
    let last = name.last().copied().unwrap_or(0);
    let length = u32::try_from(name.len()).unwrap_or(0);
    (u32::from(first) * 31 + u32::from(last) * 7 + length * 3).wrapping_mul(0x9e37_79b1) >> 26
}

/// Tells whether an earlier field has the same name.
fn has_before(message: &Message<'_>, field: &Field<'_>) -> bool {
    let is_earlier = |other: &Field<'_>| !std::ptr::eq(other.encoded(), field.encoded());
    message.fields().take_while(is_earlier).any(|other| other.name() == field.name())
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
