//! An HTTP server that takes messages in.
//!
//! A request is answered with 200 when what its body held is in the journal and synced. Bodies may
//! be compressed with gzip; all bodies together are held to a budget, and who finds no room in time
//! is answered with 503, as is everyone while the engine stops.

mod bodies;
mod key;
mod refusal;

pub(super) use bodies::Bodies;
pub(super) use key::AuthType;
pub(super) use key::Key;
pub(super) use refusal::Refusal;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use anyhow::Context;
use anyhow::ensure;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Value;
use crate::net::Address;
use crate::net::ListenOptions;
use crate::net::Listener;
use crate::net::Peer;
use crate::net::StreamNet;
use crate::net::Tls;
use crate::net::http;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Listens;
use crate::plugin::Origin;
use crate::plugin::Stream;
use crate::stdx::secret::Secret;
use crate::stdx::size;

/// How many parameters of a query become fields.
const MAX_PARAMETERS: usize = 256;

/// Serves HTTP: the body of a request goes through the splitter, and what it gives becomes messages
/// of the type `heka.httpdata.request` with the fields `Protocol`, `UserAgent`, `ContentType`,
/// `Path`, `Host` and `RemoteAddr` and one for every parameter of the query.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpListenInput {
    /// Where to listen.
    #[serde(default = "address")]
    address: String,
    /// Headers that answers carry.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Headers of the request that become fields.
    #[serde(default)]
    request_headers: Vec<String>,
    /// Who may send: everyone where it is left out, `Basic` asks for `username` and `password`,
    /// `API` for `api_key` in the header `X-API-KEY`.
    #[serde(default)]
    auth_type: AuthType,
    /// The user for `Basic`.
    #[serde(default)]
    username: String,
    /// The password for `Basic`.
    #[serde(default)]
    password: Option<Secret>,
    /// The key for `API`.
    #[serde(default)]
    api_key: Option<Secret>,
    /// Whether TLS is spoken; it is not where this is left out.
    use_tls: Option<bool>,
    /// How TLS is spoken.
    tls: Option<Tls>,
    /// The largest body, as sent and unpacked.
    #[serde(default = "max_body_bytes", deserialize_with = "size::bytes")]
    #[schemars(with = "size::Written")]
    max_body_bytes: u64,
    /// How many connections there are at most; further ones wait.
    #[serde(default = "max_connections")]
    max_connections: usize,
}

fn address() -> String {
    "127.0.0.1:8325".to_owned()
}

fn max_body_bytes() -> u64 {
    10 << 20
}

fn max_connections() -> usize {
    1024
}

impl Described for HttpListenInput {
    const NAME: &'static str = "HttpListenInput";
    const ABOUT: &'static str = "Takes in the bodies of HTTP requests.";
    const EXAMPLE: &'static str = "[HttpListenInput]\naddress = \"127.0.0.1:8325\"\n";

    fn check(&self) -> anyhow::Result<()> {
        Address::stream(StreamNet::Tcp, &self.address)?;
        Tls::server_wanted(self.use_tls, self.tls.as_ref())?;
        self.answer_headers()?;
        self.wanted_headers()?;
        self.key()?;
        ensure!(self.max_body_bytes > 0, "`max_body_bytes` has to be above 0");
        ensure!(self.max_connections > 0, "`max_connections` has to be above 0");
        Ok(())
    }
}

impl HttpListenInput {
    fn key(&self) -> anyhow::Result<Option<Key>> {
        let (password, api_key) = (self.password.as_ref(), self.api_key.as_ref());
        Key::new(self.auth_type, &self.username, password, api_key)
    }

    fn answer_headers(&self) -> anyhow::Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let failed = || format!("`headers` has `{name}`, which is no header");
            let name = HeaderName::try_from(name).with_context(failed)?;
            headers.append(name, HeaderValue::try_from(value).with_context(failed)?);
        }
        Ok(headers)
    }

    fn wanted_headers(&self) -> anyhow::Result<Vec<HeaderName>> {
        let mut headers = Vec::new();
        for name in &self.request_headers {
            let failed = || format!("`request_headers` has `{name}`, which is no header");
            headers.push(HeaderName::try_from(name).with_context(failed)?);
        }
        Ok(headers)
    }
}

#[async_trait]
impl Input for HttpListenInput {
    fn listens(&self) -> Option<Listens> {
        Some(Listens { net: StreamNet::Tcp.word(), address: self.address.clone(), mode: None })
    }

    fn promise(&self) -> &'static str {
        "answered when it is durable: who has no answer sends it again, at least once"
    }

    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let address = Address::stream(StreamNet::Tcp, &self.address)?;
        let options = ListenOptions {
            keep_alive: None,
            max_connections: self.max_connections,
            tls: Tls::server_wanted(self.use_tls, self.tls.as_ref())?,
            mode: None,
        };
        let desk = Arc::new(Desk::new(&self, &cx)?);
        let listener = Listener::bind(&address, options).await?;
        cx.say_listening(listener.local_address(), &self.address);
        serve(listener, desk, cx).await
    }
}

async fn serve(listener: Listener, desk: Arc<Desk>, cx: InputContext) -> anyhow::Result<()> {
    let router = Router::new().fallback(answer).with_state(desk);
    Ok(http::serve(&cx.name, listener, router, cx.stopping).await?)
}

/// What requests share.
struct Desk {
    cx: InputContext,
    headers: HeaderMap,
    request_headers: Vec<HeaderName>,
    key: Option<Key>,
    bodies: Bodies,
    /// Streams that no request has at the moment; there are never more than connections.
    streams: Mutex<Vec<Stream>>,
}

impl Desk {
    fn new(settings: &HttpListenInput, cx: &InputContext) -> anyhow::Result<Desk> {
        Ok(Desk {
            cx: cx.clone(),
            headers: settings.answer_headers()?,
            request_headers: settings.wanted_headers()?,
            key: settings.key()?,
            bodies: Bodies::new(settings.max_body_bytes, &cx.engine.memory),
            streams: Mutex::default(),
        })
    }
}

/// Answers a request.
async fn answer(
    State(desk): State<Arc<Desk>>,
    axum::Extension(peer): axum::Extension<Peer>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let mut response = match desk.take(&head, body, peer).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => {
            tracing::debug!(input = &*desk.cx.name, %peer, ?refusal, "a request was refused");
            refusal.into_response()
        }
    };
    for (name, value) in &desk.headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

impl Desk {
    /// Takes a request in; done when it is durable.
    async fn take(&self, head: &Parts, body: Body, peer: Peer) -> Result<(), Refusal> {
        if let Some(key) = &self.key
            && !key.opens(&head.headers)
        {
            return Err(Refusal::Unauthorized(key.challenge()));
        }
        if self.cx.stopping.is_cancelled() {
            return Err(Refusal::Unavailable);
        }
        let (bytes, _room) = self.bodies.read(&head.headers, body).await?;
        let origin = Arc::new(self.origin(head, peer));
        self.deliver(bytes, origin).await.map_err(|error| {
            let error = format!("{error:#}");
            tracing::debug!(input = &*self.cx.name, error, "a request was not taken in");
            Refusal::Unavailable
        })
    }

    async fn deliver(&self, bytes: Bytes, origin: Arc<Origin>) -> anyhow::Result<()> {
        let free = self.streams.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut stream = match free {
            Some(stream) => stream,
            None => self.cx.stream(self.cx.origin(MESSAGE_TYPE), None).await?,
        };
        stream.whole(bytes, Some(origin)).await?;
        stream.durable().await?;
        // One that failed is not used again.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        Ok(())
    }

    /// What the messages of a request say of where they come from.
    fn origin(&self, head: &Parts, peer: Peer) -> Origin {
        let mut origin = self.cx.origin(MESSAGE_TYPE);
        origin.severity = Some(6);
        origin.env_version = b"1".to_vec();
        let mut push = |name: &str, value: &[u8]| origin.push(name, "", Value::String(value));
        let header = |name| head.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
        push("Protocol", format!("{:?}", head.version).as_bytes());
        push("UserAgent", header(header::USER_AGENT));
        push("ContentType", header(header::CONTENT_TYPE));
        push("Path", head.uri.path().as_bytes());
        push("Host", header(header::HOST));
        push("RemoteAddr", peer.host().as_bytes());
        for name in &self.request_headers {
            for value in head.headers.get_all(name) {
                push(name.as_str(), value.as_bytes());
            }
        }
        let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&head.uri);
        for (name, value) in
            query.map(|query| query.0).unwrap_or_default().iter().take(MAX_PARAMETERS)
        {
            push(name, value.as_bytes());
        }
        origin
    }
}

const MESSAGE_TYPE: &str = "heka.httpdata.request";

#[cfg(test)]
mod tests;
