//! Tests of loading as a whole, among them every mistake in `tests/data/mistakes/config/`.
//!
//! Each mistake is a `NAME.toml`, or a folder, and beside it `NAME.expected`: the text a person reads.
//! `BLESS=1` writes what is said now into the `.expected` files, to be read before it is committed.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

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
        Family::Splitter => vec!["TokenSplitter", "RegexSplitter", "PatternGroupingSplitter"],
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
