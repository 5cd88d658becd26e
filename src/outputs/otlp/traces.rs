//! What was a span is one again, with its events.
//!
//! An event of a span is a message of its own; it goes with its span where both are sent together, and
//! as a record of a log, which names the span, where they are not.

use std::collections::HashSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::tonic::trace::v1::ScopeSpans;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::span::Link;

use super::attributes;
use super::attributes::From;
use crate::message::Field;
use crate::message::Message;
use crate::message::Value;

/// The type of a span, and of an event of one.
pub(super) const SPAN: &[u8] = b"otlp.span";
pub(super) const EVENT: &[u8] = b"otlp.event";

/// Fields that a span has a place of its own for.
const OWN: &[&str] = &[
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "kind",
    "duration",
    "status",
    "status_message",
    "links",
];
const KINDS: [&str; 5] = ["internal", "server", "client", "producer", "consumer"];

/// Which spans have been seen.
#[derive(Default)]
pub(super) struct Seen(HashSet<(Vec<u8>, Vec<u8>)>);

impl Seen {
    /// Tells whether a message belongs into a request of spans: is one, or an event of one seen before.
    pub(super) fn is_traced(&mut self, message: &Message<'_>) -> bool {
        let kind = message.message_type();
        if kind != SPAN && kind != EVENT {
            return false;
        }
        let id = (attributes::id(message, "trace_id"), attributes::id(message, "span_id"));
        if kind == EVENT {
            return self.0.contains(&id);
        }
        self.0.insert(id);
        true
    }
}

/// A request with all of these spans, and how many they are.
pub(super) fn request<'a>(
    messages: impl Iterator<Item = Message<'a>>,
) -> (ExportTraceServiceRequest, usize) {
    let mut groups: Vec<(From, Vec<Span>)> = Vec::new();
    let mut count = 0;
    for message in messages {
        if message.message_type() == EVENT {
            put_event(&message, &mut groups);
            continue;
        }
        let (from, span) = (From::of(&message), span(&message));
        count += 1;
        match groups.iter_mut().rev().find(|(other, _)| *other == from) {
            Some((_, spans)) => spans.push(span),
            None => groups.push((from, vec![span])),
        }
    }
    let resource_spans = groups.into_iter().map(|(from, spans)| ResourceSpans {
        resource: Some(from.resource),
        scope_spans: vec![ScopeSpans { scope: Some(from.scope), spans, schema_url: String::new() }],
        schema_url: String::new(),
    });
    (ExportTraceServiceRequest { resource_spans: resource_spans.collect() }, count)
}

fn put_event(message: &Message<'_>, groups: &mut [(From, Vec<Span>)]) {
    let trace = attributes::id(message, "trace_id");
    let id = attributes::id(message, "span_id");
    let spans = groups.iter_mut().rev().flat_map(|(_, spans)| spans.iter_mut().rev());
    // The last of that id, as the events follow their span.
    if let Some(span) = spans.into_iter().find(|span| span.span_id == id && span.trace_id == trace)
    {
        span.events.push(Event {
            time_unix_nano: time(message),
            name: attributes::text(message.payload()).into_owned(),
            attributes: attributes::all(message, &["trace_id", "span_id"]),
            dropped_attributes_count: 0,
        });
    }
}

fn time(message: &Message<'_>) -> u64 {
    u64::try_from(message.timestamp()).unwrap_or(0)
}

fn span(message: &Message<'_>) -> Span {
    let start = time(message);
    let seconds = match message.value(b"duration", 0, 0) {
        Some(Value::Double(seconds)) if seconds.is_finite() => seconds.clamp(0.0, 1e9),
        _ => 0.0,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
    let took = (seconds * 1e9).round() as u64;
    let kind = attributes::first_text(message, "kind");
    let kind = KINDS.iter().position(|name| *name == kind).map_or(0, |at| at + 1);
    let code = attributes::first_text(message, "status");
    let status = (!code.is_empty()).then(|| Status {
        code: ["unset", "ok", "error"]
            .iter()
            .position(|name| *name == code)
            .and_then(|at| i32::try_from(at).ok())
            .unwrap_or(0),
        message: attributes::first_text(message, "status_message"),
    });
    Span {
        trace_id: attributes::id(message, "trace_id"),
        span_id: attributes::id(message, "span_id"),
        trace_state: attributes::first_text(message, "trace_state"),
        parent_span_id: attributes::id(message, "parent_span_id"),
        name: attributes::text(message.payload()).into_owned(),
        kind: i32::try_from(kind).unwrap_or(0),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(took),
        attributes: attributes::all(message, OWN),
        links: links(message),
        status,
        ..Span::default()
    }
}

/// Links are texts, `trace/span`.
fn links(message: &Message<'_>) -> Vec<Link> {
    let field = message.fields().find(|field| field.name() == b"links");
    let values = field.iter().flat_map(Field::values);
    let texts = values.filter_map(|value| value.as_bytes());
    texts
        .filter_map(|text| {
            let text = attributes::text(text);
            let (trace, span) = text.split_once('/')?;
            Some(Link {
                trace_id: attributes::bytes(trace),
                span_id: attributes::bytes(span),
                ..Link::default()
            })
        })
        .collect()
}
