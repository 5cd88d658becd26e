//! nginx: the page of `stub_status`.

use std::time::Duration;

use anyhow::Context;
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
use crate::net::Tls;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// Asks nginx at once and then every `ticker_interval` for its `stub_status` page: a message of the type
/// `stats.nginx` with the connections by what they do, what was accepted, handled, dropped and requested
/// since the start, and the rates of these. A server that does not answer is told of once as
/// `daemon.down`, and once as `daemon.up` when it is back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NginxStatusInput {
    /// The URL of the page.
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

impl Default for NginxStatusInput {
    fn default() -> NginxStatusInput {
        NginxStatusInput {
            url: "http://127.0.0.1/nginx_status".to_owned(),
            username: String::new(),
            password: None,
            timeout: Duration::from_secs(5),
            tls: None,
        }
    }
}

impl Described for NginxStatusInput {
    const NAME: &'static str = "NginxStatusInput";
    const ABOUT: &'static str = "Asks nginx for its stub_status page.";
    const EXAMPLE: &'static str = "# In nginx: location /nginx_status { stub_status; allow 127.0.0.1; deny all; }\n\
        [NginxStatusInput]\nurl = \"http://127.0.0.1/nginx_status\"\nticker_interval = 10\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        daemon::url("url", &self.url, self.tls.as_ref())?;
        self.site().map(drop)
    }
}

impl NginxStatusInput {
    fn site(&self) -> anyhow::Result<Site> {
        Site::new(&self.username, self.password.as_ref(), self.tls.as_ref())
    }
}

#[async_trait]
impl Input for NginxStatusInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let url = daemon::url("url", &self.url, self.tls.as_ref())?;
        let address = daemon::shown(&url);
        let watched = Watched { daemon: "nginx", address, timeout: self.timeout };
        daemon::watch(cx, watched, Nginx { site: self.site()?, url }).await
    }
}

struct Nginx {
    site: Site,
    url: Url,
}

#[async_trait]
impl Daemon for Nginx {
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let page = self.site.text(&self.url).await?;
        let numbers = read(&page).with_context(|| {
            format!("{} is no page of stub_status; is `url` right?", daemon::shown(&self.url))
        })?;
        put(&numbers, report);
        Ok(())
    }
}

/// The numbers of the page, in order: active; accepts, handled, requests; reading, writing, waiting.
fn read(page: &str) -> Option<[i64; 7]> {
    let mut words = page.split_ascii_whitespace();
    let starts = words.next() == Some("Active") && words.next() == Some("connections:");
    let mut numbers = words.filter_map(|word| word.parse().ok());
    let mut next = || numbers.next();
    let all = [next()?, next()?, next()?, next()?, next()?, next()?, next()?];
    starts.then_some(all)
}

fn put(numbers: &[i64; 7], report: &mut Report) {
    let [active, accepts, handled, requests, reading, writing, waiting] = *numbers;
    let dropped = accepts.saturating_sub(handled);
    let counts = [
        ("accepts", "accepts_per_second", accepts),
        ("handled", "handled_per_second", handled),
        ("dropped", "dropped_per_second", dropped),
        ("requests", "requests_per_second", requests),
    ];
    let rates = counts.map(|(name, _, count)| report.rate(name, count as f64));
    let mut message = report.begin("stats.nginx");
    let gauges =
        [("active", active), ("reading", reading), ("writing", writing), ("waiting", waiting)];
    for (name, value) in gauges {
        message.integer(name, "", value);
    }
    for ((name, rate_name, count), rate) in counts.into_iter().zip(rates) {
        message.integer(name, "", count);
        if let Some(rate) = rate {
            message.double(rate_name, "1/s", rate);
        }
    }
    Report::finish(message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_read_and_no_other() {
        let page = "Active connections: 2 \nserver accepts handled requests\n 7 6 9 \n\
            Reading: 0 Writing: 1 Waiting: 1 \n";
        assert_eq!(read(page), Some([2, 7, 6, 9, 0, 1, 1]));
        assert_eq!(read("<html>Active connections: 1 2 3 4 5 6 7</html>"), None);
        assert_eq!(read("Active connections: 2"), None);
    }
}
