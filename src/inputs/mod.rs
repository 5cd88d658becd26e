//! Where messages come from.

mod any_net;
mod connections;
mod datagrams;
mod file_polling;
mod host_metrics;
mod http_listen;
pub mod logstreamer;
mod process;
mod sandbox;
mod stat_accum;
mod statsd;
mod stdin;
mod syslog;
mod tcp;
#[cfg(test)]
mod testing;
mod udp;

use self::file_polling::FilePollingInput;
use self::host_metrics::HostMetricsInput;
use self::http_listen::HttpListenInput;
use self::logstreamer::LogstreamerInput;
use self::process::ProcessInput;
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
    Kind::input::<FilePollingInput>(),
    Kind::input::<HostMetricsInput>(),
    Kind::input::<HttpListenInput>(),
    Kind::input::<LogstreamerInput>(),
    Kind::input::<ProcessInput>(),
    Kind::input::<SandboxInput>(),
    Kind::input::<StatAccumInput>(),
    Kind::input::<StatsdInput>(),
    Kind::input::<StdinInput>(),
    Kind::input::<SyslogInput>(),
    Kind::input::<TcpInput>(),
    Kind::input::<UdpInput>(),
];
