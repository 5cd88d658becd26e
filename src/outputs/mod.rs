//! Where messages go.

use std::path::Path;

use crate::plugin::Kind;
use crate::plugin::Output;

mod amqp;
mod arrivals;
mod carbon;
#[cfg(feature = "cassandra")]
mod cassandra;
mod connection;
mod elasticsearch;
mod file;
mod http;
#[cfg(feature = "kafka")]
mod kafka;
mod log;
mod nagios;
mod nats;
mod otlp;
mod prometheus;
mod rewind;
mod sandbox;
mod smtp;
mod tcp;
#[cfg(test)]
mod testing;
mod udp;
mod whisper;

/// The kinds of this family, one row each.
pub const OUTPUTS: &[Kind<dyn Output>] = &[
    Kind::output::<amqp::AmqpOutput>(),
    Kind::output::<carbon::CarbonOutput>(),
    #[cfg(feature = "cassandra")]
    Kind::output::<cassandra::CassandraOutput>(),
    Kind::output::<elasticsearch::ElasticSearchOutput>(),
    Kind::output::<file::FileOutput>(),
    Kind::output::<http::HttpOutput>(),
    #[cfg(feature = "kafka")]
    Kind::output::<kafka::KafkaOutput>(),
    Kind::output::<log::LogOutput>(),
    Kind::output::<nagios::NagiosOutput>(),
    Kind::output::<otlp::OtlpOutput>(),
    Kind::output::<nats::NatsOutput>(),
    Kind::output::<prometheus::PrometheusOutput>(),
    Kind::output::<prometheus::PrometheusRemoteWriteOutput>(),
    Kind::output::<sandbox::SandboxOutput>(),
    Kind::output::<smtp::SmtpOutput>(),
    Kind::output::<tcp::TcpOutput>(),
    Kind::output::<udp::UdpOutput>(),
    Kind::output::<whisper::WhisperOutput>(),
];

/// Gives up what outputs called `name` have written down below `base_dir` besides their cursor; tells
/// whether there was anything.
///
/// # Errors
/// When it cannot be removed.
pub fn forget(base_dir: &Path, name: &str) -> std::io::Result<bool> {
    file::forget(base_dir, name)
}
