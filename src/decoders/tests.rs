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
        memory: Arc::default(),
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
pub(super) fn check(sections: &str, name: &str, payload: &str, expected: &str) {
    let mut decoding = start(sections, name).unwrap();
    let found = match decode(&mut *decoding, Form::Payload, payload.as_bytes()) {
        Ok(batch) => batch.iter().map(|message| show(&message)).collect::<Vec<_>>().join("--\n"),
        Err(error) => format!("error: {error:#}\n"),
    };
    assert_eq!(found, expected, "{sections}");
}

/// Checks why a decoder does not start.
pub(super) fn check_refused(sections: &str, name: &str, expected: &str) {
    let error = start(sections, name).err().expect("a decoder that does not start");
    assert!(format!("{error:#}").contains(expected), "{error:#}");
}

/// The mistakes whose file names have this start and this end, and what is expected of them.
fn mistakes(prefix: &str, suffix: &str) -> Vec<(String, String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/mistakes");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with(prefix) && name.ends_with(suffix) {
            let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap();
            found.push((name, std::fs::read_to_string(&path).unwrap(), expected));
        }
    }
    assert!(!found.is_empty());
    found
}

fn kind_of(settings: &str) -> String {
    settings.trim_start_matches('[').split(']').next().unwrap().to_owned()
}

#[test]
fn mistakes_in_records_are_told() {
    for (name, text, expected) in mistakes("record_", ".txt") {
        let (settings, record) = text.split_once("\n\n").unwrap();
        let mut decoding = start(settings, &kind_of(settings)).unwrap();
        let error = decode(&mut *decoding, Form::Payload, record.trim_end().as_bytes());
        let error = error.err().map(|error| format!("{error:#}"));
        assert_eq!(error.as_deref(), Some(expected.trim_end()), "{name}");
    }
}

#[test]
fn mistakes_in_settings_are_told_at_start() {
    for (name, settings, expected) in mistakes("decoder_", ".toml") {
        let error = start(&settings, &kind_of(&settings)).err();
        let error = error.map(|error| format!("{error:#}"));
        assert_eq!(error.as_deref(), Some(expected.trim_end()), "{name}");
    }
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

mod payload_regex {
    use super::*;

    const SECTION: &str = "\
[PayloadRegexDecoder]
match_regex = '^(?P<Timestamp>\\S+ \\S+) (?P<Severity>\\w+) \\[(?P<Thread>\\d+)\\] (?P<Rest>.*)'
timestamp_layout = \"2006-01-02 15:04:05.000\"
timestamp_location = \"Europe/Berlin\"
[PayloadRegexDecoder.severity_map]
WARN = 4
[PayloadRegexDecoder.message_fields]
Type = \"app.%Severity%\"
Payload = \"%Rest%\"
Pid = \"%Thread%\"
\"Thread|count\" = \"%Thread% of 100%\"
";

    fn check_in(settings: &str, payload: &str, expected: &str) {
        check(
            &format!("[PayloadRegexDecoder]\n{settings}"),
            "PayloadRegexDecoder",
            payload,
            expected,
        );
    }

    #[test]
    fn groups_become_header_and_fields() {
        check(
            SECTION,
            "PayloadRegexDecoder",
            "2026-11-22 16:33:20.500 WARN [17] it is late",
            "time 500000000\ntype app.WARN\nfrom logger host\nseverity 4\npid 17\n\
             payload it is late\nextra 1\nThread[count] \"17 of 100%\"\n",
        );
    }

    #[test]
    fn times_are_read_as_the_layout_says() {
        let check_time = |layout: &str, text: &str, expected: &str| {
            let settings =
                format!("match_regex = '(?P<Timestamp>.*)'\ntimestamp_layout = '{layout}'");
            let expected = if expected.starts_with("error") {
                format!("{expected}\n")
            } else {
                format!("time {expected}\ntype input\nfrom logger host\npayload {text}\nextra 1\n")
            };
            check_in(&settings, text, &expected);
        };
        check_time("Epoch", "1795361601", "1000000000");
        check_time("Epoch", "1795361600.25", "250000000");
        check_time("EpochMilli", "1795361600001", "1000000");
        check_time("EpochMicro", "1795361600000001", "1000");
        check_time("EpochNano", "1795361600000000001", "1");
        check_time("%d.%m.%Y %T", "22.11.2026 15:33:21", "1000000000");
        check_time("2006", "Sun Nov 22 15:33:21 2026", "1000000000");
        check_time("", "2026-11-22T15:33:20Z", "0");
        check_time("2006", "soon", "error: time \"soon\" is not written as \"2006\"");
    }

    #[test]
    fn record_that_does_not_match_is_an_error_told_or_not() {
        check_in("match_regex = '(?P<A>a)'", "xyz", "error: match_regex does not match \"xyz\"\n");
        let sections = "[PayloadRegexDecoder]\nmatch_regex = '(?P<A>a)'\nlog_errors = false\n";
        let mut decoding = start(sections, "PayloadRegexDecoder").unwrap();
        let error = decode(&mut *decoding, Form::Payload, b"xyz").unwrap_err();
        assert!(error.is::<crate::plugin::Quiet>());
    }

    #[test]
    fn mistakes_are_told_at_start() {
        let refused = |settings: &str, expected: &str| {
            let section = format!("[PayloadRegexDecoder]\n{settings}");
            check_refused(&section, "PayloadRegexDecoder", expected);
        };
        refused("match_regex = '('", "cannot use `match_regex`");
        refused("match_regex = '(a)'", "no named group");
        refused("match_regex = '(?P<A>a)'\ntimestamp_location = 'Mars'", "\"Mars\" is no zone");
        refused("match_regex = '(?P<A>a)'\nmessage_fields = { B = '%B%' }", "%B%");
        refused("match_regex = '(?P<A>a)'\ntimestamp_layout = '%Q'", "%Q at column 1");
    }

    #[test]
    fn words_that_are_no_number_are_errors() {
        let settings = "match_regex = '(?P<A>.*)'\nmessage_fields = { Severity = '%A%' }";
        check_in(settings, "high", "error: \"high\" is not a severity\n");
        check_in(
            settings,
            "3",
            "time 0\ntype input\nfrom logger host\nseverity 3\npayload 3\nextra 1\n",
        );
    }
}

mod scribble {
    use super::*;

    const SECTION: &str = "[ScribbleDecoder.message_fields]\nType = \"t\"\nSeverity = \"2\"\n\"a|count\" = \"%x% 1\"\n";

    #[test]
    fn fixed_texts_are_set() {
        check(
            SECTION,
            "ScribbleDecoder",
            "text",
            "time 0\ntype t\nfrom logger host\nseverity 2\npayload text\nextra 1\na[count] \"%x% 1\"\n",
        );
        check(
            "[ScribbleDecoder]\n",
            "ScribbleDecoder",
            "",
            "time 0\ntype input\nfrom logger host\npayload \nextra 1\n",
        );
    }

    #[test]
    fn message_keeps_what_is_not_set() {
        let mut batch = Batch::new();
        let mut builder = batch.begin();
        builder
            .uuid(&[3; 16])
            .timestamp(NOW + 5)
            .message_type(b"old")
            .pid(9)
            .string("f", "u", b"v");
        builder.finish().unwrap();
        let mut decoding = start(SECTION, "ScribbleDecoder").unwrap();
        let found = decode(&mut *decoding, Form::Message, batch.message(0).bytes()).unwrap();
        assert_eq!(found.message(0).uuid(), [3; 16]);
        let expected =
            "time 5\ntype t\nfrom  \nseverity 2\npid 9\npayload \nf[u] \"v\"\na[count] \"%x% 1\"\n";
        assert_eq!(show(&found.message(0)), expected);
    }

    #[test]
    fn numbers_that_are_none_are_told_at_start() {
        check_refused(
            "[ScribbleDecoder.message_fields]\nPid = \"x\"\n",
            "ScribbleDecoder",
            "\"x\" is not a process id",
        );
        check_refused(
            "[ScribbleDecoder.message_fields]\nTimestamp = \"1\"\n",
            "ScribbleDecoder",
            "Timestamp",
        );
    }
}

mod multi {
    use super::*;

    fn sections(strategy: &str) -> String {
        format!(
            "[m]\ntype = \"MultiDecoder\"\nsubs = [\"a\", \"b\", \"s\"]\ncascade_strategy = \"{strategy}\"\n\
             [a]\ntype = \"PayloadRegexDecoder\"\nmatch_regex = '^(?P<A>\\d+)'\nmessage_fields = {{ a = '%A%' }}\n\
             [b]\ntype = \"PayloadRegexDecoder\"\nmatch_regex = '(?P<B>[x-z]+)$'\nmessage_fields = {{ b = '%B%' }}\n\
             [s]\ntype = \"ScribbleDecoder\"\nmessage_fields = {{ Type = 's' }}\n"
        )
    }

    #[test]
    fn first_that_can_decode_wins() {
        let sections = sections("first-wins");
        let head = "time 0\ntype input\nfrom logger host\n";
        check(&sections, "m", "1x", &format!("{head}payload 1x\nextra 1\na \"1\"\n"));
        check(&sections, "m", "x", &format!("{head}payload x\nextra 1\nb \"x\"\n"));
    }

    #[test]
    fn all_go_on_with_what_was_made_before() {
        let sections = sections("all");
        let head = "time 0\ntype s\nfrom logger host\n";
        check(&sections, "m", "1x", &format!("{head}payload 1x\nextra 1\na \"1\"\nb \"x\"\n"));
        check(&sections, "m", "x", &format!("{head}payload x\nextra 1\nb \"x\"\n"));
        check(&sections, "m", "-", &format!("{head}payload -\nextra 1\n"));
    }

    #[test]
    fn it_fails_only_where_all_fail() {
        check(
            "[m]\ntype = \"MultiDecoder\"\nsubs = [\"JsonDecoder\", \"ProtobufDecoder\"]\n[JsonDecoder]\n[ProtobufDecoder]\n",
            "m",
            "\n",
            "error: all subdecoders failed: JsonDecoder: record is no JSON object: EOF while parsing a \
             value at line 2 column 0; ProtobufDecoder: message is cut off or damaged at byte 1\n",
        );
        check_refused("[MultiDecoder]\nsubs = []\n", "MultiDecoder", "names no decoder");
    }
}

mod json {
    use super::*;

    fn check_in(settings: &str, text: &str, expected: &str) {
        check(&format!("[JsonDecoder]\n{settings}"), "JsonDecoder", text, expected);
    }

    const HEAD: &str = "time 0\ntype json\nfrom logger host\n";

    fn check_fields(settings: &str, text: &str, expected: &str) {
        check_in(settings, text, &format!("{HEAD}{expected}extra 1\n"));
    }

    #[test]
    fn members_become_fields() {
        check_fields(
            "",
            r#"{"s":"text \u00e9","i":-3,"big":9223372036854775807,"d":1.0,"b":true,"n":null,"":0}"#,
            "s \"text é\"\ni -3\nbig 9223372036854775807\nd 1.0f\nb true\n 0\n",
        );
        check_fields("", "{\"u\":18446744073709551615}\n", "u 1.8446744073709552e19f\n");
        check_fields("payload_keep = true", "{}", "payload {}\n");
    }

    #[test]
    fn objects_are_flattened_and_arrays_of_one_type_kept() {
        let text = r#"{"a":{"b":{"c":1}},"l":[1,2],"f":[1,2.5],"m":[1,"x",{"y":2}],"e":[],"z":[null,"q"]}"#;
        check_fields("", text, "a.b.c 1\nl 1 2\nf 1.0f 2.5f\nm.1 1\nm.2 \"x\"\nm.3.y 2\nz \"q\"\n");
        check_fields("separator = '_'", r#"{"a":{"b":1}}"#, "a_b 1\n");
        check_fields(
            "maximum_depth = 1",
            r#"{"a":{"b":[1]},"l":[1],"m":[[1]]}"#,
            "a \"{\\\"b\\\":[1]}\"\nl 1\nm \"[[1]]\"\n",
        );
        check_fields("maximum_depth = 2", r#"{"a":{"b":{"c":1}}}"#, "a.b \"{\\\"c\\\":1}\"\n");
    }

    #[test]
    fn mapped_members_become_the_header() {
        let settings = "map_fields = true\nPayload = 'p'\nType = 't'\nLogger = 'l'\nHostname = 'h'\n\
                        Severity = 's'\nPid = 'i'\nEnvVersion = 'e'\nTimestamp = 'ts'\nUuid = 'u'";
        let text = r#"{"p":"text","t":"kind","l":"log","h":"box","s":"3","i":7,"e":2,"rest":1,
                       "ts":"2026-11-22T15:33:21Z","u":"00000000-0000-4000-8000-000000000001"}"#;
        let header = "time 1000000000\ntype kind\nfrom log box\nseverity 3\npid 7\nversion 2\n";
        check_in(settings, text, &format!("{header}payload text\nrest 1\nextra 1\n"));
        // What a header field cannot be stays a field.
        check_fields(settings, r#"{"s":"high","t":true,"ts":null}"#, "s \"high\"\nt true\n");
    }

    #[test]
    fn nothing_is_mapped_unless_asked() {
        check_fields("Payload = 'p'", r#"{"p":"text"}"#, "p \"text\"\n");
    }

    #[test]
    fn times_are_read_as_the_format_says() {
        let check_time = |format: &str, value: &str, expected: &str| {
            let format = match format {
                "" => String::new(),
                format => format!("timestamp_format = '{format}'"),
            };
            let settings = format!("map_fields = true\nTimestamp = 't'\n{format}");
            let rest = if expected.starts_with("error") {
                ""
            } else {
                "\ntype json\nfrom logger host\nextra 1"
            };
            check_in(&settings, &format!("{{\"t\":{value}}}"), &format!("{expected}{rest}\n"));
        };
        check_time("", "1795361600000000007", "time 7");
        check_time("%s", "1795361601", "time 1000000000");
        check_time("Epoch", "1795361600.5", "time 500000000");
        check_time("%d/%b/%Y:%H:%M:%S %z", "\"22/Nov/2026:15:33:21 +0000\"", "time 1000000000");
        check_time("%d/%b/%Y", "\"now\"", "error: time \"now\" is not written as \"%d/%b/%Y\"");
        check_time("", "\"now\"", "error: time \"now\" is not RFC 3339");
    }

    #[test]
    fn text_that_is_no_object_is_an_error() {
        let check_error = |text: &str, expected: &str| {
            check_in("", text, &format!("error: record is no JSON object: {expected}\n"));
        };
        check_error("[1]", "invalid type: sequence, expected an object at line 1 column 1");
        check_error("{\"a\":}", "expected value at line 1 column 6");
        check_error("{} x", "trailing characters at line 1 column 4");
        let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
        check_error(&deep, "recursion limit exceeded at line 1 column 636");
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[\\[\\]{}\",:0-9a-z.\\\\-]{0,60}") {
            let mut decoding = start("[JsonDecoder]\nmaximum_depth = 2\n", "JsonDecoder").unwrap();
            let _ = decode(&mut *decoding, Form::Payload, text.as_bytes());
        }
    }
}

mod sandbox {
    use super::*;

    /// Checks what a script makes of a record with the payload `text`.
    fn check_script(script: &str, settings: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("decoder.lua");
        std::fs::write(&file, script).unwrap();
        let section = format!("[SandboxDecoder]\nfilename = '{}'\n{settings}", file.display());
        check(&section, "SandboxDecoder", "text", expected);
    }

    #[test]
    fn script_writes_the_message() {
        check_script(
            "function process_message()
               write_message('Type', 'lua')
               write_message('Fields[n]', 2, 'count')
               return 0
             end",
            "",
            "time 0\ntype lua\nfrom logger host\npayload text\nextra 1\nn[count] 2.0f\n",
        );
    }

    #[test]
    fn script_injects_several_messages_in_order() {
        let script = "function process_message()
             for i = 1, 3 do inject_message({Type = 't' .. i, Timestamp = i, Payload = 'p', Fields = {n = i}}) end
             return 0
           end";
        let message = |number: i64| {
            format!(
                "time {}\ntype t{number}\nfrom logger host\npayload p\nn {number}.0f\n",
                number - NOW
            )
        };
        check_script(script, "", &[message(1), message(2), message(3)].join("--\n"));
    }

    #[test]
    fn times_of_the_script_are_in_the_zone_of_tz() {
        let script = "function process_message()
             inject_message({Type = 'a', Timestamp = 0, Payload = 'p'})
             inject_message({Type = 'b', Timestamp = 0, Payload = 'p'})
             return 0
           end";
        let hour = -3_600_000_000_000 - NOW;
        let message =
            |kind: &str| format!("time {hour}\ntype {kind}\nfrom logger host\npayload p\n");
        let settings = "[SandboxDecoder.config]\ntz = 'Europe/Berlin'\n";
        check_script(script, settings, &[message("a"), message("b")].join("--\n"));
    }

    #[test]
    fn failure_is_told_and_the_script_goes_on() {
        check_script(
            "function process_message() return -1, 'not mine' end",
            "",
            "error: the script returned -1: not mine\n",
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("decoder.lua");
        let script = "local calls = 0
           function process_message()
             calls = calls + 1
             if read_message('Payload') == 'loop' then while true do end end
             if read_message('Payload') == 'end' then return 1, 'enough' end
             write_message('Fields[calls]', calls)
             return 0
           end";
        std::fs::write(&file, script).unwrap();
        let section = format!("[SandboxDecoder]\nfilename = '{}'\ncpu_limit = 5\n", file.display());
        let mut decoding = start(&section, "SandboxDecoder").unwrap();
        let mut calls = |text: &str| match decode(&mut *decoding, Form::Payload, text.as_bytes()) {
            Ok(batch) => format!("{:?}", batch.message(0).value(b"calls", 0, 0)),
            Err(error) => error.to_string(),
        };
        assert_eq!(calls("a"), "Some(Double(1.0))");
        assert_eq!(calls("b"), "Some(Double(2.0))");
        let limit = calls("loop");
        assert!(limit.contains("cpu_limit exceeded; the script starts anew"), "{limit}");
        assert_eq!(calls("c"), "Some(Double(1.0))");
        assert_eq!(calls("end"), "the script has ended itself: enough");
        assert_eq!(calls("d"), "the script has ended itself: enough");
    }

    #[test]
    fn mistakes_are_told_at_start() {
        check_refused("[SandboxDecoder]\nfilename = 'no/such.lua'\n", "SandboxDecoder", "script");
    }
}
