//! Where messages come from.

mod amqp;
mod any_net;
mod apache_status;
#[cfg(feature = "cassandra")]
mod cassandra;
mod connections;
mod daemon;
mod datagrams;
mod file_polling;
mod haproxy;
mod host_metrics;
mod http_listen;
mod http_poll;
#[cfg(feature = "kafka")]
mod kafka;
pub mod logstreamer;
mod memcached;
mod mysql;
mod nagios_plugin;
mod nats;
mod nginx_status;
mod otlp;
mod postgresql;
mod process;
mod prometheus;
mod rabbitmq;
mod redis;
mod sandbox;
mod stat_accum;
mod statsd;
mod stdin;
mod syslog;
mod tcp;
#[cfg(test)]
mod testing;
mod udp;

use self::amqp::AmqpInput;
use self::apache_status::ApacheStatusInput;
use self::file_polling::FilePollingInput;
use self::haproxy::HaproxyInput;
use self::host_metrics::HostMetricsInput;
use self::http_listen::HttpListenInput;
use self::http_poll::HttpInput;
#[cfg(feature = "kafka")]
use self::kafka::KafkaInput;
use self::logstreamer::LogstreamerInput;
use self::memcached::MemcachedInput;
use self::mysql::MysqlInput;
use self::nagios_plugin::NagiosPluginInput;
use self::nats::NatsInput;
use self::nginx_status::NginxStatusInput;
use self::otlp::OtlpInput;
#[cfg(fuzzing)]
pub use self::otlp::read_body as read_otlp;
use self::postgresql::PostgresqlInput;
use self::process::ProcessInput;
use self::prometheus::PrometheusInput;
use self::rabbitmq::RabbitmqInput;
use self::redis::RedisInput;
use self::sandbox::SandboxInput;
use self::stat_accum::StatAccumInput;
use self::statsd::StatsdInput;
use self::stdin::StdinInput;
use self::syslog::SyslogInput;
use self::tcp::TcpInput;
use self::udp::UdpInput;
use crate::plugin::Input;
use crate::plugin::Kind;

/// The kinds of this family, one row each.
pub const INPUTS: &[Kind<dyn Input>] = &[
    Kind::input::<AmqpInput>(),
    Kind::input::<ApacheStatusInput>(),
    #[cfg(feature = "cassandra")]
    Kind::input::<cassandra::CassandraInput>(),
    Kind::input::<FilePollingInput>(),
    Kind::input::<HaproxyInput>(),
    Kind::input::<HostMetricsInput>(),
    Kind::input::<HttpInput>(),
    Kind::input::<HttpListenInput>(),
    #[cfg(feature = "kafka")]
    Kind::input::<KafkaInput>(),
    Kind::input::<LogstreamerInput>(),
    Kind::input::<MemcachedInput>(),
    Kind::input::<MysqlInput>(),
    Kind::input::<NagiosPluginInput>(),
    Kind::input::<NatsInput>(),
    Kind::input::<NginxStatusInput>(),
    Kind::input::<OtlpInput>(),
    Kind::input::<PostgresqlInput>(),
    Kind::input::<ProcessInput>(),
    Kind::input::<PrometheusInput>(),
    Kind::input::<RabbitmqInput>(),
    Kind::input::<RedisInput>(),
    Kind::input::<SandboxInput>(),
    Kind::input::<StatAccumInput>(),
    Kind::input::<StatsdInput>(),
    Kind::input::<StdinInput>(),
    Kind::input::<SyslogInput>(),
    Kind::input::<TcpInput>(),
    Kind::input::<UdpInput>(),
];
