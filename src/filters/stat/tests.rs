//! Tests of the stat filter.

use std::time::Duration;

use super::*;
use crate::filters::testing;
use crate::message::Builder;

const METRICS: &str = "
    [Metric.hits]
    type = 'Counter'
    name = 'http.%Hostname%.%status%'
    value = '1'
    replace_dot = true
    [Metric.size]
    type = 'Gauge'
    name = 'size.%Type%'
    value = '%bytes%'
    [Metric.time]
    type = 'Timer'
    name = '%Logger%.100%%'
    value = '%time%'
";

fn batch(write: impl Fn(&mut Builder<'_>), messages: usize) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..messages {
        let mut builder = batch.begin();
        write(&mut builder);
        builder.finish().unwrap();
    }
    batch
}

fn process(settings: &str, batch: &Batch) -> Batch {
    let filter: StatFilter = toml::from_str(settings).unwrap();
    let mut stat = testing::start(&filter, Duration::ZERO);
    let matched: Vec<u16> = (0..u16::try_from(batch.len()).unwrap()).collect();
    testing::call(1, |call| stat.process(batch, &matched, call).unwrap())
}

/// Name, value and modifier of all numbers in what was injected.
fn numbers(out: &Batch) -> Vec<(String, f64, String)> {
    let mut numbers = Vec::new();
    for message in out.iter() {
        assert_eq!(message.message_type(), b"heka.stat");
        let text = |name: &[u8], index| {
            let value = message.value(name, 0, index).unwrap();
            String::from_utf8(value.as_bytes().unwrap().to_vec()).unwrap()
        };
        for (index, value) in message.field(b"value", 0).unwrap().values().enumerate() {
            let Value::Double(value) = value else { panic!("{value:?}") };
            assert_eq!(message.value(b"sampling", 0, index), Some(Value::Double(1.0)));
            numbers.push((text(b"name", index), value, text(b"modifier", index)));
        }
    }
    numbers
}

fn check(write: impl Fn(&mut Builder<'_>), expected: &[(&str, f64, &str)]) {
    let found = numbers(&process(METRICS, &batch(write, 1)));
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, value, modifier)| ((*name).to_owned(), *value, (*modifier).to_owned()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn numbers_are_named_and_read() {
    check(
        |builder| {
            builder
                .hostname(b"a.example")
                .message_type(b"nginx.access")
                .logger(b"log")
                .integer("status", "", 404)
                .integer("bytes", "B", 512)
                .string("time", "s", b" 0.25");
        },
        &[
            ("http.a_example.404", 1.0, "c"),
            ("size.nginx.access", 512.0, "g"),
            ("log.100%", 0.25, "ms"),
        ],
    );
}

#[test]
fn truths_and_bytes_are_what_they_are() {
    check(
        |builder| {
            builder
                .message_type(b"t")
                .logger(b"l")
                .hostname(b"h")
                .bytes("status", "", b"ok")
                .boolean("bytes", "", true)
                .double("time", "", 1.5);
        },
        &[("http.h.ok", 1.0, "c"), ("size.t", 1.0, "g"), ("l.100%", 1.5, "ms")],
    );
}

#[test]
fn a_number_that_is_not_there_is_left_out() {
    check(
        |builder| {
            builder.message_type(b"t").logger(b"l").string("time", "", b"nan");
            builder.string("bytes", "", b"many");
        },
        &[],
    );
}

#[test]
fn a_batch_is_as_few_messages_as_it_fits_in() {
    let write = |builder: &mut Builder<'_>| {
        builder.hostname(&[b'h'; 100]).integer("status", "", 200);
    };
    let settings = format!("stat_accum_name = 'mine'\n{METRICS}");
    let out = process(&settings, &batch(write, 256));
    assert_eq!(numbers(&out).len(), 256);
    assert_eq!(out.len(), 2);
    assert!(out.iter().all(|message| message.bytes().len() < 65_536));
    assert_eq!(out.message(0).value(b"stat_accum_name", 0, 0), Some(Value::String(b"mine")));
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    for (settings, expected) in [
        ("[Metric.a]\ntype = 'Set'\nname = 'a'\nvalue = '1'", "unknown variant `Set`"),
        ("[Metric.a]\ntype = 'Gauge'\nname = 'a'", "missing field `value`"),
        ("[Metrics.a]", "unknown field `Metrics`"),
    ] {
        let error = toml::from_str::<StatFilter>(settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
