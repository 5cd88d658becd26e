//! Messages as records of logs.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::logs::v1::ScopeLogs;

use super::attributes;
use super::attributes::From;
use crate::message::Message;
use crate::message::Value;

/// Fields that a record has a place of its own for.
const OWN: &[&str] = &["severity_text", "severity_number", "event_name", "trace_id", "span_id"];

pub(super) fn request<'a>(messages: impl Iterator<Item = Message<'a>>) -> ExportLogsServiceRequest {
    let mut groups: Vec<(From, Vec<LogRecord>)> = Vec::new();
    for message in messages {
        let from = From::of(&message);
        let record = record(&message);
        // What follows each other comes from the same place as a rule.
        match groups.iter_mut().rev().find(|(other, _)| *other == from) {
            Some((_, records)) => records.push(record),
            None => groups.push((from, vec![record])),
        }
    }
    let resource_logs = groups.into_iter().map(|(from, log_records)| ResourceLogs {
        resource: Some(from.resource),
        scope_logs: vec![ScopeLogs {
            scope: Some(from.scope),
            log_records,
            schema_url: String::new(),
        }],
        schema_url: String::new(),
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

fn record(message: &Message<'_>) -> LogRecord {
    let time = u64::try_from(message.timestamp()).unwrap_or(0);
    let payload = message.payload();
    let body = match std::str::from_utf8(payload) {
        Ok(text) => Any::StringValue(text.to_owned()),
        Err(_) => Any::BytesValue(payload.to_vec()),
    };
    let is_own = message.message_type() == b"otlp.log";
    let mut attributes = attributes::all(message, OWN);
    if !is_own && !message.message_type().is_empty() {
        let name = attributes::text(message.message_type()).into_owned();
        attributes.push(attributes::pair("heka.type", Any::StringValue(name)));
    }
    let number = match message.value(b"severity_number", 0, 0) {
        Some(Value::Integer(number @ 1..=24)) => i32::try_from(number).unwrap_or(0),
        _ if is_own => 0,
        _ => severity(message.severity()),
    };
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number: number,
        severity_text: attributes::first_text(message, "severity_text"),
        body: (!payload.is_empty()).then_some(AnyValue { value: Some(body) }),
        attributes,
        trace_id: attributes::id(message, "trace_id"),
        span_id: attributes::id(message, "span_id"),
        event_name: attributes::first_text(message, "event_name"),
        ..LogRecord::default()
    }
}

/// The severity of OpenTelemetry for one of syslog, as its data model has them.
fn severity(number: i32) -> i32 {
    match number {
        0 => 21,
        1 => 19,
        2 => 18,
        3 => 17,
        4 => 13,
        5 => 10,
        6 => 9,
        _ => 5,
    }
}
