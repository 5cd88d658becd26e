//! What is found in scripts, and what is not.

use super::*;
use crate::sandbox::Role;

/// Checks the remarks on a filter: the word each is about, and a part of what it says.
fn check(text: &str, expected: &[(&str, &str)]) {
    let remarks = lint(text, &Names::of(Role::Filter), true);
    let found: Vec<_> =
        remarks.iter().map(|remark| (&text[remark.at.clone()], remark.message.as_str())).collect();
    assert_eq!(found.len(), expected.len(), "{text}\n{found:?}");
    for ((word, message), (expected_word, part)) in found.iter().zip(expected) {
        assert_eq!(word, expected_word, "{text}");
        assert!(message.contains(part), "{message} has no {part}");
    }
}

#[test]
fn names_that_are_not_there_are_found() {
    check("function process_message() return 0 end", &[]);
    check(
        "function process_message() inject_mesage({}) return 0 end",
        &[("inject_mesage", "nothing declares it")],
    );
    check("print(string.formt('%d', 1))", &[("formt", "`string` has no `formt`")]);
    check("counter = (counter or 0) + 1", &[]);
    check("local a, b = 1, 2\nprint(a, b, c)", &[("c", "nothing declares it")]);
    check("for i = 1, 3 do print(i) end\nprint(i)", &[("i", "nothing declares it")]);
    check("print({name = 1, other = nane})", &[("nane", "nothing declares it")]);
    check(
        "require 'cjson'\nlocal lib = require('circular_buffer')\nlib.version()\ncjson.encode({})",
        &[],
    );
    check("local function f(a, ...) return a, ... end\nf(1)", &[]);
    check("local t = {}\nfunction t:m() return self end\nfunction t.n(x) return x end", &[]);
    check("if a then b() else c() end", &[("a", ""), ("b", ""), ("c", "")]);
}

#[test]
fn the_nearest_name_is_offered() {
    let names = Names::of(Role::Filter);
    let help = |text: &str| lint(text, &names, true)[0].help.clone().unwrap_or_default();
    assert_eq!(help("inject_mesage()"), "did you mean `inject_message`?");
    assert_eq!(help("string.formt()"), "did you mean `string.format`?");
}

#[test]
fn families_have_their_own_names() {
    let remarks = |role| lint("write_message('Type', 'x')", &Names::of(role), false).len();
    assert_eq!(remarks(Role::Decoder), 0);
    assert_eq!(remarks(Role::Filter), 1);
}

#[test]
fn blocks_are_followed_through_expressions() {
    check("local x = if true then 1 elseif false then 2 else 3\nprint(x)", &[]);
    check("local function f(a)\n  return if a then 1 else 2\nend\nlocal b = 1\nf(b)", &[]);
    check("repeat local x = 1 until x > 1 or g\ng = 1\nwhile true do local _y = 1 break end", &[]);
    check("do local x = 1 print(x) end\nprint(x)", &[("x", "nothing declares it")]);
    check("local x: number = 1\nprint(x)", &[]);
}

#[test]
fn locals_that_nothing_uses_are_found() {
    check("local a = 1", &[("a", "nothing uses `a`")]);
    check("local a, _b = 1, 2\nprint(a)", &[]);
    check("local function f() end\nlocal function g() end\ng()", &[("f", "nothing uses")]);
    check("local x = 1\ndo local x = x print(x) end", &[]);
    check("local x = 1\nfunction f(y, z)\n  local t = {x = 1, y = x}\n  return t\nend", &[]);
    check("function f()\n  local t = {}\n  for k, v in pairs({}) do end\nend", &[("t", "")]);
    check("local t\nfunction f() t = 1 end", &[]);
    check("local t = {}\nfunction t.f() end\nfunction t:g() end", &[]);
}

#[test]
fn wrong_counts_of_arguments_are_found() {
    check("read_config()", &[("read_config", "takes 1 argument, and there are 0")]);
    check("read_config('a', 'b')", &[("read_config", "there are 2")]);
    check("inject_payload('txt', 'x', 1, 2, 3)", &[]);
    check("local s = string.rep('x')\nprint(s)", &[("string", "takes 2 to 3 arguments")]);
    check("print(string.sub(read_config('a')))", &[]);
    check("local f = {n = 1}\nprint(tostring(f.n, 2))", &[("tostring", "takes 1 argument")]);
    check("read_message('Type', (1), {2, 3}, 4, 5)", &[("read_message", "there are 5")]);
    check("function read_it(a) return read_message(a, ...) end", &[]);
    check("print(string.gsub('a', 'b', function(x, y) return x, y end))", &[]);
    check("print(math.floor(unpack({})))", &[]);
    check("local string = {}\nstring.rep('x')", &[]);
}

#[test]
fn what_a_snapshot_does_not_keep_is_found() {
    check("c = coroutine.create(print)", &[("coroutine", "not kept in a snapshot")]);
    check(
        "local hooks = {}\nfunction process_message()\n  hooks[1] = function() return 1 end\n  \
         return 0\nend",
        &[("function", "`hooks` holds it")],
    );
    check(
        "function process_message()\n  function made() end\n  return 0\nend",
        &[("function", "`made` holds it")],
    );
    check(
        "local t = {}\nt.f = function() end\nfunction process_message()\n  \
         local own = function() return 1 end\n  local m = {f = function() end}\n  \
         m.g = function() end\n  return own() + #string.gsub('a', 'a', function() end)\nend",
        &[],
    );
}

#[test]
fn injections_in_the_order_of_pairs_are_found() {
    check(
        "local t = {}\nfunction timer_event()\n  for k, v in pairs(t) do\n    \
         if v then inject_payload('txt', k) end\n  end\n  inject_payload('txt', '')\nend",
        &[("inject_payload", "`pairs`")],
    );
    check(
        "local t = {}\nfunction timer_event()\n  for k, v in ipairs(t) do\n    \
         inject_payload('txt', k)\n  end\nend",
        &[],
    );
}

proptest::proptest! {
    #[test]
    fn whatever_is_written_is_looked_at(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "function", "end", "local", "if", "then", "else", "elseif", "for", "in", "pairs",
                "do", "repeat", "until", "(", ")", "{", "}", "=", ",", ".", ":", "x", "1", "'s'",
                "return", "[", "]", "coroutine", "create", "inject_payload", "string",
            ]),
            0..60,
        ),
    ) {
        let text = words.join(" ");
        for remark in lint(&text, &Names::default(), true) {
            proptest::prop_assert!(remark.at.end <= text.len());
        }
    }
}
