//! Tests of OTLP.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message as _;

use super::*;
use crate::inputs::testing::Desk as Engine;
use crate::message::Batch;
use crate::message::Value;

/// The messages that a body in JSON becomes, and what is answered.
fn read(signal: Signal, json: &str, max_message_size: usize) -> (Vec<Batch>, String) {
    let mut engine = Engine::new("otlp");
    engine.engine.max_message_size = max_message_size;
    let mut records = Records::new(&engine.context());
    let answer = put(signal, Form::Json, json.as_bytes(), &mut records).unwrap();
    (records.take(), String::from_utf8(answer).unwrap())
}

fn check(signal: Signal, json: &str, fields: &[(&str, &str, Value<'_>)]) -> Vec<Batch> {
    let (batches, _) = read(signal, json, 65536);
    let message = batches[0].message(0);
    for (name, unit, expected) in fields {
        let field = message.field(name.as_bytes(), 0);
        let field = field.unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(field.value(0).as_ref(), Some(expected), "{name}");
        assert_eq!(field.representation(), unit.as_bytes(), "{name}");
    }
    batches
}

const RESOURCE: &str = r#""resource":{"attributes":[
    {"key":"service.name","value":{"stringValue":"shop"}},
    {"key":"host.name","value":{"stringValue":"web1"}},
    {"key":"process.pid","value":{"intValue":"42"}}]}"#;

#[test]
fn a_record_of_a_log_has_header_body_and_attributes() {
    let json = format!(
        r#"{{"resourceLogs":[{{{RESOURCE},"scopeLogs":[{{"scope":{{"name":"lib","version":"1"}},
        "logRecords":[{{"timeUnixNano":"1700000000000000001","severityNumber":17,
        "severityText":"ERROR","body":{{"stringValue":"it broke"}},
        "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
        "attributes":[{{"key":"n","value":{{"intValue":"7"}}}},
        {{"key":"list","value":{{"arrayValue":{{"values":[{{"doubleValue":1.5}}]}}}}}},
        {{"key":"map","value":{{"kvlistValue":{{"values":[{{"key":"a","value":{{"boolValue":true}}}}]}}}}}}
        ]}}]}}]}}]}}"#
    );
    let batches = check(
        Signal::Logs,
        &json,
        &[
            ("severity_text", "", Value::String(b"ERROR")),
            ("trace_id", "", Value::String(b"5b8efff798038103d269b633813fc60c")),
            ("n", "", Value::Integer(7)),
            ("list", "", Value::Double(1.5)),
            ("map", "json", Value::String(b"{\"a\":true}")),
            ("scope.name", "", Value::String(b"lib")),
            ("resource.service.name", "", Value::String(b"shop")),
        ],
    );
    let message = batches[0].message(0);
    assert_eq!(message.message_type(), b"otlp.log");
    assert_eq!(message.payload(), b"it broke");
    assert_eq!(message.logger(), b"shop");
    assert_eq!(message.hostname(), b"web1");
    assert_eq!((message.pid(), message.severity()), (42, 3));
    assert_eq!(message.timestamp(), 1_700_000_000_000_000_001);
}

fn metric(data: &str) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","unit":"By",{data}}}]}}]}}]}}"#
    )
}

#[test]
fn all_five_kinds_of_metrics_are_read() {
    let signal = Signal::Metrics;
    let point = r#""timeUnixNano":"5","attributes":[{"key":"k","value":{"stringValue":"v"}}]"#;
    let kind = |name: &'static str| ("type", "", Value::String(name.as_bytes()));
    check(
        signal,
        &metric(&format!(r#""gauge":{{"dataPoints":[{{{point},"asDouble":1.5}}]}}"#)),
        &[kind("gauge"), ("value", "By", Value::Double(1.5)), ("k", "", Value::String(b"v"))],
    );
    check(
        signal,
        &metric(&format!(
            r#""sum":{{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{{{point},"asInt":"3"}}]}}"#
        )),
        &[
            kind("sum"),
            ("value", "By", Value::Integer(3)),
            ("temporality", "", Value::String(b"cumulative")),
            ("monotonic", "", Value::Bool(true)),
        ],
    );
    check(
        signal,
        &metric(&format!(
            r#""histogram":{{"aggregationTemporality":1,"dataPoints":[{{{point},"count":"3","sum":6.5,
            "bucketCounts":["1","2"],"explicitBounds":[2.5]}}]}}"#
        )),
        &[
            kind("histogram"),
            ("count", "", Value::Integer(3)),
            ("sum", "By", Value::Double(6.5)),
            ("bounds", "By", Value::Double(2.5)),
            ("buckets", "", Value::Integer(1)),
        ],
    );
    check(
        signal,
        &metric(&format!(
            r#""exponentialHistogram":{{"aggregationTemporality":1,"dataPoints":[{{{point},"count":"3",
            "sum":6.5,"scale":2,"zeroCount":"1","positive":{{"offset":4,"bucketCounts":["2"]}}}}]}}"#
        )),
        &[
            kind("exponential_histogram"),
            ("scale", "", Value::Integer(2)),
            ("zero_count", "", Value::Integer(1)),
            ("positive_offset", "", Value::Integer(4)),
            ("positive_buckets", "", Value::Integer(2)),
        ],
    );
    check(
        signal,
        &metric(&format!(
            r#""summary":{{"dataPoints":[{{{point},"count":"3","sum":6.5,
            "quantileValues":[{{"quantile":0.5,"value":2.5}}]}}]}}"#
        )),
        &[
            kind("summary"),
            ("quantiles", "", Value::Double(0.5)),
            ("values", "By", Value::Double(2.5)),
        ],
    );
}

#[test]
fn a_span_and_its_events_are_messages() {
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"GET /","kind":2,
        "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
        "startTimeUnixNano":"1000000000","endTimeUnixNano":"3500000000",
        "status":{"code":2,"message":"bad"},
        "events":[{"timeUnixNano":"2000000000","name":"exception"}]}]}]}]}"#;
    let batches = check(
        Signal::Traces,
        json,
        &[
            ("span_id", "", Value::String(b"eee19b7ec3c1b174")),
            ("kind", "", Value::String(b"server")),
            ("duration", "s", Value::Double(2.5)),
            ("status", "", Value::String(b"error")),
            ("status_message", "", Value::String(b"bad")),
        ],
    );
    assert_eq!(batches[0].message(0).payload(), b"GET /");
    assert_eq!(batches[0].message(1).message_type(), b"otlp.event");
    assert_eq!(batches[0].message(1).payload(), b"exception");
}

#[test]
fn what_is_too_large_is_refused_by_itself() {
    let long = "x".repeat(5000);
    let json = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{long}"}}}},
        {{"body":{{"stringValue":"short"}}}}]}}]}}]}}"#
    );
    let (batches, answer) = read(Signal::Logs, &json, 4096);
    assert_eq!(batches[0].len(), 1);
    assert_eq!(batches[0].message(0).payload(), b"short");
    assert!(answer.contains("\"rejectedLogRecords\":"), "{answer}");
    assert!(answer.contains("larger than `max_message_size`"), "{answer}");
}

#[test]
fn protobuf_is_read_and_answered() {
    let engine = Engine::new("otlp");
    let mut records = Records::new(&engine.context());
    let body = log_service::ExportLogsServiceRequest::default().encode_to_vec();
    let answer = put(Signal::Logs, Form::Protobuf, &body, &mut records).unwrap();
    assert_eq!(ExportLogsServiceResponse::decode(&*answer).unwrap().partial_success, None);
    let refused = put(Signal::Logs, Form::Protobuf, b"\xff\xff", &mut records);
    let Err(Refusal::Body(text)) = refused else { panic!() };
    assert!(text.starts_with("the body is no protobuf of otlp"), "{text}");
}
