//! Messages as data points: those that OtlpInput made as what they were, numbers of others as gauges.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1 as otlp;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;

use super::attributes;
use super::attributes::From;
use crate::message::Field;
use crate::message::Message;
use crate::message::Places;
use crate::message::Value;
use crate::message::places::verbatim;

/// Fields that a data point has a place of its own for.
const OWN: &[&str] = &[
    "name",
    "type",
    "unit",
    "description",
    "temporality",
    "monotonic",
    "start_time",
    "value",
    "count",
    "sum",
    "min",
    "max",
    "bounds",
    "buckets",
    "scale",
    "zero_count",
    "zero_threshold",
    "positive_offset",
    "positive_buckets",
    "negative_offset",
    "negative_buckets",
    "quantiles",
    "values",
];

/// How numbers of messages become gauges.
#[derive(Debug, Default)]
pub(super) struct Naming {
    pub(super) prefix: Option<Places>,
    pub(super) fields: Vec<String>,
}

/// A request with the data points of these messages.
pub(super) fn request<'a>(
    messages: impl Iterator<Item = Message<'a>>,
    naming: &mut Naming,
) -> ExportMetricsServiceRequest {
    let mut groups: Vec<(From, Vec<otlp::Metric>)> = Vec::new();
    for message in messages {
        let metrics = if message.message_type() == b"otlp.metric" {
            restored(&message).into_iter().collect()
        } else {
            gauges(&message, naming)
        };
        let from = From::of(&message);
        match groups.iter_mut().rev().find(|(other, _)| *other == from) {
            Some((_, all)) => all.extend(metrics),
            None => groups.push((from, metrics)),
        }
    }
    let resource_metrics = groups.into_iter().map(|(from, metrics)| otlp::ResourceMetrics {
        resource: Some(from.resource),
        scope_metrics: vec![otlp::ScopeMetrics {
            scope: Some(from.scope),
            metrics,
            schema_url: String::new(),
        }],
        schema_url: String::new(),
    });
    ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
}

/// The numbers of a message; its texts are their attributes.
fn gauges(message: &Message<'_>, naming: &mut Naming) -> Vec<otlp::Metric> {
    let mut prefix = Vec::new();
    if let Some(places) = &mut naming.prefix
        && places.put(message, message.timestamp(), verbatim, &mut prefix).is_err()
    {
        prefix.clear();
    }
    let is_number = |field: &Field<'_>| number(field.value(0)).is_some();
    let numbers: Vec<Field<'_>> = message.fields().filter(is_number).collect();
    let names: Vec<_> = numbers.iter().map(|field| attributes::text(field.name())).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let attributes = attributes::all(message, &names);
    let wanted =
        |name: &str| naming.fields.is_empty() || naming.fields.iter().any(|field| field == name);
    let with_name = numbers.iter().zip(&names).filter(|(_, name)| wanted(name));
    with_name
        .map(|(field, name)| otlp::Metric {
            name: format!("{}{name}", attributes::text(&prefix)),
            unit: attributes::text(field.representation()).into_owned(),
            data: Some(Data::Gauge(otlp::Gauge {
                data_points: vec![otlp::NumberDataPoint {
                    value: number(field.value(0)),
                    ..point(message, attributes.clone())
                }],
            })),
            ..otlp::Metric::default()
        })
        .collect()
}

fn number(value: Option<Value<'_>>) -> Option<Number> {
    match value? {
        Value::Integer(number) => Some(Number::AsInt(number)),
        Value::Double(number) => Some(Number::AsDouble(number)),
        _ => None,
    }
}

fn point(message: &Message<'_>, attributes: Vec<KeyValue>) -> otlp::NumberDataPoint {
    otlp::NumberDataPoint {
        attributes,
        start_time_unix_nano: unsigned(message, "start_time"),
        time_unix_nano: u64::try_from(message.timestamp()).unwrap_or(0),
        value: number(message.value(b"value", 0, 0)),
        ..otlp::NumberDataPoint::default()
    }
}

/// The metric that a message of OtlpInput was; nothing where it lacks its name.
fn restored(message: &Message<'_>) -> Option<otlp::Metric> {
    let name = attributes::first_text(message, "name");
    let point = point(message, attributes::all(message, OWN));
    let temporality = match attributes::first_text(message, "temporality").as_str() {
        "delta" => 1,
        "cumulative" => 2,
        _ => 0,
    };
    let data = match attributes::first_text(message, "type").as_str() {
        "gauge" => Data::Gauge(otlp::Gauge { data_points: vec![point] }),
        "sum" => Data::Sum(otlp::Sum {
            data_points: vec![point],
            aggregation_temporality: temporality,
            is_monotonic: message.value(b"monotonic", 0, 0) == Some(Value::Bool(true)),
        }),
        "histogram" => Data::Histogram(otlp::Histogram {
            data_points: vec![histogram(message, point)],
            aggregation_temporality: temporality,
        }),
        "exponential_histogram" => Data::ExponentialHistogram(otlp::ExponentialHistogram {
            data_points: vec![exponential(message, point)],
            aggregation_temporality: temporality,
        }),
        "summary" => Data::Summary(otlp::Summary { data_points: vec![summary(message, point)] }),
        _ => return None,
    };
    let unit = attributes::first_text(message, "unit");
    let description = attributes::first_text(message, "description");
    let is_named = !name.is_empty();
    let metric = otlp::Metric { name, description, unit, data: Some(data), ..Default::default() };
    is_named.then_some(metric)
}

fn histogram(message: &Message<'_>, point: otlp::NumberDataPoint) -> otlp::HistogramDataPoint {
    otlp::HistogramDataPoint {
        attributes: point.attributes,
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: unsigned(message, "count"),
        sum: real(message, "sum"),
        min: real(message, "min"),
        max: real(message, "max"),
        explicit_bounds: reals(message, "bounds"),
        bucket_counts: counts(message, "buckets"),
        ..otlp::HistogramDataPoint::default()
    }
}

fn exponential(
    message: &Message<'_>,
    point: otlp::NumberDataPoint,
) -> otlp::ExponentialHistogramDataPoint {
    let buckets = |offset: &str, name: &str| {
        let bucket_counts = counts(message, name);
        let offset = whole(message, offset).and_then(|it| i32::try_from(it).ok()).unwrap_or(0);
        (!bucket_counts.is_empty())
            .then_some(otlp::exponential_histogram_data_point::Buckets { offset, bucket_counts })
    };
    otlp::ExponentialHistogramDataPoint {
        attributes: point.attributes,
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: unsigned(message, "count"),
        sum: real(message, "sum"),
        min: real(message, "min"),
        max: real(message, "max"),
        scale: whole(message, "scale").and_then(|it| i32::try_from(it).ok()).unwrap_or(0),
        zero_count: unsigned(message, "zero_count"),
        zero_threshold: real(message, "zero_threshold").unwrap_or(0.0),
        positive: buckets("positive_offset", "positive_buckets"),
        negative: buckets("negative_offset", "negative_buckets"),
        ..otlp::ExponentialHistogramDataPoint::default()
    }
}

fn summary(message: &Message<'_>, point: otlp::NumberDataPoint) -> otlp::SummaryDataPoint {
    let pairs = reals(message, "quantiles").into_iter().zip(reals(message, "values"));
    let value = |(quantile, value)| otlp::summary_data_point::ValueAtQuantile { quantile, value };
    otlp::SummaryDataPoint {
        attributes: point.attributes,
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: unsigned(message, "count"),
        sum: real(message, "sum").unwrap_or(0.0),
        quantile_values: pairs.map(value).collect(),
        ..otlp::SummaryDataPoint::default()
    }
}

fn whole(message: &Message<'_>, name: &str) -> Option<i64> {
    match message.value(name.as_bytes(), 0, 0)? {
        Value::Integer(number) => Some(number),
        _ => None,
    }
}

fn unsigned(message: &Message<'_>, name: &str) -> u64 {
    whole(message, name).and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

fn real(message: &Message<'_>, name: &str) -> Option<f64> {
    match message.value(name.as_bytes(), 0, 0)? {
        Value::Double(number) => Some(number),
        Value::Integer(number) => Some(number as f64),
        _ => None,
    }
}

fn reals(message: &Message<'_>, name: &str) -> Vec<f64> {
    let values = message.field(name.as_bytes(), 0).into_iter().flat_map(|field| field.values());
    values.filter_map(|value| if let Value::Double(it) = value { Some(it) } else { None }).collect()
}

fn counts(message: &Message<'_>, name: &str) -> Vec<u64> {
    let values = message.field(name.as_bytes(), 0).into_iter().flat_map(|field| field.values());
    let count = |value| match value {
        Value::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    };
    values.filter_map(count).collect()
}
