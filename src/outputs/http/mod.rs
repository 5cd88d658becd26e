//! A request for each record, or for many.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use reqwest::Client;
use reqwest::Method;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;
use reqwest::header::RETRY_AFTER;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use crate::net::Tls;
use crate::net::http;
use crate::net::http::ClientOptions;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// As long as a server may ask to be left alone.
const MAX_PAUSE: Duration = Duration::from_mins(1);
/// As much of an answer is read, to use the connection again and to tell of it, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// As much of an answer is told, in characters.
const SHOWN: usize = 200;

/// Sends records to an HTTP server.
///
/// An answer below 400 means that the record is taken. 408, 425, 429 and all from 500 on are tried
/// again, after the time the server names in `Retry-After`; every other refuses the record.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct HttpOutput {
    settings: Settings,
    method: Method,
    url: Url,
    headers: HeaderMap,
    client: Option<Client>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The URL, `http://` or `https://`.
    address: String,
    /// The method.
    #[serde(default = "post")]
    method: String,
    /// Who sends, for Basic authentication; nobody where empty.
    #[serde(default)]
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// Further headers: a text each, or a list of texts.
    #[serde(default)]
    headers: BTreeMap<String, Header>,
    /// How long a request may take, 0 is no limit. In milliseconds.
    #[serde(default, deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    http_timeout: Duration,
    /// Whether many records go in one request, one behind the other.
    #[serde(default)]
    batch: bool,
    /// How TLS is spoken.
    tls: Option<Tls>,
}

fn post() -> String {
    "POST".to_owned()
}

impl TryFrom<Settings> for HttpOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<HttpOutput> {
        let address = settings.address.as_str();
        let url = Url::parse(address).with_context(|| format!("`{address}` is no url"))?;
        anyhow::ensure!(
            matches!(url.scheme(), "http" | "https"),
            "`{address}` is no address for http, expected `http://` or `https://`"
        );
        let method = settings.method.to_ascii_uppercase();
        let method = Method::from_bytes(method.as_bytes())
            .with_context(|| format!("`{}` is no method of http", settings.method))?;
        let mut headers = HeaderMap::new();
        for (name, Header(values)) in &settings.headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .with_context(|| format!("`{name}` is no name of a header"))?;
            for value in values {
                let value = HeaderValue::from_str(value)
                    .with_context(|| format!("the value of the header `{name}` is none"))?;
                headers.append(name.clone(), value);
            }
        }
        Ok(HttpOutput { settings, method, url, headers, client: None })
    }
}

impl JsonSchema for HttpOutput {
    fn schema_name() -> Cow<'static, str> {
        "HttpOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for HttpOutput {
    const NAME: &'static str = "HttpOutput";
    const ABOUT: &'static str = "Sends records to an HTTP server, a request each.";
    const EXAMPLE: &'static str = "[HttpOutput]\nmessage_matcher = \"Type == 'alert'\"\n\
        encoder = \"JsonEncoder\"\naddress = \"https://alerts.example.com/new\"\n\
        http_timeout = \"10s\"\n\n\
        [HttpOutput.headers]\nContent-Type = \"application/json\"\n";

    fn check(&self) -> anyhow::Result<()> {
        let has_tls = self.settings.tls.is_some();
        anyhow::ensure!(
            !has_tls || self.url.scheme() == "https",
            "`tls` is given, but `address` is `http://`, which is for all to read"
        );
        self.client()?;
        Ok(())
    }
}

#[async_trait]
impl Output for HttpOutput {
    async fn open(&mut self, _cx: &OutputContext) -> Result<(), Failure> {
        self.client = Some(self.client().map_err(|error| Failure::Stop(error.into()))?);
        Ok(())
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        let records = load.records().len();
        if self.settings.batch && records > 1 {
            match self.request(load.rest().to_vec()).await {
                Ok(()) => {
                    load.advance(records);
                    return Ok(Sent::Done);
                }
                // One of them is not wanted: each for itself shows which.
                Err(Failure::Reject(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        for _ in 0..records {
            self.request(load.encoded.record(load.first()).to_vec()).await?;
            load.advance(1);
        }
        Ok(Sent::Done)
    }
}

impl HttpOutput {
    fn client(&self) -> Result<Client, crate::net::Error> {
        let timeout = self.settings.http_timeout;
        let options = ClientOptions {
            timeout: (!timeout.is_zero()).then_some(timeout),
            ..ClientOptions::default()
        };
        http::client(self.settings.tls.as_ref(), options)
    }

    async fn request(&self, body: Vec<u8>) -> Result<(), Failure> {
        let client = self.client.as_ref().context("it is not open").map_err(Failure::Retry)?;
        let mut request = client
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .body(body);
        if !self.settings.username.is_empty() {
            request = self.authenticated(request);
        }
        let sent = request.send().await.with_context(|| format!("cannot reach {}", self.shown()));
        let response = sent.map_err(Failure::Retry)?;
        let status = response.status();
        let pause = retry_after(&response);
        let answer = read(response).await;
        if status.as_u16() < 400 {
            return Ok(());
        }
        let error = anyhow!("{} answered {status}: {answer}", self.shown());
        if !may_come_right(status) {
            return Err(Failure::Reject(error));
        }
        if let Some(pause) = pause {
            tokio::time::sleep(pause.min(MAX_PAUSE)).await;
        }
        Err(Failure::Retry(error))
    }

    fn authenticated(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(
            &self.settings.username,
            self.settings.password.as_ref().map(Secret::reveal),
        )
    }

    /// The URL without what may be secret in it.
    fn shown(&self) -> String {
        let mut url = self.url.clone();
        let _ = url.set_password(None);
        url.set_query(None);
        url.to_string()
    }
}

/// Tells whether the same request may be answered otherwise later.
fn may_come_right(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// How long the server wants to be left alone; dates are not read.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Reads an answer, up to a bound, and gives the start of it for a report.
async fn read(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

/// The values of a header.
#[derive(Clone, Debug, Default)]
struct Header(Vec<String>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Header, D::Error> {
        from.deserialize_any(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> serde::de::Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Header, E> {
        Ok(Header(vec![text.to_owned()]))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Header, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Header(values))
    }
}

impl JsonSchema for Header {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Header".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" } }
            ]
        })
    }
}
