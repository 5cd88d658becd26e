//! The modules written in Rust, as scripts use them.

use super::*;

/// Runs a script that fails by `assert`, and again from a snapshot of itself.
fn holds(script: &str) {
    let (_, failures) = run(&format!("{script}\nfunction process_message() return 0 end"));
    assert_eq!(failures, Vec::<String>::new());
}

/// The error a line of a script ends with.
fn error(line: &str) -> String {
    let (_, failures) = run(&format!("function process_message()\n{line}\nreturn 0 end"));
    failures
        .first()
        .map(|text| text.trim_start_matches("test.lua:2: ").to_owned())
        .unwrap_or_default()
}

#[test]
fn lpeg_takes_its_own_classes() {
    holds(
        "local l = require('lpeg')
         l.locale(l)
         assert(l.match(l.alpha ^ 1, 'abc1') == 4 and lpeg.digit == l.digit)
         grammar = l.C(l.digit ^ 1)
         assert(not pcall(function() l.other = 1 end) and not pcall(l.locale, string))",
    );
}

#[test]
fn hindsight_s_buffers_keep_changes_without_being_told() {
    let script = "
        local cb = require('circular_buffer').new(4, 2, 1)
        local n = 0
        function process_message()
          n = n + 1
          cb:add(n * 1e9, 1, n)
          cb:set(n * 1e9, 2, 0)
          if n == 3 then
            inject_payload('txt', '', tostring(cb:get_delta(2e9, 1)), ' ', cb:get_range_delta(1)[4], ' ',
              tostring(cb:get_delta(0, 1)))
            cb:reset_delta()
          elseif n > 3 then
            inject_payload('cbufd', '', cb:format('cbufd'))
          end
          return 0
        end";
    let (injected, restored) = resume(script, script);
    assert_eq!(restored, Restored::default());
    let rows: Vec<_> = injected.iter().filter_map(|text| text.split_once('\n')).collect();
    assert_eq!(rows[0].1, "4\t4\tnan\n");
    assert_eq!(rows[1].1, "5\t5\tnan\n");
    holds(
        "local cb = require('circular_buffer').new(3, 1, 1)
         cb:add(1e9, 1, 7) cb:add(2e9, 1, 5)
         assert(cb:get_delta(1e9, 1) == 7 and cb:get_range_delta(1)[3] == 5)
         cb:add(2e9, 1, 1) assert(cb:get_delta(2e9, 1) == 6 and cb:get(2e9, 1) == 6)",
    );
}

#[test]
fn cjson_has_the_settings_of_lua_cjson() {
    holds(
        "assert(cjson._NAME == 'cjson' and cjson._VERSION)
         local read = cjson.decode('{\"a\": [NaN, -Infinity, 0x1f], \"NaN\": \"inf\"}')
         assert(read.a[1] ~= read.a[1] and read.a[2] == -math.huge and read.a[3] == 31)
         assert(read.NaN == 'inf' and cjson.decode_invalid_numbers() == true)
         cjson.decode_invalid_numbers(false)
         assert(not pcall(cjson.decode, '[NaN]') and cjson.decode('[1]')[1] == 1)
         assert(cjson.encode_invalid_numbers() == false and not pcall(cjson.encode, {0/0}))
         assert(cjson.encode_invalid_numbers(true) == true)
         assert(cjson.encode({0/0, 1/0, -1/0}) == '[NaN,Infinity,-Infinity]')
         assert(cjson.encode_invalid_numbers('null') == 'null' and cjson.encode({1/0}) == '[null]')
         assert(not pcall(cjson.encode_invalid_numbers, 'x'))
         assert(cjson.encode('a/b\\127\\1\\255\"') == '\"a\\\\/b\\\\u007f\\\\u0001\\255\\\\\"\"')
         assert(cjson.decode('\"\\\\ud83d\\\\ude00\\t\\255\"') == '\\240\\159\\152\\128\\t\\255')
         assert(cjson.encode({1416840893123456789, 1e14, 99999999999999}) ==
           '[1.4168408931235e+18,1e+14,99999999999999]')
         local _, why = pcall(cjson.decode, '{\"a\":1,}')
         assert(why == 'Expected object key string but found T_OBJ_END at character 8')
         _, why = pcall(cjson.encode, {[true] = 1})
         assert(why == 'Cannot serialise boolean: table key must be a number or string')
         local sax = require('sax')
         local one, other = sax.window.new(4, 2, 4), sax.window.new(4, 2, 4)
         one:add(1, 2, 3, 4) other:add({1, 2, 3, 4})
         assert(one:get_word() == other:get_word() and not pcall(one.add, one, {'x'}))
         assert(read_config('Logger') == 'test' and read_config('Hostname') == 'host')
         assert(read_config('output_limit') == 64512 and read_config('Pid') == 0)",
    );
}

#[test]
fn cjson_goes_as_deep_as_lua_cjson() {
    holds(
        "local function nested(depth)
           local t = {}
           for i = 2, depth do t = {t} end
           return t
         end
         local text = cjson.encode(nested(1000))
         assert(text == string.rep('[', 999) .. '{}' .. string.rep(']', 999))
         assert(cjson.encode(cjson.decode(text)) == text)
         local _, why = pcall(cjson.encode, nested(1001))
         assert(why == 'Cannot serialise, excessive nesting (1001)', why)
         _, why = pcall(cjson.decode, string.rep('[', 1001))
         assert(string.find(why, 'Found too many nested data structures (1001)', 1, true) == 1, why)
         assert(cjson.encode_max_depth(5) == 5 and cjson.decode_max_depth(5) == 5)
         _, why = pcall(cjson.encode, nested(6))
         assert(why == 'Cannot serialise, excessive nesting (6)' and cjson.encode(nested(5)))
         _, why = pcall(cjson.encode_max_depth, 0)
         assert(string.find(why, 'expected integer between 1 and 2147483647', 1, true), why)
         local loop = {} loop[1] = loop
         cjson.encode_max_depth(1000)
         assert(not pcall(cjson.encode, loop))
         local wide = {a = {b = {1, {c = {}}, 'x'}, d = {}}, e = {{}, {{}}}}
         assert(cjson.encode(wide) == '{\"a\":{\"b\":[1,{\"c\":{}},\"x\"],\"d\":{}},\"e\":[{},[{}]]}')",
    );
}

#[test]
fn cjson_takes_any_value() {
    holds(
        "assert(cjson.decode(5) == 5 and cjson.decode('true') == true and cjson.decode('\"a\"') == 'a')
         assert(cjson.decode('null') == nil and cjson.decode('[1,null,2]')[3] == 2)
         assert(cjson.encode(nil) == 'null' and cjson.encode(cjson.null) == 'null')
         assert(cjson.encode({}) == '{}' and cjson.encode({[3] = 1}) == '[null,null,1]')
         assert(cjson.encode({1, a = 2}) == '{\"1\":1,\"a\":2}' and cjson.encode({[1.5] = 1}) == '{\"1.5\":1}')
         assert(cjson.encode(0.1) == '0.1' and cjson.encode(1/3) == '0.33333333333333')
         assert(cjson.encode({2^53, -1e300, 100000}) == '[9.007199254741e+15,-1e+300,100000]')
         local function why(...)
           local ok, text = pcall(...)
           assert(not ok)
           return text
         end
         assert(why(cjson.encode, 0/0) == 'Cannot serialise number: must not be NaN or Inf')
         assert(why(cjson.encode, {[100] = 1}) == 'Cannot serialise table: excessively sparse array')
         assert(why(cjson.encode, print) == 'Cannot serialise function: type not supported')
         assert(string.find(why(cjson.encode), \"bad argument #1 to 'encode' (expected 1 argument)\", 1, true))
         assert(string.find(why(cjson.decode, '1', 2), \"bad argument #1 to 'decode' (expected 1 argument)\", 1, true))
         assert(string.find(why(cjson.decode, {}), \"bad argument #1 to 'decode' (string expected, got table)\", 1, true))
         local convert, ratio, safe = cjson.encode_sparse_array(true)
         assert(convert == true and ratio == 2 and safe == 10)
         assert(cjson.encode({[100] = 1}) == '{\"100\":1}')
         cjson.encode_number_precision(3)
         assert(cjson.encode(1/3) == '0.333' and cjson.decode_null(true) == nil)
         assert(cjson.decode('[null]')[1] == cjson.null and cjson.new == nil)",
    );
}

#[test]
fn sketches_count() {
    holds(
        "local bf = require('bloom_filter').new(1000, 0.001)
         assert(bf:add('a') and not bf:add('a') and bf:add(1) and not bf:query('1'))
         assert(bf:query(1) and bf:count() == 2)
         local cf = require('cuckoo_filter').new(1000)
         assert(cf:add('a') == true and cf:add('a') == false and cf:query('a'))
         assert(cf:delete('a') and not cf:delete('a') and cf:count() == 0)
         local ce = require('cuckoo_filter_expire').new(1000, 1)
         local new, age = ce:add('a', 60e9 * 100)
         local ns, interval = ce:current_interval()
         assert(new and age == 0 and ns == 60e9 * 100 and interval == 100)
         new, age = ce:add('a', 60e9 * 110)
         assert(not new and age == 10 and ce:add('a', 60e9 * 500) == true and ce:count() == 1)
         local hll = require('hyperloglog').new()
         for i = 1, 1000 do hll:add(i) end
         assert(math.abs(hll:count() - 1000) < 20)
         local one, other = hyperloglog.new(), hyperloglog.new()
         one:add('a') other:add('b')
         assert(hyperloglog.count(one) == 1 and hyperloglog.count(one, other, one) == 2)
         assert(one:count() == 1 and one:merge(other) == one and one:count() == 2)
         other:fromstring(tostring(one))
         assert(other:count() == 2 and hyperloglog.version() == '0.1.0')
         assert(bloom_filter.version() == '1.0.0' and cuckoo_filter.version() == '1.0.1')
         local small = cuckoo_filter.new(4)
         local ok, why
         for i = 1, 100 do ok, why = pcall(small.add, small, i) if not ok then break end end
         assert(not ok and string.find(why, 'full'))
         local sax = require('sax')
         local a = sax.new_word({10.3, 7, 1, -5, -5, 7.2}, 2, 8)
         assert(a == sax.new_word('FC', 8) and tostring(a:copy()) == 'FC')
         local b = sax.new_word({-9, -8, -7, -5, -5, 7.2}, 2, 8)
         assert(tostring(sax.mindist(a, b)) == '1.5676734353812')
         assert(math.abs(math.erf(0.5) - 0.52049987781304) < 1e-13 and math.erfc(0) == 1)
         local dd = require('ddsketch').new(0.02)
         for i = 1, 100 do dd:add(i) end
         assert(math.abs(dd:quantile(0.5) - 50) < 2 and dd:avg() == 50.5 and dd:max() == 100)
         local copy = ddsketch.new(0.02)
         copy:fromstring(dd:state())
         copy:merge(dd)
         assert(copy:count() == 200 and copy:sum() == 10100)",
    );
}

#[test]
fn a_circular_buffer_gives_ranges_and_notes() {
    let script = "
        require 'circular_buffer'
        local cb = circular_buffer.new(3, 2, 1, true)
        local n = 0
        function process_message()
          n = n + 1
          cb:add(n * 1e9, 1, n)
          cb:annotate(n * 1e9, 1, 'alert', 'say \\\"' .. n .. '\\\"', n == 6)
          local values, changes = cb:get_range(1), cb:get_range_delta(1, (n - 1) * 1e9)
          inject_payload('txt', '', values[1], ' ', values[3], ' ', #changes, ' ', changes[2], ' ',
            cb:get_delta(n * 1e9, 1), ' ', tostring(cb:get_range(1, 0, 0)), ' ',
            cb:format(n == 6 and 'cbufd' or 'cbuf'))
          cb:reset_delta()
          return 0
        end";
    let (injected, restored) = resume(script, script);
    assert_eq!(restored, Restored::default());
    assert!(injected[0].starts_with("2 4 2 4 4 nil {\"time\":2,"), "{}", injected[0]);
    assert!(
        injected[0].contains("\"annotations\":[{\"x\":2000,\"col\":1,\"shortText\":\"A\",\"text\":\"say \\\"2\\\"\"},"),
        "{}",
        injected[0]
    );
    assert_eq!(injected[2].matches("shortText").count(), 1, "{}", injected[2]);
    assert!(injected[2].ends_with("}\n6\t6\tnan\n"), "{}", injected[2]);
}

#[test]
fn texts_are_hashed_packed_and_searched() {
    holds(
        r"local sha, hmac, xxhash = require 'sha', require 'hmac', require 'xxhash'
         assert(sha.md5('') == 'd41d8cd98f00b204e9800998ecf8427e')
         assert(sha.sha1('abc') == 'a9993e364706816aba3e25717850c26c9cd0d89d')
         assert(#sha.sha256('abc', true) == 32 and #sha.sha512('x') == 128)
         assert(hmac.md5('key', 'The quick brown fox jumps over the lazy dog')
           == '80070713463e7749b90c2dc24911e275')
         assert(xxhash.h32('') == 0x02CC5D05 and xxhash.hex64('') == 'ef46db3751d8e999')
         assert(xxhash.h32('a', 7) ~= xxhash.h32('a') and xxhash.h64(1) ~= xxhash.h64('1'))
         local struct = require 'struct'
         local s = struct.pack('>I2 b c3 s', 258, -1, 'abcd', 'end')
         assert(s == '\1\2\255abcend\0')
         local a, b, c, d, at = struct.unpack('>I2 b c3 s', s)
         assert(a == 258 and b == -1 and c == 'abc' and d == 'end' and at == #s + 1)
         local text, at = struct.unpack('Bc0', '\3abcdef')
         assert(text == 'abc' and at == 5)
         assert(struct.size('!4 b i4') == 8 and struct.unpack('<d', struct.pack('<d', 0.1)) == 0.1)
         local re = require('regex').new([[(?<key>\w+)=(\d+)?]])
         assert(re:test('a=1') and not re:test('a'))
         local k, v = re:match('x a=12')
         assert(k == 'a' and v == '12' and select(2, re:match('b=')) == nil)
         local first, last, k = re:find('x a=12')
         assert(first == 3 and last == 6 and k == 'a' and re:find('a=1', 2) == nil)
         assert(re:captures('a=1').key == 'a' and re:captures('a=')[2] == nil)
         local all = re:all('a=1 b=')
         assert(#all == 2 and all[1][2] == '1' and all[2][2] == false)
         local text, n = re:gsub('a=1 b=2', '$2=${key}')
         assert(text == '1=a 2=b' and n == 2)
         assert(regex.new('x*'):gsub('abc', '-') == '-a-b-c-' and tostring(re):find('key'))
         assert(#regex.new('[a-z]'):all('a b') == 2 and regex.escape('a.b') == 'a\\.b')",
    );
}

#[test]
fn networks_and_shapes_are_found() {
    holds(
        "local ip = require 'ip'
         local office = ip.set({'10.0.0.0/8', 'fe80::/10'})
         office:add('10.1.0.0/16', 'lab') office:add('10.1.2.3', 7)
         assert(office:has('10.9.9.9') and not office:has('11.0.0.1') and not office:has('nonsense'))
         local value, network = office:find('10.1.9.9')
         assert(value == 'lab' and network == '10.1.0.0/16' and office:find('10.1.2.3') == 7)
         assert(office:remove('10.1.0.0/16') and office:find('10.1.9.9') == true)
         assert(office:count() == 3 and office:find('1.1.1.1') == nil)
         assert(ip.parse('FE80::0') == 'fe80::' and ip.parse('x') == nil and ip.version('::') == 6)
         assert(ip.contains('10.0.0.0/8', '10.2.2.2') and not ip.contains('::/0', '10.2.2.2'))
         local sax = require 'sax'
         local w = sax.window.new(8, 4, 4)
         for i = 1, 8 do w:add(i) end
         local word = w:get_word()
         assert(tostring(word) == 'ABCD' and tostring(w) == 'ABCD' and word == sax.word.new('ABCD', 4))
         assert(sax.mindist(word, w) == 0 and sax.mindist(word, sax.word.new('DCBA', 4)) > 1)
         assert(tostring(sax.word.new({1, 2, 3, 4}, 2, 3)) == 'AC')",
    );
}

#[test]
fn wrong_arguments_are_named() {
    for (line, expected) in [
        ("require('bloom_filter').new(1, 0.1)", "bad argument #1 to 'new' (items must be > 1)"),
        (
            "require('bloom_filter').new(10, 1)",
            "bad argument #2 to 'new' (probability: between 0 and 1 expected)",
        ),
        (
            "require('cuckoo_filter').new(10):add({})",
            "bad argument #1 to 'add' (string or number expected, got table)",
        ),
        ("require('hyperloglog').new().add({}, 1)", "calling 'add' on bad self (call it with ':')"),
        (
            "local h = require('hyperloglog').new() h:merge(h)",
            "bad argument #1 to 'merge' (another hyperloglog expected, got userdata)",
        ),
        ("require('regex').new('(')", "bad argument #1 to 'new' (expression: error parsing regex"),
        (
            "require('struct').pack('q')",
            "bad argument #1 to 'pack' (format: invalid format option 'q')",
        ),
        (
            "require('struct').pack('b')",
            "bad argument #2 to 'pack' (number expected, got no value)",
        ),
        ("require('struct').unpack('i4', 'abc')", "bad argument #2 to 'unpack' (text: too short)"),
        (
            "require('ip').set({'10.0.0.0/8', 'x'})",
            "bad argument #1 to 'set' (list: item 2 is no address or network)",
        ),
        (
            "require('sax').window.new(9, 4, 4)",
            "bad argument #2 to 'new' (w: a divisor of 9 expected)",
        ),
        (
            "require('xxhash').h32()",
            "bad argument #1 to 'h32' (string or number expected, got no value)",
        ),
    ] {
        let found = error(line);
        assert!(found.starts_with(expected), "{line}: {found}");
    }
}

#[test]
fn snapshots_keep_every_object() {
    let script = "
        local bf = require('bloom_filter').new(100, 0.01)
        local cf = require('cuckoo_filter').new(100)
        local ce = require('cuckoo_filter_expire').new(100, 1)
        local hll = require('hyperloglog').new()
        local dd = require('ddsketch').new()
        local nets = require('ip').set()
        local window = require('sax').window.new(6, 2, 4)
        local made = {}
        local n = 0
        function process_message(msg)
          n = n + 1
          bf:add(n) cf:add(n) ce:add(n, 60e9 * n) hll:add(n) dd:add(n) nets:add('10.0.0.' .. n, n)
          window:add(n)
          made[n] = made[n] or require('regex').new('x+')
          made.word = window:get_word()
          local sum = 0
          for _, re in ipairs(made) do if re:test('xx') then sum = sum + 1 end end
          inject_payload('txt', '', n, bf:count(), cf:count(), ce:count(), hll:count(), dd:count(),
            nets:count(), sum, ' ', tostring(window), ' ', tostring(made.word), ' ', (nets:find('10.0.0.1')))
          return 0
        end";
    let (injected, restored) = resume(script, script);
    assert_eq!(restored, Restored::default());
    assert_eq!(injected, ["44444444 #C #C 1", "55555555 #D #D 1", "66666666 AD AD 1"]);
}

#[test]
fn growing_objects_are_counted() {
    let (_, failures) = run("local nets = require('ip').set()
         function process_message()
           for i = 1, 1e6 do
             pcall(nets.add, nets, (i % 250) .. '.' .. (i // 250 % 250) .. '.' .. (i // 62500) .. '.0', 'x')
           end
         end");
    assert!(failures[0].contains("Memory") || failures[0].contains("Cpu"), "{failures:?}");
    let (_, failures) = run("local t = {}
         function process_message()
           for i = 1, 1e6 do t[i] = require('hyperloglog').new() end
         end");
    assert!(failures[0].contains("Memory"), "{failures:?}");
}

#[test]
fn a_reader_of_a_message_is_written_without_a_copy() {
    let script = "
        local payload, status = read_message('Payload', nil, nil, true), nil
        local number = read_message('Timestamp', nil, nil, true)
        function process_message()
          status = status or read_message('Fields[status]', 0, 0, true)
          local none = read_message('Fields[none]', 0, 0, true)
          add_to_payload(payload, '|', tostring(payload))
          inject_payload('txt', 'n', '|', status, none, '|', type(payload), type(number))
          return 0
        end";
    let (injected, restored) = resume(script, script);
    assert_eq!(restored, Restored::default());
    let expected = [200, 201, 202].map(|status| format!("body|body|{status}|userdatanil"));
    assert_eq!(injected, expected);
}
