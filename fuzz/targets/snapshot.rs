//! A filter's snapshot, damaged in any way: it is refused or taken, and what was taken runs.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

const SCRIPT: &str = r#"
require "string"
require "circular_buffer"
require "hyperloglog"
require "cuckoo_filter"
local counts, list, deep = {}, {1, 2.5, "three", true}, {a = {b = {c = "d"}}}
deep.a.self = deep
window = circular_buffer.new(10, 2, 1)
window:set_header(1, "one")
seen = hyperloglog.new()
set = cuckoo_filter.new(100)
setmetatable(counts, {__index = deep})
total = 0
function process_message()
  local text = read_message("Payload")
  total = total + 1
  counts[text] = (counts[text] or 0) + 1
  list[#list + 1] = text
  window:add(total * 1e9, 1, 1)
  seen:add(text)
  set:add(text)
  inject_payload("txt", "state", tostring(total), deep.a and deep.a.b and tostring(deep.a.b.c) or "",
    tostring(window:get(total * 1e9, 1)), tostring(seen:count()))
  return 0
end
"#;

static STATE: OnceLock<Vec<u8>> = OnceLock::new();

fn state() -> Vec<u8> {
    let mut sandbox = heka_fuzz::filter(SCRIPT);
    for text in ["one", "two", "one"] {
        heka_fuzz::run(&mut sandbox, text.as_bytes()).expect("it runs");
    }
    sandbox.snapshot().expect("there is memory")
}

fuzz_target!(|harms: Vec<(u16, u8, Vec<u8>)>| {
    let mut state = STATE.get_or_init(state).clone();
    for (at, take, put) in harms.iter().take(6) {
        let at = usize::from(*at) % (state.len() + 1);
        let end = (at + usize::from(*take)).min(state.len());
        state.splice(at..end, put.iter().copied());
    }
    let mut sandbox = heka_fuzz::filter(SCRIPT);
    if sandbox.restore(&state).is_ok() {
        let _ = heka_fuzz::run(&mut sandbox, b"three");
        let kept = sandbox.snapshot();
        if harms.is_empty() {
            assert_eq!(heka_fuzz::run(&mut sandbox, b"x").is_ok(), kept.is_ok());
        }
    }
});
