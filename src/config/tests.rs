//! Tests of loading as a whole, among them every mistake in `tests/data/mistakes/config/`.
//!
//! Each mistake is a `NAME.toml`, or a folder, and beside it `NAME.expected`: the text a person reads.
//! `BLESS=1` writes what is said now into the `.expected` files, to be read before it is committed.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::stdx::secret::Secret;

/// Settings as a plugin has them, for the mistakes that only its kind can find.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "what is read is not looked at")]
struct TcpInput {
    address: std::net::SocketAddr,
    net: Option<Net>,
    #[serde(default)]
    use_tls: bool,
    #[serde(default, deserialize_with = "crate::stdx::duration::optional_seconds")]
    keep_alive_period: Option<Duration>,
    tls: Option<Tls>,
    max_connections: Option<u16>,
    password: Option<Secret>,
    #[serde(default)]
    ports: Vec<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Net {
    Tcp,
    Tcp6,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "what is read is not looked at")]
struct Tls {
    cert_file: String,
    key_file: String,
    min_version: Option<String>,
}

fn kinds(family: Family) -> Vec<&'static str> {
    match family {
        Family::Input => vec!["TcpInput", "UdpInput", "LogstreamerInput"],
        Family::Splitter => vec!["TokenSplitter", "RegexSplitter", "NullSplitter"],
        Family::Decoder => vec!["ProtobufDecoder", "JsonDecoder", "SandboxDecoder"],
        Family::Filter => vec!["SandboxFilter", "CounterFilter"],
        Family::Encoder => vec!["PayloadEncoder", "ProtobufEncoder", "JsonEncoder"],
        Family::Output => vec!["LogOutput", "FileOutput", "TcpOutput"],
    }
}

fn variable(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("5565".to_owned()),
        "QUOTED" => Some("a \"quoted\" word".to_owned()),
        _ => None,
    }
}

fn surroundings() -> Surroundings<'static> {
    Surroundings { kinds: &kinds, variable: &variable }
}

/// Loads a configuration and reads the settings of every kind there is a struct for.
fn all_problems(loaded: (Option<Config>, Vec<Problem>)) -> Vec<Problem> {
    let (config, mut problems) = loaded;
    for section in config.iter().flat_map(|config| &config.sections) {
        if section.kind == "TcpInput" {
            let read = section.settings.read(|table| TcpInput::deserialize(table));
            problems.extend(read.err().unwrap_or_default());
        }
    }
    problems
}

fn parse_well(text: &str) -> Config {
    let (config, problems) = parse("test.toml", text, &surroundings());
    assert!(problems.is_empty(), "{}", render_all(&problems, false));
    config.unwrap()
}

#[test]
fn every_mistake_is_told_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mistakes/config");
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in names {
        let is_mistake = path.is_dir() || path.extension().is_some_and(|end| end == "toml");
        if !is_mistake {
            continue;
        }
        count += 1;
        let problems = all_problems(load(&path, &surroundings()));
        let told = render_all(&problems, false).replace(&format!("{}/", folder.display()), "");
        let expected_path = path.with_extension("expected");
        if env::var_os("BLESS").is_some() {
            fs::write(&expected_path, &told).unwrap();
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if told != expected || problems.is_empty() {
            wrong.push(format!("{}:\n{told}--- expected\n{expected}", path.display()));
        }
    }
    assert!(count >= 25, "only {count} mistakes found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_left_out_has_the_defaults_of_heka() {
    let config = parse_well("");
    let hekad = &config.hekad;
    assert_eq!((hekad.max_message_size, hekad.max_message_loops), (65_536, 4));
    assert_eq!((hekad.max_process_inject, hekad.max_timer_inject), (1, 10));
    assert_eq!(hekad.shutdown_timeout, Duration::from_secs(30));
    assert_eq!(hekad.admin.address, Some("127.0.0.1:4352".parse().unwrap()));
    assert!(config.admin_tls.is_none() && config.sections.is_empty());
    assert_eq!(config.journal.text(), "{}");
    assert!(!hekad.hostname.is_empty());

    let config = parse_well("[TcpInput]\n[LogOutput]\n");
    let Common::Input(input) = &config.section("TcpInput").unwrap().common else { panic!() };
    assert!(input.log_decode_failures && !input.send_decode_failures);
    assert_eq!(input.retries.delay, Duration::from_millis(250));
    assert_eq!(input.retries.max_retries, None);
    let Common::Output(reader, _) = &config.section("LogOutput").unwrap().common else { panic!() };
    assert_eq!((reader.start, reader.use_buffering), (Start::End, None));
}

#[test]
fn values_become_what_they_mean() {
    let config = parse_well(
        r#"
        [hekad]
        max_message_loops = 0
        pid_file = ""
        shutdown_timeout = 2
        admin.address = ""
        admin.token = "letmein"
        journal = { max_bytes = "1GiB" }

        [errors]
        type = "SandboxFilter"
        message_matcher = "Severity <= 3"
        message_signer = "ops"
        ticker_interval = "1500ms"
        start = "oldest"
        filename = "errors.lua"
        [errors.buffering]
        max_buffer_size = "2MiB"
        full_action = "drop_oldest"
        [errors.retries]
        max_retries = 3
        [errors.config]
        limit = 3
        "#,
    );
    assert_eq!((config.hekad.max_message_loops, &config.hekad.pid_file), (1, &None));
    assert_eq!(config.hekad.shutdown_timeout, Duration::from_secs(2));
    assert_eq!(config.hekad.admin.address, None);
    assert!(!format!("{:?}", config.hekad).contains("letmein"));
    assert_eq!(config.journal.text(), r#"{"max_bytes" = "1GiB"}"#);
    let section = config.section("errors").unwrap();
    assert_eq!((section.kind.as_str(), section.family), ("SandboxFilter", Family::Filter));
    assert_eq!(section.place.to_string(), "test.toml:10:10");
    assert_eq!(section.kind_place.to_string(), "test.toml:11:16");
    let Common::Filter(common) = &section.common else { panic!() };
    assert_eq!(common.message_matcher.as_ref().unwrap().source(), "Severity <= 3");
    assert_eq!(common.ticker_interval, Some(Duration::from_millis(1500)));
    assert_eq!(common.buffering.full_action, Some(FullAction::DropOldest));
    assert_eq!((common.buffering.max_buffer_size, common.start), (2 << 20, Start::Oldest));
    assert_eq!(common.retries.max_retries, Some(3));
    let place = section.settings.place_of_key("filename").unwrap();
    assert_eq!(place.to_string(), "test.toml:16:20");
    assert!(section.settings.place_of_key("ticker_interval").is_none());
    assert_eq!(section.settings.text(), r#"{"filename" = "errors.lua", "config" = {"limit" = 3}}"#);
}

#[test]
fn settings_are_read_as_they_were_written() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Sample {
        text: String,
        hex: u64,
        least: i64,
        double: f64,
        time: toml::value::Datetime,
        list: Vec<Vec<bool>>,
        table: std::collections::BTreeMap<String, f64>,
        place: toml::Spanned<String>,
    }
    let text = r#"
        [RegexSplitter]
        text = "tab\t quote\" \\ \u0001 ü \u007F"
        hex = 0xffff_ffff
        least = -9223372036854775808
        double = 1e-3
        time = 2026-11-22T15:00:00Z
        list = [[true], [false, true]]
        table = { "a.b \"c\"" = inf, d = -0.5 }
        place = 'x'
        "#;
    let config = parse_well(text);
    let settings = &config.sections[0].settings;
    let ours = settings.read(|table| Sample::deserialize(table)).unwrap();
    let whole: std::collections::BTreeMap<String, Sample> = toml::from_str(text).unwrap();
    assert_eq!(ours, whole["RegexSplitter"]);
    assert_eq!(settings.place_of(&ours.place).to_string(), "test.toml:10:17");
}

#[test]
fn the_difference_is_what_is_said_not_how() {
    let old = parse_well(
        "[hekad]\nhostname = 'a'\npid_file = ''\n\
         [TcpInput]\naddress = 'x'\ndecoder = 'JsonDecoder'\n[JsonDecoder]\n\
         [UdpInput]\n[LogOutput]\nmessage_matcher = 'TRUE'\n",
    );
    let new = parse_well(
        "[LogOutput] # moved\nmessage_matcher = \"TRUE\"\n\
         [hekad]\nhostname = 'b'\nmax_process_inject = 2\npid_file = ''\n\
         [TcpInput]\naddress = 'x'\ndecoder = 'JsonDecoder'\nretries = { max_retries = 2 }\n\
         [JsonDecoder]\n[FileOutput]\nmessage_matcher = 'TRUE'\n",
    );
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected = Difference {
        added: names(&["FileOutput"]),
        removed: names(&["UdpInput"]),
        changed: names(&["TcpInput"]),
        hekad_changed: names(&["hostname", "max_process_inject"]),
    };
    assert_eq!(difference(&old, &new), expected);
    assert!(difference(&old, &old.clone()).is_empty());
}

#[test]
fn another_kind_under_the_same_name_is_a_change() {
    let old = parse_well("[plugin]\ntype = 'JsonDecoder'\n");
    let new = parse_well("[plugin]\ntype = 'ProtobufDecoder'\n");
    assert_eq!(difference(&old, &new).changed, ["plugin"]);
}

#[test]
fn a_later_file_replaces_the_whole_section() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("b.toml", "[hekad]\nhostname = 'b'\n[TcpInput]\nnet = 'tcp'\n");
    write("a.toml", "[hekad]\nmax_timer_inject = 5\n[TcpInput]\naddress = 'a'\n[UdpInput]\n");
    write("c.conf", "this is not TOML");
    fs::create_dir(folder.path().join("d.toml")).unwrap();
    let (config, problems) = load(folder.path(), &surroundings());
    assert!(problems.is_empty(), "{}", render_all(&problems, false));
    let config = config.unwrap();
    assert_eq!((config.hekad.hostname.as_str(), config.hekad.max_timer_inject), ("b", 10));
    assert_eq!(config.section("TcpInput").unwrap().settings.text(), r#"{"net" = "tcp"}"#);
    assert_eq!(config.sections.len(), 2);
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| {
        let (config, problems) = load(path, &surroundings());
        assert!(config.is_none());
        problems[0].message().to_owned()
    };
    assert!(message(folder.path()).starts_with("there is no *.toml in"));
    let missing = folder.path().join("missing.toml");
    assert!(message(&missing).contains("missing.toml: No such file"));
    let binary = folder.path().join("binary.toml");
    fs::write(&binary, b"[TcpInput]\naddress = '\xff'").unwrap();
    assert!(message(&binary).ends_with("line 2 is not UTF-8 text"));
}

#[test]
fn the_environment_is_filled_in_as_text() {
    let config = parse_well("[UdpInput] # %ENV[QUOTED]\nport = %ENV[PORT]\nhost = '%ENV[NONE]'\n");
    assert_eq!(config.sections[0].settings.text(), r#"{"port" = 5565, "host" = ""}"#);
}

#[test]
fn a_wrong_matcher_is_not_also_missing() {
    let (config, problems) =
        parse("x.toml", "[LogOutput]\nmessage_matcher = 'Type = 1'\n", &surroundings());
    assert_eq!(problems.len(), 1);
    let Common::Output(reader, _) = &config.unwrap().sections[0].common else { panic!() };
    assert!(reader.message_matcher.is_some());
}

#[test]
fn color_does_not_change_the_words() {
    let (_, problems) = parse("x.toml", "[TcpInput\n", &surroundings());
    let colored = problems[0].render(true);
    assert!(colored.contains("\u{1b}["));
    assert!(colored.contains("the head of the section is not closed"));
}

#[test]
fn every_common_key_is_read_by_its_family() {
    for family in Family::ALL {
        let kind = kinds(family)[0];
        for key in keys(family) {
            let (_, problems) =
                parse("x.toml", &format!("[{kind}]\n{key} = [[1]]\n"), &surroundings());
            // A list of lists is no value for any of them, so each has to object.
            assert!(Problem::any_error(&problems), "{kind} does not read {key}");
            assert!(!problems[0].message().contains("unknown"), "{}", problems[0].message());
        }
    }
}

#[test]
fn nothing_written_makes_it_panic() {
    let texts = [
        "\u{0}",
        "[",
        "[[",
        "[]",
        "a",
        "=",
        "[a.b.c]\n[a]\n[a]",
        "[\"\"]\n",
        "%ENV[",
        "%ENV[]",
        "[hekad]\njournal = []",
        "hekad = 1",
        "[[hekad]]",
        "[a]\ntype = {}",
        "\u{feff}[TcpInput]",
        "[ü]\n\"ü = 'é\n[ü]",
        "x = '''\n%ENV[PORT",
        "[TcpInput]\ndecoder = \"\"\r\n\r",
        "[TcpInput]\nmax_connections = 09",
        "[TcpInput]\nports = [1__0, 0x, 1.e, +, 1e]\nmax_connections = 1_",
    ];
    for text in texts {
        let problems = all_problems(parse("x.toml", text, &surroundings()));
        let _ = render_all(&problems, true);
    }
    let deep = format!("[TcpInput]\na = {}1{}", "[".repeat(60), "]".repeat(60));
    assert!(Problem::any_error(&parse("x.toml", &deep, &surroundings()).1));
}

#[test]
fn every_common_key_is_described() {
    for family in Family::ALL {
        let schemas = schemas(family);
        for key in keys(family) {
            let described = schemas.iter().any(|schema| {
                let property = &schema.as_value()["properties"][*key];
                property["description"].as_str().is_some_and(|text| !text.is_empty())
            });
            assert!(described, "{key} of {family}s");
        }
    }
}

#[test]
fn the_lines_of_a_traceback_stand_below_the_place() {
    let config = parse_well("[LogOutput]\nmessage_matcher = 'TRUE'\n");
    let problem = Problem::error("it does not start: 3: oops\ntraceback:\n  a\n  b")
        .at(&config.sections[0].place)
        .help("look");
    let expected = "\
error: it does not start: 3: oops
 --> test.toml:1:2
  |
1 | [LogOutput]
  |  ^^^^^^^^^
  |
  = note: traceback:
            a
            b
  = help: look
";
    assert_eq!(problem.render(false), expected);
}

/// Texts that are nearly configurations.
fn nearly_toml() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "[",
        "]",
        "[[",
        "]]",
        "=",
        "\"",
        "'",
        "'''",
        "\"\"\"",
        "{",
        "}",
        ",",
        ".",
        "#",
        "\n",
        "\r\n",
        "\r",
        "\t",
        " ",
        "\\",
        "\u{0}",
        "é",
        "日本",
        "\u{1f980}",
        "1",
        "0x",
        "-",
        "1e",
        "true",
        "inf",
        "1979-05-27",
        "%ENV[",
        "%ENV[PORT]",
        "%ENV[QUOTED]",
        "%ENV[NONE]",
        "hekad",
        "journal",
        "admin",
        "tls",
        "type",
        "TcpInput",
        "LogOutput",
        "[TcpInput]\n",
        "[LogOutput]\n",
        "address",
        "ports",
        "password",
        "env",
        "message_matcher",
        "Type == 'a'",
        "decoder",
        "buffering",
        "full_action",
        "drop",
        "retries",
        "\n[a.b]\n",
        "x = 1\n",
        "y = \"z\"\n",
    ];
    prop::collection::vec(prop::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in nearly_toml()) {
        let problems = all_problems(parse("x.toml", &text, &surroundings()));
        for problem in &problems {
            problem.render(true);
            if let Some(place) = problem.place() {
                let span = place.span();
                prop_assert!(span.end <= text.len() && text.get(span).is_some());
            }
        }
    }

    #[test]
    fn what_is_written_is_what_is_read(text in nearly_toml()) {
        if let Ok(whole) = toml::from_str::<toml::Table>(&text) && !text.contains("%ENV") {
            let (config, _) = parse("x.toml", &text, &surroundings());
            for section in config.unwrap().sections {
                let mut expected = whole[&section.name].as_table().unwrap().clone();
                expected.retain(|key: &str, _| key != "type" && !keys(section.family).contains(&key));
                let read = section.settings.read(|table| toml::Table::deserialize(table)).unwrap();
                prop_assert_eq!(format!("{read:?}"), format!("{expected:?}"));
            }
        }
    }
}
