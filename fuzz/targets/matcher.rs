//! The match language: any text is a matcher or an error that can be shown, and the index of all
//! matchers answers as each of them alone.

#![no_main]

use std::sync::OnceLock;

use heka::matcher::Index;
use heka::matcher::Matcher;
use heka::matcher::Row;
use heka::message::Batch;
use libfuzzer_sys::fuzz_target;

static BATCH: OnceLock<Batch> = OnceLock::new();

/// Matchers that are in every index.
const OTHERS: &[&str] =
    &["Type == 'nginx.access'", "Fields[status] >= 500", "Payload =~ /time(out)?/", "TRUE"];

fuzz_target!(|text: &str| {
    let texts: Vec<&str> = text.split('\n').collect();
    let mut matchers = Vec::new();
    for text in &texts {
        match Matcher::parse(text) {
            Ok(matcher) => matchers.push(matcher),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    if matchers.is_empty() {
        return;
    }
    matchers.extend(OTHERS.iter().filter_map(|text| Matcher::parse(text).ok()));
    let batch = BATCH.get_or_init(batch);
    let row = |matcher: &Matcher| Row { matcher: matcher.clone(), signer: None };
    let index = Index::new(matchers.iter().map(row).collect());
    let matches = index.compute(batch);
    for (id, matcher) in matchers.iter().enumerate() {
        let again = Matcher::parse(matcher.source()).expect("it was parsed before");
        for (place, message) in batch.iter().enumerate() {
            let alone = matcher.matches(&message);
            let together = matches.of(id).iter().any(|one| usize::from(*one) == place);
            assert_eq!(alone, together, "`{}`, message {place}", matcher.source());
            assert_eq!(alone, again.matches(&message));
        }
    }
});

fn batch() -> Batch {
    let mut batch = Batch::new();
    for number in 0..24_u8 {
        let mut message = batch.begin();
        if number % 5 != 0 {
            message.uuid(&[number; 16]).timestamp(i64::from(number) * 1_000_000_000);
            message.message_type(if number % 2 == 0 { b"nginx.access" } else { b"a" });
            message.logger(b"logger").severity(i32::from(number % 8)).pid(i32::from(number));
            message.hostname(if number % 3 == 0 { b"web-1" } else { b"" });
            message.env_version(b"0.8");
        }
        message.payload(format!("request {number} timeout \u{e9} 10.0.0.{number}").as_bytes());
        message.integer("status", "", 200 + 100 * i64::from(number % 4));
        message.integer("status", "", 7);
        message.double("took", "s", f64::from(number) / 3.0);
        message.string("name", "", if number % 2 == 0 { b"one" } else { b"\xff\x00two" });
        message.boolean("ok", "", number % 2 == 0);
        message.finish().expect("it is small");
    }
    batch
}
