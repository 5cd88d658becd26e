//! OTLP over HTTP: messages to collectors of OpenTelemetry and to what takes the same, Heka included.
//!
//! Requests are protobuf. What an answer's status means stands in `http/sender.rs`; a server that is busy
//! says with `Retry-After` how long to wait. A partial success says how many records were rejected, and not
//! which; they must not be sent again. Where it is all of them they are refused one by one; where it is some,
//! all records of the request go to the dead letters, with the reason, so that none is lost.

mod attributes;
mod logs;
mod metrics;
#[cfg(test)]
mod tests;
mod traces;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::Method;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use self::metrics::Naming;
use super::http::Answer;
use super::http::Compression;
use super::http::Sender;
use super::http::url;
use crate::message::Message;
use crate::message::Places;
use crate::net::Tls;
use crate::net::http;
use crate::net::http::ClientOptions;
use crate::plugin::Batching;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// A load gets no more records at this size, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Sends messages by OTLP over HTTP. Those that OtlpInput made of logs, metrics and spans are what they were;
/// all others are records of logs, or with `metrics = true` a gauge for each number.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct OtlpOutput {
    settings: Settings,
    naming: Naming,
    open: Option<(Urls, Sender)>,
    /// Why the first records of the load that comes next are refused.
    refused: VecDeque<anyhow::Error>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The URL, before `/v1/logs`, `/v1/metrics` and `/v1/traces`.
    address: String,
    /// Who sends, for Basic authentication; nobody where empty.
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// Further headers, such as one for a key.
    headers: BTreeMap<String, Secret>,
    /// How requests are compressed: `none`, `gzip`, `deflate` or `zstd`.
    compression: Compression,
    /// Whether the numbers of messages are sent, and not the messages as records of logs.
    metrics: bool,
    /// What stands before the name of a field that becomes a gauge, such as `%{Type}.`.
    metric_prefix: Option<Places>,
    /// Which fields become gauges; all that are numbers when empty.
    fields: Vec<String>,
    /// Messages are sent when so many wait; what else is there goes along.
    flush_count: usize,
    /// Messages are sent when one has waited for so long. In milliseconds.
    #[serde(deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    flush_interval: Duration,
    /// How long a request may take, 0 is no limit. In milliseconds.
    #[serde(deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    http_timeout: Duration,
    /// How TLS is spoken.
    tls: Option<Tls>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            address: "http://127.0.0.1:4318".to_owned(),
            username: String::new(),
            password: None,
            headers: BTreeMap::new(),
            compression: Compression::Gzip,
            metrics: false,
            metric_prefix: None,
            fields: Vec::new(),
            flush_count: 500,
            flush_interval: Duration::from_secs(1),
            http_timeout: Duration::from_secs(10),
            tls: None,
        }
    }
}

impl TryFrom<Settings> for OtlpOutput {
    type Error = anyhow::Error;

    fn try_from(mut settings: Settings) -> anyhow::Result<OtlpOutput> {
        let naming = Naming {
            prefix: settings.metric_prefix.take(),
            fields: std::mem::take(&mut settings.fields),
        };
        Ok(OtlpOutput { settings, naming, open: None, refused: VecDeque::new() })
    }
}

impl JsonSchema for OtlpOutput {
    fn schema_name() -> Cow<'static, str> {
        "OtlpOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for OtlpOutput {
    const NAME: &'static str = "OtlpOutput";
    const ABOUT: &'static str = "Sends logs, metrics and spans to collectors of OpenTelemetry.";
    const EXAMPLE: &'static str = "[OtlpOutput]\nmessage_matcher = \"Type =~ /^otlp/\"\n\
        address = \"https://collector.example.com:4318\"\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("ProtobufEncoder"), ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        self.sender().map(drop)
    }
}

#[async_trait]
impl Output for OtlpOutput {
    async fn open(&mut self, _cx: &OutputContext) -> Result<(), Failure> {
        self.open = Some(self.sender().map_err(Failure::Stop)?);
        Ok(())
    }

    fn batching(&self) -> Option<Batching> {
        let (records, interval) = (self.settings.flush_count, self.settings.flush_interval);
        Some(Batching { records, bytes: MAX_BYTES, interval })
    }

    fn reads_messages(&self) -> bool {
        true
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        if let Some(reason) = self.refused.pop_front() {
            return Err(Failure::Reject(reason));
        }
        while load.records().len() > 0 {
            self.send_alike(load).await?;
        }
        Ok(Sent::Done)
    }
}

/// What a request is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Logs,
    Metrics,
    Traces,
}

/// Where requests go.
#[derive(Debug)]
struct Urls {
    logs: Url,
    metrics: Url,
    traces: Url,
}

impl OtlpOutput {
    fn sender(&self) -> anyhow::Result<(Urls, Sender)> {
        let settings = &self.settings;
        let options = ClientOptions {
            timeout: Some(settings.http_timeout).filter(|timeout| !timeout.is_zero()),
            ..ClientOptions::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        for (name, value) in &settings.headers {
            let name =
                HeaderName::try_from(name).with_context(|| format!("`{name}` is no header"))?;
            let value = HeaderValue::from_str(value.reveal());
            let mut value = value.with_context(|| format!("`{name}` fits into no header"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let sender = Sender {
            client: http::client(settings.tls.as_ref(), options)?,
            method: Method::POST,
            headers,
            username: settings.username.clone(),
            password: settings.password.clone(),
            compression: settings.compression,
        };
        let base = settings.address.trim_end_matches('/');
        let urls = Urls {
            logs: url(&format!("{base}/v1/logs"))?,
            metrics: url(&format!("{base}/v1/metrics"))?,
            traces: url(&format!("{base}/v1/traces"))?,
        };
        Ok((urls, sender))
    }

    fn signal(&self, message: &Message<'_>, spans: &mut traces::Seen) -> Signal {
        match message.message_type() {
            traces::SPAN | traces::EVENT if spans.is_traced(message) => Signal::Traces,
            b"otlp.metric" => Signal::Metrics,
            b"otlp.log" => Signal::Logs,
            _ if self.settings.metrics => Signal::Metrics,
            _ => Signal::Logs,
        }
    }

    /// Sends all records that are of the same kind as the first.
    async fn send_alike(&mut self, load: &mut Load) -> Result<(), Failure> {
        let lost = || Failure::Retry(anyhow!("the message is not there"));
        let mut spans = traces::Seen::default();
        let signal = self.signal(&load.message(load.first()).ok_or_else(lost)?, &mut spans);
        let is_alike =
            |at: &usize| load.message(*at).is_some_and(|it| self.signal(&it, &mut spans) == signal);
        let (mut alike, others): (Vec<usize>, Vec<usize>) =
            (load.first()..load.encoded.len()).partition(is_alike);
        let mut size = alike.len();
        loop {
            let (url, body, points) = self.request(load, signal, &alike[..size])?;
            // There is nothing to tell of a message without a number.
            let answer = if points == 0 { None } else { Some(self.ask(&url, body).await?) };
            let rejected = match &answer {
                None => None,
                Some(answer) if answer.is_taken() => partial(signal, answer),
                Some(answer) if answer.is_refused() && half(load, &alike, size) < size => {
                    size = half(load, &alike, size);
                    continue;
                }
                Some(_) => {
                    alike.extend(others);
                    load.keep(&alike);
                    return Err(match answer {
                        Some(answer) => answer.failure().await,
                        None => lost(),
                    });
                }
            };
            let sent: Vec<usize> = alike.drain(..size).collect();
            if let Some((count, why)) = rejected {
                let kept: Vec<usize> = sent.iter().chain(&alike).chain(&others).copied().collect();
                load.keep(&kept);
                let text = if count >= i64::try_from(points).unwrap_or(i64::MAX) {
                    format!("the collector rejects it: {why}")
                } else {
                    format!(
                        "the collector rejects {count} of {points} and does not say which: {why}"
                    )
                };
                self.refused = (1..sent.len()).map(|_| anyhow!("{text}")).collect();
                return Err(Failure::Reject(anyhow!("{text}")));
            }
            if alike.is_empty() {
                load.keep(&others);
                return Ok(());
            }
            size = alike.len();
        }
    }

    async fn ask(&self, url: &Url, body: Vec<u8>) -> Result<Answer, Failure> {
        let (_, sender) = self.open.as_ref().context("it is not open").map_err(Failure::Retry)?;
        sender.send(url, body).await.map_err(Failure::Retry)
    }

    /// Where to, the body, and how many records or data points it has.
    fn request(
        &mut self,
        load: &Load,
        signal: Signal,
        records: &[usize],
    ) -> Result<(Url, Vec<u8>, usize), Failure> {
        let (urls, _) = self.open.as_ref().context("it is not open").map_err(Failure::Retry)?;
        let messages = records.iter().filter_map(|at| load.message(*at));
        Ok(match signal {
            Signal::Logs => {
                let body = logs::request(messages).encode_to_vec();
                (urls.logs.clone(), body, records.len())
            }
            Signal::Metrics => {
                let request = metrics::request(messages, &mut self.naming);
                let scopes = request.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
                // Each metric has one point.
                let points = scopes.map(|it| it.metrics.len()).sum();
                (urls.metrics.clone(), request.encode_to_vec(), points)
            }
            Signal::Traces => {
                let (request, spans) = traces::request(messages);
                (urls.traces.clone(), request.encode_to_vec(), spans)
            }
        })
    }
}

/// Half of the first `size` records at `alike`, or more: events stay with their span.
fn half(load: &Load, alike: &[usize], size: usize) -> usize {
    let is_event = |at: &usize| {
        load.message(*at).is_some_and(|message| message.message_type() == traces::EVENT)
    };
    let half = size.div_ceil(2);
    half + alike[half..size].iter().take_while(|at| is_event(at)).count()
}

/// How many were rejected, and why; an answer that cannot be read says nothing of it.
fn partial(signal: Signal, answer: &Answer) -> Option<(i64, String)> {
    let (count, why) = match signal {
        Signal::Logs => {
            let read = ExportLogsServiceResponse::decode(&*answer.body).ok()?;
            let partial = read.partial_success?;
            (partial.rejected_log_records, partial.error_message)
        }
        Signal::Metrics => {
            let read = ExportMetricsServiceResponse::decode(&*answer.body).ok()?;
            let partial = read.partial_success?;
            (partial.rejected_data_points, partial.error_message)
        }
        Signal::Traces => {
            let read = ExportTraceServiceResponse::decode(&*answer.body).ok()?;
            let partial = read.partial_success?;
            (partial.rejected_spans, partial.error_message)
        }
    };
    (count > 0).then_some((count, why))
}
