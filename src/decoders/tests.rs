//! Decoders from their settings to the messages they give.

use std::path::PathBuf;
use std::sync::Arc;

use super::DECODERS;
use crate::message::Batch;
use crate::message::Marks;
use crate::message::Message;
use crate::message::Value;
use crate::metrics::Registry;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Engine;
use crate::plugin::Form;
use crate::plugin::Origin;
use crate::plugin::Record;

/// 2026-11-22 15:33:20 UTC.
const NOW: i64 = 1_795_361_600_000_000_000;

/// Starts the decoder of section `name` in a configuration.
fn start(sections: &str, name: &str) -> anyhow::Result<Box<dyn Decoding>> {
    let engine = Engine {
        hostname: Arc::from("host"),
        pid: 1,
        base_dir: PathBuf::new(),
        share_dir: PathBuf::new(),
        max_message_size: 65_536,
        max_message_loops: 4,
        max_process_inject: 1,
        max_timer_inject: 10,
        metrics: Arc::new(Registry::default()),
    };
    start_in(&engine, &sections.parse::<toml::Table>()?, name)
}

fn start_in(engine: &Engine, table: &toml::Table, name: &str) -> anyhow::Result<Box<dyn Decoding>> {
    let mut section = table[name].as_table().unwrap().clone();
    let kind = section.remove("type").map_or(name.to_owned(), |kind| kind.as_str().unwrap().into());
    let row = DECODERS.iter().find(|row| row.name == kind).unwrap();
    let text = toml::to_string(&section)?;
    let decoder = (row.read)(toml::Deserializer::parse(&text)?)?;
    let others = |other: &str| start_in(engine, table, other);
    decoder.start(&DecoderContext { name, engine, decoder: &others })
}

fn origin() -> Origin {
    let mut origin = Origin::default();
    origin.message_type = b"input".to_vec();
    origin.logger = b"logger".to_vec();
    origin.hostname = b"host".to_vec();
    origin.push("extra", "", Value::Integer(1));
    origin
}

/// Decodes one record.
fn decode(decoding: &mut dyn Decoding, form: Form, bytes: &[u8]) -> anyhow::Result<Batch> {
    let (origin, marks) = (origin(), Marks::default());
    let record = Record { bytes, form, origin: &origin, now: NOW, uuid: [7; 16], marks };
    let mut batch = Batch::new();
    decoding.decode(&record, &mut batch)?;
    Ok(batch)
}

/// Shows a message, a line for each part but its name.
fn show(message: &Message<'_>) -> String {
    use std::fmt::Write;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut out = format!("time {}\n", message.timestamp() - NOW);
    writeln!(out, "type {}", text(message.message_type())).unwrap();
    writeln!(out, "from {} {}", text(message.logger()), text(message.hostname())).unwrap();
    if message.has_severity() {
        writeln!(out, "severity {}", message.severity()).unwrap();
    }
    if message.has_pid() {
        writeln!(out, "pid {}", message.pid()).unwrap();
    }
    if message.has_env_version() {
        writeln!(out, "version {}", text(message.env_version())).unwrap();
    }
    if message.has_payload() {
        writeln!(out, "payload {}", text(message.payload())).unwrap();
    }
    for field in message.fields() {
        write!(out, "{}", text(field.name())).unwrap();
        if !field.representation().is_empty() {
            write!(out, "[{}]", text(field.representation())).unwrap();
        }
        for value in field.values() {
            match value {
                Value::Integer(number) => write!(out, " {number}").unwrap(),
                Value::Double(number) => write!(out, " {number:?}f").unwrap(),
                Value::Bool(truth) => write!(out, " {truth}").unwrap(),
                Value::String(bytes) => write!(out, " {:?}", text(bytes)).unwrap(),
                Value::Bytes(bytes) => write!(out, " {}", bytes.escape_ascii()).unwrap(),
            }
        }
        out.push('\n');
    }
    out
}

/// Checks what `payload` becomes; an error is `error: ` and its text.
fn check(sections: &str, name: &str, payload: &str, expected: &str) {
    let mut decoding = start(sections, name).unwrap();
    let found = match decode(&mut *decoding, Form::Payload, payload.as_bytes()) {
        Ok(batch) => batch.iter().map(|message| show(&message)).collect::<Vec<_>>().join("--\n"),
        Err(error) => format!("error: {error:#}\n"),
    };
    assert_eq!(found, expected, "{sections}");
}

/// Checks why a decoder does not start.
fn check_refused(sections: &str, name: &str, expected: &str) {
    let error = start(sections, name).err().expect("a decoder that does not start");
    assert!(format!("{error:#}").contains(expected), "{error:#}");
}

mod access_log {
    use super::*;

    const LINE: &str =
        "10.0.0.1 - - [22/Nov/2026:15:33:21 +0000] \"GET / HTTP/1.1\" 304 - \"-\" \"x\"";

    #[test]
    fn line_becomes_typed_fields() {
        check(
            "[AccessLogDecoder]\nlog_format = \"combined\"\nmessage_type = \"nginx\"\n",
            "AccessLogDecoder",
            &format!("{LINE}\r\n"),
            "time 1000000000\ntype nginx\nfrom logger host\nremote_addr[ipv4] \"10.0.0.1\"\n\
             remote_user \"-\"\nrequest \"GET / HTTP/1.1\"\nstatus 304\nhttp_referer \"-\"\n\
             http_user_agent \"x\"\nextra 1\n",
        );
    }

    #[test]
    fn type_of_the_input_and_payload_are_kept_when_asked() {
        check(
            "[AccessLogDecoder]\nlog_format = \"$status\"\npayload_keep = true\n",
            "AccessLogDecoder",
            "200\n",
            "time 0\ntype input\nfrom logger host\npayload 200\nstatus 200\nextra 1\n",
        );
    }

    #[test]
    fn line_of_another_format_is_an_error() {
        check(
            "[AccessLogDecoder]\nlog_format = \"$status\"\n",
            "AccessLogDecoder",
            "x\n",
            "error: column 1: expected a whole number for $status, found \"x\"\n",
        );
    }

    #[test]
    fn mistakes_in_the_format_are_told_at_start() {
        check_refused(
            "[AccessLogDecoder]\nlog_format = \"$a$b\"\n",
            "AccessLogDecoder",
            "cannot use `log_format`: log format, column 3",
        );
    }
}

mod protobuf {
    use super::*;

    fn packets(text: &str) -> Vec<Vec<u8>> {
        let hex = |line: &str| -> Vec<u8> {
            let digits = line.trim().as_bytes().chunks(2);
            digits
                .map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap())
                .collect()
        };
        text.lines().skip(1).step_by(2).map(hex).collect()
    }

    fn shown(form: Form, bytes: &[u8]) -> String {
        let mut decoding = start("[ProtobufDecoder]\n", "ProtobufDecoder").unwrap();
        match decode(&mut *decoding, form, bytes) {
            Ok(batch) => show(&batch.message(0)),
            Err(error) => format!("error: {error:#}"),
        }
    }

    #[test]
    fn json_bodies_of_2013_are_the_messages_that_clients_encode() {
        let packets = packets(include_str!("../../tests/data/wire/npm-heka-0.4.1.hex.txt"));
        let body = |packet: &[u8]| match crate::message::frame::step(packet, 65_536) {
            crate::message::frame::Step::Frame { message, .. } => message.to_vec(),
            step => panic!("{step:?}"),
        };
        let expected = "type counter\nfrom nodeapp vm\nseverity 6\npid 27320\nversion 0.8\n\
                        payload 3\nname \"ctr\"\nrate 1\n";
        let without_time = |text: String| text.split_once('\n').unwrap().1.to_owned();
        let encoded = shown(Form::Message, &body(&packets[1]));
        assert_eq!(without_time(encoded.replace("pid 27260", "pid 27320")), expected);
        let text = shown(Form::Json, &body(&packets[3]));
        assert_eq!(text, format!("time {}\n{expected}", 1_795_351_905_253_000_000 - NOW));
        let typed = shown(Form::Json, &body(&packets[2]));
        assert!(typed.ends_with("payload hello\ns \"x\"\ni 7\nf 1.25f\nb true\n"), "{typed}");
    }

    #[test]
    fn datagrams_of_metlog_and_lines_of_mozlog_are_messages() {
        let packets = packets(include_str!("../../tests/data/wire/metlog-py-0.10.0.hex.txt"));
        let expected = format!(
            "time {}\ntype counter\nfrom metapp vm\nseverity 6\npid 27679\nversion 0.8\npayload 2\n",
            1_795_351_914_905_094_000 - NOW
        );
        let found = shown(Form::Payload, &packets[1]);
        let (head, fields) = found.split_at(found.find("payload 2\n").unwrap() + 10);
        assert_eq!(head, expected);
        let mut fields: Vec<&str> = fields.lines().collect();
        fields.sort_unstable();
        assert_eq!(fields, ["name \"ctr\"", "rate 1.0f"]);
        let lines = include_str!("../../tests/data/wire/mozlog-3.0.2.jsonl");
        let found = shown(Form::Payload, lines.lines().next().unwrap().as_bytes());
        assert!(found.contains("type routes.client.op\nfrom svc \nseverity 6\n"), "{found}");
        assert!(found.contains("\na 1\n"), "{found}");
    }

    #[test]
    fn damage_is_an_error() {
        assert_eq!(
            shown(Form::Message, b"\x0a\x05"),
            "error: message is cut off or damaged at byte 1"
        );
        let check = |text: &str, expected: &str| {
            assert_eq!(shown(Form::Json, text.as_bytes()), format!("error: {expected}"));
        };
        check("[]", "message is JSON and not an object");
        check("{", "message is not JSON: EOF while parsing an object at line 1 column 1");
        check(
            "{\"pid\":\"x\"}",
            "\"pid\" of the message is \"x\", expected a whole number of 32 bits",
        );
        check("{\"uuid\":\"x\"}", "\"uuid\" of the message is \"x\", expected base64 of 16 bytes");
        check(
            "{\"fields\":[{\"name\":\"n\",\"value_type\":2,\"value_integer\":[1.5]}]}",
            "field \"n\" of the message has a value of another type than it says",
        );
    }
}
