//! The message as bytes: golden vectors, what clients sent, and properties of view and builders.

use proptest::prelude::*;

use super::*;
use crate::message::frame::FrameHeader;
use crate::message::frame::Step;
use crate::message::sign::Hash;
use crate::message::sign::Keys;
use crate::message::sign::Rejection;
use crate::message::sign::Signer;

/// Reads what a client sent: pairs of lines, the second in hexadecimal.
fn sent(text: &str) -> Vec<Vec<u8>> {
    let hex = |line: &str| -> Vec<u8> {
        let digits = line.trim().as_bytes().chunks(2);
        digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    };
    text.lines().skip(1).step_by(2).map(hex).collect()
}

fn framed(bytes: &[u8]) -> (FrameHeader<'_>, &[u8]) {
    match frame::step(bytes, 65_536) {
        Step::Frame { header, message, length } if length == bytes.len() => (header, message),
        step => panic!("{step:?}"),
    }
}

#[test]
fn vectors_of_the_format_are_read_and_written() {
    let plain = b"\x1e\x02\x08\x10\x1f\x10\x80\xc4\x8c\x94\x91\xa9\xe8\xd4\x13\x1a\x04TEST";
    let (header, message) = framed(plain);
    assert_eq!(header, FrameHeader { message_length: 16, ..FrameHeader::default() });
    let located = Header::locate(message).unwrap();
    let view = Message::new(message, &located);
    assert_eq!((view.timestamp(), view.message_type()), (1_416_840_893_000_000_000, &b"TEST"[..]));
    assert!(!view.has_uuid() && !view.has_severity() && view.severity() == 7);
    let mut batch = Batch::new();
    let mut builder = batch.begin();
    builder.timestamp(1_416_840_893_000_000_000).message_type(b"TEST");
    builder.finish().unwrap();
    assert_eq!(batch.bytes(), plain);
}

#[test]
fn signature_with_an_empty_key_is_that_of_rfc_2104() {
    // HMAC-MD5 of an empty text under an empty key.
    let mut out = Vec::new();
    Signer::new("test", 0, Hash::Md5, b"").unwrap().put(&mut out, b"");
    let (header, message) = framed(&out);
    assert_eq!(message, b"");
    assert_eq!(header.hmac, b"\x74\xe6\xf7\x29\x8a\x9c\x2d\x16\x89\x35\xf5\x8c\x00\x1b\xad\x88");
}

#[test]
fn what_clients_sent_is_read_and_their_signatures_hold() {
    let mut keys = Keys::default();
    assert!(keys.add("test_1", b"4865ey9urgkidls xtb0[7lf9rzcivthkm"));
    assert!(keys.add("test_2", b"k") && keys.add("node_1", b"secret"));
    let python = include_str!("../../tests/data/wire/heka-py-0.30.3.py27.hex.txt");
    let jython = include_str!("../../tests/data/wire/heka-py-jython.hex.txt");
    let node = include_str!("../../tests/data/wire/npm-heka-0.4.1.hex.txt");
    let mut signers = Vec::new();
    let mut types = Vec::new();
    for packet in [python, jython, node].into_iter().flat_map(sent) {
        let (header, message) = framed(&packet);
        let signer = keys.check(&header, message).unwrap();
        signers.extend(signer.map(|number| keys.signer(number).unwrap().to_owned()));
        let mut changed = message.to_vec();
        changed[3] ^= 1;
        assert_eq!(keys.check(&header, &changed).is_err(), signer.is_some());
        if header.encoding == 0 {
            let located = Header::locate(message).unwrap();
            let view = Message::new(message, &located);
            assert_eq!((view.hostname(), view.env_version()), (&b"vm"[..], &b"0.8"[..]));
            types.push(String::from_utf8(view.message_type().to_vec()).unwrap());
            if view.message_type() == b"mytype" {
                assert_eq!(view.value(b"i", 0, 0), Some(Value::Integer(42)));
                assert_eq!(view.value(b"f", 0, 0), Some(Value::Double(1.5)));
                assert_eq!(view.value(b"nest.k", 0, 0), Some(Value::String(b"v")));
            }
        }
    }
    assert_eq!(signers, ["test", "test", "test", "test", "node", "node"]);
    assert_eq!(types.len(), 16);
    assert_eq!(types.iter().filter(|kind| *kind == "counter").count(), 4);
}

#[test]
fn signatures_that_cannot_be_trusted_are_told_apart() {
    let mut keys = Keys::default();
    assert!(keys.add("a_b_7", b"key"));
    assert!(!keys.add("a", b"key") && !keys.add("a_x", b"key"));
    let reason = |name: &str, version, hash, key: &[u8]| {
        let mut out = Vec::new();
        Signer::new(name, version, hash, key).unwrap().put(&mut out, b"text");
        let (header, message) = framed(&out);
        keys.check(&header, message)
    };
    assert_eq!(reason("a_b", 7, Hash::Sha256, b"key"), Ok(Some(0)));
    let signer = "a_b".to_owned();
    assert_eq!(
        reason("a_b", 8, Hash::Sha1, b"key"),
        Err(Rejection::UnknownSigner { signer: signer.clone(), version: 8 })
    );
    assert_eq!(
        reason("a_b", 7, Hash::Sha1, b"kex"),
        Err(Rejection::WrongSignature { signer: signer.clone(), version: 7 })
    );
    let header = FrameHeader { signer: b"a_b", key_version: 7, hash: 3, ..FrameHeader::default() };
    assert_eq!(keys.check(&header, b""), Err(Rejection::UnknownHash { signer, hash: 3 }));
    assert!(Signer::new(&"x".repeat(193), 1, Hash::Md5, b"").is_none());
}

#[test]
fn largest_signed_header_fits_its_frame() {
    let mut out = Vec::new();
    let name = "x".repeat(Signer::MAX_NAME);
    let message = vec![b'm'; 70_000];
    Signer::new(&name, u32::MAX, Hash::Sha256, b"k").unwrap().put(&mut out, &message);
    let Step::Frame { header, length, .. } = frame::step(&out, 100_000) else { panic!() };
    assert_eq!((header.signer.len(), header.hmac.len(), length), (name.len(), 32, out.len()));
}

#[test]
fn unpacked_and_packed_numbers_are_the_same() {
    let packed = b"\x0a\x01i\x10\x02\x32\x03\x01\xac\x02";
    let unpacked = b"\x0a\x01i\x10\x02\x30\x01\x30\xac\x02";
    for encoded in [&packed[..], unpacked] {
        let field = Field::parse(encoded).unwrap();
        let values: Vec<Value<'_>> = field.values().collect();
        assert_eq!(values, [Value::Integer(1), Value::Integer(300)]);
    }
    let doubles = b"\x0a\x01d\x10\x03\x39\0\0\0\0\0\0\xf8\x3f\x3a\x08\0\0\0\0\0\0\0\x40";
    let values: Vec<Value<'_>> = Field::parse(doubles).unwrap().values().collect();
    assert_eq!(values, [Value::Double(1.5), Value::Double(2.0)]);
}

#[test]
fn packed_run_does_not_read_behind_its_end() {
    // The run says one byte, and the varint in it goes on.
    let field = Field::parse(b"\x0a\x01i\x10\x02\x32\x01\x80\x30\x05").unwrap();
    assert_eq!(field.values().collect::<Vec<_>>(), []);
}

#[test]
fn only_the_array_of_the_type_counts() {
    let field = Field::parse(b"\x0a\x01x\x10\x02\x22\x01s\x30\x07").unwrap();
    assert_eq!(field.values().collect::<Vec<_>>(), [Value::Integer(7)]);
}

#[test]
fn damage_is_told_with_its_place() {
    let check = |bytes: &[u8], expected| assert_eq!(Header::locate(bytes), Err(expected));
    check(b"\x0a\x05ab", Error::Truncated { at: 1 });
    check(b"\x10\x80", Error::Truncated { at: 1 });
    check(b"\x10\x01\x08\x01", Error::WireType { number: 1, at: 2 });
    check(b"\x83\x01", Error::Truncated { at: 0 });
}

#[test]
fn field_under_a_head_is_the_same_field() {
    let mut batch = Batch::new();
    for representation in ["", "B"] {
        let mut builder = batch.begin();
        builder.string("name", representation, b"text").integer("n", representation, -300);
        builder.finish().unwrap();
        let mut builder = batch.begin();
        builder.string_under(&FieldStart::new("name", representation, ValueType::String), b"text");
        builder.integer_under(&FieldStart::new("n", representation, ValueType::Integer), -300);
        builder.finish().unwrap();
    }
    for pair in [0, 2] {
        assert_eq!(batch.message(pair).bytes(), batch.message(pair + 1).bytes());
        assert_eq!(batch.message(pair).header(), batch.message(pair + 1).header());
    }
}

#[test]
fn builder_that_is_dropped_leaves_no_trace() {
    let mut batch = Batch::new();
    batch.begin().message_type(b"gone");
    assert_eq!((batch.len(), batch.bytes().len()), (0, 0));
}

/// A field to be written.
#[derive(Clone, Debug)]
struct Written {
    name: String,
    representation: String,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    Strings(Vec<Vec<u8>>),
    Bytes(Vec<Vec<u8>>),
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Bools(Vec<bool>),
}

impl Values {
    fn all(&self) -> Vec<Value<'_>> {
        match self {
            Values::Strings(values) => values.iter().map(|value| Value::String(value)).collect(),
            Values::Bytes(values) => values.iter().map(|value| Value::Bytes(value)).collect(),
            Values::Integers(values) => values.iter().map(|value| Value::Integer(*value)).collect(),
            Values::Doubles(values) => values.iter().map(|value| Value::Double(*value)).collect(),
            Values::Bools(values) => values.iter().map(|value| Value::Bool(*value)).collect(),
        }
    }

    fn array(&self) -> ArrayBuilder {
        let mut array = ArrayBuilder::default();
        for value in self.all() {
            assert!(array.push(value));
        }
        array
    }
}

fn values() -> impl Strategy<Value = Values> {
    let bytes = || prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4);
    prop_oneof![
        bytes().prop_map(Values::Strings),
        bytes().prop_map(Values::Bytes),
        prop::collection::vec(any::<i64>(), 1..40).prop_map(Values::Integers),
        prop::collection::vec(-1e300..1e300, 1..20).prop_map(Values::Doubles),
        prop::collection::vec(any::<bool>(), 1..4).prop_map(Values::Bools),
    ]
}

fn written() -> impl Strategy<Value = Written> {
    ("[a-z]{0,3}|.{130}", "[a-z]{0,2}", values())
        .prop_map(|(name, representation, values)| Written { name, representation, values })
}

/// The parts of a message; `None` is absent.
fn draft() -> impl Strategy<Value = Draft> {
    let text = || prop::option::of(prop::collection::vec(any::<u8>(), 0..300));
    let header = (text(), text(), text(), text(), text());
    let numbers = (any::<Option<[u8; 16]>>(), any::<Option<i64>>(), any::<Option<i32>>());
    let fields = prop::collection::vec(written(), 0..6);
    (header, numbers, any::<Option<i32>>(), fields).prop_map(|(header, numbers, pid, fields)| {
        let mut draft = Draft::default();
        (draft.message_type, draft.logger, draft.payload, draft.env_version, draft.hostname) =
            header;
        (draft.uuid, draft.timestamp, draft.severity) = numbers;
        draft.pid = pid;
        for field in fields {
            let name = field.name.as_bytes();
            draft.push_array(name, field.representation.as_bytes(), &field.values.array());
        }
        draft
    })
}

/// Everything a view tells, comparable.
fn told(message: &Message<'_>) -> String {
    let fields: Vec<_> = message
        .fields()
        .map(|field| {
            let values: Vec<_> = field.values().collect();
            format!("{:?} {:?} {values:?}", field.name(), field.representation())
        })
        .collect();
    format!(
        "{:?} {:?} {fields:?}",
        (
            message.has_uuid().then(|| message.uuid()),
            message.has_timestamp().then(|| message.timestamp()),
            message.has_message_type().then(|| message.message_type()),
            message.has_logger().then(|| message.logger()),
            message.has_severity().then(|| message.severity()),
        ),
        (
            message.has_payload().then(|| message.payload()),
            message.has_env_version().then(|| message.env_version()),
            message.has_pid().then(|| message.pid()),
            message.has_hostname().then(|| message.hostname()),
        ),
    )
}

proptest! {
    #[test]
    fn builder_finds_the_header_that_is_found_again(drafts in prop::collection::vec(draft(), 1..4)) {
        let mut batch = Batch::new();
        for draft in &drafts {
            draft.write(&mut batch).unwrap();
        }
        for (index, draft) in drafts.iter().enumerate() {
            let message = batch.message(index);
            prop_assert_eq!(*message.header(), Header::locate(message.bytes()).unwrap());
            let (header, bytes) = framed_any(batch.frame(index));
            prop_assert_eq!((header.message_length, bytes), (message.bytes().len(), message.bytes()));
            let mut copy = Draft::default();
            copy.copy_from(&message);
            let mut again = Batch::new();
            copy.write(&mut again).unwrap();
            prop_assert_eq!(again.message(0).bytes(), message.bytes());
            prop_assert_eq!(message.severity(), draft.severity.unwrap_or(7));
        }
        let read = Batch::from_frames(batch.bytes().to_vec()).unwrap();
        prop_assert_eq!(read.len(), drafts.len());
        for index in 0..drafts.len() {
            prop_assert_eq!(told(&read.message(index)), told(&batch.message(index)));
        }
    }

    #[test]
    fn fields_come_back_as_they_were_written(fields in prop::collection::vec(written(), 0..8)) {
        let mut batch = Batch::new();
        let mut builder = batch.begin();
        for field in &fields {
            let (name, representation) = (field.name.as_str(), field.representation.as_str());
            match &field.values.all()[..] {
                [Value::String(value)] => builder.string(name, representation, value),
                [Value::Bytes(value)] => builder.bytes(name, representation, value),
                [Value::Integer(value)] => builder.integer(name, representation, *value),
                [Value::Double(value)] => builder.double(name, representation, *value),
                [Value::Bool(value)] => builder.boolean(name, representation, *value),
                _ => builder.array(name, representation, &field.values.array()),
            };
        }
        builder.finish().unwrap();
        let message = batch.message(0);
        prop_assert_eq!(message.fields().count(), fields.len());
        for (found, field) in message.fields().zip(&fields) {
            prop_assert_eq!(found.name(), field.name.as_bytes());
            prop_assert_eq!(found.representation(), field.representation.as_bytes());
            prop_assert_eq!(found.values().collect::<Vec<_>>(), field.values.all());
        }
    }

    #[test]
    fn draft_is_a_list_of_fields(steps in prop::collection::vec((0..4, 0..3usize, 0..2usize, any::<i64>()), 0..40)) {
        // The plain model: a row of names and values.
        let names: [&[u8]; 3] = [b"a", b"b", b"cc"];
        let mut draft = Draft::default();
        let mut model: Vec<(&[u8], i64)> = Vec::new();
        for (step, name, index, number) in steps {
            let name = names[name];
            let nth = |model: &[(&[u8], i64)], index: usize| {
                (0..model.len()).filter(|at| model[*at].0 == name).nth(index)
            };
            let mut array = ArrayBuilder::default();
            array.push(Value::Integer(number));
            match step {
                0 => {
                    draft.push(name, b"", Value::Integer(number));
                    model.push((name, number));
                }
                1 => {
                    draft.set(name, b"", Value::Integer(number));
                    match nth(&model, 0) {
                        Some(at) => model[at].1 = number,
                        None => model.push((name, number)),
                    }
                }
                2 => {
                    draft.set_array(name, index, b"", &array);
                    match nth(&model, index) {
                        Some(at) => model[at].1 = number,
                        None => model.push((name, number)),
                    }
                }
                _ => {
                    let at = nth(&model, index);
                    prop_assert_eq!(draft.remove(name, index), at.is_some());
                    if let Some(at) = at {
                        model.remove(at);
                    }
                }
            }
        }
        let found: Vec<_> =
            draft.fields().map(|field| (field.name(), field.value(0).unwrap())).collect();
        let expected: Vec<_> =
            model.iter().map(|(name, number)| (*name, Value::Integer(*number))).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(header) = Header::locate(&bytes) {
            let message = Message::new(&bytes, &header);
            told(&message);
            let _ = message.value(b"a", 1, 1);
        }
        if let Some(field) = Field::parse(&bytes) {
            prop_assert!(field.values().count() <= bytes.len());
        }
        let _ = Batch::from_frames(bytes.clone());
        if !bytes.is_empty() {
            let _ = frame::step(&bytes, 64);
        }
        let _ = parse_uuid(&bytes);
    }

    #[test]
    fn damaged_messages_do_no_harm(draft in draft(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut batch = Batch::new();
        draft.write(&mut batch).unwrap();
        let mut bytes = batch.message(0).bytes().to_vec();
        if bytes.is_empty() {
            return Ok(());
        }
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(header) = Header::locate(&bytes) {
            let message = Message::new(&bytes, &header);
            told(&message);
            let mut copy = Draft::default();
            copy.copy_from(&message);
            copy.write(&mut batch).unwrap();
            prop_assert_eq!(batch.message(1).fields().count(), message.fields().count());
        }
    }

    #[test]
    fn signed_frames_hold(message in prop::collection::vec(any::<u8>(), 0..300), bit in 0..2400usize) {
        let mut keys = Keys::default();
        prop_assert!(keys.add("ops_3", b"key"));
        for hash in [Hash::Md5, Hash::Sha1, Hash::Sha256] {
            let mut out = Vec::new();
            Signer::new("ops", 3, hash, b"key").unwrap().put(&mut out, &message);
            let (header, found) = framed_any(&out);
            prop_assert_eq!(found, &message[..]);
            prop_assert_eq!(keys.check(&header, found), Ok(Some(0)));
            if !message.is_empty() {
                let mut changed = message.clone();
                changed[bit / 8 % message.len()] ^= 1 << (bit % 8);
                prop_assert!(keys.check(&header, &changed).is_err());
            }
        }
    }

    #[test]
    fn uuid_text_is_read_back(uuid in any::<[u8; 16]>()) {
        let text = uuid_text(&uuid).unwrap();
        prop_assert_eq!(parse_uuid(&text), Some(uuid));
    }
}

fn framed_any(bytes: &[u8]) -> (FrameHeader<'_>, &[u8]) {
    let Step::Frame { header, message, .. } = frame::step(bytes, usize::MAX) else {
        panic!("no frame");
    };
    (header, message)
}
