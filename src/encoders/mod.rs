//! How a message becomes bytes again.

use crate::plugin::Encoder;
use crate::plugin::Kind;

mod json;
mod payload;
mod protobuf;
mod rst;
mod sandbox;

/// The kinds of this family, one row each.
pub const ENCODERS: &[Kind<dyn Encoder>] = &[
    Kind::encoder::<json::JsonEncoder>(),
    Kind::encoder::<payload::PayloadEncoder>(),
    Kind::encoder::<protobuf::ProtobufEncoder>(),
    Kind::encoder::<rst::RstEncoder>(),
    Kind::encoder::<sandbox::SandboxEncoder>(),
];
