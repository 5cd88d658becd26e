//! `cjson` against serde_json: what serde_json takes it takes, what it writes serde_json reads, and
//! writing what was read says the same.

#![no_main]

use std::cell::RefCell;

use heka::sandbox::Sandbox;
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;

const SCRIPT: &str = r#"
local cjson = require "cjson"
cjson.decode_null(true)
cjson.encode_sparse_array(true)
cjson.encode_number_precision(16)
function process_message()
  local ok, value = pcall(cjson.decode, read_message("Payload") or "")
  if not ok then inject_payload("txt", "x", "no ", tostring(value)) return 0 end
  local written, text = pcall(cjson.encode, value)
  inject_payload("txt", "x", written and "ok " or "unwritten ", tostring(text))
  return 0
end
"#;

thread_local! {
    static SANDBOX: RefCell<Option<Sandbox>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    SANDBOX.with_borrow_mut(|sandbox| {
        let sandbox = sandbox.get_or_insert_with(|| heka_fuzz::filter(SCRIPT));
        if bytes.len() < 2000 {
            check(sandbox, bytes);
        }
    });
});

fn check(sandbox: &mut Sandbox, bytes: &[u8]) {
    let told = match heka_fuzz::run(sandbox, bytes) {
        Ok(told) => told.expect("it tells"),
        Err(error) => panic!("the call failed: {error}"),
    };
    let theirs = serde_json::from_slice::<Json>(bytes);
    if let Some(text) = told.strip_prefix(b"ok ") {
        let ours: Json = serde_json::from_slice(text).expect("what it writes is JSON");
        if let Ok(theirs) = theirs {
            assert!(is_same(&ours, &theirs), "{ours} is not {theirs}");
        }
    } else if told.starts_with(b"no ") {
        let is_deep = theirs.as_ref().is_ok_and(|theirs| depth(theirs) > 100);
        assert!(theirs.is_err() || is_deep, "{}", String::from_utf8_lossy(&told));
    }
}

fn depth(json: &Json) -> usize {
    match json {
        Json::Array(all) => 1 + all.iter().map(depth).max().unwrap_or(0),
        Json::Object(all) => 1 + all.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// As far as Lua can tell: numbers are doubles, an empty array is an empty object, and one whose
/// names are numbers may be an array.
fn is_same(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Number(ours), Json::Number(theirs)) => {
            let (ours, theirs) = (ours.as_f64().unwrap_or(0.0), theirs.as_f64().unwrap_or(0.0));
            (ours - theirs).abs() <= theirs.abs() * 1e-15
        }
        (Json::Array(ours), Json::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| is_same(a, b))
        }
        (Json::Object(ours), Json::Object(theirs)) => {
            ours.len() == theirs.len()
                && theirs.iter().all(|(name, b)| ours.get(name).is_some_and(|a| is_same(a, b)))
        }
        (Json::Array(one), Json::Object(other)) | (Json::Object(other), Json::Array(one)) => {
            one.is_empty() && other.is_empty()
        }
        _ => ours == theirs,
    }
}
