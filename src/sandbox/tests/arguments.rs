//! Arguments are taken and refused as by the C API of Lua 5.1, which scripts were written against: a number
//! where a string is wanted, digits where a number is, a fraction where an integer is, nil for what may be
//! left out; what is wrong is told in its words.

use std::collections::BTreeSet;

use super::faults::call;
use super::faults::load;
use super::*;
use crate::sandbox::raw::GIVEN;

/// `try(name, function, kind, value, ...)`: tries the function with every argument in the forms it may have
/// and may not have. A kind is `s` for a string, `n` for a number, `i` for one without its fraction, each
/// with `?` where it may be left out, and `o` for all else.
const TRY: &str = r#"
  local faults = {}
  function try(name, f, ...)
    local kinds, values, count = {}, {}, select('#', ...) / 2
    for i = 1, count do
      kinds[i], values[i] = (select(2 * i - 1, ...)), (select(2 * i, ...))
    end
    local function with(i, value)
      local given = {}
      for k = 1, count do given[k] = values[k] end
      given[i] = value
      return pcall(f, unpack(given, 1, count))
    end
    local function takes(i, value, what)
      local ok, text = with(i, value)
      if not ok then faults[#faults + 1] = name .. ' #' .. i .. ' ' .. what .. ': ' .. tostring(text) end
      return text
    end
    local function refuses(i, value, expected, got)
      local ok, text = with(i, value)
      local words = string.format("bad argument #%d to '%s' (%s expected, got %s)", i, name, expected, got)
      if ok or not string.find(text, words, 1, true) then
        faults[#faults + 1] = words .. ', not: ' .. tostring(text)
      end
    end
    takes(1, values[1], 'as it is')
    for i = 1, count do
      local kind, is_optional = string.sub(kinds[i], 1, 1), string.sub(kinds[i], 2) == '?'
      local expected = kind == 's' and 'string' or 'number'
      if kind ~= 'o' then
        refuses(i, {}, expected, 'table')
        refuses(i, true, expected, 'boolean')
        if is_optional then takes(i, nil, 'left out') else refuses(i, nil, expected, 'nil') end
      end
      if kind == 's' then
        local ok, text = with(i, 12.5)
        if not ok and string.find(text, 'string expected', 1, true) then
          faults[#faults + 1] = name .. ' takes no number: ' .. text
        end
      elseif kind ~= 'o' then
        local one, other = takes(i, values[i], 'a number'), takes(i, tostring(values[i]), 'digits')
        if type(one) == 'number' and one == one and one ~= other then
          faults[#faults + 1] = name .. ' of digits is ' .. tostring(other)
        end
        refuses(i, 'x', 'number', 'string')
      end
      if kind == 'i' then takes(i, values[i] + 0.7, 'a fraction') end
    end
  end
  local function tried() return table.concat(faults, '\n') end
"#;

/// Functions by the family that has them, with arguments that work.
const FUNCTIONS: &[(Role, &str)] = &[
    (
        Role::Filter,
        "try('read_config', read_config, 's', 'list')
         try('read_message', read_message, 's', 'Fields[status]', 'i?', 0, 'i?', 0)
         try('inject_payload', inject_payload, 's?', 'txt', 's?', 'name')
         try('create_message_matcher', create_message_matcher, 's', 'TRUE')
         try('time', os.time, 'o', nil)
         try('date', os.date, 's?', '%Y', 'n?', 0)
         try('difftime', os.difftime, 'n', 5, 'n?', 3)
         try('random', math.random, 'i', 3, 'i', 3)
         try('randomseed', math.randomseed, 'n', 1)
         try('erf', math.erf, 'n', 1)
         try('erfc', math.erfc, 'n', 1)
         try('split', string.split, 's', 'a,b', 's?', ',')",
    ),
    (
        Role::Filter,
        "try('decode', cjson.decode, 's', '[1]')
         try('encode', cjson.encode, 'o', 1)
         try('decode_max_depth', cjson.decode_max_depth, 'i?', 9)
         try('encode_max_depth', cjson.encode_max_depth, 'i?', 9)
         try('encode_number_precision', cjson.encode_number_precision, 'i?', 14)
         try('encode_sparse_array', cjson.encode_sparse_array, 'o', false, 'i?', 2, 'i?', 10)
         try('encode_invalid_numbers', cjson.encode_invalid_numbers, 'o', 'null')
         try('decode_invalid_numbers', cjson.decode_invalid_numbers, 'o', true)
         try('decode_null', cjson.decode_null, 'o', false)",
    ),
    (
        Role::Filter,
        "local new = circular_buffer.new
         try('new', new, 'i', 3, 'i', 2, 'i', 60, 'o', true)
         local cb = new(10, 2, 1)
         cb:add(9e9, 1, 1) cb:add(5e9, 1, 2) cb:add(6e9, 1, 3)
         local function method(name, ...)
           try(name, function(...) return cb[name](cb, ...) end, ...)
         end
         method('set', 'n', 8e9, 'i', 2, 'n', 7)
         method('get', 'n', 8e9, 'i', 2)
         method('set_header', 'i', 1, 's', 'name', 's?', 'count', 'o', 'sum')
         method('get_header', 'i', 1)
         method('compute', 'o', 'sum', 'i', 1, 'n?', 1e9, 'n?', 9e9)
         method('mannwhitneyu', 'i', 1, 'n', 1e9, 'n', 3e9, 'n', 4e9, 'n', 6e9, 'o', true)
         method('format', 'o', 'cbuf')
         method('get_delta', 'n', 8e9, 'i', 2)
         method('get_range', 'i', 1, 'n?', 1e9, 'n?', 9e9)
         method('get_range_delta', 'i', 1, 'n?', 1e9, 'n?', 9e9)
         method('annotate', 'n', 8e9, 'i', 2, 'o', 'info', 's', 'text')
         method('get_configuration') method('current_time') method('reset_delta')
         try('add', function(ns, col, v) return new(10, 2, 1):add(ns, col, v) end, 'n', 8e9, 'i', 2, 'n', 7)
         try('fromstring', function(s)
           local ok, why = pcall(cb.fromstring, cb, s)
           if not ok and string.find(why, 'expected, got', 1, true) then error(why, 0) end
         end, 's', '')",
    ),
    (
        Role::Filter,
        "local bloom, cuckoo = require('bloom_filter'), require('cuckoo_filter')
         local expire, hll = require('cuckoo_filter_expire'), require('hyperloglog').new()
         try('new', bloom.new, 'i', 100, 'n', 0.25)
         try('new', cuckoo.new, 'i', 100)
         try('new', expire.new, 'i', 100, 'i', 5)
         local b, c, e = bloom.new(9, 0.1), cuckoo.new(9), expire.new(9, 5)
         for _, key in ipairs({'a', 1}) do
           try('add', function(k) return b:add(k) end, 'o', key)
           try('query', function(k) return b:query(k) end, 'o', key)
           try('delete', function(k) return c:delete(k) end, 'o', key)
         end
         assert(b:query('1') == false and b:query(1) == true)
         try('add', function(k, ns) local old, n = e:add(k, ns) return n end, 'o', 'a', 'n', 1e9)
         for _, object in ipairs({b, c, e, hll}) do
           try('fromstring', function(s)
             local ok, why = pcall(object.fromstring, object, s)
             if not ok and string.find(why, 'expected, got', 1, true) then error(why, 0) end
           end, 's', '')
         end
         hll:merge(require('hyperloglog').new()) hll:count() hll:clear() hll:state()
         e:current_interval()",
    ),
    (
        Role::Filter,
        "local dd, xx, sha, hmac = require('ddsketch'), require('xxhash'), require('sha'), require('hmac')
         try('new', dd.new, 'n?', 0.01)
         local d = dd.new()
         try('add', function(v, n) return d:add(v, n) end, 'n', 2, 'i?', 3)
         try('quantile', function(r) return d:quantile(r) end, 'n', 0.5)
         d:sum() d:min() d:max() d:avg()
         for _, name in ipairs({'h32', 'h64', 'hex64'}) do try(name, xx[name], 'o', 'a', 'i?', 7) end
         for _, name in ipairs({'md5', 'sha1', 'sha256', 'sha384', 'sha512'}) do try(name, sha[name], 's', 'a') end
         for _, name in ipairs({'md5', 'sha1', 'sha256', 'sha512'}) do
           try(name, hmac[name], 's', 'key', 's', 'a')
         end
         local struct = require('struct')
         try('pack', struct.pack, 'o', '<i4d', 'i', 7, 'n', 0.5)
         try('pack', struct.pack, 's', '<s', 's', 'abc')
         try('unpack', struct.unpack, 's', '<i1', 's', 'abc', 'i?', 2)
         try('size', struct.size, 'o', 'i4')",
    ),
    (
        Role::Filter,
        "local sax, re, ip = require('sax'), require('regex'), require('ip')
         try('new', sax.window.new, 'i', 8, 'i', 4, 'i', 4)
         local w = sax.window.new(8, 4, 4)
         try('add', function(...) return w:add(...) end, 'o', 1, 'n', 2)
         try('new', sax.word.new, 'o', 'ABC', 'i', 4)
         sax.mindist(w, w:get_word():copy()) sax.new_window(8, 4, 4) sax.new_word('AB', 4)
         try('new', re.new, 's', '1')
         try('escape', re.escape, 's', 'a')
         local r = re.new('.')
         try('test', function(t) return r:test(t) end, 's', 'a')
         try('match', function(t, i) return r:match(t, i) end, 's', 'abc', 'i?', 2)
         try('find', function(t, i) return r:find(t, i) end, 's', 'abc', 'i?', 2)
         try('captures', function(t, i) return r:captures(t, i) end, 's', 'abc', 'i?', 2)
         try('all', function(t) return r:all(t) end, 's', 'abc')
         try('gsub', function(t, b, n) return r:gsub(t, b, n) end, 's', 'abc', 'o', 'x', 'i?', 2)
         try('parse', ip.parse, 's', '::1')
         try('version', ip.version, 's', '::1')
         try('contains', ip.contains, 'o', '::/0', 's', '::1')
         local set = ip.set()
         try('add', function(a, v) return set:add(a, v) end, 'o', '::1', 'o', 1)
         try('has', function(a) return set:has(a) end, 's', '::1')
         try('find', function(a) return set:find(a) end, 's', '::1')
         set:remove('::1') set:count()",
    ),
    (
        Role::Filter,
        "try('S', lpeg.S, 's', 'abc')
         try('Carg', lpeg.Carg, 'o', 1)
         try('setmaxstack', lpeg.setmaxstack, 'o', 400)
         lpeg.match(lpeg.R('09') ^ 1, 123) lpeg.match(lpeg.P(1), '12', '2')
         assert(lpeg.match(lpeg.C(lpeg.R('09') ^ 1), 123) == '123')
         local path = read_config('database')
         try('open', function(p)
           if type(p) == 'number' then return end
           return require('geoip').open(p)
         end, 's', path)
         local db = require('geoip').open(path)
         try('find', function(a) return db:find(a) end, 's', '1.2.3.4')
         db:build_time()",
    ),
    (
        Role::Encoder,
        "try('write_message', write_message, 's', 'Fields[new]', 'o', 1, 's?', 'B', 'i?', 0, 'i?', 0)
         for _, name in ipairs({'Type', 'Logger', 'Payload', 'Hostname', 'EnvVersion'}) do
           write_message(name, 12.5) assert(read_message(name) == '12.5', name)
         end
         for _, name in ipairs({'Pid', 'Severity'}) do
           write_message(name, '3') assert(read_message(name) == 3, name)
           write_message(name, 4.7) assert(read_message(name) == 4, name)
         end",
    ),
    (
        Role::Input,
        "try('create_stream_reader', create_stream_reader, 's', 'x')
         local r = create_stream_reader('x') r:decode_message('')
         try('read_message', function(...) return r:read_message(...) end, 's', 'Pid', 'i?', 0, 'i?', 0)
         try('find_message', function(s) return r:find_message(s) end, 's?', 'abc')
         inject_message({Payload = 5, Type = 6.5, Pid = '7', Timestamp = '8'}, 'text')
         try('open', io.open, 's', '/dev/null', 'o', 'r')
         try('lines', io.lines, 'o', '/dev/null')
         try('popen', function(c, m) return io.popen(c, m):close() end, 's', 'true', 's?', 'r')
         local f = io.open('/dev/null', 'r+')
         f:write('text', 1.5)
         try('seek', function(w, o) return f:seek(w, o) end, 's?', 'set', 'i?', 0)
         try('setvbuf', function(m) return f:setvbuf(m) end, 's', 'no')
         try('getenv', os.getenv, 's', 'HOME')
         try('remove', function(n) return os.remove(n) end, 's', '/nonexistent')
         try('rename', os.rename, 's', '/nonexistent', 's', '/nonexistent')
         try('execute', os.execute, 's?', 'true')",
    ),
    (
        Role::Output,
        "try('encode_message', encode_message, 'o', {Payload = 5})
         try('update_checkpoint', update_checkpoint, 'i?', 1, 'i?', 2)
         local socket = require('socket')
         try('sleep', socket.sleep, 'n', 0)
         try('bind', function(h, p) return socket.bind(h, p):close() end, 's', '127.0.0.1', 'i', 0)
         local u = socket.udp() u:setsockname('127.0.0.1', 0)
         local _, port = u:getsockname()
         try('sendto', function(d, h, p)
           if type(h) == 'number' then return end
           return socket.udp():sendto(d, h, p)
         end, 's', 'x', 's', '127.0.0.1', 'i', port)
         try('settimeout', function(s) return u:settimeout(s) end, 'n?', 0)
         try('toip', function(h) if type(h) ~= 'number' then return socket.dns.toip(h) end end, 's', '127.0.0.1')
         try('setoption', function(n) return u:setoption(n, true) end, 's', 'reuseaddr')",
    ),
];

#[test]
fn every_function_takes_its_arguments_as_lua_does() {
    let mut faults = String::new();
    for (role, body) in FUNCTIONS {
        let script =
            format!("{TRY}\n{body}\nlocal text = tried() if text ~= '' then error(text, 0) end");
        let found = call(&mut load(*role, &script), *role).unwrap_or_default();
        faults.push_str(&found);
    }
    assert_eq!(faults, "");
}

/// What takes no argument of its own, any number of values, or what other tests go through.
const OTHERS: &[&str] = &[
    "Message",
    "Fields",
    "print",
    "inject_message",
    "add_to_payload",
    "read_next_field",
    "clock",
    "eval",
    "is_running",
    "version",
    "type",
    "count",
    "clear",
    "state",
    "decode_message",
    "gettime",
    "accept",
    "listen",
    "receive",
    "receivefrom",
    "send",
    "connect",
    "shutdown",
    "close",
    "select",
    "getpeername",
    "setpeername",
    "gethostname",
    "write",
    "read",
    "flush",
    "input",
    "output",
    "tmpfile",
    "tmpname",
    "tcp",
    "udp",
    "B",
    "C",
    "Cb",
    "Cc",
    "Cf",
    "Cg",
    "Cmt",
    "Cp",
    "Cs",
    "Ct",
    "R",
    "V",
];

#[test]
fn no_function_is_forgotten() {
    for role in [Role::Input, Role::Decoder, Role::Filter, Role::Encoder, Role::Output] {
        load(role, "");
    }
    let given: BTreeSet<String> = GIVEN.lock().unwrap().values().cloned().collect();
    let text: String = FUNCTIONS.iter().map(|(_, body)| *body).collect();
    let is_tried = |name: &str| {
        [format!("'{name}'"), format!(".{name}("), format!(":{name}(")]
            .iter()
            .any(|form| text.contains(form))
    };
    let missed: Vec<&String> = given
        .iter()
        .filter(|name| {
            !name.starts_with("__") && !OTHERS.contains(&name.as_str()) && !is_tried(name)
        })
        .collect();
    assert!(missed.is_empty(), "no arguments are tried of {missed:?}");
}

#[test]
fn a_header_of_the_wrong_type_is_left_out() {
    let (injected, failures) = run("function process_message()
           inject_message({Type = 7, Payload = 1.5, Severity = 'info', Pid = {}, Timestamp = true})
           return 0
         end");
    assert_eq!(failures, Vec::<String>::new());
    assert_eq!(injected[0], "heka.sandbox.7: 1.5");
}

#[test]
fn restricted_headers_are_those_of_the_section() {
    let script = "local m = decode_message(encode_message({Logger = 'mine', Pid = 9, Type = 't'}))
        error(m.Logger .. ' ' .. m.Pid .. ' ' .. m.Hostname .. ' ' .. m.Type, 0)";
    for (restricts_headers, expected) in [(false, "mine 9 host t"), (true, "test 5 host t")] {
        let mut spec = Spec { restricts_headers, pid: 5, ..filter(script) };
        spec.role = Role::Output;
        assert_eq!(Sandbox::load(&spec).unwrap_err().message, expected);
    }
}

#[test]
fn a_matcher_takes_patterns_of_lua() {
    check(
        "local matchers = {}
         for i, text in ipairs({[[Payload =~ '^b%l+$']], [[Payload =~ '%d' || Type !~ 'ss']],
             [[Payload =~ 'o.y'% ]], [[Fields[host] =~ 'web%d' && Payload =~ /^bo/]]}) do
           matchers[i] = create_message_matcher(text)
         end
         function process_message()
           for i, matcher in ipairs(matchers) do add_to_payload(matcher:eval(), ' ') end
           inject_payload()
           return 0
         end",
        &["true false false true "; 3],
    );
}
