//! Data points of metrics, of all five kinds.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::NumberDataPoint;
use opentelemetry_proto::tonic::metrics::v1::SummaryDataPoint;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;

use super::attributes;
use super::record::From;
use super::record::Records;
use crate::message::ArrayBuilder;
use crate::message::Builder;
use crate::message::Value;

pub(super) fn put(request: &ExportMetricsServiceRequest, records: &mut Records) {
    for resource in &request.resource_metrics {
        for scope in &resource.scope_metrics {
            let from = From::new(resource.resource.as_ref(), scope.scope.as_ref());
            for metric in &scope.metrics {
                put_metric(metric, from, records);
            }
        }
    }
}

/// What all points of a metric have.
struct About<'a> {
    metric: &'a Metric,
    kind: &'static str,
    temporality: i32,
    is_monotonic: Option<bool>,
}

fn put_metric(metric: &Metric, from: From<'_>, records: &mut Records) {
    let about = |kind, temporality, is_monotonic| About { metric, kind, temporality, is_monotonic };
    match &metric.data {
        Some(Data::Gauge(gauge)) => {
            let about = about("gauge", 0, None);
            for point in &gauge.data_points {
                let times = (point.time_unix_nano, point.start_time_unix_nano);
                add(&about, times, from, records, |to| put_number(point, &about, to));
            }
        }
        Some(Data::Sum(sum)) => {
            let about = about("sum", sum.aggregation_temporality, Some(sum.is_monotonic));
            for point in &sum.data_points {
                let times = (point.time_unix_nano, point.start_time_unix_nano);
                add(&about, times, from, records, |to| put_number(point, &about, to));
            }
        }
        Some(Data::Histogram(histogram)) => {
            let about = about("histogram", histogram.aggregation_temporality, None);
            for point in &histogram.data_points {
                let times = (point.time_unix_nano, point.start_time_unix_nano);
                add(&about, times, from, records, |to| put_histogram(point, &about, to));
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let temporality = histogram.aggregation_temporality;
            let about = about("exponential_histogram", temporality, None);
            for point in &histogram.data_points {
                let times = (point.time_unix_nano, point.start_time_unix_nano);
                add(&about, times, from, records, |to| put_exponential(point, &about, to));
            }
        }
        Some(Data::Summary(summary)) => {
            let about = about("summary", 0, None);
            for point in &summary.data_points {
                let times = (point.time_unix_nano, point.start_time_unix_nano);
                add(&about, times, from, records, |to| put_summary(point, &about, to));
            }
        }
        None => {}
    }
}

/// Writes a message for a point, measured and started at these times.
fn add(
    about: &About<'_>,
    (time, start): (u64, u64),
    from: From<'_>,
    records: &mut Records,
    put: impl FnOnce(&mut Builder<'_>),
) {
    records.add(("otlp.metric", time, 7), from, |message| {
        message.string("name", "", about.metric.name.as_bytes());
        message.string("type", "", about.kind.as_bytes());
        for (name, text) in
            [("unit", &about.metric.unit), ("description", &about.metric.description)]
        {
            if !text.is_empty() {
                message.string(name, "", text.as_bytes());
            }
        }
        let temporality = match about.temporality {
            1 => "delta",
            2 => "cumulative",
            _ => "",
        };
        if !temporality.is_empty() {
            message.string("temporality", "", temporality.as_bytes());
        }
        if let Some(is_monotonic) = about.is_monotonic {
            message.boolean("monotonic", "", is_monotonic);
        }
        if start > 0 {
            message.integer("start_time", "ns", i64::try_from(start).unwrap_or(i64::MAX));
        }
        put(message);
    });
}

fn put_number(point: &NumberDataPoint, about: &About<'_>, to: &mut Builder<'_>) {
    match point.value {
        Some(number_data_point::Value::AsInt(number)) => {
            to.integer("value", &about.metric.unit, number);
        }
        Some(number_data_point::Value::AsDouble(number)) => {
            to.double("value", &about.metric.unit, number);
        }
        None => {}
    }
    put_attributes(&point.attributes, to);
}

fn put_histogram(point: &HistogramDataPoint, about: &About<'_>, to: &mut Builder<'_>) {
    let unit = about.metric.unit.as_str();
    put_count(point.count, to);
    for (name, value) in [("sum", point.sum), ("min", point.min), ("max", point.max)] {
        if let Some(value) = value {
            to.double(name, unit, value);
        }
    }
    to.array("bounds", unit, &doubles(&point.explicit_bounds));
    to.array("buckets", "", &counts(&point.bucket_counts));
    put_attributes(&point.attributes, to);
}

fn put_exponential(point: &ExponentialHistogramDataPoint, about: &About<'_>, to: &mut Builder<'_>) {
    let unit = about.metric.unit.as_str();
    put_count(point.count, to);
    for (name, value) in [("sum", point.sum), ("min", point.min), ("max", point.max)] {
        if let Some(value) = value {
            to.double(name, unit, value);
        }
    }
    to.integer("scale", "", i64::from(point.scale));
    to.integer("zero_count", "", whole(point.zero_count));
    to.double("zero_threshold", unit, point.zero_threshold);
    put_buckets(("positive_offset", "positive_buckets"), point.positive.as_ref(), to);
    put_buckets(("negative_offset", "negative_buckets"), point.negative.as_ref(), to);
    put_attributes(&point.attributes, to);
}

fn put_buckets((offset, name): (&str, &str), buckets: Option<&Buckets>, to: &mut Builder<'_>) {
    if let Some(buckets) = buckets.filter(|buckets| !buckets.bucket_counts.is_empty()) {
        to.integer(offset, "", i64::from(buckets.offset));
        to.array(name, "", &counts(&buckets.bucket_counts));
    }
}

fn put_summary(point: &SummaryDataPoint, about: &About<'_>, to: &mut Builder<'_>) {
    let unit = about.metric.unit.as_str();
    put_count(point.count, to);
    to.double("sum", unit, point.sum);
    let quantiles: Vec<f64> = point.quantile_values.iter().map(|it| it.quantile).collect();
    let values: Vec<f64> = point.quantile_values.iter().map(|it| it.value).collect();
    to.array("quantiles", "", &doubles(&quantiles));
    to.array("values", unit, &doubles(&values));
    put_attributes(&point.attributes, to);
}

fn put_count(count: u64, to: &mut Builder<'_>) {
    to.integer("count", "", whole(count));
}

/// Attributes of a point; one that is named as a field of ours gets `attribute.` before its name.
fn put_attributes(all: &[KeyValue], to: &mut Builder<'_>) {
    const OURS: [&str; 11] = [
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
        "buckets",
    ];
    for one in all {
        let prefix = if OURS.contains(&one.key.as_str()) { "attribute." } else { "" };
        attributes::put(std::slice::from_ref(one), prefix, to);
    }
}

fn doubles(values: &[f64]) -> ArrayBuilder {
    let mut array = ArrayBuilder::default();
    for value in values {
        array.push(Value::Double(*value));
    }
    array
}

fn counts(values: &[u64]) -> ArrayBuilder {
    let mut array = ArrayBuilder::default();
    for value in values {
        array.push(Value::Integer(whole(*value)));
    }
    array
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
