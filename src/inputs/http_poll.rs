//! Pages that are asked for again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::ensure;
use async_trait::async_trait;
use reqwest::Method;
use reqwest::Url;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::task::JoinSet;

use super::daemon;
use super::daemon::Health;
use super::daemon::Reached;
use super::daemon::Report;
use super::daemon::Site;
use crate::message::Value;
use crate::net::Tls;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Origin;
use crate::plugin::Stream;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// Asks for URLs at once and then every `ticker_interval`. What a page holds goes through the splitter
/// and the decoder, under the type `heka.httpinput.data`; an answer that is no success, or none, is a
/// message of the type `heka.httpinput.error` with the answer or the error as payload. The logger is the
/// URL, and the fields are `StatusCode`, `Status`, `ResponseSize`, `ResponseTime` and `Protocol`.
///
/// A page that can no longer be had is told of once as `daemon.down`, and once as `daemon.up` when it is
/// back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpInput {
    /// The URL, `http://` or `https://`.
    #[serde(default)]
    url: String,
    /// Several URLs; all are asked at the same time.
    #[serde(default)]
    urls: Vec<String>,
    /// The method.
    #[serde(default = "get")]
    method: String,
    /// Headers of the request.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The body of the request.
    #[serde(default)]
    body: String,
    /// Who asks, for Basic authentication; nobody where empty.
    #[serde(default, alias = "user")]
    username: String,
    /// The password of the user.
    #[serde(default)]
    password: Option<Secret>,
    /// The severity of messages with what was asked for.
    #[serde(default = "success_severity")]
    success_severity: i32,
    /// The severity of messages with errors.
    #[serde(default = "error_severity")]
    error_severity: i32,
    /// How long an answer may take. In seconds.
    #[serde(default = "timeout", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
    /// How TLS is spoken.
    #[serde(default)]
    tls: Option<Tls>,
}

fn get() -> String {
    "GET".to_owned()
}

fn success_severity() -> i32 {
    6
}

fn error_severity() -> i32 {
    1
}

fn timeout() -> Duration {
    Duration::from_secs(10)
}

impl Described for HttpInput {
    const NAME: &'static str = "HttpInput";
    const ABOUT: &'static str = "Asks for pages over HTTP again and again.";
    const EXAMPLE: &'static str = "[HttpInput]\nurl = \"http://127.0.0.1:9200/_cluster/health\"\n\
        ticker_interval = 10\ndecoder = \"JsonDecoder\"\n\n[JsonDecoder]\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        self.all_urls()?;
        self.request_method()?;
        self.request_headers()?;
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        self.site().map(drop)
    }
}

#[async_trait]
impl Input for HttpInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        ensure!(!cx.ticker_interval.is_zero(), "`ticker_interval` has to be above 0");
        let site = Arc::new(self.site()?);
        let mut pages = JoinSet::new();
        for url in self.all_urls()? {
            let page = Page {
                logger: shown(&url),
                url,
                method: self.request_method()?,
                headers: self.request_headers()?,
                site: site.clone(),
                settings: (*self).clone(),
            };
            pages.spawn(page.poll(cx.clone()));
        }
        while let Some(ended) = pages.join_next().await {
            ended.context("a page is no longer asked for")??;
        }
        Ok(())
    }
}

impl HttpInput {
    fn all_urls(&self) -> anyhow::Result<Vec<Url>> {
        let written = self.urls.iter().chain((!self.url.is_empty()).then_some(&self.url));
        let mut urls = Vec::new();
        for written in written {
            let url = daemon::url("url", written, None)?;
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        ensure!(!urls.is_empty(), "there is no `url` to ask for");
        let is_secure = urls.iter().any(|url| url.scheme() == "https");
        ensure!(self.tls.is_none() || is_secure, "`tls` is given, but no url is `https://`");
        Ok(urls)
    }

    fn request_method(&self) -> anyhow::Result<Method> {
        let method = self.method.to_ascii_uppercase();
        Method::from_bytes(method.as_bytes())
            .with_context(|| format!("`{}` is no method of http", self.method))
    }

    fn request_headers(&self) -> anyhow::Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let failed = || format!("`headers` has `{name}`, which is no header");
            let name = HeaderName::try_from(name).with_context(failed)?;
            headers.append(name, HeaderValue::try_from(value).with_context(failed)?);
        }
        Ok(headers)
    }

    fn site(&self) -> anyhow::Result<Site> {
        Site::new(&self.username, self.password.as_ref(), self.tls.as_ref())
    }
}

/// The URL as the logger of messages: without user and password.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail for URLs without a host alone.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.to_string()
}

/// One URL that is asked for.
struct Page {
    logger: String,
    url: Url,
    method: Method,
    headers: HeaderMap,
    site: Arc<Site>,
    settings: HttpInput,
}

impl Page {
    async fn poll(self, cx: InputContext) -> anyhow::Result<()> {
        let mut report = Report::new(cx.origin(""));
        let mut health = Health::new(&cx, "http", self.logger.clone());
        let mut stream = health.stream(&cx).await?;
        let mut ticks = tokio::time::interval(cx.ticker_interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cx.stopping.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            report.start();
            let started = Instant::now();
            let asked = tokio::select! {
                () = cx.stopping.cancelled() => return Ok(()),
                asked = self.ask() => asked,
            };
            self.deliver(asked, started.elapsed(), (&cx, &mut stream), (&mut health, &mut report))
                .await?;
        }
    }

    async fn ask(&self) -> anyhow::Result<Reached> {
        let request = self.site.request(self.method.clone(), &self.url);
        let request = request.headers(self.headers.clone()).body(self.settings.body.clone());
        daemon::reach(request.timeout(self.settings.timeout), &self.url).await
    }

    async fn deliver(
        &self,
        asked: anyhow::Result<Reached>,
        took: Duration,
        (cx, stream): (&InputContext, &mut Stream),
        (health, report): (&mut Health, &mut Report),
    ) -> anyhow::Result<()> {
        let mut origin = cx.origin("heka.httpinput.error");
        origin.logger = self.logger.as_bytes().to_vec();
        origin.severity = Some(self.settings.error_severity);
        let (body, error) = match asked {
            Ok(reached) => {
                push_answer(&mut origin, &reached, took);
                let complaint = self.site.complaint(&self.url, &reached);
                (reached.body, complaint)
            }
            Err(error) => (format!("{error:#}").into_bytes(), Some(error)),
        };
        health.tell(error.as_ref(), report, stream).await?;
        for batch in report.take() {
            stream.messages(batch).await?;
        }
        if error.is_some() {
            return stream.messages(report.record(&origin, &body)?).await;
        }
        origin.message_type = b"heka.httpinput.data".to_vec();
        origin.severity = Some(self.settings.success_severity);
        stream.whole(body.into(), Some(Arc::new(origin))).await
    }
}

/// What is known of an answer, as fields.
fn push_answer(origin: &mut Origin, reached: &Reached, took: Duration) {
    let status = reached.status;
    origin.push("StatusCode", "", Value::Integer(i64::from(status.as_u16())));
    origin.push("Status", "", Value::String(status.to_string().as_bytes()));
    let size = i64::try_from(reached.body.len()).unwrap_or(i64::MAX);
    origin.push("ResponseSize", "B", Value::Integer(size));
    origin.push("ResponseTime", "s", Value::Double(took.as_secs_f64()));
    origin.push("Protocol", "", Value::String(format!("{:?}", reached.version).as_bytes()));
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::HeaderMap as Headers;
    use axum::routing::get;

    use super::*;
    use crate::inputs::testing::Desk;

    fn read(settings: &str) -> HttpInput {
        let input: HttpInput = toml::from_str(settings).unwrap();
        input.check().unwrap();
        input
    }

    /// A server whose pages are there, refused and for the user `me` alone.
    async fn server() -> String {
        let private = |headers: Headers| async move {
            let is_me = headers.get("authorization").is_some_and(|it| it == "Basic bWU6c2VjcmV0");
            if is_me { (200, "for me") } else { (401, "who are you?") }
        };
        let answer = |(status, text)| (axum::http::StatusCode::from_u16(status).unwrap(), text);
        let router = Router::new()
            .route("/good", get(|| async { "{\"a\":1}" }))
            .route("/broken", get(move || async move { answer((500, "oh no")) }))
            .route("/private", get(move |h: Headers| async move { answer(private(h).await) }))
            .route("/echo", axum::routing::put(|body: String| async move { body }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    /// The types, severities and payloads of the first messages that polling gives.
    async fn polled(settings: &str, count: usize) -> Vec<(String, Option<i32>, String)> {
        let mut desk = Desk::new("poll");
        desk.ticker_interval = Duration::from_mins(5);
        let running = tokio::spawn(Box::new(read(settings)).run(desk.context()));
        let delivered = desk.wait_for(count).await;
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
        let kind = |one: &[u8]| String::from_utf8(one.to_vec()).unwrap();
        let mut all: Vec<_> = delivered
            .into_iter()
            .map(|one| (kind(&one.origin.message_type), one.origin.severity, one.text))
            .collect();
        all.sort();
        all
    }

    #[tokio::test]
    async fn pages_are_delivered_with_what_is_known_of_them() {
        let url = server().await;
        let mut desk = Desk::new("poll");
        desk.ticker_interval = Duration::from_millis(1);
        let input = read(&format!(
            "url = '{url}/echo'\nmethod = 'put'\nbody = 'text'\nsuccess_severity = 5\n\
             [headers]\nContent-Type = 'text/plain'"
        ));
        let running = tokio::spawn(Box::new(input).run(desk.context()));
        let delivered = desk.wait_for(2).await;
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
        let origin = &delivered[1].origin;
        assert_eq!(delivered[1].text, "text");
        assert_eq!(origin.message_type, b"heka.httpinput.data");
        assert_eq!(origin.logger, format!("{url}/echo").as_bytes());
        assert_eq!(origin.severity, Some(5));
        let mut expected = Origin::default();
        expected.push("StatusCode", "", Value::Integer(200));
        expected.push("Status", "", Value::String(b"200 OK"));
        expected.push("ResponseSize", "B", Value::Integer(4));
        assert!(origin.fields().starts_with(expected.fields()), "{:?}", origin.fields());
    }

    #[tokio::test]
    async fn what_fails_is_told_with_the_answer_and_once_as_down() {
        let url = server().await;
        let told = polled(&format!("urls = ['{url}/good', '{url}/broken']"), 3).await;
        let error = "heka.httpinput.error".to_owned();
        let down = format!(
            "http at {url}/broken is down: {url}/broken answered 500 Internal Server Error: oh no"
        );
        assert_eq!(told[0], ("daemon.down".to_owned(), Some(3), down));
        assert_eq!(told[1].2, "{\"a\":1}");
        assert_eq!(told[2], (error, Some(1), "oh no".to_owned()));
    }

    #[tokio::test]
    async fn the_error_says_what_to_do_about_users_and_closed_ports() {
        let url = server().await;
        for (settings, expected) in [
            ("", "; it wants a user: give `username` and `password`"),
            ("username = 'you'", "; it does not accept this `username` and `password`"),
        ] {
            let told = polled(&format!("url = '{url}/private'\n{settings}"), 2).await;
            assert!(told[0].2.ends_with(expected), "{told:?}");
        }
        let user = "username = 'me'\npassword = 'secret'";
        let told = polled(&format!("url = '{url}/private'\n{user}"), 1).await;
        assert_eq!(told[0].2, "for me");
        let told = polled("url = 'http://127.0.0.1:1/x?key=secret'", 2).await;
        assert!(told[0].2.contains("cannot reach http://127.0.0.1:1/x: "), "{told:?}");
        assert!(told[0].2.contains("refused"), "{told:?}");
    }

    #[test]
    fn mistakes_are_found_before_a_start() {
        for (settings, expected) in [
            ("", "there is no `url` to ask for"),
            ("url = 'ftp://x'", "`url` has `ftp://x`, expected `http://` or `https://` and a host"),
            ("url = 'http://x'\nmethod = 'a b'", "`a b` is no method of http"),
            ("url = 'http://x'\n[headers]\n'a b' = ''", "`headers` has `a b`, which is no header"),
            ("url = 'http://x'\n[tls]", "`tls` is given, but no url is `https://`"),
            ("url = 'http://x'\ntimeout = 0", "`timeout` has to be above 0"),
            (
                "url = 'http://x'\npassword = 'y'",
                "`password` is given, but no `username` that it belongs to",
            ),
        ] {
            let input: HttpInput = toml::from_str(settings).unwrap();
            assert_eq!(input.check().unwrap_err().to_string(), expected);
        }
    }
}
