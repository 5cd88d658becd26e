//! The view of a message against prost: what prost reads is what the view shows.

#![no_main]

use heka::message::Batch;
use heka::message::Header;
use heka::message::Marks;
use heka::message::Message;
use heka::message::Value;
use libfuzzer_sys::arbitrary;
use libfuzzer_sys::arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

/// Heka's message; texts are bytes, as nobody promises that they are UTF-8.
#[derive(Clone, PartialEq, prost::Message)]
struct Oracle {
    #[prost(bytes, optional, tag = "1")]
    uuid: Option<Vec<u8>>,
    #[prost(int64, optional, tag = "2")]
    timestamp: Option<i64>,
    #[prost(bytes, optional, tag = "3")]
    message_type: Option<Vec<u8>>,
    #[prost(bytes, optional, tag = "4")]
    logger: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "5")]
    severity: Option<i32>,
    #[prost(bytes, optional, tag = "6")]
    payload: Option<Vec<u8>>,
    #[prost(bytes, optional, tag = "7")]
    env_version: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "8")]
    pid: Option<i32>,
    #[prost(bytes, optional, tag = "9")]
    hostname: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "10")]
    fields: Vec<OracleField>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OracleField {
    #[prost(bytes, optional, tag = "1")]
    name: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    value_type: Option<i32>,
    #[prost(bytes, optional, tag = "3")]
    representation: Option<Vec<u8>>,
    #[prost(bytes, repeated, tag = "4")]
    strings: Vec<Vec<u8>>,
    #[prost(bytes, repeated, tag = "5")]
    bytes: Vec<Vec<u8>>,
    #[prost(int64, repeated, packed = "true", tag = "6")]
    integers: Vec<i64>,
    #[prost(double, repeated, packed = "true", tag = "7")]
    doubles: Vec<f64>,
    #[prost(bool, repeated, packed = "true", tag = "8")]
    bools: Vec<bool>,
}

#[derive(Arbitrary, Debug)]
struct Input {
    header: [Option<Vec<u8>>; 6],
    numbers: (Option<i64>, Option<i32>, Option<i32>),
    fields: Vec<InputField>,
    /// Put over the encoded bytes: where, and what.
    harms: Vec<(u16, u8)>,
    raw: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct InputField {
    name: Vec<u8>,
    value_type: u8,
    representation: Option<Vec<u8>>,
    texts: Vec<Vec<u8>>,
    integers: Vec<i64>,
    doubles: Vec<f64>,
    bools: Vec<bool>,
}

fuzz_target!(|input: Input| {
    let mut bytes = encode(&input);
    check(&bytes);
    find(&bytes);
    for (at, byte) in input.harms.iter().take(4) {
        let length = bytes.len();
        if length > 0 {
            bytes[usize::from(*at) % length] = *byte;
        }
    }
    bytes.extend_from_slice(&input.raw);
    check(&bytes);
    check(&input.raw);
});

fn encode(input: &Input) -> Vec<u8> {
    let [uuid, message_type, logger, payload, env_version, hostname] = input.header.clone();
    let (timestamp, severity, pid) = input.numbers;
    let fields = input.fields.iter().map(|field| {
        let value_type = i32::from(field.value_type % 5);
        let texts = || field.texts.clone();
        OracleField {
            name: Some(field.name.clone()),
            value_type: Some(value_type),
            representation: field.representation.clone(),
            strings: if value_type == 0 { texts() } else { Vec::new() },
            bytes: if value_type == 1 { texts() } else { Vec::new() },
            integers: if value_type == 2 { field.integers.clone() } else { Vec::new() },
            doubles: if value_type == 3 { field.doubles.clone() } else { Vec::new() },
            bools: if value_type == 4 { field.bools.clone() } else { Vec::new() },
        }
    });
    let fields = fields.collect();
    Oracle {
        uuid,
        timestamp,
        message_type,
        logger,
        severity,
        payload,
        env_version,
        pid,
        hostname,
        fields,
    }
    .encode_to_vec()
}

fn check(bytes: &[u8]) {
    let located = Header::locate(bytes);
    if let Ok(header) = &located {
        walk(&Message::new(bytes, header));
        let mut batch = Batch::new();
        batch.push_encoded(bytes, Marks::default()).expect("its header was found");
        assert_eq!(batch.message(0).bytes(), bytes);
    }
    let Ok(oracle) = Oracle::decode(bytes) else { return };
    let header = located.expect("prost reads it");
    let view = Message::new(bytes, &header);
    let same = |ours: &[u8], theirs: &Option<Vec<u8>>, what: &str| {
        assert_eq!(ours, theirs.as_deref().unwrap_or_default(), "{what}");
    };
    same(view.uuid(), &oracle.uuid, "uuid");
    same(view.message_type(), &oracle.message_type, "type");
    same(view.logger(), &oracle.logger, "logger");
    same(view.payload(), &oracle.payload, "payload");
    same(view.env_version(), &oracle.env_version, "env_version");
    same(view.hostname(), &oracle.hostname, "hostname");
    assert_eq!(view.timestamp(), oracle.timestamp.unwrap_or(0));
    assert_eq!(view.severity(), oracle.severity.unwrap_or(7));
    assert_eq!(view.pid(), oracle.pid.unwrap_or(0));
    // A value type that does not exist makes a field nobody can read.
    if oracle.fields.iter().any(|field| !(0..=4).contains(&field.value_type.unwrap_or(0))) {
        return;
    }
    let fields: Vec<_> = view.fields().collect();
    assert_eq!(fields.len(), oracle.fields.len(), "fields");
    for (ours, theirs) in fields.iter().zip(&oracle.fields) {
        same(ours.name(), &theirs.name, "name");
        same(ours.representation(), &theirs.representation, "representation");
        let found: Vec<Shown> = ours.values().map(|value| shown(&value)).collect();
        assert_eq!(found, expected(theirs), "values of {:?}", theirs.name);
        for (index, value) in found.iter().enumerate() {
            assert_eq!(ours.value(index).map(|value| shown(&value)).as_ref(), Some(value));
        }
        let only = ours.only_value().map(|value| shown(&value));
        assert!(only.is_none() || found == [only.expect("it is some")]);
    }
}

#[derive(Debug, PartialEq)]
enum Shown {
    Text(Vec<u8>),
    Integer(i64),
    Double(u64),
    Bool(bool),
}

fn shown(value: &Value<'_>) -> Shown {
    match value {
        Value::String(text) | Value::Bytes(text) => Shown::Text(text.to_vec()),
        Value::Integer(number) => Shown::Integer(*number),
        Value::Double(number) => Shown::Double(number.to_bits()),
        Value::Bool(is) => Shown::Bool(*is),
    }
}

fn expected(field: &OracleField) -> Vec<Shown> {
    match field.value_type.unwrap_or(0) {
        0 => field.strings.iter().cloned().map(Shown::Text).collect(),
        1 => field.bytes.iter().cloned().map(Shown::Text).collect(),
        2 => field.integers.iter().copied().map(Shown::Integer).collect(),
        3 => field.doubles.iter().map(|number| Shown::Double(number.to_bits())).collect(),
        _ => field.bools.iter().copied().map(Shown::Bool).collect(),
    }
}

/// What is well formed is found by its names.
fn find(bytes: &[u8]) {
    let header = Header::locate(bytes).expect("it was encoded");
    let view = Message::new(bytes, &header);
    let names: Vec<_> = view.fields().map(|field| field.name()).collect();
    for (place, name) in names.iter().enumerate() {
        let before = names[..place].iter().filter(|other| *other == name).count();
        let found = view.field(name, before).expect("it was just seen");
        assert_eq!(found.encoded(), view.fields().nth(place).expect("it is there").encoded());
    }
}

/// Touches all there is.
fn walk(view: &Message<'_>) {
    for field in view.fields() {
        let name = field.name();
        // A damaged field that has two names is looked for by the first and shows the last.
        if let Some(first) = view.field(name, 0) {
            let _ = first.values().count();
        }
        let _ = view.value(name, 0, 0);
        let _ = field.values().count();
    }
    let mut out = Vec::new();
    view.put_fields(&mut out);
}
