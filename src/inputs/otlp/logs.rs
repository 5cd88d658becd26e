//! Records of logs.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::attributes;
use super::attributes::hex;
use super::record::From;
use super::record::Records;
use crate::message::Builder;

pub(super) fn put(request: &ExportLogsServiceRequest, records: &mut Records) {
    for resource in &request.resource_logs {
        for scope in &resource.scope_logs {
            let from = From::new(resource.resource.as_ref(), scope.scope.as_ref());
            for log in &scope.log_records {
                let time = match log.time_unix_nano {
                    0 => log.observed_time_unix_nano,
                    time => time,
                };
                let head = ("otlp.log", time, severity(log.severity_number));
                records.add(head, from, |message| put_log(log, message));
            }
        }
    }
}

fn put_log(log: &LogRecord, message: &mut Builder<'_>) {
    if let Some(body) = log.body.as_ref().and_then(|body| body.value.as_ref()) {
        message.payload(attributes::text(body).as_bytes());
    }
    let texts = [("severity_text", &log.severity_text), ("event_name", &log.event_name)];
    for (name, text) in texts {
        if !text.is_empty() {
            message.string(name, "", text.as_bytes());
        }
    }
    for (name, id) in [("trace_id", &log.trace_id), ("span_id", &log.span_id)] {
        if !id.is_empty() {
            message.string(name, "", hex(id).as_bytes());
        }
    }
    if log.severity_number != 0 {
        message.integer("severity_number", "", i64::from(log.severity_number));
    }
    attributes::put(&log.attributes, "", message);
}

/// The severity of syslog for one of OpenTelemetry.
fn severity(number: i32) -> i32 {
    match number {
        1..=8 => 7,
        9..=12 => 6,
        13..=16 => 4,
        17..=20 => 3,
        21..=24 => 2,
        _ => 6,
    }
}
