//! Where messages go.

use crate::plugin::Kind;
use crate::plugin::Output;

mod carbon;
mod connection;
mod elasticsearch;
mod file;
mod http;
mod log;
mod sandbox;
mod tcp;
#[cfg(test)]
mod testing;
mod udp;

/// The kinds of this family, one row each.
pub const OUTPUTS: &[Kind<dyn Output>] = &[
    Kind::output::<carbon::CarbonOutput>(),
    Kind::output::<elasticsearch::ElasticSearchOutput>(),
    Kind::output::<file::FileOutput>(),
    Kind::output::<http::HttpOutput>(),
    Kind::output::<log::LogOutput>(),
    Kind::output::<sandbox::SandboxOutput>(),
    Kind::output::<tcp::TcpOutput>(),
    Kind::output::<udp::UdpOutput>(),
];
