//! Scripts run through the whole of a sandbox.

use super::*;
use crate::message::Batch;

fn filter(text: &str) -> Spec {
    let script = Script { path: "test.lua".into(), text: text.to_owned() };
    let mut spec = Spec::new("test", Role::Filter, script);
    spec.hostname = "host".to_owned();
    spec
}

fn batch(count: usize) -> Batch {
    let mut batch = Batch::new();
    for index in 0..count {
        let mut out = batch.begin();
        out.uuid(&[7; 16]).timestamp(1_000_000_000).message_type(b"access").payload(b"body");
        out.integer("status", "", 200 + index as i64).string("host", "", b"web1");
        out.finish().unwrap();
    }
    batch
}

fn all(batch: &Batch) -> Vec<u16> {
    (0..batch.len() as u16).collect()
}

/// Runs a filter over three messages; what it injected as `Type: Payload`, and its failures.
fn run(text: &str) -> (Vec<String>, Vec<String>) {
    let mut sandbox = Sandbox::load(&filter(text)).unwrap();
    let batch = batch(3);
    let mut out = Batch::new();
    let mut failures = Vec::new();
    let now = EntryTime { position: 9, ns: 5_000_000_000 };
    let done = sandbox.process(&batch, &all(&batch), now, &mut out, &mut |failure| {
        failures.push(failure.message);
    });
    if let Some(stop) = done.stop {
        failures.push(format!("{stop:?}"));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let injected = out
        .iter()
        .map(|message| format!("{}: {}", text(message.message_type()), text(message.payload())))
        .collect();
    (injected, failures)
}

/// Runs a filter that is to inject these payloads.
fn check(script: &str, expected: &[&str]) {
    let (injected, failures) = run(script);
    assert_eq!(failures, Vec::<String>::new());
    let expected: Vec<String> =
        expected.iter().map(|text| format!("heka.sandbox-output: {text}")).collect();
    assert_eq!(injected, expected);
}

#[test]
fn a_field_is_read_in_both_ways() {
    check(
        "local n = 0
         function process_message(msg)
           n = n + read_message('Fields[status]') + msg.Fields.status
           inject_payload('txt', 'name', n, ' ', msg.Type, ' ', read_message('Payload'))
           return 0
         end",
        &["400 access body", "802 access body", "1206 access body"],
    );
}

#[test]
fn a_failing_call_injects_nothing_and_the_next_goes_on() {
    let (injected, failures) = run("function process_message(msg)
           inject_payload('txt', '', msg.Fields.status)
           if msg.Fields.status == 201 then error('no') end
           return 0
         end");
    assert_eq!(injected, ["heka.sandbox-output: 200", "heka.sandbox-output: 202"]);
    assert_eq!(failures, ["test.lua:3: no"]);
}

#[test]
fn a_status_above_zero_terminates() {
    let (_, failures) = run("function process_message() return 1, 'enough' end");
    assert_eq!(failures, ["Terminated { index: Some(0), reason: \"enough\" }"]);
}

#[test]
fn a_mistake_names_file_and_line() {
    let error = Sandbox::load(&filter("\n\nlocal x = = 1")).unwrap_err();
    assert_eq!((error.file.to_str().unwrap(), error.line), ("test.lua", Some(3)));
    let error = Sandbox::load(&filter("x = 1")).unwrap_err();
    assert_eq!(error.to_string(), "test.lua: process_message() function was not found");
}

#[test]
fn a_loop_is_stopped_even_when_the_script_traps_the_error() {
    let (_, failures) = run("function process_message()
           while true do pcall(function() while true do end end) end
         end");
    assert!(failures[0].contains("which: Cpu"), "{failures:?}");
}

#[test]
fn memory_is_limited_even_when_the_script_traps_the_error() {
    let (_, failures) = run("local t = {}
         function process_message()
           pcall(function() for i = 1, 1e9 do t[i] = {i} end end)
           return 0
         end");
    assert!(failures[0].contains("which: Memory"), "{failures:?}");
}

#[test]
fn garbage_does_not_count_as_memory() {
    check(
        "local keep = string.rep('k', 5 * 1024 * 1024)
         function process_message()
           local s
           for i = 1, 50 do s = string.rep(tostring(i % 10), 1024 * 1024) end
           inject_payload('txt', '', #s, ' ', #keep)
           return 0
         end",
        &["1048576 5242880", "1048576 5242880", "1048576 5242880"],
    );
}

#[test]
fn a_message_kept_past_its_call_is_an_error() {
    let (_, failures) = run("local kept function process_message(msg)
           if kept and kept ~= msg then error('not the same') end
           kept = msg
           return 0
         end
         function timer_event() end");
    assert!(failures.is_empty(), "{failures:?}");
    let mut sandbox = Sandbox::load(&filter(
        "local kept
         function process_message(msg) kept = msg return 0 end
         function timer_event() return kept.Type end",
    ))
    .unwrap();
    let batch = batch(1);
    let mut out = Batch::new();
    sandbox.process(&batch, &[0], EntryTime::default(), &mut out, &mut |_| ());
    let Err(Trouble::Failed(failure)) = sandbox.timer(0, EntryTime::default(), false, &mut out)
    else {
        panic!("the message is gone")
    };
    assert!(failure.message.contains("valid only during the call"), "{failure:?}");
}
