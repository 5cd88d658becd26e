//! Tests of values, rows and settings; those with a node stand in `tests/it/destinations/cassandra.rs`.

use scylla::cluster::metadata::CollectionType;
use scylla::cluster::metadata::ColumnType;
use scylla::cluster::metadata::NativeType;

use super::source::Source;
use super::source::Subject;
use super::*;
use crate::message::Batch;
use crate::message::Value;

fn source(text: &str) -> Source {
    let table: toml::Table = toml::from_str(&format!("a = '{text}'")).unwrap();
    table["a"].clone().try_into().unwrap()
}

/// What a column of this type gets.
fn check(text: &str, kind: ColumnType<'_>, expected: Result<&[u8], &str>) {
    let mut batch = Batch::new();
    let mut builder = batch.begin();
    builder.uuid(&[7; 16]).timestamp(1_500_000_000_123_456_789).message_type(b"t");
    builder.hostname(b"h").severity(4).payload(b"p");
    builder
        .integer("n", "", 300)
        .double("d", "s", 1.5)
        .string("s", "", b"12")
        .boolean("b", "", true);
    builder.string("ip", "", b"10.0.0.1").string("day", "", b"1970-01-02").string("x", "", b"word");
    builder.finish().unwrap();
    let subject = Subject {
        message: batch.message(0),
        position: source::position(&[255; 16], 5, 3),
        series: None,
    };
    let mut out = Vec::new();
    let found = match source(text).of(&subject) {
        None => Err("nothing".to_owned()),
        Some(datum) => datum.put(&kind, &mut out).map_err(|error| error.to_string()),
    };
    match expected {
        Ok(bytes) => assert_eq!(found.map(|()| out), Ok(bytes.to_vec()), "{text}"),
        Err(reason) => assert_eq!(found, Err(reason.to_owned()), "{text}"),
    }
}

#[test]
fn columns_get_what_they_want() {
    use NativeType as N;
    let native = |kind| ColumnType::Native(kind);
    check("%{Hostname}", native(N::Text), Ok(b"h"));
    check("%{Type}-%{Severity}", native(N::Text), Ok(b"t-4"));
    check("%{%Y-%m-%d}", native(N::Date), Ok(&(0x8000_0000_u32 + 17361).to_be_bytes()));
    check("%{Timestamp}", native(N::Timestamp), Ok(&1_500_000_000_123_i64.to_be_bytes()));
    check("%{Timestamp}", native(N::BigInt), Ok(&1_500_000_000_123_456_789_i64.to_be_bytes()));
    check("%{day}", native(N::Timestamp), Ok(&86_400_000_i64.to_be_bytes()));
    check("%{d}", native(N::Timestamp), Ok(&1500_i64.to_be_bytes()));
    check("%{UUID}", native(N::Uuid), Ok(&[7; 16]));
    check("%{n}", native(N::Int), Ok(&300_i32.to_be_bytes()));
    check("%{n}", native(N::TinyInt), Err("`300` is no tinyint"));
    check("%{n}", native(N::Double), Ok(&300.0_f64.to_be_bytes()));
    check("%{n}", native(N::Text), Ok(b"300"));
    check("%{s}", native(N::SmallInt), Ok(&12_i16.to_be_bytes()));
    check("%{x}", native(N::BigInt), Err("`word` is no bigint"));
    check("%{b}", native(N::Boolean), Ok(&[1]));
    check("%{ip}", native(N::Inet), Ok(&[10, 0, 0, 1]));
    check("%{none}", native(N::Text), Err("nothing"));
    check("%{n}", native(N::Decimal), Err("heka has nothing for columns of the type decimal"));
    let list = CollectionType::List(Box::new(native(N::Int)));
    let list = ColumnType::Collection { frozen: false, typ: list };
    check("%{n}", list, Ok(&[0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 1, 44]));
}

#[test]
fn a_position_names_a_message_for_all_time() {
    let of = |journal: u8, entry, index| source::position(&[journal; 16], entry, index);
    let one = of(1, 7, 1);
    assert_eq!((one[6] >> 4, one[8] >> 6), (8, 2));
    let others = [of(2, 7, 1), of(1, 8, 1), of(1, 7, 2), of(1, 7, 1 + 0x1000), of(1, 7, u16::MAX)];
    assert!(others.iter().all(|other| *other != one));
    assert_eq!(one, of(1, 7, 1));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (settings, expected) in [
        ("table = 'a'", "`keyspace` is missing"),
        ("table = 'a'\nkeyspace = 'k'", "which columns does a row of `a` have?"),
        ("table = 'a'\ntime_series = 'b'", "only one of"),
        ("keyspace = 'a; drop'", "is no name"),
        ("create_schema = true", "needs `keyspace`"),
        ("nodes = []", "`nodes` is empty"),
        ("consistency = 'most'", "unknown variant `most`"),
        ("columns = { a = '%{%Q}' }", "%Q"),
    ] {
        let error = toml::from_str::<CassandraOutput>(settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{settings}: {error}");
    }
}

#[test]
fn a_series_is_asked_for_and_made() {
    let settings = "keyspace = 'k'\ntime_series = 'p'\ncreate_schema = true\nkeep = '30d'\n\
                    name_prefix = '%{Type}.'\ndatacenter = \"a'b\"";
    let mut output: CassandraOutput = toml::from_str(settings).unwrap();
    let schema = series::schema(&output.settings);
    assert!(schema[0].contains("'NetworkTopologyStrategy', 'a''b': 1"), "{}", schema[0]);
    assert!(schema[1].contains("default_time_to_live = 2592000"), "{}", schema[1]);
    let text = output.settings.prepared_text().unwrap();
    assert!(text.starts_with("INSERT INTO \"k\".\"p\" (\"name\", \"host\", "), "{text}");
    let mut batch = Batch::new();
    let mut builder = batch.begin();
    builder.message_type(b"stat").integer("a", "", 1).string("b", "", b"x").double("c", "", 2.5);
    builder.finish().unwrap();
    let numbers = series::numbers(&batch.message(0), &mut output.settings).unwrap();
    let expected =
        [(b"stat.a".to_vec(), Value::Integer(1)), (b"stat.c".to_vec(), Value::Double(2.5))];
    assert_eq!(numbers, expected);
}
