//! Faults of the host under a script: no memory, a panic. Both are errors of the script.
//!
//! A host function that none of the [`CALLS`] reaches fails the suite.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::LazyLock;

use tempfile::NamedTempFile;

use super::*;
use crate::message::Draft;
use crate::sandbox::api::geoip_database;
use crate::sandbox::raw::GIVEN;

/// Calls of all host functions, in the families that have them.
const CALLS: &[(Role, &str)] = &[
    (Role::Filter, "read_message('Fields[status]')"),
    (Role::Filter, "read_message('Uuid')"),
    (Role::Filter, "read_message('framed') tostring(read_message('raw', nil, nil, true))"),
    (Role::Filter, "local x = msg.Fields.host .. msg.Payload"),
    (Role::Filter, "read_next_field()"),
    (Role::Filter, "read_config('list')"),
    (Role::Filter, "decode_message(read_message('raw'))"),
    (Role::Filter, "add_to_payload('a', 1, true, circular_buffer.new(2, 1, 1))"),
    (Role::Filter, "inject_payload('txt', 'n', string.rep('x', 9000))"),
    (
        Role::Filter,
        "inject_message({Payload = 'p', Fields = {a = 1, b = {1, 2}, c = {value = 'x'}}})",
    ),
    (Role::Filter, "inject_message(read_message('raw'))"),
    (Role::Filter, "print('x')"),
    (Role::Filter, "os.date('*t') os.date('%c') os.time() os.clock() os.difftime(1, 2)"),
    (Role::Filter, "math.randomseed(1) math.random(5)"),
    (Role::Filter, "string.split(string.rep('a,', 500)) string.find('abc', 'c', 1, true)"),
    (
        Role::Filter,
        "cjson.encode(cjson.decode('{\"a\":[1,2,{\"b\":\"' .. string.rep('x', 999) .. '\"}]}'))",
    ),
    (Role::Filter, "cjson.decode_null(true) cjson.encode_sparse_array(true)"),
    (
        Role::Filter,
        "local c = circular_buffer.new(9, 2, 1, true) c:add(0, 1, 1) c:get(0, 1) c:get_header(1)",
    ),
    (
        Role::Filter,
        "local c = circular_buffer.new(9, 2, 1) c:set(0, 1, 1) c:get_configuration() c:compute('sum', 1)",
    ),
    (
        Role::Filter,
        "tostring({}) tostring(setmetatable({}, {__tostring = function() return 'x' end}))",
    ),
    (Role::Filter, "local t = {} for i = 1, 400 do t[i] = {read_message('Payload') .. i} end"),
    (Role::Filter, "local x = coroutine.wrap(function() return read_message('Type') .. 'x' end)()"),
    (Role::Filter, "require('mod')"),
    (
        Role::Filter,
        "local g = require('geoip').open(read_config('database'))
         g:find('192.0.2.7', 'places', 1, 'name') g:build_time()",
    ),
    (Role::Decoder, "write_message('Fields[a]', 'x', 'B') write_message('Payload', 'y')"),
    (Role::Decoder, "inject_message({Payload = 'a'}) inject_message({Payload = 'b'})"),
    (Role::Decoder, "inject_payload('txt', '', 'a') inject_payload('txt', '', 'b')"),
    (Role::Encoder, "write_message('Fields[a]', 1) read_message('raw')"),
    (Role::Encoder, "inject_message({Payload = 'a'})"),
    (Role::Encoder, "inject_payload('txt', '', 'b')"),
    (
        Role::Filter,
        "local c = circular_buffer.new(9, 2, 1) c:set_header(1, 'a') c:current_time() c:format('cbuf')
         c:mannwhitneyu(1, 0, 0, 1e9, 1e9) pcall(c.fromstring, c, '1') circular_buffer.version()
         c:get_delta(0, 1) c:reset_delta() c:get_range(1) c:get_range_delta(1) c:annotate(0, 1, 'info', 'x')",
    ),
    (
        Role::Filter,
        "cjson.decode_max_depth(9) cjson.encode_max_depth(9) cjson.encode_number_precision(9)
         cjson.decode_invalid_numbers(true) cjson.encode_invalid_numbers('null') cjson.decode('[NaN]')",
    ),
    (
        Role::Filter,
        "local f = bloom_filter.new(99, 0.1) f:add('a') f:query(1) f:count() f:fromstring(f:state())
         f:clear() bloom_filter.version() math.erf(1) math.erfc(1)",
    ),
    (
        Role::Filter,
        "cuckoo_filter.version() cuckoo_filter_expire.version() hyperloglog.version()
         local f = cuckoo_filter.new(99) f:add('a') f:query(1) f:count() f:delete('a')
         f:fromstring(f:state()) f:clear()",
    ),
    (
        Role::Filter,
        "local f = cuckoo_filter_expire.new(99, 5) f:add('a', 1e18) f:query('a') f:current_interval()",
    ),
    (
        Role::Filter,
        "local h = hyperloglog.new() h:add('a') h:count() h:merge(hyperloglog.new())
         h:fromstring(h:state()) h:clear()",
    ),
    (
        Role::Filter,
        "local d = ddsketch.new() for i = 1, 9 do d:add(2 ^ i) end d:quantile(0.5) d:count() d:sum()
         d:min() d:max() d:avg() d:merge(ddsketch.new()) d:fromstring(d:state()) d:clear()",
    ),
    (
        Role::Filter,
        "xxhash.h32('a') xxhash.h64('a') xxhash.hex64('a')
         sha.md5('a') sha.sha1('a') sha.sha256('a') sha.sha384('a') sha.sha512('a', true)
         hmac.md5('k', 'a') hmac.sha1('k', 'a') hmac.sha256('k', 'a') hmac.sha512('k', 'a')",
    ),
    (
        Role::Filter,
        "local s = ip.set({'10.0.0.0/8'}) s:add('::/0', string.rep('x', 999)) s:find('::1')
         s:has('10.1.1.1') s:count() s:remove('::/0') s:clear()
         ip.parse('::1') ip.version('::1') ip.contains('::/0', '::1')",
    ),
    (
        Role::Filter,
        "local r = regex.new('(a)(?<b>b)?') r:test('ab') r:match('ab') r:find('ab') r:captures('ab')
         r:all('ab a') r:gsub('ab', '$1') tostring(r) regex.escape('.')",
    ),
    (
        Role::Filter,
        "local sax = require('sax') local w = sax.window.new(4, 2, 4) w:add(1, 2, 3, 4)
         local a, b = w:get_word():copy(), sax.word.new('AD', 4) local d = sax.mindist(a, b), a == b
         tostring(a) sax.version() pcall(w.fromstring, w, 'x') w:clear()",
    ),
    (
        Role::Filter,
        "struct.unpack('>I2s', struct.pack('>I2s', 258, string.rep('x', 999))) struct.size('bd')",
    ),
    (
        Role::Filter,
        "local l = require('lpeg') local d = l.R('09') l.setmaxstack(400) l.version() l.type(d)
         local p = l.Ct(l.Cg(l.C(d ^ 1) / tonumber, 'n') * (l.S(',;') * -d - l.B('x') + ',') * l.Cp())
         p:match('123,', 1)",
    ),
    (
        Role::Filter,
        "local l = lpeg l.P({'a', a = l.Cg(1, 'x') * l.Cb('x') * l.Cc({}, 1) * l.V('b') * l.Carg(1),
           b = l.Cmt(l.C(1), function(_, at, x) return at, x, {} end)}):match('abc', 1, 2)
         l.match(l.Cf(l.C(1) * l.C(1), math.max), '12') l.match(l.Cs((l.P('a') / '%0%0' + 1) ^ 0), 'abab')",
    ),
    (
        Role::Filter,
        "local l = lpeg l.match(-#l.P('a') * l.P(1), 'b') l.locale({}) l.match(l.C(1) / {a = 1}, 'a')
         l.match(l.Ct(l.C(1) ^ 0), string.rep('x', 50)) l.match(function() return true end, 'x')",
    ),
    (Role::Filter, "create_message_matcher('Payload =~ /b/'):eval()"),
    (Role::Output, "encode_message({Payload = 'x', Fields = {a = 1}}, true)"),
    (Role::Output, "update_checkpoint() update_checkpoint(1, 1) is_running()"),
    (Role::Input, "inject_message({Payload = 'x'}, 1) inject_message(nil, string.rep('x', 999))"),
    (
        Role::Input,
        "local r = create_stream_reader('x') r:find_message('abc') r:decode_message('')
         r:read_message('Payload') inject_message(r)",
    ),
    (
        Role::Input,
        "local f = io.open('/dev/null', 'r+') f:write('x') f:seek('set') f:read() f:flush() f:setvbuf('no')
         for l in f:lines() do end io.type(f) tostring(f) f:close() io.lines('/dev/null') io.tmpfile():close()
         io.popen('true'):close() io.output('/dev/null') io.write('') io.flush() io.input('/dev/null')
         io.close()",
    ),
    (Role::Input, "pcall(io.read, '*a')"),
    (
        Role::Input,
        "os.getenv('PATH') os.execute() os.remove('/nonexistent') os.rename('/nonexistent', '/x')
         os.tmpname()",
    ),
    (
        Role::Output,
        "local socket = require('socket') local s = socket.bind('127.0.0.1', 0) local _, p = s:getsockname()
         local c = socket.connect('127.0.0.1', p) local a = s:accept() c:send('x') a:receive(1)
         a:getpeername() c:settimeout(0) c:setoption('keepalive', true) c:shutdown() c:close()
         local t = socket.tcp() t:bind('127.0.0.1', 0) t:listen() socket.tcp():connect('127.0.0.1', p)
         local u = socket.udp() u:setsockname('127.0.0.1', 0) local _, q = u:getsockname()
         local v = socket.udp() v:sendto('x', '127.0.0.1', q) u:receivefrom() u:setpeername('127.0.0.1', q)
         socket.gettime() socket.sleep(0) socket.select({s}, {c}, 0) s:close() socket.dns.gethostname()
         socket.dns.toip('127.0.0.1')",
    ),
];

/// What scripts get by `require`, but for one that a call requires itself.
const LIBRARIES: &str = "for _, name in ipairs({'bloom_filter', 'cuckoo_filter', 'cuckoo_filter_expire',
  'hyperloglog', 'ddsketch', 'xxhash', 'sha', 'hmac', 'ip', 'regex', 'struct'}) do require(name) end";

/// A database of networks that the sections name.
static DATABASE: LazyLock<NamedTempFile> = LazyLock::new(|| {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&geoip_database()).unwrap();
    file
});

struct Nowhere;

impl Feed for Nowhere {
    fn deliver(&mut self, _: Batch, _: Option<Checkpoint>) -> bool {
        true
    }
}

pub(super) fn load(role: Role, call: &str) -> Sandbox {
    let text = format!("{LIBRARIES}\nfunction process_message(msg)\ndo {call} end return 0\nend");
    let mut spec = filter(&text);
    spec.role = role;
    spec.limits.max_process_inject = 100;
    spec.config.insert("list".into(), ConfigValue::Array(vec![ConfigValue::Integer(1); 100]));
    let database = DATABASE.path().display().to_string();
    spec.config.insert("database".into(), ConfigValue::String(database));
    spec.modules.built_in = Some(Arc::new(|_: &str| Some("return {f = function() end}".into())));
    Sandbox::load(&spec).unwrap()
}

/// Calls the script once; the error it ended with.
pub(super) fn call(sandbox: &mut Sandbox, role: Role) -> Option<String> {
    let batch = batch(1);
    let mut out = Batch::new();
    let trouble = match role {
        Role::Decoder => {
            let mut draft = Draft::default();
            draft.copy_from(&batch.message(0));
            sandbox.decode(&mut draft, &mut out).err()
        }
        Role::Input => sandbox.receive(None, &mut Nowhere).err(),
        Role::Output => sandbox.send(&batch.message(0), 1).err(),
        Role::Encoder => sandbox.encode(&batch.message(0), &mut Vec::new()).err(),
        Role::Filter => {
            let mut failed = None;
            let mut note = |failure| failed = Some(Trouble::Failed(failure));
            let done = sandbox.process(&batch, &[0], EntryTime::default(), &mut out, &mut note);
            done.stop.map(Trouble::Stopped).or(failed)
        }
    };
    if trouble.is_some() {
        assert!(out.is_empty(), "a call that fails injects nothing");
    }
    trouble.map(|trouble| match trouble {
        Trouble::Failed(failure) => failure.message,
        Trouble::Stopped(stop) => format!("{stop:?}"),
    })
}

#[test]
fn every_call_works_without_a_fault() {
    for (role, text) in CALLS {
        assert_eq!(call(&mut load(*role, text), *role), None, "{text}");
    }
}

#[test]
fn no_memory_is_an_error_of_the_script() {
    let mut failed = 0;
    for (role, text) in CALLS {
        for step in 0..120 {
            let mut sandbox = load(*role, text);
            sandbox.state.memory().refuse_in = Some(step);
            let trouble = call(&mut sandbox, *role);
            failed += u32::from(trouble.is_some());
            sandbox.state.memory().refuse_in = None;
            if trouble.is_none() {
                break;
            }
            // The state is whole: the same call works now.
            assert_eq!(call(&mut sandbox, *role), None, "{text} after step {step}");
        }
    }
    assert!(failed > 20, "only {failed} calls ran out of memory");
}

#[test]
fn a_panic_is_an_error_of_the_script() {
    let mut called = BTreeSet::new();
    for (role, text) in CALLS {
        let mut sandbox = load(*role, text);
        assert_eq!(call(&mut sandbox, *role), None, "{text}");
        let reached = std::mem::take(&mut sandbox.state.cx().called);
        for function in &reached {
            sandbox.state.cx().panics_at = Some(*function);
            let trouble = call(&mut sandbox, *role);
            let is_trapped = text.contains("pcall") && trouble.is_none();
            let is_told = trouble.is_some_and(|trouble| trouble.contains("a fault in Heka"));
            assert!(is_told || is_trapped, "{text}");
        }
        sandbox.state.cx().panics_at = None;
        assert_eq!(call(&mut sandbox, *role), None, "{text}");
        called.extend(reached);
    }
    for role in [Role::Input, Role::Decoder, Role::Filter, Role::Encoder, Role::Output] {
        load(role, "");
    }
    let given = GIVEN.lock().unwrap();
    let missed: Vec<_> = given.iter().filter(|(function, _)| !called.contains(function)).collect();
    assert!(missed.is_empty(), "no call in CALLS reaches {missed:?}");
}
