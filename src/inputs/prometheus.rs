//! Exporters of Prometheus, scraped.

use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::ensure;
use async_trait::async_trait;
use regex::Regex;
use reqwest::Method;
use reqwest::Url;
use reqwest::header;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::task::JoinSet;

use super::daemon;
use super::daemon::Daemon;
use super::daemon::Report;
use super::daemon::Site;
use super::daemon::Watched;
use crate::formats::prometheus;
use crate::formats::prometheus::Sample;
use crate::message::Builder;
use crate::net::Tls;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// What is asked for, as Prometheus does.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,\
    */*;q=0.1";

/// Names of fields that labels may not have: such a label gets `exported_` before its name, as
/// Prometheus does it.
const OURS: [&str; 6] = ["name", "value", "type", "rate", "instance", "job"];

/// Scrapes exporters of Prometheus at once and then every `ticker_interval`, in the text format or in
/// OpenMetrics: a message of the type `stats.prometheus` for each sample, with the fields `name`, `value`,
/// `type`, `instance`, `job` (the name of the section) and one for every label; a counter has its `rate`
/// beside it. An exporter that does not answer is told of once as `daemon.down`, and once as `daemon.up`
/// when it is back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PrometheusInput {
    /// The URL of an exporter; the path is `/metrics` where there is none.
    url: String,
    /// Several URLs; all are scraped at the same time.
    urls: Vec<String>,
    /// Samples are taken whose whole name matches this regular expression; all where empty.
    name_match: String,
    /// Samples are left out whose whole name matches this regular expression; none where empty.
    name_except: String,
    /// How many samples one exporter may show; with more it counts as down.
    sample_limit: usize,
    /// Whether times that an exporter gives count, and not the time of the scrape.
    honor_timestamps: bool,
    /// Who asks, for Basic authentication; nobody where empty.
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// A token to show, as `Authorization: Bearer`.
    bearer_token: Option<Secret>,
    /// How long an answer may take. In seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
    /// How TLS is spoken.
    tls: Option<Tls>,
}

impl Default for PrometheusInput {
    fn default() -> PrometheusInput {
        PrometheusInput {
            url: String::new(),
            urls: Vec::new(),
            name_match: String::new(),
            name_except: String::new(),
            sample_limit: 50_000,
            honor_timestamps: true,
            username: String::new(),
            password: None,
            bearer_token: None,
            timeout: Duration::from_secs(10),
            tls: None,
        }
    }
}

impl Described for PrometheusInput {
    const NAME: &'static str = "PrometheusInput";
    const ABOUT: &'static str = "Scrapes exporters of Prometheus.";
    const EXAMPLE: &'static str = "[PrometheusInput]\nurl = \"http://127.0.0.1:9100/metrics\"\n\
        ticker_interval = 10\nname_except = \"go_.*\"\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        ensure!(self.sample_limit > 0, "`sample_limit` has to be above 0");
        ensure!(
            self.bearer_token.is_none() || self.username.is_empty(),
            "`bearer_token` and `username` are given: an exporter asks for one of them"
        );
        self.all_urls()?;
        self.names()?;
        self.site().map(drop)
    }
}

impl PrometheusInput {
    fn all_urls(&self) -> anyhow::Result<Vec<Url>> {
        let written = self.urls.iter().chain((!self.url.is_empty()).then_some(&self.url));
        let mut urls = Vec::new();
        for written in written {
            let mut url = daemon::url("url", written, None)?;
            if url.path() == "/" {
                url.set_path("/metrics");
            }
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        ensure!(!urls.is_empty(), "there is no `url` to scrape");
        let is_secure = urls.iter().any(|url| url.scheme() == "https");
        ensure!(self.tls.is_none() || is_secure, "`tls` is given, but no url is `https://`");
        Ok(urls)
    }

    fn names(&self) -> anyhow::Result<Names> {
        let whole = |name: &str, written: &str| {
            let compiled = Regex::new(&format!("^(?:{written})$"));
            compiled.with_context(|| format!("`{name}` is no regular expression"))
        };
        let except = (!self.name_except.is_empty()).then_some(&self.name_except);
        Ok(Names {
            only: match self.name_match.as_str() {
                "" => None,
                written => Some(whole("name_match", written)?),
            },
            except: except.map(|written| whole("name_except", written)).transpose()?,
        })
    }

    fn site(&self) -> anyhow::Result<Site> {
        Site::new(&self.username, self.password.as_ref(), self.tls.as_ref())
    }
}

#[async_trait]
impl Input for PrometheusInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let mut exporters = JoinSet::new();
        for url in self.all_urls()? {
            let address = daemon::shown(&url);
            let watched = Watched { daemon: "prometheus", address, timeout: self.timeout };
            let exporter = Exporter {
                instance: instance(&url),
                job: cx.name.to_string(),
                url,
                names: self.names()?,
                site: self.site()?,
                settings: (*self).clone(),
            };
            exporters.spawn(daemon::watch(cx.clone(), watched, exporter));
        }
        while let Some(ended) = exporters.join_next().await {
            ended.context("an exporter is no longer scraped")??;
        }
        Ok(())
    }
}

/// Host and port, as Prometheus calls an exporter.
fn instance(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

/// Which samples are taken, by their names.
#[derive(Clone, Debug)]
struct Names {
    only: Option<Regex>,
    except: Option<Regex>,
}

impl Names {
    fn take(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.is_match(name))
            && !self.except.as_ref().is_some_and(|except| except.is_match(name))
    }
}

struct Exporter {
    url: Url,
    instance: String,
    job: String,
    names: Names,
    site: Site,
    settings: PrometheusInput,
}

#[async_trait]
impl Daemon for Exporter {
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut request = self.site.request(Method::GET, &self.url).header(header::ACCEPT, ACCEPT);
        if let Some(token) = &self.settings.bearer_token {
            request = request.bearer_auth(token.reveal());
        }
        let reached = daemon::reach(request, &self.url).await?;
        if let Some(complaint) = self.site.complaint(&self.url, &reached) {
            return Err(complaint);
        }
        let is_open_metrics = reached.content_type.starts_with("application/openmetrics-text");
        let text = String::from_utf8_lossy(&reached.body);
        let count = self.put(&text, is_open_metrics, report)?;
        let own = |name, value| Sample {
            name: std::borrow::Cow::Borrowed(name),
            labels: Vec::new(),
            value,
            time: None,
            kind: "gauge",
            unit: "",
        };
        self.put_sample(&own("scrape_samples_scraped", count as f64), report);
        let seconds = started.elapsed().as_secs_f64();
        self.put_sample(&own("scrape_duration_seconds", seconds), report);
        Ok(())
    }
}

impl Exporter {
    /// Writes all samples and tells how many there were.
    fn put(&self, text: &str, is_open_metrics: bool, report: &mut Report) -> anyhow::Result<usize> {
        let limit = self.settings.sample_limit;
        let mut count = 0;
        let read = prometheus::read(text, is_open_metrics, &mut |sample| {
            count += 1;
            if count <= limit && self.names.take(&sample.name) {
                self.put_sample(&sample, report);
            }
            count <= limit
        });
        read.with_context(|| {
            let url = daemon::shown(&self.url);
            format!("{url} does not show what exporters of prometheus do; is `url` right?")
        })?;
        ensure!(
            count <= limit,
            "there are more than {limit} samples: `sample_limit` says how many may be"
        );
        Ok(count)
    }

    fn put_sample(&self, sample: &Sample<'_>, report: &mut Report) {
        let rate = is_counted(sample).then(|| report.rate(&key(sample), sample.value)).flatten();
        let mut message = report.begin("stats.prometheus");
        if let Some(time) = sample.time.filter(|_| self.settings.honor_timestamps) {
            message.timestamp(time);
        }
        message.string("name", "", sample.name.as_bytes());
        let unit = unit(sample);
        message.double("value", unit, sample.value);
        if let Some(rate) = rate {
            let per_second = if unit.is_empty() { "1/s".to_owned() } else { format!("{unit}/s") };
            message.double("rate", &per_second, rate);
        }
        if !sample.kind.is_empty() {
            message.string("type", "", sample.kind.as_bytes());
        }
        message.string("instance", "", self.instance.as_bytes());
        message.string("job", "", self.job.as_bytes());
        put_labels(sample, &mut message);
        Report::finish(message);
    }
}

/// What names a series in a round.
fn key(sample: &Sample<'_>) -> String {
    let mut key = sample.name.to_string();
    for (name, value) in &sample.labels {
        key.push('\0');
        key.push_str(name);
        key.push('\0');
        key.push_str(value);
    }
    key
}

fn put_labels(sample: &Sample<'_>, message: &mut Builder<'_>) {
    for (name, value) in &sample.labels {
        if OURS.contains(&name.as_ref()) {
            message.string(&format!("exported_{name}"), "", value.as_bytes());
        } else {
            message.string(name, "", value.as_bytes());
        }
    }
}

/// Tells whether a sample only grows, as long as the exporter runs.
fn is_counted(sample: &Sample<'_>) -> bool {
    let ends = |end| sample.name.ends_with(end);
    match sample.kind {
        "counter" => !ends("_created"),
        "histogram" => ends("_bucket") || ends("_count") || ends("_sum"),
        "summary" => ends("_count") || ends("_sum"),
        _ => false,
    }
}

/// The unit of a sample: as it is said, or as its name says by what is agreed on.
fn unit(sample: &Sample<'_>) -> &'static str {
    let name = sample.name.as_ref();
    if name.ends_with("_count") || name.ends_with("_bucket") {
        return "";
    }
    let name = ["_total", "_sum", "_in_total", "_out_total"]
        .iter()
        .rev()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    let last = if sample.unit.is_empty() {
        name.rsplit('_').next().unwrap_or_default()
    } else {
        sample.unit
    };
    match last {
        "seconds" => "s",
        "milliseconds" => "ms",
        "bytes" => "B",
        "percent" => "%",
        "celsius" => "C",
        "volts" => "V",
        "amperes" => "A",
        "joules" => "J",
        "grams" => "g",
        "meters" => "m",
        "hertz" => "Hz",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value;

    fn exporter(settings: &str) -> Exporter {
        let text = format!("url = 'http://me@host:9100'\n{settings}");
        let settings: PrometheusInput = toml::from_str(&text).unwrap();
        settings.check().unwrap();
        let url = settings.all_urls().unwrap().remove(0);
        Exporter {
            instance: instance(&url),
            job: "node".to_owned(),
            url,
            names: settings.names().unwrap(),
            site: settings.site().unwrap(),
            settings,
        }
    }

    #[test]
    fn samples_become_messages_with_labels_units_and_rates() {
        let text = |count| {
            format!(
                "# TYPE sent_bytes_total counter\nsent_bytes_total{{name=\"x\",dev=\"eth0\"}} {count}\n\
                 # TYPE load gauge\nload 2 1700000000000\ngo_x 1\n"
            )
        };
        let exporter = exporter("name_except = 'go_.*'");
        let mut report = Report::new(crate::plugin::Origin::default());
        report.start();
        assert_eq!(exporter.put(&text(10), false, &mut report).unwrap(), 3);
        report.take();
        report.start_after(5.0);
        exporter.put(&text(20), false, &mut report).unwrap();
        let batches = report.take();
        assert_eq!(batches[0].len(), 2);
        let told = batches[0].message(0);
        for (name, unit, expected) in [
            ("name", "", Value::String(b"sent_bytes_total")),
            ("value", "B", Value::Double(20.0)),
            ("rate", "B/s", Value::Double(2.0)),
            ("type", "", Value::String(b"counter")),
            ("instance", "", Value::String(b"host:9100")),
            ("job", "", Value::String(b"node")),
            ("exported_name", "", Value::String(b"x")),
            ("dev", "", Value::String(b"eth0")),
        ] {
            let field = told.field(name.as_bytes(), 0).unwrap();
            assert_eq!(field.only_value(), Some(expected), "{name}");
            assert_eq!(field.representation(), unit.as_bytes(), "{name}");
        }
        let load = batches[0].message(1);
        assert_eq!(load.timestamp(), 1_700_000_000_000_000_000);
        assert!(load.field(b"rate", 0).is_none());
    }

    #[test]
    fn what_is_no_exporter_or_shows_too_much_is_told() {
        let mut report = Report::new(crate::plugin::Origin::default());
        let error = exporter("").put("<html>", false, &mut report).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("is `url` right?: line 1 is no sample: it has no value"), "{text}");
        let error = exporter("sample_limit = 1").put("a 1\nb 2\n", false, &mut report).unwrap_err();
        assert!(error.to_string().starts_with("there are more than 1 samples"), "{error}");
    }
}
