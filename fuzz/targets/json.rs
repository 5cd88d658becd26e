//! The JSON decoder against serde_json: it takes the objects that serde_json takes, and every member
//! that is a text, a number or a truth value is a field with that value.

#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;

use heka::message::Value;
use heka::plugin::Decoding;
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;

thread_local! {
    static DECODING: RefCell<Option<Box<dyn Decoding>>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    DECODING.with_borrow_mut(|decoding| {
        let start = || heka_fuzz::start("JsonDecoder", "").expect("it starts");
        let decoding = decoding.get_or_insert_with(start);
        check(&mut **decoding, bytes);
    });
});

fn check(decoding: &mut dyn Decoding, bytes: &[u8]) {
    let decoded = heka_fuzz::decode(decoding, bytes);
    let oracle = serde_json::from_slice::<Json>(bytes);
    let Ok(Json::Object(members)) = oracle else {
        assert!(decoded.is_err() || oracle.is_err(), "no object was taken: {oracle:?}");
        return;
    };
    let batch = match decoded {
        Ok(batch) => batch,
        // Larger than a message may be, or with an array deeper than is taken.
        Err(error) => panic!("an object was refused: {error}"),
    };
    let message = batch.message(0);
    let mut expected = BTreeMap::new();
    for (name, value) in &members {
        // A name with a dot may be that of another path, and one repeated has both values.
        if !name.contains('.') && matches!(value, Json::String(_) | Json::Number(_) | Json::Bool(_))
        {
            expected.insert(name.as_bytes(), value);
        }
    }
    for (name, value) in expected {
        let mut found = message.fields().filter(|field| field.name() == name);
        let is_there = found.any(|field| {
            field.values().any(|one| match (one, value) {
                (Value::String(ours), Json::String(theirs)) => ours == theirs.as_bytes(),
                (Value::Integer(ours), Json::Number(theirs)) => theirs.as_i64() == Some(ours),
                (Value::Double(ours), Json::Number(theirs)) => theirs.as_f64() == Some(ours),
                (Value::Bool(ours), Json::Bool(theirs)) => ours == *theirs,
                _ => false,
            })
        });
        assert!(is_there, "{} is not {value}", String::from_utf8_lossy(name));
    }
}
