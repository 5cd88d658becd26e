//! HAProxy: its statistics, as CSV over HTTP or from its own socket.
//!
//! | source | asked for |
//! | --- | --- |
//! | `url` | the page of `stats uri`, with `;csv` behind it |
//! | `socket` | `show stat` and `show info`, a connection each |

use std::time::Duration;

use anyhow::Context;
use anyhow::ensure;
use async_trait::async_trait;
use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use super::daemon;
use super::daemon::Daemon;
use super::daemon::Report;
use super::daemon::Site;
use super::daemon::Watched;
use super::daemon::number;
use crate::net::Address;
use crate::net::Connector;
use crate::net::StreamNet;
use crate::net::Tls;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// The largest answer of the socket, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// What is counted since the start, what its rate is called, and its unit.
const RATES: [(&str, &str, &str); 14] = [
    ("stot", "sessions_per_second", "1/s"),
    ("req_tot", "requests_per_second", "1/s"),
    ("bin", "bytes_in_per_second", "B/s"),
    ("bout", "bytes_out_per_second", "B/s"),
    ("hrsp_1xx", "responses_1xx_per_second", "1/s"),
    ("hrsp_2xx", "responses_2xx_per_second", "1/s"),
    ("hrsp_3xx", "responses_3xx_per_second", "1/s"),
    ("hrsp_4xx", "responses_4xx_per_second", "1/s"),
    ("hrsp_5xx", "responses_5xx_per_second", "1/s"),
    ("ereq", "request_errors_per_second", "1/s"),
    ("econ", "connection_errors_per_second", "1/s"),
    ("eresp", "response_errors_per_second", "1/s"),
    ("wretr", "retries_per_second", "1/s"),
    ("wredis", "redispatches_per_second", "1/s"),
];

/// Asks HAProxy at once and then every `ticker_interval` for its statistics, over HTTP or its socket: a
/// message of the type `stats.haproxy` for each frontend, backend, server and listener, with the fields
/// `proxy`, `service` and `kind`, a field for each column under HAProxy's name for it, and rates. The
/// socket gives `stats.haproxy.info` too. HAProxy itself is told of once as `daemon.down` when it does not
/// answer, and once as `daemon.up` when it is back; how its servers are stands in `status`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HaproxyInput {
    /// The URL of the statistics, with or without `;csv`; or give `socket`.
    url: String,
    /// The path of the socket of `stats socket`, or `host:port` of one over TCP.
    socket: String,
    /// Who asks, for `stats auth`; nobody where empty.
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// Which kinds of rows are told: `frontend`, `backend`, `server`, `listener`; all where it is empty.
    kinds: Vec<Row>,
    /// How long an answer may take; 5 s where it is left out. In seconds.
    #[serde(deserialize_with = "duration::optional_seconds")]
    #[schemars(with = "Option<duration::Written>")]
    timeout: Option<Duration>,
    /// How TLS is spoken.
    tls: Option<Tls>,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Row {
    /// What clients connect to.
    Frontend,
    /// A group of servers.
    Backend,
    /// A server.
    Server,
    /// A socket of a frontend.
    Listener,
}

impl Row {
    fn of(number: &str) -> Option<(Row, &'static str)> {
        match number {
            "0" => Some((Row::Frontend, "frontend")),
            "1" => Some((Row::Backend, "backend")),
            "2" => Some((Row::Server, "server")),
            "3" => Some((Row::Listener, "listener")),
            _ => None,
        }
    }
}

impl Described for HaproxyInput {
    const NAME: &'static str = "HaproxyInput";
    const ABOUT: &'static str = "Asks HAProxy for its statistics.";
    const EXAMPLE: &'static str = "# In haproxy.cfg: stats socket /run/haproxy/admin.sock mode 660 level operator\n\
        [HaproxyInput]\nsocket = \"/run/haproxy/admin.sock\"\nticker_interval = 10\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.url.is_empty() != self.socket.is_empty(),
            "give either `url`, the page of `stats uri`, or `socket`, that of `stats socket`"
        );
        ensure!(!self.limit().is_zero(), "`timeout` has to be above 0");
        self.place().map(drop)
    }
}

impl HaproxyInput {
    fn limit(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(5))
    }

    fn place(&self) -> anyhow::Result<Place> {
        if self.url.is_empty() {
            ensure!(
                self.tls.is_none() && self.username.is_empty() && self.password.is_none(),
                "`username`, `password` and `tls` go with `url`, and not with `socket`"
            );
            let is_path = self.socket.starts_with(['/', '@']);
            let net = if is_path { StreamNet::Unix } else { StreamNet::Tcp };
            let address = Address::stream(net, &self.socket)?;
            return Ok(Place::Socket(Connector::new(address).timeout(self.limit())));
        }
        let mut url = daemon::url("url", &self.url, self.tls.as_ref())?;
        if !url.path().ends_with(";csv") {
            url.set_path(&format!("{};csv", url.path()));
        }
        let site = Site::new(&self.username, self.password.as_ref(), self.tls.as_ref())?;
        Ok(Place::Page(site, url))
    }
}

#[async_trait]
impl Input for HaproxyInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let place = self.place()?;
        let address = match &place {
            Place::Page(_, url) => daemon::shown(url),
            Place::Socket(_) => self.socket.clone(),
        };
        let watched = Watched { daemon: "haproxy", address, timeout: self.limit() };
        daemon::watch(cx, watched, Haproxy { place, kinds: self.kinds }).await
    }
}

struct Haproxy {
    place: Place,
    kinds: Vec<Row>,
}

/// Where the statistics come from.
enum Place {
    Page(Site, Url),
    Socket(Connector),
}

#[async_trait]
impl Daemon for Haproxy {
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let table = match &self.place {
            Place::Page(site, url) => site.text(url).await?,
            Place::Socket(connector) => {
                put_info(&command(connector, "show info\n").await?, report);
                command(connector, "show stat\n").await?
            }
        };
        put_table(&table, &self.kinds, report)
    }
}

/// Asks the socket, which closes the connection behind an answer.
async fn command(connector: &Connector, command: &str) -> anyhow::Result<String> {
    let mut connection = connector.connect().await?;
    connection.write_all(command.as_bytes()).await.context("cannot ask the socket")?;
    let mut answer = Vec::new();
    connection.take(MAX_ANSWER).read_to_end(&mut answer).await.context("cannot read the answer")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn put_info(info: &str, report: &mut Report) {
    let pairs: Vec<(&str, &str)> = info.lines().filter_map(|line| line.split_once(": ")).collect();
    if pairs.is_empty() {
        return;
    }
    let mut message = report.begin("stats.haproxy.info");
    for (name, value) in pairs {
        let unit = match name {
            "Uptime_sec" => "s",
            "Idle_pct" => "%",
            "Memmax_MB" | "PoolAlloc_MB" | "PoolUsed_MB" => "MB",
            _ if name.ends_with("Rate") => "1/s",
            _ => "",
        };
        number(&mut message, name, unit, value);
    }
    Report::finish(message);
}

fn put_table(table: &str, kinds: &[Row], report: &mut Report) -> anyhow::Result<()> {
    let mut lines = table.lines().map(split);
    let head = lines.next().unwrap_or_default();
    ensure!(
        head.first().is_some_and(|first| first == "# pxname"),
        "the answer is no table of statistics; is it the page of `stats uri`, and may you see it?"
    );
    let column = |name: &str| head.iter().position(|it| it == name);
    let (Some(service), Some(kind)) = (column("svname"), column("type")) else {
        anyhow::bail!("the table of statistics has no column `svname` or `type`");
    };
    for row in lines.filter(|row| row.len() > kind) {
        let Some((of, kind_name)) = Row::of(&row[kind]) else { continue };
        if !kinds.is_empty() && !kinds.contains(&of) {
            continue;
        }
        let rates = RATES.map(|(name, _, _)| {
            let count = row.get(column(name)?)?.parse().ok()?;
            report.rate(&format!("{}/{}/{kind_name}/{name}", row[0], row[service]), count)
        });
        let mut message = report.begin("stats.haproxy");
        message.string("proxy", "", row[0].as_bytes());
        message.string("service", "", row[service].as_bytes());
        message.string("kind", "", kind_name.as_bytes());
        for (name, value) in head.iter().zip(&row).skip(1) {
            let is_told = matches!(name.as_str(), "svname" | "type" | "");
            if !value.is_empty() && !is_told {
                number(&mut message, name, unit(name), value);
            }
        }
        for ((_, name, unit), rate) in RATES.iter().zip(rates) {
            if let Some(rate) = rate {
                message.double(name, unit, rate);
            }
        }
        Report::finish(message);
    }
    Ok(())
}

/// The cells of a line; some are in quotes.
fn split(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            other => {
                if let Some(cell) = cells.last_mut() {
                    cell.push(other);
                }
            }
        }
    }
    cells
}

/// The unit of a column.
fn unit(name: &str) -> &'static str {
    match name {
        "bin" | "bout" | "comp_in" | "comp_out" | "comp_byp" => "B",
        "qtime" | "ctime" | "rtime" | "ttime" | "check_duration" | "agent_duration" => "ms",
        "qtime_max" | "ctime_max" | "rtime_max" | "ttime_max" => "ms",
        "lastchg" | "downtime" | "lastsess" => "s",
        "rate" | "rate_lim" | "rate_max" | "req_rate" | "req_rate_max" | "conn_rate" => "1/s",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value;

    const HEAD: &str = "# pxname,svname,bin,status,last_chk,type,qtime,\n";

    #[test]
    fn each_row_is_a_message_with_the_columns_it_has() {
        let table = format!(
            "{HEAD}web,FRONTEND,5,OPEN,,0,,\nweb,\"a,1\",7,UP,\"L4OK, \",2,3,\nx,y,,,,9,,\n"
        );
        let mut report = Report::new(crate::plugin::Origin::default());
        report.start();
        put_table(&table, &[], &mut report).unwrap();
        report.take();
        report.start_after(2.0);
        put_table(&table.replace(",7,", ",9,"), &[Row::Server], &mut report).unwrap();
        let batches = report.take();
        assert_eq!(batches[0].len(), 1);
        let told = batches[0].message(0);
        for (name, unit, expected) in [
            ("proxy", "", Value::String(b"web")),
            ("service", "", Value::String(b"a,1")),
            ("kind", "", Value::String(b"server")),
            ("bin", "B", Value::Integer(9)),
            ("last_chk", "", Value::String(b"L4OK, ")),
            ("qtime", "ms", Value::Integer(3)),
            ("bytes_in_per_second", "B/s", Value::Double(1.0)),
        ] {
            let field = told.field(name.as_bytes(), 0).unwrap();
            assert_eq!(field.only_value(), Some(expected), "{name}");
            assert_eq!(field.representation(), unit.as_bytes(), "{name}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        let mut report = Report::new(crate::plugin::Origin::default());
        let error = put_table("<html>", &[], &mut report).unwrap_err().to_string();
        assert!(error.starts_with("the answer is no table of statistics"), "{error}");
        for (settings, expected) in [
            ("", "give either `url`"),
            ("socket = '/x'\nusername = 'me'", "`username`, `password` and `tls` go with `url`"),
        ] {
            let input: HaproxyInput = toml::from_str(settings).unwrap();
            let error = input.check().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
