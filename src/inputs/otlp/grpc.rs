//! gRPC, as far as OTLP needs it: one message asks, one answers.
//!
//! A call is a request of HTTP/2 whose path names the service and the method. Its answer is always 200;
//! what became of the call stands behind the message, as trailers, or in the head where there is no
//! message.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;

use super::Signal;
use crate::inputs::http_listen::Refusal;

/// Why a call is refused: the code of gRPC, and what is told.
#[derive(Debug)]
pub(super) struct Refused(u8, String);

impl From<Refusal> for Refused {
    /// Those that may work later have codes that OTLP's clients try again.
    fn from(refusal: Refusal) -> Refused {
        let (code, text) = match refusal {
            Refusal::Unauthorized(_) => (16, "unauthorized".to_owned()),
            Refusal::TooLarge => (3, "the message is too large".to_owned()),
            Refusal::TooSlow => (4, "the message took too long".to_owned()),
            Refusal::Encoding => (12, "only gzip is known as encoding".to_owned()),
            Refusal::Body(reason) => (3, reason),
            Refusal::Unavailable => (14, "try again later".to_owned()),
        };
        Refused(code, text)
    }
}

/// Tells whether a request is a call.
pub(super) fn is_spoken(head: &Parts) -> bool {
    let written = head.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    written.is_some_and(|it| it == "application/grpc" || it.starts_with("application/grpc+proto"))
}

/// What a method takes.
///
/// # Errors
/// When there is no such method.
pub(super) fn signal(path: &str) -> Result<Signal, Refused> {
    match path.strip_prefix("/opentelemetry.proto.collector.").unwrap_or_default() {
        "logs.v1.LogsService/Export" => Ok(Signal::Logs),
        "metrics.v1.MetricsService/Export" => Ok(Signal::Metrics),
        "trace.v1.TraceService/Export" => Ok(Signal::Traces),
        _ => Err(Refused(12, format!("there is no method {path}"))),
    }
}

/// The answer to a call that worked.
pub(super) fn answered(message: Vec<u8>) -> Response {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let reply = Reply { message: Some(framed.into()), trailers: Some(trailers) };
    (head(), Body::new(reply)).into_response()
}

/// The answer to a call that did not.
pub(super) fn refused(Refused(code, text): &Refused) -> Response {
    let mut head = head();
    head.insert("grpc-status", HeaderValue::from(u16::from(*code)));
    if let Ok(text) = HeaderValue::from_str(&escaped(text)) {
        head.insert("grpc-message", text);
    }
    (head, Body::empty()).into_response()
}

fn head() -> HeaderMap {
    let mut head = HeaderMap::new();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    head
}

/// Text as the header for it wants it: what is not printable ASCII, and `%`, by its bytes.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// A message and what stands behind it.
struct Reply {
    message: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl hyper::body::Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let message = self.message.take().map(Frame::data);
        let frame = message.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_whether_to_come_again() {
        let code = |refusal| Refused::from(refusal).0;
        assert_eq!(code(Refusal::Unavailable), 14);
        assert_eq!(code(Refusal::TooLarge), 3);
        assert_eq!(code(Refusal::Unauthorized("")), 16);
        let response = refused(&Refused(3, "50 % of \u{e9}\n".to_owned()));
        assert_eq!(response.headers()["grpc-status"], "3");
        assert_eq!(response.headers()["grpc-message"], "50 %25 of %C3%A9%0A");
        assert!(signal("/opentelemetry.proto.collector.logs.v1.LogsService/Read").is_err());
    }
}
