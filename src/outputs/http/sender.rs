//! Requests as all outputs over HTTP make them, and what an answer means.
//!
//! | answer | means |
//! | --- | --- |
//! | below 400 | taken |
//! | 401, 402, 403, 404, 405, 407, 410 | a mistake of ours that concerns every record: it is tried again until somebody has mended it, with what to look at in the report |
//! | 408, 425, 429, 500 and above | it may work later, after the time in `Retry-After` |
//! | all others | the body is refused |

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use chrono::DateTime;
use chrono::Utc;
use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::CONTENT_ENCODING;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;
use reqwest::header::RETRY_AFTER;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::plugin::Failure;
use crate::stdx::secret::Secret;

/// As long as a server may ask to be left alone.
const MAX_PAUSE: Duration = Duration::from_mins(1);
/// As much of an answer is read, in bytes: that to 100 000 documents has about 10 MB.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// As much of an answer is told, in characters.
const SHOWN: usize = 300;

/// How a body is made smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::outputs) enum Compression {
    #[default]
    None,
    Gzip,
    Deflate,
    Zstd,
}

impl Compression {
    /// The name in `Content-Encoding`.
    fn name(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Deflate => Some("deflate"),
            Compression::Zstd => Some("zstd"),
        }
    }

    fn apply(self, body: Vec<u8>) -> std::io::Result<Vec<u8>> {
        let fast = flate2::Compression::fast();
        match self {
            Compression::None => Ok(body),
            Compression::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), fast);
                writer.write_all(&body)?;
                writer.finish()
            }
            Compression::Deflate => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), fast);
                writer.write_all(&body)?;
                writer.finish()
            }
            Compression::Zstd => zstd::bulk::compress(&body, 1),
        }
    }
}

/// Makes requests.
#[derive(Debug)]
pub(in crate::outputs) struct Sender {
    pub(in crate::outputs) client: reqwest::Client,
    pub(in crate::outputs) method: Method,
    pub(in crate::outputs) headers: HeaderMap,
    pub(in crate::outputs) username: String,
    pub(in crate::outputs) password: Option<Secret>,
    pub(in crate::outputs) compression: Compression,
}

/// What a server said.
#[derive(Debug)]
pub(in crate::outputs) struct Answer {
    /// Whom was asked, without what may be secret.
    pub(in crate::outputs) place: String,
    pub(in crate::outputs) status: StatusCode,
    pub(in crate::outputs) body: Vec<u8>,
    pause: Option<Duration>,
}

impl Sender {
    /// Sends a body; an answer of any status is one.
    ///
    /// # Errors
    /// When there is no answer.
    pub(in crate::outputs) async fn send(
        &self,
        url: &Url,
        body: Vec<u8>,
    ) -> anyhow::Result<Answer> {
        self.send_with(url, &HeaderMap::new(), body).await
    }

    /// As [`Sender::send`], with further headers.
    pub(in crate::outputs) async fn send_with(
        &self,
        url: &Url,
        headers: &HeaderMap,
        body: Vec<u8>,
    ) -> anyhow::Result<Answer> {
        let place = shown(url);
        let body = self.compression.apply(body).context("cannot compress a body")?;
        let mut request = self
            .client
            .request(self.method.clone(), url.clone())
            .headers(self.headers.clone())
            .headers(headers.clone())
            .body(body);
        if let Some(name) = self.compression.name() {
            request = request.header(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        if !self.username.is_empty() {
            let password = self.password.as_ref().map(Secret::reveal);
            request = request.basic_auth(&self.username, password);
        }
        let response = match request.send().await {
            Ok(response) => response,
            // The URL is told without its secrets.
            Err(error) => {
                let error = anyhow::Error::from(error.without_url());
                return Err(error.context(format!("cannot reach {place}")));
            }
        };
        let (status, pause) = (response.status(), retry_after(&response));
        let body = read(response).await.with_context(|| format!("no answer from {place}"))?;
        Ok(Answer { place, status, body, pause })
    }
}

impl Answer {
    /// Tells whether the server has taken the body.
    pub(in crate::outputs) fn is_taken(&self) -> bool {
        self.status.as_u16() < 400
    }

    /// Tells whether the body, or something in it, is refused for what it is.
    pub(in crate::outputs) fn is_refused(&self) -> bool {
        !self.is_taken() && hint(self.status).is_none() && !may_come_right(self.status)
    }

    /// Tells whether a smaller body may be taken.
    pub(in crate::outputs) fn is_too_large(&self) -> bool {
        self.status == StatusCode::PAYLOAD_TOO_LARGE
    }

    /// Tells whether it was taken with errors, which this member of a JSON answer lists.
    pub(in crate::outputs) fn lists_errors(&self, member: &str) -> bool {
        if !self.is_taken() {
            return false;
        }
        let answer: Result<Value, _> = serde_json::from_slice(&self.body);
        let errors = answer.ok().and_then(|mut answer| answer.get_mut(member).map(Value::take));
        match errors {
            Some(Value::Array(list)) => !list.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Bool(is_wrong)) => is_wrong,
            Some(Value::Number(_) | Value::Null) | None => false,
        }
    }

    /// What was answered, for a report.
    pub(in crate::outputs) fn error(&self) -> anyhow::Error {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        let said = if text.is_empty() { String::new() } else { format!(": {text}") };
        let hint = hint(self.status).map_or(String::new(), |hint| format!(" ({hint})"));
        anyhow!("{} answered {}{said}{hint}", self.place, self.status)
    }

    /// The failure that an answer is which is not [taken](Answer::is_taken); waits as long as the
    /// server wants to be left alone.
    pub(in crate::outputs) async fn failure(self) -> Failure {
        if self.is_refused() {
            return Failure::Reject(self.error());
        }
        self.rest().await;
        Failure::Retry(self.error())
    }

    /// Waits as long as the server wants to be left alone.
    pub(in crate::outputs) async fn rest(&self) {
        if let Some(pause) = self.pause {
            tokio::time::sleep(pause.min(MAX_PAUSE)).await;
        }
    }
}

/// What to look at, where the answer is about us and not about what was sent.
fn hint(status: StatusCode) -> Option<&'static str> {
    match status.as_u16() {
        401 | 407 => Some("look at `username` and `password`, or at the key among `headers`"),
        402 | 403 => Some("the user, or the key, is not allowed to do this"),
        404 => Some("look at the path in the address, and whether what it names exists"),
        410 => Some("what the address names is gone: it has to be another one"),
        405 => Some("look at `method` and at the path in the address"),
        _ => None,
    }
}

/// Tells whether the same request may be answered otherwise later.
fn may_come_right(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// How long the server wants to be left alone: seconds, or the time until a date.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    until.signed_duration_since(Utc::now()).to_std().ok()
}

/// Reads an answer, up to a bound.
async fn read(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            break;
        }
    }
    Ok(bytes)
}

/// A URL without what may be secret in it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

/// Reads the URL of a server, `http://` or `https://`.
///
/// # Errors
/// When it is none.
pub(in crate::outputs) fn url(address: &str) -> anyhow::Result<Url> {
    let url = Url::parse(address).with_context(|| format!("`{address}` is no url"))?;
    anyhow::ensure!(
        matches!(url.scheme(), "http" | "https"),
        "`{address}` is no address for http, expected `http://` or `https://`"
    );
    Ok(url)
}
