//! How a record becomes messages.

mod access_log;
mod apache_error;
mod columns;
mod csv;
mod envelope;
mod grok;
mod haproxy;
mod json;
mod linux_stats;
mod logfmt;
mod message_fields;
mod multi;
mod mysql_slow_query;
mod nginx_error;
mod payload_regex;
mod postgresql_csvlog;
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
use apache_error::ApacheErrorDecoder;
use csv::CsvDecoder;
use grok::GrokDecoder;
use haproxy::HaproxyDecoder;
use json::JsonDecoder;
use linux_stats::LinuxStatsDecoder;
use logfmt::LogfmtDecoder;
use multi::MultiDecoder;
use mysql_slow_query::MysqlSlowQueryDecoder;
use nginx_error::NginxErrorDecoder;
use payload_regex::PayloadRegexDecoder;
use postgresql_csvlog::PostgresqlCsvlogDecoder;
use protobuf::ProtobufDecoder;
use sandbox::SandboxDecoder;
use scribble::ScribbleDecoder;
use syslog::SyslogDecoder;

/// The kinds of this family, one row each.
pub const DECODERS: &[Kind<dyn Decoder>] = &[
    Kind::decoder::<AccessLogDecoder>(),
    Kind::decoder::<ApacheErrorDecoder>(),
    Kind::decoder::<CsvDecoder>(),
    Kind::decoder::<GrokDecoder>(),
    Kind::decoder::<HaproxyDecoder>(),
    Kind::decoder::<JsonDecoder>(),
    Kind::decoder::<LinuxStatsDecoder>(),
    Kind::decoder::<LogfmtDecoder>(),
    Kind::decoder::<MultiDecoder>(),
    Kind::decoder::<MysqlSlowQueryDecoder>(),
    Kind::decoder::<NginxErrorDecoder>(),
    Kind::decoder::<PayloadRegexDecoder>(),
    Kind::decoder::<PostgresqlCsvlogDecoder>(),
    Kind::decoder::<ProtobufDecoder>(),
    Kind::decoder::<SandboxDecoder>(),
    Kind::decoder::<ScribbleDecoder>(),
    Kind::decoder::<SyslogDecoder>(),
];
