//! `lpeg` and `re` as scripts see them.

use super::*;

const SHOW: &str = include_str!("../../../tests/data/lpeg/show.lua");
const CASES: &str = include_str!("../../../tests/data/lpeg/cases.lua");

#[test]
fn patterns_do_as_the_manual_says() {
    check(
        &format!(
            "{SHOW}\n{CASES}
             local done = false
             function process_message()
               if not done then inject_payload('txt', '', wrong()) end
               done = true
               return 0
             end"
        ),
        &[""],
    );
}

#[test]
fn arithmetic_with_a_predicate_is_refused() {
    let (_, failures) = run("function process_message() lpeg.match(#lpeg.P('a') * 1, 'a') end");
    assert!(failures[0].contains("write lpeg.P(1)"), "{failures:?}");
}

#[test]
fn patterns_made_while_loading_are_found_again() {
    let script = "
        local lpeg = require('lpeg')
        local count = 0
        local counted = lpeg.C(lpeg.P(1) / function(c) count = count + 1 return c end)
        local letters = {lpeg.C(lpeg.R('az') ^ 1), lpeg.C(lpeg.R('AZ') ^ 1)}
        local seen = {}
        local noted = lpeg.Cc(seen) * lpeg.P(1)
        local current = letters[1]
        local n = 0
        function process_message()
          n = n + 1
          counted:match('x')
          noted:match('x')[n] = true
          local found = current:match('abCD') or current:match('ABcd')
          current = letters[2]
          inject_payload('txt', '', count, ' ', #seen, ' ', found, ' ', tostring(current == letters[2]))
          return 0
        end";
    let (injected, restored) = resume(script, script);
    assert_eq!(restored, Restored::default());
    assert_eq!(injected, ["4 4 AB true", "5 5 AB true", "6 6 AB true"]);
}

#[test]
fn patterns_made_while_running_are_kept_but_for_functions() {
    let script = "
        local lpeg = require('lpeg')
        local made, calls
        local n = 0
        function process_message()
          n = n + 1
          local first = lpeg.C(lpeg.R('az') ^ 1)
          made = made or lpeg.P({lpeg.Ct(first * lpeg.Cg(lpeg.Cc({n}) * 1 * lpeg.V('r'), 'k')),
            r = lpeg.S(',;') / {[','] = 'comma'}})
          local had = calls ~= nil
          calls = calls or lpeg.P(1) / function() return n end
          local found = made:match('ab..') or made:match('ab.,')
          inject_payload('txt', '', found[1], found.k[1], ' ', calls:match('x'), ' ', tostring(had))
          return 0
        end";
    let (injected, restored) = resume(script, script);
    let note = "process_message/calls: patterns with functions, made while running, are not kept";
    assert_eq!(restored.kept_in_part, [note]);
    assert_eq!(injected, ["ab1 4 false", "ab1 5 true", "ab1 6 true"]);
}

#[test]
fn another_version_of_a_script_has_its_own_patterns() {
    let script = |what: &str| {
        format!(
            "local lpeg = require('lpeg')
             local kept = lpeg.C({what})
             local n = 0
             function process_message()
               n = n + 1
               inject_payload('txt', '', n, ' ', kept:match('abc') or 'none')
               return 0
             end"
        )
    };
    let (injected, restored) = resume(&script("lpeg.P('a')"), &script("lpeg.P('ab')"));
    assert_eq!(restored, Restored::default());
    assert_eq!(injected, ["4 ab", "5 ab", "6 ab"]);
}

#[test]
fn damaged_patterns_are_refused_or_harmless() {
    let script = "
        local made
        function process_message()
          local l = require('lpeg')
          made = made or l.P({l.Ct(l.C(l.R('az') ^ 1) * (l.Cg(1, 'k') + l.V(2)) ^ 0), l.Cs(l.P('x') / '%0')})
          inject_payload('txt', '', #(made:match('abc.') or ''))
          return 0
        end";
    let batch = batch(1);
    let mut out = Batch::new();
    let mut old = Sandbox::load(&filter(script)).unwrap();
    let now = EntryTime::default();
    old.process(&batch, &[0], now, &mut out, &mut |f| panic!("{f:?}"));
    let state = old.snapshot().unwrap();
    for at in 22..state.len() {
        let mut damaged = state.clone();
        damaged[at] ^= 0x05;
        let mut new = Sandbox::load(&filter(script)).unwrap();
        if new.restore(&damaged).is_ok() {
            // What it does then is its own affair, as long as it is not ours.
            new.process(&batch, &[0], now, &mut out, &mut |failure| {
                assert!(!failure.message.contains("a fault in Heka"), "at {at}: {failure:?}");
            });
        }
    }
}
