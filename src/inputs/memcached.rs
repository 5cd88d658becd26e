//! memcached: what `stats` says.

use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;

use super::daemon;
use super::daemon::Daemon;
use super::daemon::Report;
use super::daemon::Watched;
use super::daemon::number;
use crate::net::Address;
use crate::net::Connector;
use crate::net::Stream;
use crate::net::StreamNet;
use crate::net::Tls;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// The longest line of an answer, in bytes, and the most lines.
const MAX_LINE: u64 = 4096;
const MAX_LINES: usize = 10_000;

/// What is counted since the start, and what its rate is called.
const RATES: [(&str, &str, &str); 9] = [
    ("cmd_get", "gets_per_second", "1/s"),
    ("cmd_set", "sets_per_second", "1/s"),
    ("get_hits", "hits_per_second", "1/s"),
    ("get_misses", "misses_per_second", "1/s"),
    ("evictions", "evictions_per_second", "1/s"),
    ("expired_unfetched", "expired_unfetched_per_second", "1/s"),
    ("total_connections", "connections_per_second", "1/s"),
    ("bytes_read", "bytes_read_per_second", "B/s"),
    ("bytes_written", "bytes_written_per_second", "B/s"),
];

/// Asks a memcached server at once and then every `ticker_interval` for its `stats`: a message of the type
/// `stats.memcached` with a field for each, rates of what is counted, and which part of the reads was
/// answered and of the memory is used. A server that does not answer is told of once as `daemon.down`, and
/// once as `daemon.up` when it is back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MemcachedInput {
    /// Which kind of socket, `tcp` or `unix`.
    net: StreamNet,
    /// Where the server listens: `host:port`, or the path of a socket.
    address: String,
    /// The user, where the server runs with `--auth-file`.
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// How long an answer may take. In seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
    /// Whether TLS is spoken; it is not where this is left out.
    use_tls: Option<bool>,
    /// How TLS is spoken.
    tls: Option<Tls>,
}

impl Default for MemcachedInput {
    fn default() -> MemcachedInput {
        MemcachedInput {
            net: StreamNet::Tcp,
            address: "127.0.0.1:11211".to_owned(),
            username: String::new(),
            password: None,
            timeout: Duration::from_secs(5),
            use_tls: None,
            tls: None,
        }
    }
}

impl Described for MemcachedInput {
    const NAME: &'static str = "MemcachedInput";
    const ABOUT: &'static str = "Asks a memcached server how it is.";
    const EXAMPLE: &'static str =
        "[MemcachedInput]\naddress = \"127.0.0.1:11211\"\nticker_interval = 10\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        ensure!(
            self.username.is_empty() == self.password.is_none(),
            "`username` and `password` go together"
        );
        self.connector().map(drop)
    }
}

#[async_trait]
impl Input for MemcachedInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let connector = self.connector()?;
        let watched =
            Watched { daemon: "memcached", address: self.address.clone(), timeout: self.timeout };
        let memcached = Memcached { settings: *self, connector, connection: None };
        daemon::watch(cx, watched, memcached).await
    }
}

impl MemcachedInput {
    fn connector(&self) -> anyhow::Result<Connector> {
        let connector = Connector::new(Address::stream(self.net, &self.address)?);
        let connector = connector.timeout(self.timeout);
        Ok(connector.tls_where_wanted(self.use_tls, self.tls.as_ref())?)
    }
}

/// A server, and the connection to it while there is one.
struct Memcached {
    settings: MemcachedInput,
    connector: Connector,
    connection: Option<BufReader<Stream>>,
}

#[async_trait]
impl Daemon for Memcached {
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()> {
        // One that is left in the middle of an answer is not used again. One that was kept may have been
        // closed by the server meanwhile, which is no reason to call it down.
        if let Some(mut kept) = self.connection.take()
            && let Ok(stats) = stats(&mut kept).await
        {
            self.connection = Some(kept);
            put(&stats, report);
            return Ok(());
        }
        let mut connection = self.connect().await?;
        let stats = stats(&mut connection).await?;
        self.connection = Some(connection);
        put(&stats, report);
        Ok(())
    }
}

impl Memcached {
    async fn connect(&self) -> anyhow::Result<BufReader<Stream>> {
        let mut connection = BufReader::new(self.connector.connect().await?);
        if let Some(password) = &self.settings.password {
            // In the text protocol a key is set to user and password, whatever its name is.
            let both = format!("{} {}", self.settings.username, password.reveal());
            let request = format!("set heka 0 0 {}\r\n{both}\r\n", both.len());
            connection.get_mut().write_all(request.as_bytes()).await.context("cannot log in")?;
            let answer = line(&mut connection).await?;
            ensure!(
                answer == "STORED",
                "the server refuses to log in: {answer}; `username` or `password` is wrong"
            );
        }
        Ok(connection)
    }
}

/// Reads a line without its end.
async fn line(connection: &mut BufReader<Stream>) -> anyhow::Result<String> {
    let mut line = String::new();
    let failed = "the server has closed the connection";
    let mut limited = connection.take(MAX_LINE);
    ensure!(limited.read_line(&mut line).await.context(failed)? > 0, failed);
    Ok(line.trim_end().to_owned())
}

/// Asks for the numbers, with their names.
async fn stats(connection: &mut BufReader<Stream>) -> anyhow::Result<Vec<(String, String)>> {
    connection.get_mut().write_all(b"stats\r\n").await.context("cannot ask the server")?;
    let mut stats = Vec::new();
    for _ in 0..MAX_LINES {
        let line = line(connection).await?;
        if line == "END" {
            return Ok(stats);
        }
        let Some((name, value)) = line.strip_prefix("STAT ").and_then(|line| line.split_once(' '))
        else {
            let advice = if line.contains("unauthenticated") {
                "; give `username` and `password`"
            } else {
                ""
            };
            bail!("the server answered `{line}`{advice}");
        };
        stats.push((name.to_owned(), value.to_owned()));
    }
    bail!("the answer has more than {MAX_LINES} lines")
}

fn put(stats: &[(String, String)], report: &mut Report) {
    let found = |name: &str| {
        let (_, value) = stats.iter().find(|(key, _)| key == name)?;
        value.parse::<f64>().ok()
    };
    let mut rates = Vec::new();
    for (name, rate, unit) in RATES {
        if let Some(value) = found(name).and_then(|count| report.rate(name, count)) {
            rates.push((rate, unit, value));
        }
    }
    let mut message = report.begin("stats.memcached");
    for (name, value) in stats {
        number(&mut message, name, unit(name), value);
    }
    for (name, unit, value) in rates {
        message.double(name, unit, value);
    }
    let percent = |part: Option<f64>, whole: Option<f64>| {
        let (part, whole) = part.zip(whole)?;
        (whole > 0.0).then(|| part * 100.0 / whole)
    };
    if let Some(hits) = percent(found("get_hits"), found("cmd_get")) {
        message.double("hits_percent", "%", hits);
    }
    if let Some(used) = percent(found("bytes"), found("limit_maxbytes")) {
        message.double("used_percent", "%", used);
    }
    Report::finish(message);
}

/// The unit of a number by its name.
fn unit(name: &str) -> &'static str {
    match name {
        "uptime" | "time" | "rusage_user" | "rusage_system" => "s",
        "time_in_listen_disabled_us" => "us",
        "bytes" | "bytes_read" | "bytes_written" | "limit_maxbytes" | "hash_bytes" => "B",
        "read_buf_bytes" | "read_buf_bytes_free" => "B",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value;

    #[test]
    fn stats_become_typed_fields_with_rates_and_parts() {
        let stats = |gets: &str| {
            let pairs = [
                ("version", "1.6.18"),
                ("rusage_user", "0.05"),
                ("cmd_get", gets),
                ("get_hits", "5"),
                ("bytes", "10"),
                ("limit_maxbytes", "40"),
            ];
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let mut report = Report::new(crate::plugin::Origin::default());
        report.start();
        put(&stats("10"), &mut report);
        report.take();
        report.start_after(5.0);
        put(&stats("20"), &mut report);
        let batches = report.take();
        let told = batches[0].message(0);
        for (name, unit, expected) in [
            ("version", "", Value::String(b"1.6.18")),
            ("rusage_user", "s", Value::Double(0.05)),
            ("bytes", "B", Value::Integer(10)),
            ("gets_per_second", "1/s", Value::Double(2.0)),
            ("hits_percent", "%", Value::Double(25.0)),
            ("used_percent", "%", Value::Double(25.0)),
        ] {
            let field = told.field(name.as_bytes(), 0).unwrap();
            assert_eq!(field.only_value(), Some(expected), "{name}");
            assert_eq!(field.representation(), unit.as_bytes(), "{name}");
        }
    }
}
