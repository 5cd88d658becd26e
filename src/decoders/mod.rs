//! How a record becomes messages.

mod access_log;
mod envelope;
mod protobuf;

#[cfg(test)]
mod tests;

use crate::plugin::Decoder;
use crate::plugin::Kind;

use access_log::AccessLogDecoder;
use protobuf::ProtobufDecoder;

/// The kinds of this family, one row each.
pub const DECODERS: &[Kind<dyn Decoder>] =
    &[Kind::decoder::<AccessLogDecoder>(), Kind::decoder::<ProtobufDecoder>()];
