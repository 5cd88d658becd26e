//! What metrics come as: lines of statsd, exporters' pages for Prometheus, and the files of `/proc`
//! have decoders of their own. What is read is a part of what was written, and numbers are numbers.

#![no_main]

use heka::formats::prometheus;
use heka::formats::statsd;
use heka::formats::statsd::Line;
use heka::formats::user_agent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    for line in text.split(|byte| *byte == b'\n') {
        check_statsd(line);
        let _ = user_agent::read(line);
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    for is_open_metrics in [false, true] {
        let mut count = 0;
        let lines = text.lines().count();
        let _ = prometheus::read(text, is_open_metrics, &mut |sample| {
            let _ = format!("{sample:?}");
            count += 1;
            true
        });
        assert!(count <= lines, "{count} samples in {lines} lines");
    }
});

fn check_statsd(line: &[u8]) {
    match statsd::read(line) {
        Ok(Line::Numbers(numbers)) => {
            assert!(!numbers.name.is_empty() && numbers.sampling > 0.0 && numbers.sampling <= 1.0);
            let is_set = numbers.kind == statsd::Kind::Set;
            for value in numbers.values() {
                assert!(is_set || statsd::number(value).is_some_and(f64::is_finite));
            }
            let mut name = String::new();
            statsd::put_name(numbers.name, numbers.tags, &mut name);
            assert!(!name.contains(char::is_whitespace), "{name:?}");
        }
        Ok(Line::Event(event)) => {
            let _ = (format!("{event:?}"), event.tags.pairs().count());
        }
        Ok(Line::ServiceCheck(check)) => {
            let _ = (format!("{check:?}"), check.tags.pairs().count());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
