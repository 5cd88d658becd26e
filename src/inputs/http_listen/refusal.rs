//! Why a request is not taken, and what it is answered.

use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;

/// Why a request is not taken.
#[derive(Debug)]
pub(in crate::inputs) enum Refusal {
    /// It has no key; it is told of this challenge.
    Unauthorized(&'static str),
    /// Its body is larger than `max_body_bytes`.
    TooLarge,
    /// Its body did not come in time.
    TooSlow,
    /// Its body is packed in a way that is not known.
    Encoding,
    /// Its body cannot be unpacked or read.
    Body(String),
    /// There is no room, or the engine stops.
    Unavailable,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::Unauthorized(challenge) => {
                let challenge = [(header::WWW_AUTHENTICATE, challenge)];
                (StatusCode::UNAUTHORIZED, challenge, "unauthorized\n").into_response()
            }
            Refusal::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n").into_response()
            }
            Refusal::TooSlow => {
                (StatusCode::REQUEST_TIMEOUT, "the body took too long\n").into_response()
            }
            Refusal::Encoding => {
                let text = "only gzip is known as encoding\n";
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response()
            }
            Refusal::Body(reason) => {
                (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response()
            }
            Refusal::Unavailable => {
                let later = [(header::RETRY_AFTER, "1")];
                (StatusCode::SERVICE_UNAVAILABLE, later, "try again later\n").into_response()
            }
        }
    }
}
