//! `migrate(old_version, state)`: what a script makes of another version's state.

use super::Sandbox;
use super::filter;
use super::resume;

const OLD: &str = "_PRESERVATION_VERSION = 3
    require 'circular_buffer'
    total = 0
    local buffer = circular_buffer.new(10, 1, 60)
    local parts = {a = 1}
    function process_message()
      total = total + 1
      parts.b = total
      buffer:add(0, 1, 1)
      return 0
    end";

#[test]
fn a_script_takes_over_what_it_has_renamed() {
    let new = "_PRESERVATION_VERSION = 4
        require 'circular_buffer'
        count = 0
        local kept, parts, version
        function migrate(old_version, state)
          version = old_version
          count = state.total * 10
          kept = state.buffer
          parts = state.parts
        end
        function process_message()
          count = count + 1
          inject_payload('txt', '', version, ' ', count, ' ', parts.a, ' ', parts.b, ' ',
            kept:get(0, 1))
          return 0
        end";
    let (injected, restored) = resume(OLD, new);
    assert!(!restored.is_skipped, "{restored:?}");
    assert_eq!(injected[0], "3 31 1 3 3");
}

#[test]
fn what_was_taken_over_by_name_is_the_same_table() {
    let old = "t = {n = 1} function process_message() t.n = t.n + 1 return 0 end";
    let new = "t = {n = 0, extra = 5}
        local is_same
        function migrate(old_version, state) is_same = state.t == t and old_version == nil end
        function process_message()
          inject_payload('txt', '', tostring(is_same), ' ', t.n, ' ', t.extra)
          return 0
        end";
    assert_eq!(resume(old, new).0[0], "true 4 5");
}

#[test]
fn it_is_not_called_for_the_script_s_own_state() {
    let script = "local n = 0
        function migrate() error('there is nothing to do') end
        function process_message() n = n + 1 inject_payload('txt', '', n) return 0 end";
    assert_eq!(resume(script, script).0[0], "4");
}

#[test]
fn one_that_fails_or_loops_is_refused() {
    let mut old = Sandbox::load(&filter(OLD)).unwrap();
    let state = old.snapshot().unwrap();
    for (body, expected) in [
        ("error('no such table')", "migrate(): "),
        ("while true do end", "cpu_limit exceeded"),
        ("local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end", "memory"),
    ] {
        let script = format!(
            "function migrate(version, state) {body} end function process_message() return 0 end"
        );
        let mut spec = filter(&script);
        spec.limits.cpu = std::time::Duration::from_millis(5);
        let error = Sandbox::load(&spec).unwrap().restore(&state).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
