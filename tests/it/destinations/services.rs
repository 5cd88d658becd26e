//! The services of others, each by the configuration that is shipped, into what speaks as they document it
//! (`services.py`): it is killed under load, asks to be left alone, is away, and refuses some.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

use anyhow::Context;
use libtest_mimic::Trial;
use toml::Table;
use toml::Value;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::interpreter;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    let needs = ["python3:datadog_api_client"];
    let datadog = || {
        is_told_everything(
            "datadog",
            &["/api/v2/series", "/api/v2/logs", "/api/v1/events", "/api/v1/check_run"],
        )
    };
    let newrelic = || {
        is_told_everything("newrelic", &["/metric/v1", "/log/v1", "/v1/accounts/1234567/events"])
    };
    let alerts = || {
        is_told_everything(
            "alerts",
            &["/v2/enqueue", "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"],
        )
    };
    let serverdensity = || is_told_everything("serverdensity", &["/intake/"]);
    vec![
        test_with(&needs, "destinations::datadog_is_told_everything_over_a_kill", datadog),
        test_with(&needs, "destinations::newrelic_is_told_everything_over_a_kill", newrelic),
        test_with(
            &needs,
            "destinations::pagerduty_and_slack_are_told_everything_over_a_kill",
            alerts,
        ),
        test_with(
            &needs,
            "destinations::serverdensity_is_told_everything_over_a_kill",
            serverdensity,
        ),
    ]
}

/// How many messages are sent to each.
const MESSAGES: u32 = 40;
/// What every service refuses, and what DataDog takes and calls wrong.
const UNWANTED: [u32; 2] = [666, 667];

/// The shipped configuration with its outputs over HTTPS alone, which go to this port, and with an input
/// that takes messages as JSON.
fn shipped(name: &str, port: u16) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/{name}.toml"));
    let mut config: Table = std::fs::read_to_string(path)?.parse()?;
    let text = |section: &Value, key: &str| -> String {
        section.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    config.retain(|_, section| {
        let kind = text(section, "type");
        !kind.ends_with("Input")
            && (!kind.ends_with("Output") || text(section, "address").starts_with("https://"))
    });
    for section in config.iter_mut().filter_map(|(_, section)| section.as_table_mut()) {
        let Some(address) = section.get("address").and_then(Value::as_str) else { continue };
        let rest = address.trim_start_matches("https://");
        let path = &rest[rest.find('/').context("the address has no path")?..];
        section.insert("address".to_owned(), format!("http://127.0.0.1:{port}{path}").into());
        let retries: Table = "delay = '20ms'\nmax_delay = '200ms'".parse()?;
        section.insert("retries".to_owned(), retries.into());
    }
    Ok(format!(
        "{config}\n[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = 'json_lines'\n[json_lines]\ntype = 'JsonDecoder'\nmap_fields = true\n\
         Type = 'Type'\nLogger = 'Logger'\nHostname = 'Hostname'\nSeverity = 'Severity'\n\
         Payload = 'Payload'\n"
    ))
}

/// What all outputs take: a number, a log, an alert and a check.
fn message(number: u32) -> String {
    format!(
        "{{\"Type\":\"stats.shop\",\"Logger\":\"syslog\",\"Hostname\":\"web01\",\"Severity\":2,\
         \"Payload\":\"n{number}\",\"payload_type\":\"alert\",\"status\":1,\"n\":{number}}}\n"
    )
}

fn is_told_everything(name: &str, paths: &[&str]) -> anyhow::Result<()> {
    let port = free_port()?;
    let place = Place::new(&shipped(name, port)?)?;
    place.write("services.py", include_str!("services.py"))?;
    let start = || {
        let mut command = interpreter("python3");
        command.arg(place.path("services.py")).arg(port.to_string()).arg(place.path("told"));
        Server::start(command, port)
    };
    let server = start()?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    let first: String = (0..MESSAGES / 2).chain(UNWANTED).map(message).collect();
    stream.write_all(first.as_bytes())?;
    wait_for(&mut engine, &place, paths, 0..MESSAGES / 2)?;
    drop(server);
    let second: String = (MESSAGES / 2..MESSAGES).map(message).collect();
    stream.write_all(second.as_bytes())?;
    engine.wait_for("it to be missed", |engine| {
        engine.stderr().contains("cannot reach").then_some(())
    })?;
    let _server = start()?;
    wait_for(&mut engine, &place, paths, 0..MESSAGES)?;
    let refused = |engine: &Engine| {
        let stderr = engine.stderr();
        stderr.lines().filter(|line| line.contains("a record was refused")).count()
    };
    let unwanted = paths.len() + usize::from(name == "datadog");
    engine.wait_for("what is refused", |engine| (refused(engine) >= unwanted).then_some(()))?;
    let stderr = engine.stop()?.expect_code(0)?.stderr;
    anyhow::ensure!(!place.read("told").contains("hurried"), "it came too soon:\n{stderr}");
    let count = stderr.matches("a record was refused").count();
    anyhow::ensure!(count == unwanted, "{count} were refused:\n{stderr}");
    Ok(())
}

/// Waits until these numbers are told on each path.
fn wait_for(
    engine: &mut Engine,
    place: &Place,
    paths: &[&str],
    numbers: std::ops::Range<u32>,
) -> anyhow::Result<()> {
    let waited = engine.wait_for("everything to be told", |_| {
        let told = place.read("told");
        let told: HashSet<&str> = told.lines().collect();
        let is_told = |path: &&str| numbers.clone().all(|n| told.contains(&*format!("{path} {n}")));
        paths.iter().all(is_told).then_some(())
    });
    waited.map_err(|error| {
        let mut missing = String::new();
        let told = place.read("told");
        for path in paths {
            let count = told.lines().filter(|line| line.starts_with(path)).count();
            let _ = writeln!(missing, "{path}: {count}");
        }
        error.context(missing)
    })
}
