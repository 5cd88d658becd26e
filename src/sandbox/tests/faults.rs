//! Faults of the host under a script: no memory, a panic. Both are errors of the script.

use super::*;
use crate::message::Draft;

/// Calls of all host functions, in the families that have them.
const CALLS: &[(Role, &str)] = &[
    (Role::Filter, "read_message('Fields[status]')"),
    (Role::Filter, "read_message('Uuid')"),
    (Role::Filter, "read_message('framed')"),
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
    (Role::Decoder, "write_message('Fields[a]', 'x', 'B') write_message('Payload', 'y')"),
    (Role::Decoder, "inject_message({Payload = 'a'}) inject_message({Payload = 'b'})"),
    (Role::Decoder, "inject_payload('txt', '', 'a') inject_payload('txt', '', 'b')"),
    (Role::Encoder, "write_message('Fields[a]', 1) read_message('raw')"),
    (Role::Encoder, "inject_message({Payload = 'a'})"),
    (Role::Encoder, "inject_payload('txt', '', 'b')"),
];

fn load(role: Role, call: &str) -> Sandbox {
    let text = format!("function process_message(msg)\ndo {call} end return 0\nend");
    let mut spec = filter(&text);
    spec.role = role;
    spec.limits.max_process_inject = 100;
    spec.config.insert("list".into(), ConfigValue::Array(vec![ConfigValue::Integer(1); 100]));
    spec.modules.built_in = Some(Arc::new(|_: &str| Some("return {f = function() end}".into())));
    Sandbox::load(&spec).unwrap()
}

/// Calls the script once; the error it ended with.
fn call(sandbox: &mut Sandbox, role: Role) -> Option<String> {
    let batch = batch(1);
    let mut out = Batch::new();
    let trouble = match role {
        Role::Decoder => {
            let mut draft = Draft::default();
            draft.copy_from(&batch.message(0));
            sandbox.decode(&mut draft, &mut out).err()
        }
        Role::Encoder => sandbox.encode(&batch.message(0), &mut Vec::new()).err(),
        _ => {
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
        for step in 0..40 {
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
    for (role, text) in CALLS {
        if text.starts_with("tostring") || text.starts_with("require") {
            continue;
        }
        let mut sandbox = load(*role, text);
        sandbox.state.cx().panics = true;
        let trouble = call(&mut sandbox, *role).unwrap();
        assert!(trouble.contains("a fault in Heka"), "{text}: {trouble}");
        sandbox.state.cx().panics = false;
        assert_eq!(call(&mut sandbox, *role), None, "{text}");
    }
}
