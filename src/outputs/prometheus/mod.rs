//! Prometheus: shown to be scraped, or written to it.

mod remote_write;
mod series;
#[cfg(test)]
mod tests;

pub(super) use self::remote_write::PrometheusRemoteWriteOutput;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use async_trait::async_trait;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use self::series::Shown;
use super::connection;
use crate::formats::prometheus;
use crate::net::Address;
use crate::net::ListenOptions;
use crate::net::Listener;
use crate::net::StreamNet;
use crate::net::Tls;
use crate::net::http;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Listens;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::stdx::duration;

/// So many may scrape at once.
const MAX_CONNECTIONS: usize = 64;

/// Shows the last number of each series to a Prometheus that scrapes it.
///
/// What is shown is kept in memory: after a start it is what has come since. A series that has not come
/// for a while is shown no more, so that Prometheus takes it for gone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PrometheusOutput {
    /// Where it listens, `host:port`.
    #[serde(default = "address", deserialize_with = "connection::tcp_address")]
    #[schemars(with = "String")]
    address: Address,
    /// The path it answers.
    #[serde(default = "path")]
    path: String,
    /// A series that has not come for so long is shown no more. In seconds.
    #[serde(default = "expire_after", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    expire_after: Duration,
    /// A series beyond so many is refused.
    #[serde(default = "max_series")]
    max_series: usize,
    /// Whether TLS is spoken; it is not where this is left out.
    use_tls: Option<bool>,
    /// How TLS is spoken.
    tls: Option<Tls>,
    #[serde(skip)]
    shown: Arc<Mutex<Shown>>,
    #[serde(skip)]
    stopping: Option<CancellationToken>,
}

fn address() -> Address {
    Address::stream(StreamNet::Tcp, "127.0.0.1:9352").expect("it is an address")
}

fn path() -> String {
    "/metrics".to_owned()
}

fn expire_after() -> Duration {
    Duration::from_mins(5)
}

fn max_series() -> usize {
    100_000
}

impl Described for PrometheusOutput {
    const NAME: &'static str = "PrometheusOutput";
    const ABOUT: &'static str = "Shows numbers of messages to a Prometheus that scrapes them.";
    const EXAMPLE: &'static str = "[PrometheusOutput]\nmessage_matcher = \"Type =~ /^stats/\"\n\
        address = \"0.0.0.0:9352\"\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("PrometheusEncoder"), ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.path.starts_with('/'), "`{}` is no path, it begins with /", self.path);
        Tls::server_wanted(self.use_tls, self.tls.as_ref())?;
        Ok(())
    }
}

#[async_trait]
impl Output for PrometheusOutput {
    fn listens(&self) -> Option<Listens> {
        Some(Listens { net: StreamNet::Tcp.word(), address: self.address.to_string(), mode: None })
    }

    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        let tls = Tls::server_wanted(self.use_tls, self.tls.as_ref());
        let tls = tls.map_err(|error| Failure::Stop(error.into()))?;
        let options =
            ListenOptions { keep_alive: None, max_connections: MAX_CONNECTIONS, tls, mode: None };
        let bound = Listener::bind(&self.address, options).await;
        let listener = bound.map_err(|error| Failure::Retry(error.into()))?;
        let output = cx.name.to_string();
        if let Some(address) = listener.local_address() {
            tracing::info!(output, %address, "listening");
        }
        let (shown, expire_after) = (self.shown.clone(), self.expire_after);
        let answer = move || {
            let text = locked(&shown).text(Instant::now(), expire_after);
            async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
        };
        let router = Router::new().route(&self.path, get(answer));
        let stopping = CancellationToken::new();
        self.stopping = Some(stopping.clone());
        tokio::spawn(async move {
            if let Err(error) = http::serve(&output, listener, router, stopping).await {
                tracing::error!(output, %error, "it shows nothing any more");
            }
        });
        Ok(())
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        while load.records().len() > 0 {
            self.take(load.encoded.record(load.first())).map_err(Failure::Reject)?;
            load.advance(1);
        }
        Ok(Sent::Done)
    }

    async fn close(&mut self) {
        if let Some(stopping) = self.stopping.take() {
            stopping.cancel();
        }
    }
}

impl PrometheusOutput {
    fn take(&self, record: &[u8]) -> anyhow::Result<()> {
        let text = String::from_utf8_lossy(record);
        let (now, mut is_full) = (Instant::now(), false);
        let mut shown = locked(&self.shown);
        prometheus::read(&text, false, &mut |sample| {
            is_full |= !shown.keep(&sample, now, self.max_series);
            true
        })
        .context("the encoder gives no numbers of Prometheus")?;
        let most = self.max_series;
        anyhow::ensure!(!is_full, "there are {most} series already (`max_series`)");
        Ok(())
    }
}

fn locked(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
