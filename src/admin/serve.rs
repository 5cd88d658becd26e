//! The requests and their answers.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::Asked;
use super::Shared;
use super::Wish;
use crate::net::Listener;
use crate::net::http;

/// Where a request comes in, and so what it may do.
#[derive(Clone)]
struct Door {
    shared: Arc<Shared>,
    is_trusted: bool,
}

/// Serves one way in until `stopping` says so.
pub(super) async fn serve(
    name: &'static str,
    listener: Listener,
    router: Router,
    stopping: CancellationToken,
) {
    if let Err(error) = http::serve(name, listener, router, stopping).await {
        tracing::error!(%error, "the {name} has ended");
    }
}

/// The requests; those who are trusted need no token.
pub(super) fn router(shared: Arc<Shared>, is_trusted: bool) -> Router {
    let door = Door { shared, is_trusted };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/status", get(status))
        .route("/forget", post(forget))
        .route("/reload", post(reload))
        .route("/sandbox", post(sandbox))
        .layer(middleware::from_fn_with_state(door.clone(), guard))
        .with_state(door)
}

/// Answers nobody who shows nothing, where others than this machine can ask.
async fn guard(State(door): State<Door>, request: Request, next: Next) -> Response {
    let refusal = door.shared.is_reachable.then(|| door.refuses(request.headers())).flatten();
    match refusal {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

async fn metrics(State(door): State<Door>) -> Response {
    let form = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (form, door.shared.metrics.exposition()).into_response()
}

async fn health(State(door): State<Door>) -> Response {
    let status = door.shared.status.load();
    if status.troubles.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, status.troubles.join("\n") + "\n").into_response()
}

async fn status(State(door): State<Door>) -> Response {
    let status = door.shared.status.load();
    let form = [(header::CONTENT_TYPE, "application/json")];
    (form, serde_json::to_string(&**status).unwrap_or_default()).into_response()
}

async fn forget(State(door): State<Door>, headers: HeaderMap, reader: String) -> Response {
    if let Some(refusal) = door.refuses(&headers) {
        return refusal;
    }
    let forget = door.shared.forget.clone();
    match tokio::task::spawn_blocking(move || forget(reader.trim())).await {
        Ok(Ok(text)) => text.into_response(),
        Ok(Err(text)) => (StatusCode::CONFLICT, text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn reload(State(door): State<Door>, headers: HeaderMap) -> Response {
    if let Some(refusal) = door.refuses(&headers) {
        return refusal;
    }
    ask(&door, Wish::Reload).await
}

async fn sandbox(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = door.refuses(&headers) {
        return refusal;
    }
    match serde_json::from_slice(&body) {
        Ok(request) => ask(&door, Wish::Sandbox(request)).await,
        Err(error) => {
            let text = format!("the request is none that is known: {error}\n");
            (StatusCode::BAD_REQUEST, text).into_response()
        }
    }
}

/// Has the engine answer.
async fn ask(door: &Door, wish: Wish) -> Response {
    let (answer, answered) = oneshot::channel();
    if door.shared.wishes.send(Asked { wish, answer }).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the engine is stopping\n").into_response();
    }
    match answered.await {
        Ok(Ok(text)) => text.into_response(),
        Ok(Err(text)) => (StatusCode::UNPROCESSABLE_ENTITY, text).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the engine is stopping\n").into_response(),
    }
}

impl Door {
    /// What a request is told that changes something and may not.
    fn refuses(&self, headers: &HeaderMap) -> Option<Response> {
        if self.is_trusted {
            return None;
        }
        let token = self.shared.token.as_deref().filter(|token| !token.is_empty());
        let Some(token) = token else {
            let text = "this port only reads: no token is configured\n";
            return Some((StatusCode::FORBIDDEN, text).into_response());
        };
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"heka\"")];
        let refusal = (StatusCode::UNAUTHORIZED, challenge, "a token is needed for that\n");
        (!shows_token(headers, token)).then(|| refusal.into_response())
    }
}

/// Compares in the time of the shorter text, whatever is shown.
fn shows_token(headers: &HeaderMap, token: &str) -> bool {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
        .unwrap_or_default();
    let length = shown.len() ^ token.len();
    let differences =
        shown.iter().zip(token.as_bytes()).fold(length, |sum, (a, b)| sum | usize::from(a ^ b));
    differences == 0
}
