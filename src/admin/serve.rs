//! The requests and their answers.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::Asked;
use super::Shared;

/// Where a request comes in, and so what it may do.
#[derive(Clone)]
struct Door {
    shared: Arc<Shared>,
    is_trusted: bool,
}

/// Makes the control socket, open to its owner alone; one left over is taken away.
pub(super) fn control(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves the control socket.
pub(super) async fn on_socket(
    listener: UnixListener,
    shared: Arc<Shared>,
    stopping: CancellationToken,
) {
    let served = axum::serve(listener, router(shared, true));
    log(served.with_graceful_shutdown(stopping.cancelled_owned()).await);
}

/// Serves the admin port.
pub(super) async fn on_port(
    listener: TcpListener,
    shared: Arc<Shared>,
    stopping: CancellationToken,
) {
    let served = axum::serve(listener, router(shared, false));
    log(served.with_graceful_shutdown(stopping.cancelled_owned()).await);
}

fn log(served: std::io::Result<()>) {
    if let Err(error) = served {
        tracing::error!(%error, "an admin interface has ended");
    }
}

fn router(shared: Arc<Shared>, is_trusted: bool) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/status", get(status))
        .route("/reload", post(reload))
        .with_state(Door { shared, is_trusted })
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

async fn reload(State(door): State<Door>, headers: HeaderMap) -> Response {
    if !door.is_trusted && !shows_token(&headers, door.shared.token.as_deref()) {
        return (StatusCode::FORBIDDEN, "a token is needed for that\n").into_response();
    }
    let (answer, answered) = oneshot::channel();
    if door.shared.reloads.send(Asked { answer }).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the engine is stopping\n").into_response();
    }
    match answered.await {
        Ok(Ok(text)) => text.into_response(),
        Ok(Err(text)) => (StatusCode::UNPROCESSABLE_ENTITY, text).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the engine is stopping\n").into_response(),
    }
}

/// Compares in the time of the longer text, whatever is shown.
fn shows_token(headers: &HeaderMap, token: Option<&str>) -> bool {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return false };
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
        .unwrap_or_default();
    let length = shown.len() ^ token.len();
    let differences =
        shown.iter().zip(token.as_bytes()).fold(length, |sum, (a, b)| sum | usize::from(a ^ b));
    differences == 0
}
