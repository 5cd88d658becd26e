//! Sums of stats, as messages.

use std::time::Duration;

use super::*;
use crate::inputs::testing::engine;
use crate::message::ArrayBuilder;

fn start(settings: &str) -> Box<dyn Filtering> {
    let filter: StatAccumInput = toml::from_str(settings).unwrap();
    let engine = engine();
    let ticker_interval = Duration::from_secs(10);
    filter.start(&FilterContext { name: "accum", engine: &engine, ticker_interval }).unwrap()
}

fn call(work: impl FnOnce(&mut FilterCall<'_>)) -> Batch {
    call_at(1, work)
}

fn call_at(engine_time: u64, work: impl FnOnce(&mut FilterCall<'_>)) -> Batch {
    let mut out = Batch::new();
    work(&mut FilterCall {
        entry: 1,
        time: 77_000_000_000,
        engine_time,
        out: &mut out,
        on_failure: &mut |failure| panic!("{failure:?}"),
    });
    out
}

fn numbers(accum: &str, numbers: &[(&str, f64, &str)]) -> Batch {
    let mut batch = Batch::new();
    let [mut names, mut values, mut modifiers, mut rates] =
        std::array::from_fn(|_| ArrayBuilder::default());
    for (name, value, modifier) in numbers {
        names.push(Value::String(name.as_bytes()));
        values.push(Value::Double(*value));
        modifiers.push(Value::String(modifier.as_bytes()));
        rates.push(Value::Double(1.0));
    }
    let mut message = batch.begin();
    message.uuid(&[1; 16]).timestamp(1).message_type(b"heka.stat");
    message.string("stat_accum_name", "", accum.as_bytes());
    message.array("name", "", &names).array("value", "", &values);
    message.array("modifier", "", &modifiers).array("sampling", "", &rates);
    message.finish().unwrap();
    batch
}

/// What the next round says, as text.
fn payload(accumulator: &mut dyn Filtering) -> String {
    let out = call(|call| accumulator.timer(call).unwrap());
    String::from_utf8(out.message(0).payload().to_vec()).unwrap()
}

#[test]
fn payload_has_a_line_for_every_number_and_the_state_survives() {
    let mut first = start("");
    let heard = numbers("accum", &[("hits", 20.0, "c"), ("load", 0.5, "g"), ("t", 8.0, "ms")]);
    let other = numbers("other", &[("hits", 1.0, "c")]);
    call(|call| first.process(&heard, &[0], call).unwrap());
    call(|call| first.process(&other, &[0], call).unwrap());
    let state = first.snapshot().unwrap().unwrap();
    let mut second = start("");
    assert_eq!(second.restore(&state).unwrap(), Vec::<String>::new());
    assert_eq!(payload(&mut *second), payload(&mut *first));
    let mut third = start("");
    third.restore(&state).unwrap();
    assert_eq!(
        payload(&mut *third),
        "stats.counters.hits.rate 2 77\nstats.counters.hits.count 20 77\n\
         stats.timers.t.count 1 77\nstats.timers.t.count_ps 0.1 77\n\
         stats.timers.t.lower 8 77\nstats.timers.t.upper 8 77\nstats.timers.t.sum 8 77\n\
         stats.timers.t.mean 8 77\nstats.timers.t.mean_90 8 77\n\
         stats.timers.t.upper_90 8 77\nstats.gauges.load 0.5 77\nstats.statsd.numStats 3 77\n"
    );
}

#[test]
fn a_round_is_as_long_as_asked_unless_ticks_were_missed() {
    const SECOND: u64 = 1_000_000_000;
    let mut filter = start("");
    // The first round, one a little late, one after a minute.
    for (seconds, rate) in [(7, "2"), (20, "2"), (80, "0.3333333333333333")] {
        let heard = numbers("accum", &[("hits", 20.0, "c")]);
        call(|call| filter.process(&heard, &[0], call).unwrap());
        let state = filter.snapshot().unwrap().unwrap();
        filter = start("");
        filter.restore(&state).unwrap();
        let out = call_at(seconds * SECOND, |call| filter.timer(call).unwrap());
        let text = String::from_utf8_lossy(out.message(0).payload()).into_owned();
        let expected = format!("stats.counters.hits.rate {rate} 77\n");
        assert!(text.starts_with(&expected), "{text}");
    }
}

#[test]
fn fields_and_names_of_old_are_given_where_asked_for() {
    let mut filter = start(
        "emit_in_payload = false\nemit_in_fields = true\nlegacy_namespaces = true\n\
         global_prefix = 's'",
    );
    let heard = numbers("accum", &[("hits", 20.0, "c")]);
    call(|call| filter.process(&heard, &[0], call).unwrap());
    let out = call(|call| filter.timer(call).unwrap());
    let message = out.message(0);
    assert_eq!(message.payload(), b"");
    assert_eq!(message.message_type(), b"heka.statmetric");
    let value = |name: &[u8]| message.value(name, 0, 0);
    assert_eq!(value(b"timestamp"), Some(Value::Integer(77)));
    assert_eq!(value(b"s.hits"), Some(Value::Double(2.0)));
    assert_eq!(value(b"stats_counts.hits"), Some(Value::Double(20.0)));
    assert_eq!(value(b"statsd.numStats"), Some(Value::Double(1.0)));
}

#[test]
fn many_numbers_go_into_several_messages() {
    let mut filter = start("");
    for chunk in 0..20 {
        let names: Vec<_> = (0..50).map(|number| format!("name-{chunk}-{number}")).collect();
        let heard: Vec<_> = names.iter().map(|name| (name.as_str(), 1.0, "c")).collect();
        call(|call| filter.process(&numbers("accum", &heard), &[0], call).unwrap());
    }
    let out = call(|call| filter.timer(call).unwrap());
    assert!(out.len() > 1);
    let lines: usize =
        out.iter().map(|message| message.payload().split(|byte| *byte == b'\n').count() - 1).sum();
    assert_eq!(lines, 2_001);
    assert!(out.iter().all(|message| message.payload().len() < 65_536));
}

#[test]
fn settings_that_say_nothing_are_refused() {
    let engine = engine();
    for (text, seconds, expected) in [
        ("emit_in_payload = false", 10, "emit_in_fields"),
        ("", 0, "ticker_interval"),
        ("percent_threshold = [101]", 10, "not between 0 and 100"),
    ] {
        let input: StatAccumInput = toml::from_str(text).unwrap();
        let ticker_interval = Duration::from_secs(seconds);
        let cx = FilterContext { name: "accum", engine: &engine, ticker_interval };
        let error = input.check().and_then(|()| input.start(&cx).map(drop));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
