//! Tests of the encoders for Elasticsearch.

use std::sync::Arc;

use super::*;
use crate::message::Batch;
use crate::message::Builder;
use crate::plugin::Encoder;
use crate::plugin::EncoderContext;
use crate::plugin::Engine;

fn encoding(encoder: &dyn Encoder) -> Box<dyn Encoding> {
    let engine = Engine {
        hostname: Arc::from("host"),
        pid: 1,
        base_dir: std::path::PathBuf::new(),
        share_dir: std::path::PathBuf::new(),
        max_message_size: 65536,
        max_message_loops: 4,
        max_process_inject: 1,
        max_timer_inject: 10,
        memory: Arc::default(),
        metrics: Arc::default(),
    };
    encoder.start(&EncoderContext { name: "es", engine: &engine }).unwrap()
}

fn encode(encoder: &dyn Encoder) -> Result<String, String> {
    let mut batch = Batch::new();
    let mut builder = batch.begin();
    whole(&mut builder);
    builder.finish().unwrap();
    let mut out = Vec::new();
    let encoded = encoding(encoder).encode(&batch.message(0), &mut out);
    encoded.map(|_| String::from_utf8(out).unwrap()).map_err(|error| error.to_string())
}

fn whole(builder: &mut Builder<'_>) {
    builder
        .uuid(&[0xab; 16])
        .timestamp(1_416_840_893_250_000_000)
        .message_type(b"TEST")
        .logger(b"here")
        .severity(6)
        .payload(b"a \"line\"")
        .env_version(b"1")
        .pid(42)
        .hostname(b"host")
        .string("a.b", "", b"text")
        .bytes("raw", "", b"{\"x\":1}");
}

fn check_json(settings: &str, expected: &str) {
    let encoder: ESJsonEncoder = toml::from_str(settings).unwrap();
    assert_eq!(encode(&encoder).unwrap(), expected, "{settings}");
}

#[test]
fn a_document_has_the_fields_beside_the_header() {
    check_json(
        "es_index_from_timestamp = true",
        concat!(
            "{\"index\":{\"_index\":\"heka-2014.11.24\"}}\n",
            r#"{"Uuid":"abababab-abab-abab-abab-abababababab","#,
            r#""Timestamp":"2014-11-24T14:54:53.250Z","Type":"TEST","Logger":"here","#,
            r#""Severity":6,"Payload":"a \"line\"","EnvVersion":"1","Pid":42,"Hostname":"host","#,
            r#""a.b":"text","raw":"{\"x\":1}"}"#,
            "\n"
        ),
    );
}

#[test]
fn every_option_changes_the_document() {
    check_json(
        "index = 'X-%{Type}-%{a.b}'\ntype_name = '%{Logger}'\nid = '%{UUID}.%{Pid}'\n\
         action = 'create'\nfields = ['Timestamp', 'Hostname']\ntimestamp = '%Y'\n\
         raw_bytes_fields = ['raw']\ndynamic_fields = ['raw', 'a.b']\nreplace_dots_with = '_'\n\
         field_mappings = { Timestamp = '@timestamp', Hostname = 'host' }",
        concat!(
            r#"{"create":{"_index":"x-test-text","_type":"here","#,
            r#""_id":"abababab-abab-abab-abab-abababababab.42"}}"#,
            "\n",
            r#"{"@timestamp":"2014","host":"host","a_b":"text","raw":{"x":1}}"#,
            "\n"
        ),
    );
}

#[test]
fn what_a_message_lacks_leaves_out_the_id_and_refuses_the_index() {
    let text = "fields = []\nindex = 'i'\n";
    check_json(&format!("{text}id = '%{{none}}'\ndynamic_fields = ['x']"), {
        "{\"index\":{\"_index\":\"i\"}}\n{}\n"
    });
    let encoder: ESJsonEncoder = toml::from_str("index = 'a-%{none}'").unwrap();
    let error = encode(&encoder).unwrap_err();
    assert_eq!(error, "the message has no `none`, which `%{none}` asks for");
}

#[test]
fn logstash_has_names_of_its_own() {
    let encoder: ESLogstashV0Encoder =
        toml::from_str("es_index_from_timestamp = true\nuse_message_type = true").unwrap();
    let expected = concat!(
        r#"{"index":{"_index":"logstash-2014.11.24","_type":"TEST"}}"#,
        "\n",
        r#"{"@uuid":"abababab-abab-abab-abab-abababababab","#,
        r#""@timestamp":"2014-11-24T14:54:53.250Z","@type":"TEST","@logger":"here","#,
        r#""@severity":6,"@message":"a \"line\"","@envversion":"1","@pid":42,"#,
        r#""@source_host":"host","@fields":{"a.b":"text","raw":"{\"x\":1}"}}"#,
        "\n"
    );
    assert_eq!(encode(&encoder).unwrap(), expected);
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    for (settings, expected) in [
        ("index = '%{%Y.%!}'", "is no pattern of strftime"),
        ("fields = ['Typ']", "unknown variant `Typ`"),
        ("action = 'update'", "unknown variant `update`"),
        ("field_mappings = { Fields = 'x' }", "unknown field `Fields`"),
    ] {
        let error = toml::from_str::<ESJsonEncoder>(settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
