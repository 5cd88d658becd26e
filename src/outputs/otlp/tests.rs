//! Tests of requests, and of what becomes of answers.

use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use tokio::net::TcpListener;

use super::*;
use crate::message::Batch;
use crate::outputs::testing;

/// What a collector was sent: the bodies of the records of each request.
type Heard = Arc<Mutex<Vec<Vec<String>>>>;

/// A collector that gives these answers in turn, and an output that sends to it.
async fn collector(answers: Vec<(StatusCode, i64)>) -> (OtlpOutput, Heard) {
    let heard = Heard::default();
    let own = heard.clone();
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let hear = move |request: Request| {
        let (own, answers) = (own.clone(), answers.clone());
        async move {
            if request.uri().path().ends_with("traces") {
                own.lock().unwrap().push(vec!["spans".to_owned()]);
                return StatusCode::OK.into_response();
            }
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let request = ExportLogsServiceRequest::decode(body).unwrap();
            let scopes = request.resource_logs.iter().flat_map(|it| &it.scope_logs);
            let bodies = scopes.flat_map(|it| &it.log_records).map(|record| {
                let body = record.body.clone().and_then(|body| body.value);
                if let Some(Any::StringValue(text)) = body { text } else { String::new() }
            });
            own.lock().unwrap().push(bodies.collect());
            let next = answers.lock().unwrap().pop_front();
            let (status, rejected_log_records) = next.unwrap_or((StatusCode::OK, 0));
            let error_message = "too old".to_owned();
            let partial = ExportLogsPartialSuccess { rejected_log_records, error_message };
            let answer = ExportLogsServiceResponse { partial_success: Some(partial) };
            (status, [("retry-after", "0")], answer.encode_to_vec()).into_response()
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, Router::new().fallback(hear)).await.unwrap();
    });
    let settings = format!("address = 'http://{address}/'\ncompression = 'none'");
    let mut output: OtlpOutput = toml::from_str(&settings).unwrap();
    output.open(&testing::context("otlp")).await.unwrap();
    (output, heard)
}

fn load(count: u16) -> Load {
    let records: Vec<Vec<u8>> = (0..count).map(|number| number.to_string().into_bytes()).collect();
    let mut load = testing::load(&records.iter().map(Vec::as_slice).collect::<Vec<_>>());
    load.messages = testing::made(count, |number, builder| {
        builder.message_type(b"line").logger(b"app").payload(number.to_string().as_bytes());
    });
    load
}

/// Sends until all is sent or refused; the reasons why records were.
async fn send(output: &mut OtlpOutput, load: &mut Load) -> Vec<String> {
    let mut reasons = Vec::new();
    for _ in 0..20 {
        match output.send(load).await {
            Ok(_) => return reasons,
            Err(Failure::Reject(reason)) => {
                let record = load.encoded.record(load.first()).to_vec();
                reasons.push(format!("{}: {reason}", String::from_utf8(record).unwrap()));
                load.advance(1);
            }
            Err(Failure::Retry(_)) => {}
            Err(Failure::Stop(error)) => panic!("{error:#}"),
        }
    }
    panic!("it never ends: {reasons:?}");
}

#[tokio::test]
async fn what_a_busy_collector_does_not_take_is_sent_again() {
    let (mut output, heard) = collector(vec![(StatusCode::SERVICE_UNAVAILABLE, 0)]).await;
    assert!(send(&mut output, &mut load(2)).await.is_empty());
    assert_eq!(*heard.lock().unwrap(), [["0", "1"], ["0", "1"]]);
}

#[tokio::test]
async fn the_record_that_is_refused_is_found_and_the_others_are_sent() {
    let bad = StatusCode::BAD_REQUEST;
    let (mut output, heard) = collector(vec![(bad, 0), (bad, 0), (bad, 0)]).await;
    let reasons = send(&mut output, &mut load(4)).await;
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].starts_with("0: ") && reasons[0].contains("400"), "{reasons:?}");
    assert_eq!(heard.lock().unwrap().last().unwrap(), &["1", "2", "3"]);
}

#[tokio::test]
async fn what_is_rejected_in_part_is_not_sent_again() {
    let (mut output, heard) = collector(vec![(StatusCode::OK, 2)]).await;
    let reasons = send(&mut output, &mut load(2)).await;
    assert_eq!(reasons[0], "0: the collector rejects it: too old");
    assert_eq!((reasons.len(), heard.lock().unwrap().len()), (2, 1));
    let (mut output, heard) = collector(vec![(StatusCode::OK, 1)]).await;
    let reasons = send(&mut output, &mut load(3)).await;
    let text = "2: the collector rejects 1 of 3 and does not say which: too old";
    assert_eq!(reasons[2], text);
    assert_eq!((reasons.len(), heard.lock().unwrap().len()), (3, 1));
}

#[test]
fn a_message_is_a_record_of_its_service() {
    let mut batch = Batch::new();
    for name in ["a", "a", "b"] {
        let mut builder = batch.begin();
        builder.message_type(b"line").logger(name.as_bytes()).hostname(b"web").pid(7).severity(3);
        builder.timestamp(5).payload(b"it broke").integer("n", "", 7);
        builder.string("map", "json", b"{\"a\":[1]}").string("trace_id", "", b"0aff");
        builder.finish().unwrap();
    }
    let request = logs::request(batch.iter());
    assert_eq!(request.resource_logs.len(), 2);
    let first = &request.resource_logs[0];
    let keys = |all: &[opentelemetry_proto::tonic::common::v1::KeyValue]| {
        all.iter().map(|it| it.key.clone()).collect::<Vec<_>>()
    };
    let resource = first.resource.as_ref().unwrap();
    assert_eq!(keys(&resource.attributes), ["service.name", "host.name", "process.pid"]);
    let records = &first.scope_logs[0].log_records;
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].severity_number, records[0].time_unix_nano), (17, 5));
    assert_eq!(records[0].trace_id, [10, 255]);
    assert_eq!(keys(&records[0].attributes), ["n", "map", "heka.type"]);
    let map = records[0].attributes[1].value.clone().unwrap().value.unwrap();
    assert!(matches!(map, Any::KvlistValue(_)), "{map:?}");
}

#[test]
fn numbers_are_gauges_with_the_texts_as_attributes() {
    let mut batch = Batch::new();
    let mut builder = batch.begin();
    builder.message_type(b"stats.disk").string("device", "", b"sda");
    builder.integer("reads", "1/s", 7).double("busy", "", 0.5);
    builder.finish().unwrap();
    let prefix = Some(Places::parse("%{Type}.").unwrap());
    let mut naming = Naming { prefix, fields: vec!["reads".to_owned()] };
    let request = metrics::request(batch.iter(), &mut naming);
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    assert_eq!(metrics.len(), 1);
    assert_eq!((metrics[0].name.as_str(), metrics[0].unit.as_str()), ("stats.disk.reads", "1/s"));
    let Some(Data::Gauge(gauge)) = &metrics[0].data else { panic!("{metrics:?}") };
    assert_eq!(gauge.data_points[0].attributes[0].key, "device");
}

/// A span, what happened in it, and what happened in one that is not there.
fn traced(number: u16, builder: &mut crate::message::Builder<'_>) {
    builder.logger(b"app").timestamp(5_000_000_000).string("trace_id", "", b"0aff");
    if number == 0 {
        builder.message_type(b"otlp.span").payload(b"checkout").string("span_id", "", b"01");
        builder.string("kind", "", b"client").double("duration", "s", 0.25);
        builder.string("status", "", b"error").string("status_message", "", b"late");
        builder.string("links", "", b"0b/02").integer("items", "", 2);
    } else {
        let id: &[u8] = if number == 1 { b"01" } else { b"77" };
        builder.message_type(b"otlp.event").payload(b"paid").string("span_id", "", id);
        builder.double("amount", "", 9.5);
    }
}

#[test]
fn a_span_is_one_again_with_its_events() {
    let mut batch = Batch::new();
    for number in 0..2 {
        let mut builder = batch.begin();
        traced(number, &mut builder);
        builder.finish().unwrap();
    }
    let (request, count) = traces::request(batch.iter());
    assert_eq!(count, 1);
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.name.as_str(), span.kind), ("checkout", 3));
    assert_eq!((&*span.trace_id, &*span.span_id), (&[10, 255][..], &[1][..]));
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 250_000_000);
    let status = span.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "late"));
    assert_eq!((&*span.links[0].trace_id, &*span.links[0].span_id), (&[11][..], &[2][..]));
    assert_eq!(span.attributes.len(), 1);
    assert_eq!((span.events.len(), span.events[0].name.as_str()), (1, "paid"));
    assert_eq!(span.events[0].attributes[0].key, "amount");
}

#[tokio::test]
async fn an_event_without_its_span_is_a_record_of_a_log() {
    let (mut output, heard) = collector(Vec::new()).await;
    let records: [&[u8]; 3] = [b"0", b"1", b"2"];
    let mut load = testing::load(&records);
    load.messages = testing::made(3, traced);
    assert!(send(&mut output, &mut load).await.is_empty());
    assert_eq!(*heard.lock().unwrap(), [["spans"], ["paid"]]);
}
