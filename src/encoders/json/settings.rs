//! The keys of the object.

use schemars::JsonSchema;
use serde::Deserialize;

/// What can be written of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(in crate::encoders) enum Key {
    /// The UUID as text.
    Uuid,
    /// The time.
    Timestamp,
    /// The kind of message.
    Type,
    /// Where it comes from.
    Logger,
    /// Syslog severity.
    Severity,
    /// The text body.
    Payload,
    /// The version of the envelope.
    EnvVersion,
    /// The process id.
    Pid,
    /// The host it comes from.
    Hostname,
    /// All dynamic fields.
    #[serde(alias = "DynamicFields")]
    Fields,
}

impl Key {
    /// All keys, in the order in which they are written unless told otherwise.
    pub(in crate::encoders) const ALL: [Key; 10] = [
        Key::Uuid,
        Key::Timestamp,
        Key::Type,
        Key::Logger,
        Key::Severity,
        Key::Payload,
        Key::EnvVersion,
        Key::Pid,
        Key::Hostname,
        Key::Fields,
    ];

    /// The key's name.
    pub(in crate::encoders) fn name(self) -> &'static str {
        match self {
            Key::Uuid => "Uuid",
            Key::Timestamp => "Timestamp",
            Key::Type => "Type",
            Key::Logger => "Logger",
            Key::Severity => "Severity",
            Key::Payload => "Payload",
            Key::EnvVersion => "EnvVersion",
            Key::Pid => "Pid",
            Key::Hostname => "Hostname",
            Key::Fields => "Fields",
        }
    }
}
