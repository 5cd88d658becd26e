//! Fields as they are written and read.

use proptest::prelude::*;

use super::*;
use crate::message::ArrayBuilder;

/// A field, encoded by the builder and then maybe damaged or written in an unusual way.
fn encoded() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        any::<i64>().prop_map(|number| vec![number]),
        prop::collection::vec(any::<i64>(), 0..3),
    ];
    let damage = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    (0u8..5, value, "[a-z]{0,3}", damage).prop_map(|(kind, numbers, text, damage)| {
        let mut values = ArrayBuilder::default();
        for number in numbers {
            let bytes = number.to_le_bytes();
            values.push(match kind {
                0 => Value::String(text.as_bytes()),
                1 => Value::Bytes(&bytes),
                2 => Value::Integer(number),
                3 => Value::Double(number as f64),
                _ => Value::Bool(number > 0),
            });
        }
        let mut out = Vec::new();
        values.put_field(&mut out, b"name", text.as_bytes());
        let mut bytes = out.get(2..).unwrap_or_default().to_vec();
        if let Some((index, byte)) = damage
            && !bytes.is_empty()
        {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

#[test]
fn of_a_value_type_the_low_half_counts() {
    // 2 to the 32nd and 2: an integer to every reader of protobuf.
    let bytes = b"\x0a\x01n\x10\x82\x80\x80\x80\x10\x32\x01\x07";
    let field = Field::parse(bytes).unwrap();
    assert_eq!(field.value_type(), ValueType::Integer);
    assert_eq!(field.only_value(), Some(Value::Integer(7)));
}

#[test]
fn of_several_value_types_the_last_counts() {
    for bytes in [
        // A type that does not exist, then integers.
        &b"\x0a\x01n\x10\x09\x10\x02\x32\x01\x07"[..],
        b"\x0a\x01n\x10\x04\x32\x01\x07\x10\x02",
        // A group, which says nothing.
        b"\x0a\x01n\x10\x02\x7b\x10\x04\x7c\x32\x01\x07",
    ] {
        let field = Field::parse(bytes).unwrap();
        assert_eq!(field.value_type(), ValueType::Integer, "{bytes:?}");
        assert_eq!(field.only_value(), Some(Value::Integer(7)), "{bytes:?}");
    }
    assert!(Field::parse(b"\x0a\x01n\x10\x02\x10\x09\x32\x01\x07").is_none());
}

proptest! {
    #[test]
    fn the_quick_ways_agree_with_the_slow_ones(bytes in encoded()) {
        let told = |field: Option<Field<'_>>| field.map(|field| format!("{field:?}"));
        if let Some(quick) = Field::parse_usual(&bytes) {
            prop_assert_eq!(told(Some(quick)), told(Field::parse_any(&bytes)));
        }
        if let Some(field) = Field::parse(&bytes) {
            let values: Vec<_> = field.values().collect();
            let only = field.only_value().map(|value| format!("{value:?}"));
            let expected = if let [value] = values.as_slice() {
                Some(format!("{value:?}"))
            } else {
                None
            };
            prop_assert_eq!(&only, &expected);
            let mut head = FieldHead::default();
            head.copy_from(&field);
            if let Some(value) = head.only_value(&bytes) {
                prop_assert_eq!(Some(format!("{value:?}")), expected);
            }
        }
    }
}
