//! Scripts run through the whole of a sandbox.

mod again;
mod arguments;
mod declared;
mod faults;
mod hostile;
mod lpeg;
mod lua51;
mod migrate;
mod modules;
mod portions;

use std::fmt::Write;

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
        out.integer("status", "", 200 + i64::try_from(index).unwrap()).string("host", "", b"web1");
        out.finish().unwrap();
    }
    batch
}

fn all(batch: &Batch) -> Vec<u16> {
    (0..u16::try_from(batch.len()).unwrap()).collect()
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
fn the_function_may_change_between_two_messages() {
    for (change, expected) in [
        ("process_message = nil", "process_message() function was not found"),
        ("process_message = 5", "process_message() function was not found"),
        ("process_message = tostring", "process_message() must return a numeric status code"),
        ("process_message = pcall", "process_message() must return a numeric status code"),
        ("process_message = error", "the script raised an error that is no text"),
        ("process_message = coroutine.yield", "attempt to yield"),
        (
            "process_message = function() error({}) end",
            "the script raised an error that is no text",
        ),
        ("process_message = function() inject_payload('', '', 'no') error() end", "no text"),
        ("process_message = function() return 0/0 end", ""),
    ] {
        let (injected, failures) = run(&format!(
            "function process_message() inject_payload('txt', '', 'one') {change} return 0 end"
        ));
        assert_eq!(injected, ["heka.sandbox-output: one"], "{change}");
        assert_eq!(failures.len(), 2, "{change}: {failures:?}");
        assert!(failures.iter().all(|it| it.contains(expected)), "{change}: {failures:?}");
    }
    let (injected, _) = run("function process_message()
           process_message = function() inject_payload('txt', '', 'two') return 0 end
           return 0
         end");
    assert_eq!(injected.len(), 2);
}

#[test]
fn a_trapped_limit_ends_the_batch_and_tells_of_its_own_call() {
    let (injected, failures) = run("function process_message(msg)
           local status = msg.Fields.status
           inject_payload('txt', '', status)
           if status == 200 then error('an earlier failure') end
           if status == 201 then pcall(string.rep, 'x', 1e9) end
           return 0
         end");
    assert_eq!(injected, Vec::<String>::new());
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[1].contains("index: Some(1), which: Memory"), "{failures:?}");
    assert!(failures[1].contains("test.lua:6 in process_message"), "{failures:?}");
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

fn of_role(role: Role, text: &str) -> Sandbox {
    let mut spec = filter(text);
    spec.role = role;
    Sandbox::load(&spec).unwrap()
}

/// Runs a decoder over a record and shows the messages it makes, fields as `name=value`.
fn decode(text: &str, record: &str) -> Vec<String> {
    let mut sandbox = of_role(Role::Decoder, text);
    let mut draft = crate::message::Draft::default();
    draft.payload = Some(record.as_bytes().to_vec());
    draft.logger = Some(b"input".to_vec());
    let mut out = Batch::new();
    if let Err(trouble) = sandbox.decode(&mut draft, &mut out) {
        return vec![format!("{trouble:?}")];
    }
    let mut all = Batch::new();
    draft.write(&mut all).unwrap();
    for message in out.iter() {
        all.push_encoded(message.bytes(), crate::message::Marks::default()).unwrap();
    }
    let show = |message: crate::message::Message<'_>| {
        let mut text = format!(
            "{} {} {}",
            message.timestamp(),
            String::from_utf8_lossy(message.logger()),
            String::from_utf8_lossy(message.payload()),
        );
        for field in message.fields() {
            let name = String::from_utf8_lossy(field.name()).into_owned();
            let values: Vec<String> = field.values().map(|value| format!("{value:?}")).collect();
            write!(text, " {name}={}", values.join(",")).unwrap();
        }
        text
    };
    all.iter().map(show).collect()
}

#[test]
fn a_decoder_writes_its_record() {
    let messages = decode(
        "function process_message()
           local a, b = read_message('Payload'):match('(%S+) (%d+)')
           write_message('Timestamp', '2020-01-01T00:00:00Z')
           write_message('Fields[a]', a)
           write_message('Fields[b]', tonumber(b), 'B')
           write_message('Fields[b]', 5, nil, 0, 1)
           write_message('Fields[c]', true)
           write_message('Fields[c]', nil)
           write_message('Payload', nil)
           return 0
         end",
        "word 12",
    );
    assert_eq!(
        messages,
        ["1577836800000000000 input  a=String([119, 111, 114, 100]) b=Double(12.0),Double(5.0)"]
    );
}

#[test]
fn the_first_message_of_a_decoder_replaces_its_record() {
    let messages = decode(
        "function process_message()
           for i = 1, 2 do
             inject_message({Timestamp = i, Payload = 'p' .. i,
               Fields = {n = {value = i, value_type = 2}, l = {1, 2}}})
           end
           return 0
         end",
        "x",
    );
    assert_eq!(
        messages,
        [
            "1 input p1 l=Double(1.0),Double(2.0) n=Integer(1)",
            "2 input p2 l=Double(1.0),Double(2.0) n=Integer(2)",
        ]
    );
}

fn encode(text: &str) -> Result<Option<String>, Trouble> {
    let mut sandbox = of_role(Role::Encoder, text);
    let batch = batch(1);
    let mut out = Vec::new();
    let has_output = sandbox.encode(&batch.message(0), &mut out)?;
    Ok(has_output.then(|| String::from_utf8_lossy(&out).into_owned()))
}

#[test]
fn an_encoder_makes_bytes() {
    let payload = encode(
        "function process_message(msg)
           add_to_payload(msg.Type, ' ', 0.5, ' ')
           inject_payload('txt', '', read_message('Fields[status]'))
           return 0
         end",
    );
    assert_eq!(payload, Ok(Some("access 0.5 200".to_owned())));
    assert_eq!(encode("function process_message() return -2 end"), Ok(None));
    let copy = encode(
        "function process_message(msg)
           write_message('Payload', 'new')
           if msg.Payload ~= 'new' then return -1, 'old' end
           return 0
         end",
    );
    assert!(copy.unwrap().unwrap().contains("new"));
    let same = encode("function process_message() return 0 end").unwrap().unwrap();
    assert!(same.contains("body"));
}

#[test]
fn time_in_a_filter_is_that_of_the_entry() {
    check(
        "function process_message(msg)
           if msg.Fields.status ~= 200 then return 0 end
           inject_payload('txt', '', os.time(), ' ', os.date('%Y-%m-%d %H:%M:%S'), ' ',
             os.time({year = 2020, month = 13, day = 1, hour = 0}), ' ', os.date('*t', 86400).day)
           return 0
         end",
        &["5 1970-01-01 00:00:05 1609459200 2"],
    );
}

#[test]
fn nothing_shows_an_address() {
    check(
        "function process_message(msg)
           if msg.Fields.status ~= 200 then return 0 end
           inject_payload('txt', '', tostring({}), ' ', tostring(print), ' ', tostring(msg))
           return 0
         end",
        &["table: 0x0 function: 0x0 Message: 0x0"],
    );
}

#[test]
fn modules_are_found_once() {
    let mut spec = filter(
        "local m = require 'a.b'
         assert(require 'a.b' == m and require 'string' == string)
         function process_message() inject_payload('txt', '', m.x) return 0 end",
    );
    spec.modules.built_in =
        Some(Arc::new(|file: &str| (file == "a/b.lua").then(|| "return {x = 3}".to_owned())));
    let mut sandbox = Sandbox::load(&spec).unwrap();
    let mut out = Batch::new();
    let batch = batch(1);
    sandbox.process(&batch, &[0], EntryTime::default(), &mut out, &mut |f| panic!("{f:?}"));
    assert_eq!(out.message(0).payload(), b"3");
    let error = Sandbox::load(&filter("\nrequire '../x'")).unwrap_err();
    assert_eq!(error.to_string(), "test.lua:2: module '../x' has no sound name");
}

#[test]
fn a_circular_buffer_is_counted_and_printed() {
    check(
        "require 'circular_buffer'
         local cb = circular_buffer.new(2, 2, 1, true)
         local OK = cb:set_header(1, 'OK')
         function process_message(msg)
           cb:add(msg.Timestamp, OK, 1)
           if msg.Fields.status == 202 then
             local v, n = cb:compute('sum', 1)
             add_to_payload(v, n, cb:format('cbufd'))
             inject_payload('cbuf', '', cb:format('cbuf'):current_time())
           end
           return 0
         end",
        &["31{\"time\":0,\"rows\":2,\"columns\":2,\"seconds_per_row\":1,\"column_info\":[\
           {\"name\":\"OK\",\"unit\":\"count\",\"aggregation\":\"sum\"},{\"name\":\"Column_2\",\
           \"unit\":\"count\",\"aggregation\":\"sum\"}]}\n1\t3\tnan\n1000000000"],
    );
    let (_, failures) =
        run("function process_message() circular_buffer.new(1000000, 1000, 1) return 0 end");
    assert!(failures[0].contains("memory"), "{failures:?}");
    let (_, failures) =
        run("local c = circular_buffer.new(2, 1, 1) function process_message() c:add(0, 2, 1) end");
    assert_eq!(failures[0], "test.lua:1: bad argument #2 to 'add' (column out of range)");
}

/// Runs `before` over three messages, restores its snapshot into `after`, runs that over three
/// more; what `after` injected, and what was not kept.
fn resume(before: &str, after: &str) -> (Vec<String>, Restored) {
    let mut old = Sandbox::load(&filter(before)).unwrap();
    let batch = batch(3);
    let mut out = Batch::new();
    let now = EntryTime::default();
    old.process(&batch, &all(&batch), now, &mut out, &mut |f| panic!("{f:?}"));
    let state = old.snapshot().unwrap();
    let mut new = Sandbox::load(&filter(after)).unwrap();
    let restored = new.restore(&state).unwrap();
    if before == after && restored.kept_in_part.is_empty() && !restored.is_skipped {
        assert_eq!(new.snapshot().unwrap().len(), state.len(), "a restored state is the same");
    }
    out.truncate(0);
    new.process(&batch, &all(&batch), now, &mut out, &mut |f| panic!("{f:?}"));
    let show = |message: crate::message::Message<'_>| {
        String::from_utf8_lossy(message.payload()).into_owned()
    };
    (out.iter().map(show).collect(), restored)
}

#[test]
fn globals_and_locals_go_on_where_they_were() {
    let script = "
        require 'circular_buffer'
        total = 0
        local count, last = 0, nil
        local by_status = {}
        local cb = circular_buffer.new(3, 1, 1)
        local function tally(status)
          by_status[status] = (by_status[status] or 0) + 1
          by_status.self = by_status
          return cb:add(0, 1, 1)
        end
        function process_message(msg)
          total = total + 1
          count = count + 1
          local n = tally(msg.Fields.status)
          inject_payload('txt', '', total, ' ', count, ' ', tostring(last), ' ', n, ' ',
            by_status[msg.Fields.status], ' ', tostring(by_status.self == by_status))
          last = msg.Fields.status
          return 0
        end";
    let (injected, restored) = resume(script, script);
    assert_eq!(restored, Restored::default());
    assert_eq!(injected, ["4 4 202 4 2 true", "5 5 200 5 2 true", "6 6 201 6 2 true"]);
}

#[test]
fn objects_keep_their_methods() {
    let script = "
        local Counter = {}
        Counter.__index = Counter
        function Counter.add(self) self.n = self.n + 1 return self.n end
        local counters = {}
        local handlers = {add = function(c) return c:add() end}
        handlers.calls = 0
        function process_message(msg)
          counters[1] = counters[1] or setmetatable({n = 0}, Counter)
          handlers.calls = handlers.calls + 1
          inject_payload('txt', '', handlers.add(counters[1]), ' ', handlers.calls)
          return 0
        end";
    assert_eq!(
        resume(script, script),
        (vec!["4 4".into(), "5 5".into(), "6 6".into()], Restored::default())
    );
}

#[test]
fn the_random_generator_goes_on() {
    let script =
        "function process_message() inject_payload('txt', '', math.random(1e9)) return 0 end";
    let (six, _) =
        run(&script.replace("inject_payload", "local n = math.random(1e9) inject_payload"));
    assert_eq!(six.len(), 3);
    let (injected, _) = resume(script, script);
    let (first, _) = run(script);
    assert!(!first.iter().any(|text| text.ends_with(&injected[0])), "{first:?} {injected:?}");
}

#[test]
fn a_changed_script_keeps_its_variables_and_gets_new_settings() {
    let old = "local rows = 5 local n = 0 local t = {a = 1}
               local function f() return rows end
               function process_message() n = n + f() t.b = n return 0 end";
    let new = "local rows = 7 local n = 0 local t = {a = 1, c = 3} local extra = 2
               local function f() return rows end
               function process_message(msg)
                 n = n + f()
                 inject_payload('txt', '', n, ' ', t.b, ' ', t.c, ' ', extra)
                 return 0
               end";
    let (injected, restored) = resume(old, new);
    assert_eq!(restored, Restored::default());
    assert_eq!(injected[0], "22 15 3 2");
}

#[test]
fn another_preservation_version_starts_clean() {
    let script = |version: u32| {
        format!(
            "_PRESERVATION_VERSION = {version}
             local n = 0
             function process_message() n = n + 1 inject_payload('txt', '', n) return 0 end"
        )
    };
    let (injected, restored) = resume(&script(1), &script(2));
    assert!(restored.is_skipped);
    assert_eq!(injected[0], "1");
    assert_eq!(resume(&script(1), &script(1)).0[0], "4");
}

#[test]
fn what_cannot_be_kept_is_named() {
    let script = "local made = {}
        function process_message() made.f = function() end made.co = coroutine.create(print) return 0 end";
    let (_, restored) = resume(script, script);
    assert_eq!(restored.kept_in_part.len(), 2, "{restored:?}");
    assert!(restored.kept_in_part[0].contains("not kept"), "{restored:?}");
}

#[test]
fn a_long_list_is_no_matter_of_depth() {
    let script = "local list, n = nil, 0
        function process_message()
          for i = 1, 5000 do n = n + 1 list = {next = list, n = n} end
          local count, at = 0, list
          while at do count = count + 1 at = at.next end
          inject_payload('txt', '', count, ' ', list.n)
          return 0
        end";
    let (injected, restored) = resume(script, script);
    assert_eq!(restored, Restored::default());
    assert_eq!(injected, ["20000 20000", "25000 25000", "30000 30000"]);
}

#[test]
fn damaged_snapshots_are_refused() {
    let script = "t = {1, {2}, 'x'} function process_message() return 0 end";
    let mut sandbox = Sandbox::load(&filter(script)).unwrap();
    let state = sandbox.snapshot().unwrap();
    for length in 0..state.len() {
        assert!(Sandbox::load(&filter(script)).unwrap().restore(&state[..length]).is_err());
    }
    for at in 22..state.len() {
        let mut damaged = state.clone();
        damaged[at] ^= 0x15;
        let _ = Sandbox::load(&filter(script)).unwrap().restore(&damaged);
    }
}

#[test]
fn json_is_read_and_written() {
    check(
        r#"local cjson = require "cjson"
           local t = cjson.decode('{"b":[1,2.5,null,"x\\u00e9"],"a":{"t":true,"n":null}}')
           assert(t.b[1] == 1 and t.b[4] == "x\u{e9}" and t.a.n == nil)
           cjson.decode_null(true)
           assert(cjson.decode('[null]')[1] == cjson.null)
           assert(not pcall(cjson.decode, '{"a":'))
           assert(not pcall(cjson.decode, string.rep('[', 1000)))
           local loop = {} loop.l = loop
           assert(not pcall(cjson.encode, loop))
           assert(not pcall(cjson.encode, {[1] = 1, [1000] = 2}))
           assert(not pcall(cjson.encode, {f = print}))
           assert(not pcall(cjson.encode, string.rep('x', 70000)))
           function process_message(msg)
             if msg.Fields.status ~= 200 then return 0 end
             t.c = {0.1 + 0.2, 1e15, cjson.null, [5] = 'q"'}
             inject_payload('json', '', cjson.encode(t), cjson.encode({}))
             return 0
           end"#,
        &["{\"a\":{\"t\":true},\"b\":[1,2.5,null,\"x\u{e9}\"],\
             \"c\":[0.3,1e+15,null,null,\"q\\\"\"]}{}"],
    );
}
