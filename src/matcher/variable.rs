//! The left side of a test: a header field or a dynamic field, and how it is read.

use super::condition::Condition;
use crate::message::Message;
use crate::message::Value;
use crate::message::uuid_text;

/// A header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Header {
    Uuid,
    Timestamp,
    Type,
    Logger,
    Severity,
    Payload,
    EnvVersion,
    Pid,
    Hostname,
}

impl Header {
    /// All header fields, in the order of their numbers on the wire.
    pub(super) const ALL: [Header; 9] = [
        Header::Uuid,
        Header::Timestamp,
        Header::Type,
        Header::Logger,
        Header::Severity,
        Header::Payload,
        Header::EnvVersion,
        Header::Pid,
        Header::Hostname,
    ];

    /// The name as it is written in an expression.
    pub(super) fn name(self) -> &'static str {
        match self {
            Header::Uuid => "Uuid",
            Header::Timestamp => "Timestamp",
            Header::Type => "Type",
            Header::Logger => "Logger",
            Header::Severity => "Severity",
            Header::Payload => "Payload",
            Header::EnvVersion => "EnvVersion",
            Header::Pid => "Pid",
            Header::Hostname => "Hostname",
        }
    }

    /// Tells whether the field is a number; the others are text.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Header::Timestamp | Header::Severity | Header::Pid)
    }

    /// Tells whether the message has the field.
    pub(super) fn is_in(self, message: &Message<'_>) -> bool {
        match self {
            Header::Uuid => message.has_uuid(),
            Header::Timestamp => message.has_timestamp(),
            Header::Type => message.has_message_type(),
            Header::Logger => message.has_logger(),
            Header::Severity => message.has_severity(),
            Header::Payload => message.has_payload(),
            Header::EnvVersion => message.has_env_version(),
            Header::Pid => message.has_pid(),
            Header::Hostname => message.has_hostname(),
        }
    }

    /// Hands the field's value, or its default, to `then`; a UUID as its text.
    #[inline]
    pub(super) fn read<T>(self, message: &Message<'_>, then: impl FnOnce(Value<'_>) -> T) -> T {
        let value = match self {
            Header::Type => Value::String(message.message_type()),
            Header::Logger => Value::String(message.logger()),
            Header::Payload => Value::String(message.payload()),
            Header::EnvVersion => Value::String(message.env_version()),
            Header::Hostname => Value::String(message.hostname()),
            Header::Severity => Value::Integer(i64::from(message.severity())),
            Header::Pid => Value::Integer(i64::from(message.pid())),
            Header::Timestamp => Value::Integer(message.timestamp()),
            Header::Uuid => {
                let text = uuid_text(message.uuid());
                return then(Value::String(text.as_ref().map_or(b"", |text| text)));
            }
        };
        then(value)
    }

    #[inline]
    pub(super) fn passes(self, message: &Message<'_>, condition: &Condition) -> bool {
        match condition {
            Condition::Present => self.is_in(message),
            Condition::Absent => !self.is_in(message),
            _ => self.read(message, |value| condition.holds(value)),
        }
    }
}

/// One value of one dynamic field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FieldPath {
    pub(super) name: Box<[u8]>,
    /// Which of the fields of that name.
    pub(super) field: u32,
    /// Which of its values.
    pub(super) value: u32,
}

impl FieldPath {
    /// The value in `message`.
    #[inline]
    fn read<'m>(&self, message: &Message<'m>) -> Option<Value<'m>> {
        message.value(&self.name, self.field as usize, self.value as usize)
    }

    #[inline]
    fn passes(&self, message: &Message<'_>, condition: &Condition) -> bool {
        match self.read(message) {
            Some(value) => condition.holds(value),
            None => *condition == Condition::Absent,
        }
    }
}

/// What stands on the left of a test.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Variable {
    Header(Header),
    Field(FieldPath),
}

impl Variable {
    /// What finding the variable costs, in nanoseconds, about.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Variable::Header(Header::Uuid) => 20,
            Variable::Header(_) => 0,
            Variable::Field(_) => 30,
        }
    }

    /// Tells whether the variable passes the test in `message`.
    #[inline]
    pub(super) fn passes(&self, message: &Message<'_>, condition: &Condition) -> bool {
        match self {
            Variable::Header(header) => header.passes(message, condition),
            Variable::Field(path) => path.passes(message, condition),
        }
    }
}
