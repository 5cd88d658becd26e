//! How a message becomes bytes again.

use crate::plugin::Encoder;
use crate::plugin::Kind;

mod elasticsearch;
mod json;
mod payload;
mod prometheus;
mod protobuf;
mod rst;
mod sandbox;
mod syslog;
mod template;

/// The kinds of this family, one row each.
pub const ENCODERS: &[Kind<dyn Encoder>] = &[
    Kind::encoder::<elasticsearch::ESJsonEncoder>(),
    Kind::encoder::<elasticsearch::ESLogstashV0Encoder>(),
    Kind::encoder::<json::JsonEncoder>(),
    Kind::encoder::<syslog::SyslogEncoder>(),
    Kind::encoder::<template::TemplateEncoder>(),
    Kind::encoder::<payload::PayloadEncoder>(),
    Kind::encoder::<prometheus::PrometheusEncoder>(),
    Kind::encoder::<protobuf::ProtobufEncoder>(),
    Kind::encoder::<rst::RstEncoder>(),
    Kind::encoder::<sandbox::SandboxEncoder>(),
];
