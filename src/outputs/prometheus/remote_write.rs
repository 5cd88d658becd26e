//! The protocol by which Prometheus is written to, version 0.1.0: protobuf under snappy.
//!
//! | message | field | what |
//! | --- | --- | --- |
//! | request | 1 | a series, repeated |
//! | series | 1 | a label, repeated, ordered by name; `__name__` is the name |
//! | series | 2 | a sample, repeated, ordered by time |
//! | label | 1, 2 | name, value |
//! | sample | 1, 2 | value, a double; time, milliseconds |

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use reqwest::Method;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use reqwest::header::CONTENT_ENCODING;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::formats::prometheus;
use crate::net::Tls;
use crate::net::http;
use crate::net::http::ClientOptions;
use crate::outputs::http::Compression;
use crate::outputs::http::Sender;
use crate::outputs::http::url;
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
const MAX_BYTES: usize = 1024 * 1024;

/// Writes numbers to Prometheus, Mimir, VictoriaMetrics and what else takes remote write.
///
/// A request that is refused is halved until the record is found that is not wanted: one that is older
/// than what is stored, as a rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::outputs) struct PrometheusRemoteWriteOutput {
    /// The URL, such as `http://127.0.0.1:9090/api/v1/write`; Prometheus needs
    /// `--web.enable-remote-write-receiver`.
    address: String,
    /// Who sends, for Basic authentication; nobody where empty.
    #[serde(default)]
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// A token, instead of a user.
    bearer_token: Option<Secret>,
    /// The tenant, for servers that have several: the header `X-Scope-OrgID`.
    #[serde(default)]
    tenant: String,
    /// Numbers are sent when so many records wait; what else is there goes along.
    #[serde(default = "flush_count")]
    flush_count: usize,
    /// Numbers are sent when a record has waited for so long. In milliseconds.
    #[serde(default = "flush_interval", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    flush_interval: Duration,
    /// How long a request may take, 0 is no limit. In milliseconds.
    #[serde(default = "timeout", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    http_timeout: Duration,
    /// How TLS is spoken.
    tls: Option<Tls>,
    #[serde(skip)]
    open: Option<(Url, Sender)>,
}

fn flush_count() -> usize {
    500
}

fn flush_interval() -> Duration {
    Duration::from_secs(1)
}

fn timeout() -> Duration {
    Duration::from_secs(30)
}

impl Described for PrometheusRemoteWriteOutput {
    const NAME: &'static str = "PrometheusRemoteWriteOutput";
    const ABOUT: &'static str = "Writes numbers of messages to Prometheus by remote write.";
    const EXAMPLE: &'static str = "[PrometheusRemoteWriteOutput]\n\
        message_matcher = \"Type =~ /^stats/\"\naddress = \"http://127.0.0.1:9090/api/v1/write\"\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("PrometheusEncoder"), ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.bearer_token.is_none() || self.username.is_empty(),
            "`bearer_token` and `username` are given, and only one can be used"
        );
        self.sender().map(drop)
    }
}

#[async_trait]
impl Output for PrometheusRemoteWriteOutput {
    async fn open(&mut self, _cx: &OutputContext) -> Result<(), Failure> {
        self.open = Some(self.sender().map_err(Failure::Stop)?);
        Ok(())
    }

    fn batching(&self) -> Option<Batching> {
        let (records, interval) = (self.flush_count, self.flush_interval);
        Some(Batching { records, bytes: MAX_BYTES, interval })
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        let (url, sender) = self.open.as_ref().context("it is not open").map_err(Failure::Retry)?;
        let mut size = load.records().len();
        while load.records().len() > 0 {
            size = size.min(load.records().len());
            let (first, encoded) = (load.first(), &load.encoded);
            let bytes = &encoded.bytes[encoded.start(first)..encoded.start(first + size)];
            let answer = match request(bytes) {
                Ok(body) => sender.send(url, body).await.map_err(Failure::Retry)?,
                Err(error) if size == 1 => return Err(Failure::Reject(error)),
                Err(_) => {
                    size = size.div_ceil(2);
                    continue;
                }
            };
            if answer.is_taken() {
                load.advance(size);
                size = load.records().len();
            } else if size == 1 || !answer.is_refused() {
                return Err(answer.failure().await);
            } else {
                size = size.div_ceil(2);
            }
        }
        Ok(Sent::Done)
    }
}

impl PrometheusRemoteWriteOutput {
    fn sender(&self) -> anyhow::Result<(Url, Sender)> {
        let options = ClientOptions {
            timeout: Some(self.http_timeout).filter(|timeout| !timeout.is_zero()),
            ..ClientOptions::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        let version = HeaderValue::from_static("0.1.0");
        headers.insert("x-prometheus-remote-write-version", version);
        if !self.tenant.is_empty() {
            let tenant = HeaderValue::from_str(&self.tenant);
            headers.insert("x-scope-orgid", tenant.context("`tenant` fits into no header")?);
        }
        if let Some(token) = &self.bearer_token {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()));
            let mut value = value.context("`bearer_token` fits into no header")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let sender = Sender {
            client: http::client(self.tls.as_ref(), options)?,
            method: Method::POST,
            headers,
            username: self.username.clone(),
            password: self.password.clone(),
            compression: Compression::None,
        };
        Ok((url(&self.address)?, sender))
    }
}

/// The labels of a series, and its samples: times and values.
type Series = BTreeMap<Vec<(String, String)>, Vec<(i64, f64)>>;

/// The body of a request with the numbers of these lines.
fn request(lines: &[u8]) -> anyhow::Result<Vec<u8>> {
    let text = String::from_utf8_lossy(lines);
    let now = chrono::Utc::now().timestamp_millis();
    let mut series = Series::new();
    prometheus::read(&text, false, &mut |sample| {
        let own = sample.labels.iter();
        let mut labels: Vec<_> =
            own.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        labels.push(("__name__".to_owned(), sample.name.to_string()));
        labels.sort();
        let time = sample.time.map_or(now, |time| time.div_euclid(1_000_000));
        series.entry(labels).or_default().push((time, sample.value));
        true
    })
    .context("the encoder gives no numbers of Prometheus")?;
    let body = encode(&mut series);
    snap::raw::Encoder::new().compress_vec(&body).context("cannot compress a request")
}

fn encode(series: &mut Series) -> Vec<u8> {
    let mut body = Vec::new();
    let (mut one, mut part) = (Vec::new(), Vec::new());
    for (labels, samples) in series {
        one.clear();
        for (name, value) in labels {
            part.clear();
            put_bytes(1, name.as_bytes(), &mut part);
            put_bytes(2, value.as_bytes(), &mut part);
            put_bytes(1, &part, &mut one);
        }
        samples.sort_by_key(|(time, _)| *time);
        for (time, value) in samples {
            part.clear();
            part.push(0x09);
            part.extend_from_slice(&value.to_le_bytes());
            part.push(0x10);
            put_number(time.cast_unsigned(), &mut part);
            put_bytes(2, &part, &mut one);
        }
        put_bytes(1, &one, &mut body);
    }
    body
}

/// Appends a field of bytes: its tag, its length, itself.
fn put_bytes(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    put_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_it_is_documented() {
        let lines = b"b{x=\"1\"} 2 20\na 0.5 30\nb{x=\"1\"} 1 10\n";
        let body = snap::raw::Decoder::new().decompress_vec(&request(lines).unwrap()).unwrap();
        let sample = |value: f64, time: u8| {
            [&[0x12, 11, 0x09][..], &value.to_le_bytes(), &[0x10, time]].concat()
        };
        let a = [b"\x0a\x0d\x0a\x08__name__\x12\x01a", &sample(0.5, 30)[..]].concat();
        let b = [
            b"\x0a\x0d\x0a\x08__name__\x12\x01b",
            &b"\x0a\x06\x0a\x01x\x12\x011"[..],
            &sample(1.0, 10),
            &sample(2.0, 20),
        ]
        .concat();
        let size = |part: &[u8]| u8::try_from(part.len()).unwrap();
        let expected = [&[0x0a, size(&a)], &a[..], &[0x0a, size(&b)], &b[..]].concat();
        assert_eq!(body, expected);
        assert!(request(b"no number\n").is_err());
    }
}
