//! The client of daemons that answer over HTTP.

use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::ensure;
use reqwest::Client;
use reqwest::RequestBuilder;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::Version;

use crate::net::Tls;
use crate::net::http;
use crate::net::http::ClientOptions;
use crate::stdx::secret::Secret;

/// The largest answer, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// As much of an answer is told where it is an error, in characters.
const SHOWN: usize = 200;

/// Where pages are asked for, and as whom.
#[derive(Debug)]
pub(in crate::inputs) struct Site {
    client: Client,
    username: String,
    password: Option<Secret>,
}

/// What came back.
#[derive(Debug)]
pub(in crate::inputs) struct Reached {
    /// Whether it is what was asked for.
    pub(in crate::inputs) status: StatusCode,
    /// Which HTTP was spoken.
    pub(in crate::inputs) version: Version,
    /// What the body is, as the server says.
    pub(in crate::inputs) content_type: String,
    /// The body.
    pub(in crate::inputs) body: Vec<u8>,
}

/// Reads the URL of the setting `name`.
///
/// # Errors
/// When it is none, or `tls` is given and not spoken.
pub(in crate::inputs) fn url(name: &str, written: &str, tls: Option<&Tls>) -> anyhow::Result<Url> {
    let url = Url::parse(written).with_context(|| format!("`{name}` has `{written}`: no url"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "`{name}` has `{written}`, expected `http://` or `https://` and a host"
    );
    ensure!(
        tls.is_none() || url.scheme() == "https",
        "`tls` is given, but `{name}` is `http://`, which is for all to read"
    );
    Ok(url)
}

/// The URL as it may be told: without user, password and query.
pub(in crate::inputs) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail for URLs without a host alone.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    url.to_string()
}

impl Site {
    /// A client that gives this user and password, where there is one.
    ///
    /// # Errors
    /// When the TLS settings do not work.
    pub(in crate::inputs) fn new(
        username: &str,
        password: Option<&Secret>,
        tls: Option<&Tls>,
    ) -> anyhow::Result<Site> {
        let connect_timeout = Some(Duration::from_secs(10));
        // A connection that was kept may be closed by the server just when it is asked again, which is no
        // reason to call it down.
        let options = ClientOptions { timeout: None, connect_timeout, is_one_shot: true };
        let client = http::client(tls, options)?;
        ensure!(
            password.is_none() || !username.is_empty(),
            "`password` is given, but no `username` that it belongs to"
        );
        Ok(Site { client, username: username.to_owned(), password: password.cloned() })
    }

    /// Starts a request.
    pub(in crate::inputs) fn request(&self, method: reqwest::Method, url: &Url) -> RequestBuilder {
        let request = self.client.request(method, url.clone());
        if self.username.is_empty() {
            return request;
        }
        request.basic_auth(&self.username, self.password.as_ref().map(Secret::reveal))
    }

    /// Gets a page that is there.
    ///
    /// # Errors
    /// When the server does not answer, or not with what was asked for: the error says what to do.
    pub(in crate::inputs) async fn page(&self, url: &Url) -> anyhow::Result<Reached> {
        let reached = reach(self.request(reqwest::Method::GET, url), url).await?;
        self.complaint(url, &reached).map_or(Ok(reached), Err)
    }

    /// As [`Site::page`], as text.
    ///
    /// # Errors
    /// As [`Site::page`].
    pub(in crate::inputs) async fn text(&self, url: &Url) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&self.page(url).await?.body).into_owned())
    }

    /// What is wrong with an answer that is not what was asked for, and what to do.
    pub(in crate::inputs) fn complaint(
        &self,
        url: &Url,
        reached: &Reached,
    ) -> Option<anyhow::Error> {
        if reached.status.is_success() {
            return None;
        }
        let advice = match reached.status.as_u16() {
            401 if self.username.is_empty() => "; it wants a user: give `username` and `password`",
            401 => "; it does not accept this `username` and `password`",
            403 => {
                "; the user or this host is not allowed to: the server's configuration says who is"
            }
            404 => "; is the page enabled there, and its path right?",
            _ => "",
        };
        let body = String::from_utf8_lossy(&reached.body);
        let body: String = body.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        let colon = if body.is_empty() { "" } else { ": " };
        Some(anyhow!("{} answered {}{colon}{body}{advice}", shown(url), reached.status))
    }
}

/// Sends a request and reads the answer, whatever it is.
///
/// # Errors
/// When there is none, or it is too large.
pub(in crate::inputs) async fn reach(
    request: RequestBuilder,
    url: &Url,
) -> anyhow::Result<Reached> {
    let sent = request.send().await.map_err(reqwest::Error::without_url);
    let mut response = sent.with_context(|| format!("cannot reach {}", shown(url)))?;
    let (status, version) = (response.status(), response.version());
    let content_type = response.headers().get(reqwest::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.to_owned();
    let mut body = Vec::new();
    let failed = || format!("cannot read all of {}", shown(url));
    while let Some(chunk) =
        response.chunk().await.map_err(reqwest::Error::without_url).with_context(failed)?
    {
        body.extend_from_slice(&chunk);
        ensure!(body.len() <= MAX_ANSWER, "the answer of {} is larger than 64 MiB", shown(url));
    }
    Ok(Reached { status, version, content_type, body })
}
