//! Lua 5.1, as scripts written for Heka know it.

use super::*;

/// Runs the body of a script once; it fails by `assert`.
fn holds(body: &str) {
    let (_, failures) = run(&format!("{body}\nfunction process_message() return 0 end"));
    assert_eq!(failures, Vec::<String>::new());
}

#[test]
fn old_functions_are_there() {
    holds(
        "
        assert(table.getn({1, 2, 3}) == 3 and table.maxn({[7] = 1}) == 7)
        assert(math.pow(2, 10) == 1024 and math.mod(7, 3) == 1 and math.fmod(-7, 3) == -1)
        assert(unpack({1, 2})== 1 and select('#', unpack({1, nil, 3}, 1, 3)) == 3)
        local words = {}
        for word in string.gfind('a b', '%a') do words[#words + 1] = word end
        assert(table.concat(words, ',') == 'a,b')
        local seen = 0
        table.foreach({x = 1}, function(k, v) seen = v end)
        table.foreachi({5, 6}, function(i, v) seen = seen + v end)
        assert(seen == 12)
        assert(_VERSION == 'Lua 5.1')
        assert(getfenv(1) == _G and getfenv(0) == _G)
        local f = setfenv(function() return x end, {x = 3})
        assert(f() == 3 and getfenv(f).x == 3)
        local function outer() setfenv(1, {y = 4}) return y end
        assert(outer() == 4)
        assert(xpcall(function() error('x') end, function(e) return e end) == false)
        assert(tonumber('0x1f') == 31 and tonumber('z', 36) == 35 and tonumber(' 7 ') == 7)
        assert(math.huge > 1 and math.log10(1000) == 3 and math.ldexp(1, 4) == 16)
        assert(type(os.time) == 'function' and os.difftime(5, 3) == 2)
        ",
    );
}

#[test]
fn further_arguments_are_in_a_table() {
    holds(
        "
        local function count(...) return arg.n, arg[1], arg[3] end
        local n, first, third = count('a', nil, 'c', nil)
        assert(n == 4 and first == 'a' and third == 'c')
        local function inner(...) return function() return arg[arg.n] end end
        assert(inner(1, 2)() == 2)
        local function own(...) local arg = {...} return #arg, arg.n end
        assert(own(1, 2) == 2 and select(2, own()) == nil)
        assert(#{pcall(function(...) error('x' .. arg[1], 0) end, 'y')} == 2)
        ",
    );
}

#[test]
fn a_replacement_may_escape_what_needs_it_not() {
    holds(
        "
        assert(string.gsub('a.b', '%.', '%-') == 'a-b')
        assert(('x'):gsub('x', '%%%1%.%0') == '%x.x')
        assert(not pcall(string.gsub, 'x', 'x', '%2'))
        assert(string.gsub('abc', '%w', '%0%0', 2) == 'aabbc')
        assert(not pcall(string.gsub, 'x', 'x') and not pcall(string.gsub))
        ",
    );
}

#[test]
fn what_was_taken_away_is_not_there() {
    holds(
        "
        for _, name in ipairs({'collectgarbage', 'dofile', 'load', 'loadfile', 'loadstring', 'newproxy',
          'gcinfo', 'io'}) do
          assert(_G[name] == nil, name)
        end
        for _, name in ipairs({'getenv', 'execute', 'exit', 'remove', 'rename', 'setlocale', 'tmpname'}) do
          assert(os[name] == nil, name)
        end
        assert(string.dump == nil and package.path == nil and package.loadlib == nil)
        assert(not pcall(require, 'io') and not pcall(require, 'debug'))
        ",
    );
}

#[test]
fn numbers_are_written_as_in_lua() {
    holds(
        r#"
        assert(tostring(3) == '3' and tostring(6 / 2) == '3' and 2 ^ 31 .. '' == '2147483648')
        assert(tostring(0/0) == 'nan' and tostring(1/0) == 'inf' and tostring(-1/0) == '-inf')
        assert(tostring(-0.5) == '-0.5' and tostring(1e100) == '1e+100', tostring(1e100))
        assert(string.format('%d %5.2f %x %s %q', 3.7, 1.005, 255, 'a', 'b"c') == [[3  1.00 ff a "b\"c"]])
        assert(string.format('%g %g', 1e20, 0.1) == '1e+20 0.1')
        assert(string.format('%i %u %o %c %e', 1, 2, 8, 65, 1) == '1 2 10 A 1.000000e+00')
        assert(string.format('%-5s|%05d|%+d|%%', 'ab', 42, 7) == 'ab   |00042|+7|%')
        assert(string.format('%s', 1.5) == '1.5' and string.format('%d', '10') == '10')
        assert(not pcall(string.format, '%d', 'x') and not pcall(string.format, '%d'))
        assert('10' + 5 == 15 and 10 .. 20 == '1020' and -2 ^ 2 == -4 and 7 % -3 == -2)
        "#,
    );
}

#[test]
fn globals_can_be_reached_by_name() {
    let script = "
        for i = 1, 2 do _G['count' .. i] = _G['count' .. i] or 0 end
        assert(rawget(_G, 'count1') == 0 and count2 == 0 and _G._G == _G)
        function process_message()
          _G.count1 = count1 + 1
          count2 = _G['count2'] + 2
          inject_payload('txt', '', count1, ' ', count2)
          return 0
        end";
    let (injected, restored) = resume(script, script);
    assert_eq!(restored, Restored::default());
    assert_eq!(injected, ["4 8", "5 10", "6 12"]);
}

/// Modules in the three ways they are written.
fn modules(file: &str) -> Option<String> {
    let text = match file {
        "of_env.lua" => {
            "local M = {}
             local pairs, assert = pairs, assert
             setfenv(1, M)
             local n = 0
             function count() n = n + 1 return n end
             return M"
        }
        "of/module.lua" => {
            "assert(... == 'of.module')
             module(..., package.seeall)
             assert(_NAME == 'of.module' and _PACKAGE == 'of.' and _M == getfenv(1))
             total = 0
             function count() total = total + 1 return tostring(total) end"
        }
        "plain.lua" => "#!/usr/bin/lua\nglobal_by_plain = ...",
        _ => return None,
    };
    Some(text.to_owned())
}

#[test]
fn modules_are_written_in_three_ways() {
    let script = "#!/usr/bin/env lua
        local e = require 'of_env'
        local m = require('of.module')
        assert(require('plain') == true and global_by_plain == 'plain')
        assert(m == of.module and package.loaded['of.module'] == m and require('of.module') == m)
        function process_message()
          inject_payload('txt', '', e.count(), ' ', of.module.count())
          return 0
        end";
    let mut spec = filter(script);
    spec.modules.built_in = Some(Arc::new(modules));
    let batch = batch(3);
    let payloads = |sandbox: &mut Sandbox| {
        let mut out = Batch::new();
        let now = EntryTime::default();
        sandbox.process(&batch, &all(&batch), now, &mut out, &mut |f| panic!("{f:?}"));
        let show = |message: crate::message::Message<'_>| {
            String::from_utf8_lossy(message.payload()).into_owned()
        };
        out.iter().map(show).collect::<Vec<_>>()
    };
    let mut first = Sandbox::load(&spec).unwrap();
    assert_eq!(payloads(&mut first), ["1 1", "2 2", "3 3"]);
    let state = first.snapshot().unwrap();
    let mut second = Sandbox::load(&spec).unwrap();
    assert_eq!(second.restore(&state).unwrap(), Restored::default());
    assert_eq!(payloads(&mut second), ["4 4", "5 5", "6 6"]);
}

#[test]
fn numbers_have_fourteen_digits_as_text() {
    holds(
        "
        for number, text in pairs({
          [0.1 + 0.2] = '0.3', [1 / 3] = '0.33333333333333', [1e15] = '1e+15',
          [99999999999999] = '99999999999999', [-2.5] = '-2.5', [1e-5] = '1e-05',
          [1416840893123456789] = '1.4168408931235e+18', [1 / 0] = 'inf', [-7] = '-7',
        }) do
          assert(tostring(number) == text and number .. '' == text and text == '' .. number, text)
          assert(table.concat({number}) == text and string.format('%s', number) == text, text)
          assert(string.len(number) == #text and string.rep(number, 1) == text, text)
        end
        assert(tostring(0 / 0) == 'nan' and tostring(tostring) == 'function: 0x0')
        ",
    );
}
