//! Spans of traces.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;

use super::attributes;
use super::attributes::hex;
use super::record::From;
use super::record::Records;
use crate::message::ArrayBuilder;
use crate::message::Builder;
use crate::message::Value;

/// How many links of a span are told.
const MAX_LINKS: usize = 1000;

pub(super) fn put(request: &ExportTraceServiceRequest, records: &mut Records) {
    for resource in &request.resource_spans {
        for scope in &resource.scope_spans {
            let from = From::new(resource.resource.as_ref(), scope.scope.as_ref());
            for span in &scope.spans {
                let is_error = span.status.as_ref().is_some_and(|status| status.code == 2);
                let severity = if is_error { 3 } else { 6 };
                let head = ("otlp.span", span.start_time_unix_nano, severity);
                records.add(head, from, |message| put_span(span, message));
                for event in &span.events {
                    let head = ("otlp.event", event.time_unix_nano, severity);
                    records.add(head, from, |message| put_event(event, span, message));
                }
            }
        }
    }
}

fn put_span(span: &Span, message: &mut Builder<'_>) {
    message.payload(span.name.as_bytes());
    put_ids(span, message);
    if !span.parent_span_id.is_empty() {
        message.string("parent_span_id", "", hex(&span.parent_span_id).as_bytes());
    }
    if !span.trace_state.is_empty() {
        message.string("trace_state", "", span.trace_state.as_bytes());
    }
    let kind = match span.kind {
        1 => "internal",
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => "unspecified",
    };
    message.string("kind", "", kind.as_bytes());
    let took = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
    message.double("duration", "s", took as f64 / 1e9);
    if let Some(status) = &span.status {
        let code = ["unset", "ok", "error"];
        let code = usize::try_from(status.code).ok().and_then(|code_number| code.get(code_number));
        message.string("status", "", code.unwrap_or(&"unset").as_bytes());
        if !status.message.is_empty() {
            message.string("status_message", "", status.message.as_bytes());
        }
    }
    let mut links = ArrayBuilder::default();
    for link in span.links.iter().take(MAX_LINKS) {
        let text = format!("{}/{}", hex(&link.trace_id), hex(&link.span_id));
        links.push(Value::String(text.as_bytes()));
    }
    message.array("links", "", &links);
    attributes::put(&span.attributes, "", message);
}

fn put_event(event: &Event, span: &Span, message: &mut Builder<'_>) {
    message.payload(event.name.as_bytes());
    put_ids(span, message);
    attributes::put(&event.attributes, "", message);
}

fn put_ids(span: &Span, message: &mut Builder<'_>) {
    message.string("trace_id", "", hex(&span.trace_id).as_bytes());
    message.string("span_id", "", hex(&span.span_id).as_bytes());
}
