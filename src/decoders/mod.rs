//! How a record becomes messages.

mod access_log;
mod envelope;
mod json;
mod message_fields;
mod multi;
mod payload_regex;
mod protobuf;
mod sandbox;
mod scribble;
mod syslog;
mod time_layout;

#[cfg(test)]
mod tests;

use crate::plugin::Decoder;
use crate::plugin::Kind;
use access_log::AccessLogDecoder;
use json::JsonDecoder;
use multi::MultiDecoder;
use payload_regex::PayloadRegexDecoder;
use protobuf::ProtobufDecoder;
use sandbox::SandboxDecoder;
use scribble::ScribbleDecoder;
use syslog::SyslogDecoder;

/// The kinds of this family, one row each.
pub const DECODERS: &[Kind<dyn Decoder>] = &[
    Kind::decoder::<AccessLogDecoder>(),
    Kind::decoder::<JsonDecoder>(),
    Kind::decoder::<MultiDecoder>(),
    Kind::decoder::<PayloadRegexDecoder>(),
    Kind::decoder::<ProtobufDecoder>(),
    Kind::decoder::<SandboxDecoder>(),
    Kind::decoder::<ScribbleDecoder>(),
    Kind::decoder::<SyslogDecoder>(),
];
