//! Tests of the JSON encoder.

use proptest::prelude::*;

use super::*;
use crate::message::ArrayBuilder;
use crate::message::Batch;
use crate::message::Builder;
use crate::message::Value;

fn encode(settings: &str, write: impl FnOnce(&mut Builder<'_>)) -> String {
    let encoder: JsonEncoder = toml::from_str(settings).unwrap();
    let mut batch = Batch::new();
    let mut builder = batch.begin();
    write(&mut builder);
    builder.finish().unwrap();
    let mut out = b"before\n".to_vec();
    assert!(Writer::new(&encoder.shape()).encode(&batch.message(0), &mut out).unwrap());
    let text = String::from_utf8(out).unwrap();
    let line = text.strip_prefix("before\n").unwrap().strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    serde_json::from_str::<serde_json::Value>(line).unwrap();
    line.to_owned()
}

fn check(settings: &str, write: impl FnOnce(&mut Builder<'_>), expected: &str) {
    assert_eq!(encode(settings, write), expected);
}

/// A message with the fields alone written out.
fn check_fields(settings: &str, write: impl FnOnce(&mut Builder<'_>), expected: &str) {
    check(&format!("fields = ['Fields']\nflatten = true\n{settings}"), write, expected);
}

fn array(values: &[Value<'_>]) -> ArrayBuilder {
    let mut array = ArrayBuilder::default();
    for value in values {
        array.push(*value);
    }
    array
}

fn whole(builder: &mut Builder<'_>) {
    builder
        .uuid(&[0xab; 16])
        .timestamp(1_416_840_893_000_000_000)
        .message_type(b"TEST")
        .logger(b"here")
        .severity(6)
        .payload(b"a \"line\"\n")
        .env_version(b"1")
        .pid(-1)
        .hostname(b"host")
        .string("a.b", "", b"text")
        .integer("n", "", i64::MAX);
}

#[test]
fn all_of_a_message_is_written() {
    check(
        "",
        whole,
        concat!(
            r#"{"Uuid":"abababab-abab-abab-abab-abababababab","Timestamp":"2014-11-24T14:54:53Z","#,
            r#""Type":"TEST","Logger":"here","Severity":6,"Payload":"a \"line\"\n","#,
            r#""EnvVersion":"1","Pid":-1,"Hostname":"host","#,
            r#""Fields":{"a.b":"text","n":9223372036854775807}}"#
        ),
    );
}

#[test]
fn what_a_message_lacks_is_left_out() {
    check("", |_| (), r#"{"Severity":7}"#);
    check("fields = ['Payload', 'Fields']", |_| (), "{}");
    check_fields("dynamic_fields = ['x']", whole, "{}");
}

#[test]
fn the_setting_says_what_is_written_and_in_which_order() {
    check("fields = ['DynamicFields', 'Type']\ndynamic_fields = ['n']", whole, {
        r#"{"Fields":{"n":9223372036854775807},"Type":"TEST"}"#
    });
    check("fields = ['Timestamp']\ntimestamp = 'ns'", whole, {
        r#"{"Timestamp":1416840893000000000}"#
    });
    check("fields = ['Timestamp']\ntimestamp = '%d.%m.%Y'", whole, {
        r#"{"Timestamp":"24.11.2014"}"#
    });
}

#[test]
fn flat_fields_stand_beside_the_header() {
    let write = |builder: &mut Builder<'_>| {
        builder.message_type(b"T").string("Type", "", b"mine").boolean("ok", "", true);
    };
    check("fields = ['Type', 'Fields']\nflatten = true", write, {
        r#"{"Type":"T","Fields.Type":"mine","ok":true}"#
    });
    check("fields = ['Fields']\nflatten = true\nreplace_dots_with = '_'", write, {
        r#"{"Type":"mine","ok":true}"#
    });
    check("fields = ['Type', 'Fields']\nflatten = true\nreplace_dots_with = '_'", write, {
        r#"{"Type":"T","Fields_Type":"mine","ok":true}"#
    });
}

#[test]
fn several_values_are_an_array() {
    let write = |builder: &mut Builder<'_>| {
        builder
            .array("numbers", "", &array(&[Value::Integer(1), Value::Integer(-2)]))
            .array("doubles", "", &array(&[Value::Double(0.5), Value::Double(f64::NAN)]))
            .array("one", "", &array(&[Value::String(b"a")]));
    };
    check_fields("", write, r#"{"numbers":[1,-2],"doubles":[0.5,null],"one":"a"}"#);
}

#[test]
fn a_name_that_comes_twice_is_written_once() {
    let write = |builder: &mut Builder<'_>| {
        builder.string("a", "", b"1").integer("b", "", 2).integer("a", "", 3).string("a", "", b"4");
    };
    check_fields("", write, r#"{"a":["1",3,"4"],"b":2}"#);
}

#[test]
fn raw_fields_go_in_as_json() {
    let write = |builder: &mut Builder<'_>| {
        builder.bytes("good", "", b"{\"a\":\n[1]}").bytes("bad", "", b"{\"a\":");
    };
    check_fields("raw_bytes_fields = ['good', 'bad']", write, {
        r#"{"good":{"a": [1]},"bad":"{\"a\":"}"#
    });
}

#[test]
fn dots_in_names_are_replaced() {
    check_fields("replace_dots_with = '__'\ndynamic_fields = ['a.b']", whole, {
        r#"{"a__b":"text"}"#
    });
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    for (settings, expected) in [
        ("fields = ['Typ']", "unknown variant `Typ`"),
        ("timestamp = 'iso'", "`iso` is no form of a time"),
        ("timestamp = '%!'", "is no pattern of strftime"),
    ] {
        let error = toml::from_str::<JsonEncoder>(settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

proptest! {
    #[test]
    fn every_field_is_found_again(
        fields in prop::collection::vec(("[a-c]{0,2}|\\PC{0,5}", any::<i64>()), 0..90)
    ) {
        let line = encode("fields = ['Fields']", |builder| {
            for (name, number) in &fields {
                builder.integer(name, "", *number);
            }
        });
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        let mut expected = serde_json::Map::new();
        for (name, number) in &fields {
            match expected.entry(name) {
                serde_json::map::Entry::Vacant(entry) => {
                    entry.insert((*number).into());
                }
                serde_json::map::Entry::Occupied(mut entry) => match entry.get_mut() {
                    serde_json::Value::Array(values) => values.push((*number).into()),
                    first => *first = vec![first.clone(), (*number).into()].into(),
                },
            }
        }
        if expected.is_empty() {
            prop_assert_eq!(line, "{}");
        } else {
            prop_assert_eq!(&object["Fields"], &serde_json::Value::Object(expected));
        }
    }
}
