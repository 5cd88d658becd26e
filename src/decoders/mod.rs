//! How a record becomes messages.

mod protobuf;

use crate::plugin::Decoder;
use crate::plugin::Kind;

use protobuf::ProtobufDecoder;

/// The kinds of this family, one row each.
pub const DECODERS: &[Kind<dyn Decoder>] = &[Kind::decoder::<ProtobufDecoder>()];
