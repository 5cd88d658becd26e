//! OTLP: what OpenTelemetry's SDKs and collectors send, over HTTP as protobuf or JSON, or over gRPC.
//!
//! | path | service of gRPC | messages |
//! | --- | --- | --- |
//! | `/v1/logs` | `LogsService` | `otlp.log`, one for each record |
//! | `/v1/metrics` | `MetricsService` | `otlp.metric`, one for each data point |
//! | `/v1/traces` | `TraceService` | `otlp.span`, one for each span, and `otlp.event` for each event of a span |
//!
//! Both are spoken at every address: who speaks HTTP/2 may use either.
//! A request is answered when what it held is in the journal and synced. Records that are larger than
//! messages may be are refused by themselves: the answer is a partial success that says how many and why.

mod attributes;
mod elements;
mod grpc;
mod logs;
mod metrics;
mod record;
mod traces;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use anyhow::ensure;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::Response;
use opentelemetry_proto::tonic::collector::logs::v1 as log_service;
use opentelemetry_proto::tonic::collector::metrics::v1 as metric_service;
use opentelemetry_proto::tonic::collector::trace::v1 as trace_service;
use schemars::JsonSchema;
use serde::Deserialize;

use self::record::Records;
use super::http_listen::AuthType;
use super::http_listen::Bodies;
use super::http_listen::Key;
use super::http_listen::Refusal;
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
use crate::plugin::Stream;
use crate::stdx::secret::Secret;
use crate::stdx::size;

/// Takes logs, metrics and traces from OpenTelemetry, over HTTP as protobuf or JSON and over gRPC, also
/// compressed with gzip: messages of the types `otlp.log`, `otlp.metric`, `otlp.span` and `otlp.event`. Attributes
/// are fields under their own names, those of the resource with `resource.` before them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OtlpInput {
    /// Where to listen, for HTTP and gRPC both. By habit the port for gRPC is 4317: a second section of
    /// this type listens there.
    address: String,
    /// Who may send: everyone where it is left out, `Basic` asks for `username` and `password`,
    /// `API` for `api_key` in the header `X-API-KEY`.
    auth_type: AuthType,
    /// The user for `Basic`.
    username: String,
    /// The password for `Basic`.
    password: Option<Secret>,
    /// The key for `API`.
    api_key: Option<Secret>,
    /// Whether TLS is spoken; it is not where this is left out.
    use_tls: Option<bool>,
    /// How TLS is spoken.
    tls: Option<Tls>,
    /// The largest body, as sent and unpacked.
    #[serde(deserialize_with = "size::bytes")]
    #[schemars(with = "size::Written")]
    max_body_bytes: u64,
    /// How many connections there are at most; further ones wait.
    max_connections: usize,
}

impl Default for OtlpInput {
    fn default() -> OtlpInput {
        OtlpInput {
            address: "127.0.0.1:4318".to_owned(),
            auth_type: AuthType::default(),
            username: String::new(),
            password: None,
            api_key: None,
            use_tls: None,
            tls: None,
            max_body_bytes: 16 << 20,
            max_connections: 1024,
        }
    }
}

impl Described for OtlpInput {
    const NAME: &'static str = "OtlpInput";
    const ABOUT: &'static str =
        "Takes logs, metrics and traces from OpenTelemetry over HTTP and gRPC.";
    const EXAMPLE: &'static str = "[OtlpInput]\naddress = \"127.0.0.1:4318\"\n";

    fn check(&self) -> anyhow::Result<()> {
        Address::stream(StreamNet::Tcp, &self.address)?;
        Tls::server_wanted(self.use_tls, self.tls.as_ref())?;
        ensure!(self.max_body_bytes > 0, "`max_body_bytes` has to be above 0");
        self.key().map(drop)
    }
}

impl OtlpInput {
    fn key(&self) -> anyhow::Result<Option<Key>> {
        let (password, api_key) = (self.password.as_ref(), self.api_key.as_ref());
        Key::new(self.auth_type, &self.username, password, api_key)
    }
}

#[async_trait]
impl Input for OtlpInput {
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
        let desk = Desk {
            cx: cx.clone(),
            key: self.key()?,
            bodies: Bodies::new(self.max_body_bytes, &cx.engine.memory),
            streams: Mutex::default(),
        };
        let listener = Listener::bind(&address, options).await?;
        cx.say_listening(listener.local_address(), &self.address);
        let router = Router::new().fallback(answer).with_state(Arc::new(desk));
        let versions = http::Versions::OneAndTwo;
        Ok(http::serve_versions(&cx.name, versions, listener, router, cx.stopping).await?)
    }
}

/// What requests share.
struct Desk {
    cx: InputContext,
    key: Option<Key>,
    bodies: Bodies,
    /// Streams that no request has at the moment; there are never more than connections.
    streams: Mutex<Vec<Stream>>,
}

/// What a request tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Logs,
    Metrics,
    Traces,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    fn of(head: &Parts) -> Option<Form> {
        let written = head.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match written.split(';').next().unwrap_or_default().trim() {
            "application/x-protobuf" | "application/protobuf" => Some(Form::Protobuf),
            "application/json" => Some(Form::Json),
            _ => None,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Form::Protobuf => "application/x-protobuf",
            Form::Json => "application/json",
        })
    }

    fn read<T: prost::Message + Default + for<'de> Deserialize<'de>>(
        self,
        body: &[u8],
    ) -> Result<T, Refusal> {
        match self {
            Form::Protobuf => T::decode(body).map_err(|error| {
                Refusal::Body(format!("the body is no protobuf of otlp: {error}"))
            }),
            Form::Json => serde_json::from_slice(body)
                .map_err(|error| Refusal::Body(format!("the body is no JSON of otlp: {error}"))),
        }
    }

    fn write(self, answer: &(impl prost::Message + serde::Serialize)) -> Vec<u8> {
        match self {
            Form::Protobuf => answer.encode_to_vec(),
            // Numbers and texts alone: there is nothing that JSON could not hold.
            Form::Json => serde_json::to_vec(answer).unwrap_or_default(),
        }
    }
}

/// Answers a request.
async fn answer(
    State(desk): State<Arc<Desk>>,
    axum::Extension(peer): axum::Extension<Peer>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    if grpc::is_spoken(&head) {
        return match desk.take_message(&head, body).await {
            Ok(answer) => grpc::answered(answer),
            Err(refusal) => {
                tracing::debug!(input = &*desk.cx.name, %peer, ?refusal, "a request was refused");
                grpc::refused(&refusal)
            }
        };
    }
    match desk.take(&head, body).await {
        Ok(response) => response,
        Err(refusal) => {
            tracing::debug!(input = &*desk.cx.name, %peer, ?refusal, "a request was refused");
            refusal.into_response()
        }
    }
}

impl Desk {
    async fn take(&self, head: &Parts, body: Body) -> Result<Response, Refusal> {
        self.admit(head)?;
        let signal = match head.uri.path().trim_end_matches('/') {
            "/v1/logs" => Signal::Logs,
            "/v1/metrics" => Signal::Metrics,
            "/v1/traces" => Signal::Traces,
            _ => {
                let text = "there are /v1/logs, /v1/metrics and /v1/traces\n";
                return Ok((StatusCode::NOT_FOUND, text).into_response());
            }
        };
        if head.method != Method::POST {
            return Ok((StatusCode::METHOD_NOT_ALLOWED, "POST is expected\n").into_response());
        }
        let Some(form) = Form::of(head) else {
            let text = "the content type has to be application/x-protobuf or application/json\n";
            return Ok((StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response());
        };
        let (bytes, _room) = self.bodies.read(&head.headers, body).await?;
        let answer = self.put(signal, form, &bytes).await?;
        Ok(([(header::CONTENT_TYPE, form.content_type())], answer).into_response())
    }

    /// Takes a request of gRPC; gives the message that answers it.
    async fn take_message(&self, head: &Parts, body: Body) -> Result<Vec<u8>, grpc::Refused> {
        self.admit(head)?;
        let signal = grpc::signal(head.uri.path())?;
        let (bytes, _room) = self.bodies.read_message(&head.headers, body).await?;
        Ok(self.put(signal, Form::Protobuf, &bytes).await?)
    }

    /// Lets in who may send, while the engine runs.
    fn admit(&self, head: &Parts) -> Result<(), Refusal> {
        if let Some(key) = &self.key
            && !key.opens(&head.headers)
        {
            return Err(Refusal::Unauthorized(key.challenge()));
        }
        if self.cx.stopping.is_cancelled() {
            return Err(Refusal::Unavailable);
        }
        Ok(())
    }

    /// Puts what a body holds into the journal; gives what is answered when it is synced.
    async fn put(&self, signal: Signal, form: Form, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        elements::bound(signal, form, body, self.bodies.max_body())?;
        let mut records = Records::new(&self.cx);
        let answer = put(signal, form, body, &mut records)?;
        self.deliver(records).await.map_err(|error| {
            let error = format!("{error:#}");
            tracing::debug!(input = &*self.cx.name, error, "a request was not taken in");
            Refusal::Unavailable
        })?;
        Ok(answer)
    }

    async fn deliver(&self, mut records: Records) -> anyhow::Result<()> {
        let free = self.streams.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut stream = match free {
            Some(stream) => stream,
            None => self.cx.stream(self.cx.origin("otlp"), None).await?,
        };
        for batch in records.take() {
            stream.messages(batch).await?;
        }
        stream.durable().await?;
        // One that failed is not used again.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        Ok(())
    }
}

/// Reads a body, writes its messages, and gives what is answered.
fn put(signal: Signal, form: Form, body: &[u8], records: &mut Records) -> Result<Vec<u8>, Refusal> {
    let told = |records: &Records| records.refused().map(|(count, why)| (count, why.to_owned()));
    Ok(match signal {
        Signal::Logs => {
            logs::put(&form.read::<log_service::ExportLogsServiceRequest>(body)?, records);
            let partial_success = told(records).map(|(rejected_log_records, error_message)| {
                log_service::ExportLogsPartialSuccess { rejected_log_records, error_message }
            });
            form.write(&log_service::ExportLogsServiceResponse { partial_success })
        }
        Signal::Metrics => {
            metrics::put(&form.read::<metric_service::ExportMetricsServiceRequest>(body)?, records);
            let partial_success = told(records).map(|(rejected_data_points, error_message)| {
                metric_service::ExportMetricsPartialSuccess { rejected_data_points, error_message }
            });
            form.write(&metric_service::ExportMetricsServiceResponse { partial_success })
        }
        Signal::Traces => {
            traces::put(&form.read::<trace_service::ExportTraceServiceRequest>(body)?, records);
            let partial_success = told(records).map(|(rejected_spans, error_message)| {
                trace_service::ExportTracePartialSuccess { rejected_spans, error_message }
            });
            form.write(&trace_service::ExportTraceServiceResponse { partial_success })
        }
    })
}

/// Reads a body as a request's is, for `fuzz/`: of logs, metrics or traces, as protobuf or as JSON.
#[cfg(fuzzing)]
pub fn read_body(signal: u8, is_json: bool, body: &[u8]) -> Option<Vec<crate::message::Batch>> {
    let signal = [Signal::Logs, Signal::Metrics, Signal::Traces][usize::from(signal % 3)];
    let form = if is_json { Form::Json } else { Form::Protobuf };
    elements::bound(signal, form, body, 1 << 16).ok()?;
    let mut records = Records::of("otlp", "host", 4096);
    put(signal, form, body, &mut records).ok()?;
    Some(records.take())
}
