//! Apache: the page of `mod_status`, as `?auto` gives it.

use std::time::Duration;

use anyhow::ensure;
use async_trait::async_trait;
use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;

use super::daemon;
use super::daemon::Daemon;
use super::daemon::Report;
use super::daemon::Site;
use super::daemon::Watched;
use super::daemon::number;
use crate::net::Tls;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// The lines of the page that are told, the names of their fields and their units.
const LINES: [(&str, &str, &str); 23] = [
    ("ServerVersion", "server_version", ""),
    ("Load1", "load1", ""),
    ("Load5", "load5", ""),
    ("Load15", "load15", ""),
    ("Total Accesses", "requests", ""),
    ("Total kBytes", "kilobytes", "KiB"),
    ("Total Duration", "duration", "ms"),
    ("CPUUser", "cpu_user", "s"),
    ("CPUSystem", "cpu_system", "s"),
    ("CPULoad", "cpu_percent", "%"),
    ("Uptime", "uptime", "s"),
    ("BytesPerReq", "bytes_per_request", "B"),
    ("DurationPerReq", "duration_per_request", "ms"),
    ("BusyWorkers", "busy_workers", ""),
    ("IdleWorkers", "idle_workers", ""),
    ("GracefulWorkers", "graceful_workers", ""),
    ("Processes", "processes", ""),
    ("Stopping", "stopping_processes", ""),
    ("ConnsTotal", "connections", ""),
    ("ConnsAsyncWriting", "connections_writing", ""),
    ("ConnsAsyncKeepAlive", "connections_keepalive", ""),
    ("ConnsAsyncClosing", "connections_closing", ""),
    ("ParentServerConfigGeneration", "configuration_generation", ""),
];

/// What is counted since the start, what its rate is called, its unit, and how many of that unit one is.
const RATES: [(&str, &str, &str, f64); 2] = [
    ("Total Accesses", "requests_per_second", "1/s", 1.0),
    ("Total kBytes", "bytes_per_second", "B/s", 1024.0),
];

/// What the letters of the scoreboard say.
const WORKERS: [(char, &str); 11] = [
    ('_', "workers_waiting"),
    ('S', "workers_starting"),
    ('R', "workers_reading"),
    ('W', "workers_sending"),
    ('K', "workers_keepalive"),
    ('D', "workers_dns"),
    ('C', "workers_closing"),
    ('L', "workers_logging"),
    ('G', "workers_finishing"),
    ('I', "workers_cleanup"),
    ('.', "workers_open"),
];

/// Asks Apache at once and then every `ticker_interval` for its `mod_status` page: a message of the type
/// `stats.apache` with requests and bytes, since the start and a second, workers by what they do,
/// connections, load and processor time. A server that does not answer is told of once as `daemon.down`,
/// and once as `daemon.up` when it is back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ApacheStatusInput {
    /// The URL of the page, with or without `?auto`.
    url: String,
    /// Who asks, for Basic authentication; nobody where empty.
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// How long an answer may take. In seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
    /// How TLS is spoken.
    tls: Option<Tls>,
}

impl Default for ApacheStatusInput {
    fn default() -> ApacheStatusInput {
        ApacheStatusInput {
            url: "http://127.0.0.1/server-status?auto".to_owned(),
            username: String::new(),
            password: None,
            timeout: Duration::from_secs(5),
            tls: None,
        }
    }
}

impl Described for ApacheStatusInput {
    const NAME: &'static str = "ApacheStatusInput";
    const ABOUT: &'static str = "Asks Apache for its server-status page.";
    const EXAMPLE: &'static str = "[ApacheStatusInput]\nurl = \"http://127.0.0.1/server-status?auto\"\n\
        ticker_interval = 10\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        self.page()?;
        self.site().map(drop)
    }
}

impl ApacheStatusInput {
    fn site(&self) -> anyhow::Result<Site> {
        Site::new(&self.username, self.password.as_ref(), self.tls.as_ref())
    }

    /// The URL, with the query that asks for the page to be read by programs.
    fn page(&self) -> anyhow::Result<Url> {
        let mut url = daemon::url("url", &self.url, self.tls.as_ref())?;
        if url.query().is_none() {
            url.set_query(Some("auto"));
        }
        Ok(url)
    }
}

#[async_trait]
impl Input for ApacheStatusInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let url = self.page()?;
        let address = daemon::shown(&url);
        let watched = Watched { daemon: "apache", address, timeout: self.timeout };
        daemon::watch(cx, watched, Apache { site: self.site()?, url }).await
    }
}

struct Apache {
    site: Site,
    url: Url,
}

#[async_trait]
impl Daemon for Apache {
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let page = self.site.text(&self.url).await?;
        ensure!(
            page.contains("\nScoreboard: ") || page.contains("\nBusyWorkers: "),
            "{} is no page of mod_status; is `url` right, and does it end in `?auto`?",
            daemon::shown(&self.url)
        );
        put(&page, report);
        Ok(())
    }
}

fn put(page: &str, report: &mut Report) {
    let pairs: Vec<(&str, &str)> = page.lines().filter_map(|line| line.split_once(": ")).collect();
    let found = |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.trim());
    let rates = RATES.map(|(line, _, _, factor)| {
        let count = found(line)?.parse::<f64>().ok()?;
        report.rate(line, count * factor)
    });
    let mut message = report.begin("stats.apache");
    for (line, name, unit) in LINES {
        if let Some(value) = found(line) {
            number(&mut message, name, unit, value);
        }
    }
    for ((_, name, unit, _), rate) in RATES.into_iter().zip(rates) {
        if let Some(rate) = rate {
            message.double(name, unit, rate);
        }
    }
    if let Some(board) = found("Scoreboard") {
        for (letter, name) in WORKERS {
            let count = board.chars().filter(|one| *one == letter).count();
            message.integer(name, "", i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
    Report::finish(message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value;

    #[test]
    fn the_page_becomes_typed_fields() {
        let page = |requests| {
            format!(
                "localhost\nServerVersion: Apache/2.4\nTotal Accesses: {requests}\nTotal kBytes: 3\n\
                 CPULoad: .5\nUptime: 9\nBusyWorkers: 1\nScoreboard: __W.....\n"
            )
        };
        let mut report = Report::new(crate::plugin::Origin::default());
        report.start();
        put(&page(4), &mut report);
        report.take();
        report.start_after(2.0);
        put(&page(10), &mut report);
        let batches = report.take();
        let told = batches[0].message(0);
        for (name, unit, expected) in [
            ("server_version", "", Value::String(b"Apache/2.4")),
            ("requests", "", Value::Integer(10)),
            ("cpu_percent", "%", Value::Double(0.5)),
            ("uptime", "s", Value::Integer(9)),
            ("requests_per_second", "1/s", Value::Double(3.0)),
            ("bytes_per_second", "B/s", Value::Double(0.0)),
            ("workers_waiting", "", Value::Integer(2)),
            ("workers_open", "", Value::Integer(5)),
        ] {
            let field = told.field(name.as_bytes(), 0).unwrap();
            assert_eq!(field.only_value(), Some(expected), "{name}");
            assert_eq!(field.representation(), unit.as_bytes(), "{name}");
        }
    }
}
