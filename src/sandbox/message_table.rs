//! The table form of a message.
//!
//! Header fields by their names; `Fields` either by name (`status = 200`, `sizes = {1, 2}`,
//! `size = {value = 3, value_type = 2, representation = "B"}`) or as a list of tables with `name`
//! and `value`, which allows the same name twice. Fields by name are written in the order of their
//! names, so that the same table always makes the same bytes.

use smallvec::SmallVec;

use crate::message::ArrayBuilder;
use crate::message::Builder;
use crate::message::Draft;
use crate::message::Message;
use crate::message::Value as FieldValue;
use crate::sandbox::context::Setting;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Kind;
use crate::sandbox::raw::Place;
use crate::sandbox::raw::Table;
use crate::sandbox::raw::Value;
use crate::stdx::decimal;

/// The header of a message to be written; what is `None` was not given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts<'a> {
    pub(super) uuid: Option<[u8; 16]>,
    pub(super) timestamp: Option<i64>,
    pub(super) message_type: Option<&'a [u8]>,
    pub(super) logger: Option<&'a [u8]>,
    pub(super) severity: Option<i32>,
    pub(super) payload: Option<&'a [u8]>,
    pub(super) env_version: Option<&'a [u8]>,
    pub(super) pid: Option<i32>,
    pub(super) hostname: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(message: &Message<'a>) -> Parts<'a> {
        let when = |is_there: bool, text: &'a [u8]| is_there.then_some(text);
        Parts {
            uuid: message.uuid().try_into().ok(),
            timestamp: message.has_timestamp().then(|| message.timestamp()),
            message_type: when(message.has_message_type(), message.message_type()),
            logger: when(message.has_logger(), message.logger()),
            severity: message.has_severity().then(|| message.severity()),
            payload: when(message.has_payload(), message.payload()),
            env_version: when(message.has_env_version(), message.env_version()),
            pid: message.has_pid().then(|| message.pid()),
            hostname: when(message.has_hostname(), message.hostname()),
        }
    }

    pub(super) fn of_draft(draft: &'a Draft) -> Parts<'a> {
        Parts {
            uuid: draft.uuid,
            timestamp: draft.timestamp,
            message_type: draft.message_type.as_deref(),
            logger: draft.logger.as_deref(),
            severity: draft.severity,
            payload: draft.payload.as_deref(),
            env_version: draft.env_version.as_deref(),
            pid: draft.pid,
            hostname: draft.hostname.as_deref(),
        }
    }

    /// What is given here, else what `other` gives.
    pub(super) fn or(&self, other: &Parts<'a>) -> Parts<'a> {
        Parts {
            uuid: self.uuid.or(other.uuid),
            timestamp: self.timestamp.or(other.timestamp),
            message_type: self.message_type.or(other.message_type),
            logger: self.logger.or(other.logger),
            severity: self.severity.or(other.severity),
            payload: self.payload.or(other.payload),
            env_version: self.env_version.or(other.env_version),
            pid: self.pid.or(other.pid),
            hostname: self.hostname.or(other.hostname),
        }
    }

    /// The same with the Logger, Hostname and Pid of the plugin where they are missing, or where scripts
    /// may not say them.
    pub(super) fn in_name_of(&self, setting: &'a Setting) -> Parts<'a> {
        let own = Parts {
            logger: Some(setting.name.as_bytes()),
            hostname: Some(setting.hostname.as_bytes()),
            pid: Some(setting.pid),
            ..Parts::default()
        };
        if setting.restricts_headers { own.or(self) } else { self.or(&own) }
    }

    /// Writes the header, with `prefix` before the type.
    pub(super) fn write(
        &self,
        out: &mut Builder<'_>,
        uuid: [u8; 16],
        timestamp: i64,
        prefix: &[u8],
    ) {
        out.uuid(&uuid).timestamp(timestamp);
        if prefix.is_empty() {
            if let Some(text) = self.message_type {
                out.message_type(text);
            }
        } else {
            let mut text = SmallVec::<[u8; 64]>::from_slice(prefix);
            text.extend_from_slice(self.message_type.unwrap_or_default());
            out.message_type(&text);
        }
        if let Some(text) = self.logger {
            out.logger(text);
        }
        if let Some(severity) = self.severity {
            out.severity(severity);
        }
        if let Some(text) = self.payload {
            out.payload(text);
        }
        if let Some(text) = self.env_version {
            out.env_version(text);
        }
        if let Some(pid) = self.pid {
            out.pid(pid);
        }
        if let Some(text) = self.hostname {
            out.hostname(text);
        }
    }
}

/// Reads a message from a table among `args`; its fields are appended to `fields`, encoded, and may not take
/// more than `limit` bytes.
///
/// A header of the wrong type is as good as left out, as it is for Heka; one that is a text may be a number.
pub(super) fn read<'a>(
    (args, table): (Args<'a>, Table<'a>),
    fields: &mut Vec<u8>,
    values: &mut ArrayBuilder,
    limit: usize,
) -> Result<Parts<'a>, Complaint> {
    let mut parts = Parts::default();
    let mut writer = Writer { args, fields, values, limit };
    table.each(|key, value| {
        let Value::Text(key) = key else { return Ok(()) };
        match key {
            b"Uuid" => parts.uuid = uuid(value),
            b"Timestamp" => parts.timestamp = integer(value),
            b"Type" => parts.message_type = args.text_of(value),
            b"Logger" => parts.logger = args.text_of(value),
            b"Payload" => parts.payload = args.text_of(value),
            b"EnvVersion" => parts.env_version = args.text_of(value),
            b"Hostname" => parts.hostname = args.text_of(value),
            b"Severity" => parts.severity = integer(value).map(narrow),
            b"Pid" => parts.pid = integer(value).map(narrow),
            b"Fields" => match value {
                Value::Table(given) => writer.fields(given)?,
                _ => return Err(unsupported("Fields must be a table", value.kind())),
            },
            _ => {}
        }
        Ok(())
    })?;
    Ok(parts)
}

/// Appends an encoded field with its tag and length.
pub(super) fn put_encoded(out: &mut Vec<u8>, field: &[u8]) {
    out.push(0x52);
    let mut length = field.len();
    while length >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below 128")]
    out.push(length as u8);
    out.extend_from_slice(field);
}

fn unsupported(what: &str, kind: Kind) -> Complaint {
    format!("inject_message() could not encode protobuf - {what}: {}", kind.name()).into()
}

/// A number, or digits, without what stands behind the point.
#[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
fn integer(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Number(number) => Some(number as i64),
        Value::Integer(integer) => Some(integer),
        Value::Text(text) => {
            let text = std::str::from_utf8(text).ok()?.trim();
            text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|number| number as i64))
        }
        _ => None,
    }
}

fn narrow(integer: i64) -> i32 {
    i32::try_from(integer).unwrap_or(if integer < 0 { i32::MIN } else { i32::MAX })
}

/// The 16 bytes of a UUID; `None` for anything else, which gets a fresh one.
fn uuid(value: Value<'_>) -> Option<[u8; 16]> {
    match value {
        Value::Text(bytes) => bytes.try_into().ok(),
        _ => None,
    }
}

/// Writes the fields of a message.
struct Writer<'a, 'w> {
    args: Args<'a>,
    fields: &'w mut Vec<u8>,
    values: &'w mut ArrayBuilder,
    limit: usize,
}

/// A field written out in full: `{name = …, value = …, value_type = …, representation = …}`.
#[derive(Clone, Copy, Default)]
struct Detail<'a> {
    name: Option<&'a [u8]>,
    has_value: bool,
    value_type: Option<i64>,
    representation: &'a [u8],
}

impl<'a> Writer<'a, '_> {
    fn fields(&mut self, given: Table<'a>) -> Result<(), Complaint> {
        let mut named: SmallVec<[(&[u8], Place); 16]> = SmallVec::new();
        let mut is_list = false;
        let mut place = Place::START;
        while let Some((key, next)) = given.visit(place, |key, _| key) {
            match key {
                Value::Text(name) => named.push((name, place)),
                Value::Number(_) => is_list = true,
                _ => return Err(unsupported("a field's name must be a string", key.kind())),
            }
            place = next;
        }
        named.sort_unstable_by_key(|(name, _)| *name);
        for (name, place) in named {
            given
                .visit(place, |_, value| self.field(name, value))
                .map_or(Ok(()), |(done, _)| done)?;
        }
        if is_list {
            for index in 1..=given.len() {
                given.item(index, |value| self.listed(value)).unwrap_or(Ok(()))?;
            }
        }
        Ok(())
    }

    /// A field of the list form.
    fn listed(&mut self, value: Value<'a>) -> Result<(), Complaint> {
        let Value::Table(table) = value else {
            return Err(unsupported("a field of a list must be a table", value.kind()));
        };
        let detail = detail(self.args, table);
        let name =
            detail.name.ok_or("inject_message() could not encode protobuf - missing name")?;
        self.detailed(name, table, detail)
    }

    /// A field of the form by name.
    fn field(&mut self, name: &[u8], value: Value<'a>) -> Result<(), Complaint> {
        if let Value::Table(table) = value {
            let detail = detail(self.args, table);
            if detail.has_value {
                return self.detailed(name, table, detail);
            }
            self.array(table, None)?;
        } else {
            self.values.clear();
            self.value(value, None)?;
        }
        self.put(name, b"")
    }

    fn detailed(
        &mut self,
        name: &[u8],
        table: Table<'_>,
        detail: Detail<'_>,
    ) -> Result<(), Complaint> {
        let mut place = Place::START;
        loop {
            let step = table.visit(place, |key, value| match key {
                Value::Text(b"value") => Some(match value {
                    Value::Table(items) => self.array(items, detail.value_type),
                    value => {
                        self.values.clear();
                        self.value(value, detail.value_type)
                    }
                }),
                _ => None,
            });
            match step {
                None => return Err(unsupported("unsupported type", Kind::Nil)),
                Some((Some(written), _)) => {
                    written?;
                    return self.put(name, detail.representation);
                }
                Some((None, next)) => place = next,
            }
        }
    }

    fn array(&mut self, items: Table<'_>, value_type: Option<i64>) -> Result<(), Complaint> {
        self.values.clear();
        let count = items.len();
        if count == 0 {
            return Err(unsupported("unsupported type", Kind::Nil));
        }
        for index in 1..=count {
            let written = items.item(index, |value| match value {
                Value::Table(_) | Value::Other(_) | Value::Nil => {
                    Err(unsupported("unsupported array type", value.kind()))
                }
                value => self.value(value, value_type),
            });
            written.unwrap_or_else(|| Err(unsupported("unsupported array type", Kind::Table)))?;
        }
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation, reason = "an integer field takes what fits")]
    fn value(&mut self, value: Value<'_>, value_type: Option<i64>) -> Result<(), Complaint> {
        let mut printed = Vec::new();
        let value = match (value, value_type) {
            (Value::Text(text), Some(1)) => FieldValue::Bytes(text),
            (Value::Text(text), None | Some(0)) => FieldValue::String(text),
            (Value::Number(number), Some(2)) => FieldValue::Integer(number as i64),
            (Value::Number(number), None | Some(3)) => FieldValue::Double(number),
            (Value::Number(number), Some(0)) => {
                decimal::write(&mut printed, number);
                FieldValue::String(&printed)
            }
            (Value::Integer(integer), None | Some(2)) => FieldValue::Integer(integer),
            (Value::Integer(integer), Some(3)) => FieldValue::Double(integer as f64),
            (Value::Bool(truth), None | Some(4)) => FieldValue::Bool(truth),
            (Value::Object(object), None | Some(0))
                if object.try_borrow_mut().is_ok_and(|mut object| object.print(&mut printed)) =>
            {
                FieldValue::String(&printed)
            }
            (value, None) => return Err(unsupported("unsupported type", value.kind())),
            (value, Some(other)) => {
                let what = format!("value_type {other} does not fit");
                return Err(unsupported(&what, value.kind()));
            }
        };
        if !self.values.push(value) {
            return Err("inject_message() could not encode protobuf - array has mixed types".into());
        }
        Ok(())
    }

    fn put(&mut self, name: &[u8], representation: &[u8]) -> Result<(), Complaint> {
        self.values.put_field(self.fields, name, representation);
        if self.fields.len() > self.limit {
            return Err("output_limit exceeded".into());
        }
        Ok(())
    }
}

/// Reads all but the value of a field written out in full.
fn detail<'a>(args: Args<'a>, table: Table<'a>) -> Detail<'a> {
    let mut detail = Detail::default();
    let mut place = Place::START;
    while let Some(((), next)) = table.visit(place, |key, value| match key {
        Value::Text(b"name") => detail.name = args.text_of(value),
        Value::Text(b"value") => detail.has_value = true,
        Value::Text(b"value_type") => detail.value_type = integer(value),
        Value::Text(b"representation") => {
            detail.representation = args.text_of(value).unwrap_or_default();
        }
        _ => {}
    }) {
        place = next;
    }
    detail
}
