//! Redis, and what speaks its protocol: Valkey, KeyDB.
//!
//! What `INFO` says, one message `stats.redis` with the names of the server, and one for each database,
//! replica and command. The protocol is RESP 2: a command is an array of texts, an answer here a text of
//! a length that is named before, a line, or an error.

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
use crate::message::Builder;
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

/// The largest answer, in bytes.
const MAX_ANSWER: usize = 4 << 20;

/// What is counted since the start, and what its rate is called.
const RATES: [(&str, &str, &str); 9] = [
    ("total_commands_processed", "commands_per_second", "1/s"),
    ("total_connections_received", "connections_per_second", "1/s"),
    ("rejected_connections", "rejected_connections_per_second", "1/s"),
    ("keyspace_hits", "keyspace_hits_per_second", "1/s"),
    ("keyspace_misses", "keyspace_misses_per_second", "1/s"),
    ("evicted_keys", "evicted_keys_per_second", "1/s"),
    ("expired_keys", "expired_keys_per_second", "1/s"),
    ("total_net_input_bytes", "net_input_per_second", "B/s"),
    ("total_net_output_bytes", "net_output_per_second", "B/s"),
];

/// Asks a Redis server at once and then every `ticker_interval` what `INFO` tells: a message of the type
/// `stats.redis` with a field for each line, rates of what is counted and the part of the keys that were
/// found; `stats.redis.database`, `stats.redis.replica` and `stats.redis.command` for each of these. A
/// server that does not answer is told of once as `daemon.down`, and once as `daemon.up` when it is back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RedisInput {
    /// Which kind of socket, `tcp` or `unix`.
    net: StreamNet,
    /// Where the server listens: `host:port`, or the path of a socket.
    address: String,
    /// The user, for servers with more than one; that without a name where empty.
    username: String,
    /// The password, where the server asks for one.
    password: Option<Secret>,
    /// Whether what is known of each command is told too.
    commands: bool,
    /// How long an answer may take. In seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
    /// Whether TLS is spoken; it is not where this is left out.
    use_tls: Option<bool>,
    /// How TLS is spoken.
    tls: Option<Tls>,
}

impl Default for RedisInput {
    fn default() -> RedisInput {
        RedisInput {
            net: StreamNet::Tcp,
            address: "127.0.0.1:6379".to_owned(),
            username: String::new(),
            password: None,
            commands: false,
            timeout: Duration::from_secs(5),
            use_tls: None,
            tls: None,
        }
    }
}

impl Described for RedisInput {
    const NAME: &'static str = "RedisInput";
    const ABOUT: &'static str = "Asks a Redis server how it is.";
    const EXAMPLE: &'static str =
        "[RedisInput]\naddress = \"127.0.0.1:6379\"\nticker_interval = 10\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        let has_password = self.password.as_ref().is_some_and(|it| !it.is_empty());
        ensure!(self.username.is_empty() || has_password, "`username` is given, but no `password`");
        self.connector().map(drop)
    }
}

#[async_trait]
impl Input for RedisInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let connector = self.connector()?;
        let watched =
            Watched { daemon: "redis", address: self.address.clone(), timeout: self.timeout };
        let redis = Redis { settings: *self, connector, connection: None };
        daemon::watch(cx, watched, redis).await
    }
}

impl RedisInput {
    fn connector(&self) -> anyhow::Result<Connector> {
        let connector = Connector::new(Address::stream(self.net, &self.address)?);
        let connector = connector.timeout(self.timeout);
        Ok(connector.tls_where_wanted(self.use_tls, self.tls.as_ref())?)
    }
}

/// A server, and the connection to it while there is one.
struct Redis {
    settings: RedisInput,
    connector: Connector,
    connection: Option<BufReader<Stream>>,
}

#[async_trait]
impl Daemon for Redis {
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let command: &[&str] = if self.settings.commands { &["INFO", "all"] } else { &["INFO"] };
        // One that is left in the middle of an answer is not used again. One that was kept may have been
        // closed by the server meanwhile, which is no reason to call it down.
        if let Some(mut kept) = self.connection.take()
            && let Ok(info) = call(&mut kept, command).await
        {
            self.connection = Some(kept);
            put(&info, report);
            return Ok(());
        }
        let mut connection = self.connect().await?;
        let info = call(&mut connection, command).await?;
        self.connection = Some(connection);
        put(&info, report);
        Ok(())
    }
}

impl Redis {
    async fn connect(&self) -> anyhow::Result<BufReader<Stream>> {
        let mut connection = BufReader::new(self.connector.connect().await?);
        if let Some(password) = &self.settings.password {
            let user = self.settings.username.as_str();
            let command = ["AUTH", user, password.reveal()];
            let both = !user.is_empty();
            let command = if both { &command[..] } else { &["AUTH", password.reveal()] };
            call(&mut connection, command).await?;
        }
        Ok(connection)
    }
}

/// Sends a command and reads what it answers.
async fn call(connection: &mut BufReader<Stream>, command: &[&str]) -> anyhow::Result<String> {
    let mut request = format!("*{}\r\n", command.len());
    for word in command {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    connection.get_mut().write_all(request.as_bytes()).await.context("cannot ask the server")?;
    let mut line = String::new();
    let failed = "the server has closed the connection";
    let mut limited = (&mut *connection).take(1024);
    ensure!(limited.read_line(&mut line).await.context(failed)? > 0, failed);
    let line = line.trim_end();
    if let Some(error) = line.strip_prefix('-') {
        bail!("the server refuses `{}`: {error}{}", command[0], advice(error));
    }
    let Some(length) = line.strip_prefix('$') else {
        ensure!(line.starts_with('+'), "the server does not speak as redis does: `{line}`");
        return Ok(line[1..].to_owned());
    };
    let length = length.parse::<usize>().context("the server does not speak as redis does")?;
    ensure!(length <= MAX_ANSWER, "the answer is larger than 4 MiB");
    let mut text = vec![0; length + 2];
    connection.read_exact(&mut text).await.context(failed)?;
    text.truncate(length);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What to do about an error of the server.
fn advice(error: &str) -> &'static str {
    match error.split(' ').next().unwrap_or_default() {
        "NOAUTH" => "; give `password`, and `username` where it has users",
        "WRONGPASS" => "; `username` or `password` is wrong",
        "NOPERM" => "; allow the user `+info`",
        "ERR" if error.contains("AUTH") => {
            "; it asks for no password, or none without a `username`"
        }
        "DENIED" => "; it lets nobody in from other hosts: give it a password or a `bind` address",
        _ => "",
    }
}

/// Writes what `INFO` tells.
fn put(info: &str, report: &mut Report) {
    let pairs: Vec<(&str, &str)> = info.lines().filter_map(|line| line.split_once(':')).collect();
    let mut rates = Vec::new();
    for (name, rate, unit) in RATES {
        let count = pairs.iter().find(|(key, _)| *key == name);
        let count = count.and_then(|(_, value)| value.parse().ok());
        if let Some(value) = count.and_then(|count| report.rate(name, count)) {
            rates.push((rate, unit, value));
        }
    }
    let found = |name| {
        let value = pairs.iter().find(|(key, _)| *key == name)?.1;
        value.parse::<f64>().ok()
    };
    let hits = found("keyspace_hits").zip(found("keyspace_misses"));
    let mut message = report.begin("stats.redis");
    for (name, value) in &pairs {
        if !is_part(name, value) {
            number(&mut message, name, unit(name), value);
        }
    }
    for (name, unit, value) in rates {
        message.double(name, unit, value);
    }
    if let Some((hits, misses)) = hits.filter(|(hits, misses)| hits + misses > 0.0) {
        message.double("keyspace_hits_percent", "%", hits * 100.0 / (hits + misses));
    }
    Report::finish(message);
    for (name, value) in pairs.iter().filter(|(name, value)| is_part(name, value)) {
        put_part(name, value, report);
    }
}

/// Tells whether a line is about a database, a replica or a command: `name=value,…`.
fn is_part(name: &str, value: &str) -> bool {
    let is_numbered = |prefix| {
        let number: Option<&str> = name.strip_prefix(prefix);
        number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()))
    };
    value.contains('=')
        && (is_numbered("db") || is_numbered("slave") || name.starts_with("cmdstat_"))
}

fn put_part(name: &str, value: &str, report: &mut Report) {
    let members = || value.split(',').filter_map(|member| member.split_once('='));
    if let Some(command) = name.strip_prefix("cmdstat_") {
        let calls = members().find(|(name, _)| *name == "calls");
        let calls = calls.and_then(|(_, count)| count.parse().ok());
        let rate = calls.and_then(|calls| report.rate(name, calls));
        let mut message = report.begin("stats.redis.command");
        message.string("command", "", command.as_bytes());
        put_members(members(), &mut message);
        if let Some(rate) = rate {
            message.double("calls_per_second", "1/s", rate);
        }
        return Report::finish(message);
    }
    let is_replica = name.starts_with("slave");
    let kind = if is_replica { "stats.redis.replica" } else { "stats.redis.database" };
    let mut message = report.begin(kind);
    message.string(if is_replica { "replica" } else { "database" }, "", name.as_bytes());
    put_members(members(), &mut message);
    Report::finish(message);
}

fn put_members<'a>(members: impl Iterator<Item = (&'a str, &'a str)>, message: &mut Builder<'_>) {
    for (name, value) in members {
        number(message, name, unit(name), value);
    }
}

/// The unit of a number by its name.
fn unit(name: &str) -> &'static str {
    match name {
        "usec" | "usec_per_call" => return "us",
        "avg_ttl" => return "ms",
        "lag" => return "s",
        _ => {}
    }
    let ends = |end| name.ends_with(end);
    if name.ends_with("_human") {
        ""
    } else if ends("_perc") || ends("_percentage") {
        "%"
    } else if ends("_kbps") {
        "KB/s"
    } else if ends("_in_seconds") || ends("_sec") || ends("_seconds_ago") || ends("_seconds") {
        "s"
    } else if ends("_in_days") {
        "d"
    } else if ends("_usec") {
        "us"
    } else if name.starts_with("used_cpu_") {
        "s"
    } else if ends("_bytes")
        || ends("_memory")
        || ends("_size")
        || name.starts_with("used_memory")
        || (name.starts_with("mem_") && !ends("_ratio"))
    {
        "B"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value;

    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:12\r\n\r\n\
        # Memory\r\nused_memory:1024\r\nused_memory_human:1.00K\r\nmem_fragmentation_ratio:2.5\r\n\
        # Stats\r\nkeyspace_hits:30\r\nkeyspace_misses:10\r\n\
        # Replication\r\nslave0:ip=127.0.0.1,port=6380,state=online,offset=14,lag=1\r\n\
        # Commandstats\r\ncmdstat_get:calls=5,usec=20,usec_per_call=4.00\r\n\
        # Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=9\r\n";

    #[test]
    fn info_becomes_typed_fields_with_units_and_rates() {
        let mut report = Report::new(crate::plugin::Origin::default());
        report.start();
        put(INFO, &mut report);
        report.take();
        report.start_after(10.0);
        put(&INFO.replace("hits:30", "hits:50"), &mut report);
        let batches = report.take();
        let told: Vec<_> = batches[0].iter().collect();
        let value = |message: usize, name: &str| {
            let field = told[message].field(name.as_bytes(), 0).unwrap();
            (field.only_value().unwrap(), field.representation().to_vec())
        };
        assert_eq!(value(0, "redis_version"), (Value::String(b"7.0.15"), b"".to_vec()));
        assert_eq!(value(0, "uptime_in_seconds"), (Value::Integer(12), b"s".to_vec()));
        assert_eq!(value(0, "used_memory"), (Value::Integer(1024), b"B".to_vec()));
        assert_eq!(value(0, "mem_fragmentation_ratio"), (Value::Double(2.5), b"".to_vec()));
        assert_eq!(value(0, "keyspace_hits_per_second"), (Value::Double(2.0), b"1/s".to_vec()));
        assert_eq!(value(0, "keyspace_hits_percent").0, Value::Double(50.0 * 100.0 / 60.0));
        let kinds: Vec<_> = told.iter().map(|it| it.message_type().to_vec()).collect();
        assert_eq!(kinds[1], b"stats.redis.replica");
        assert_eq!(value(1, "lag"), (Value::Integer(1), b"s".to_vec()));
        assert_eq!(kinds[2], b"stats.redis.command");
        assert_eq!(value(2, "calls_per_second").0, Value::Double(0.0));
        assert_eq!(kinds[3], b"stats.redis.database");
        assert_eq!(value(3, "keys").0, Value::Integer(3));
    }

    #[test]
    fn mistakes_are_found_before_a_start() {
        for (settings, expected) in [
            ("address = 'x'", "`x` is no address for tcp"),
            ("timeout = 0", "`timeout` has to be above 0"),
            ("username = 'me'", "`username` is given, but no `password`"),
        ] {
            let input: RedisInput = toml::from_str(settings).unwrap();
            let error = input.check().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
