//! Documents in a real OpenSearch, from the folder that `HEKA_OPENSEARCH` names.

use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use libtest_mimic::Trial;

use super::answer::curl;
use super::answer::expect_answer;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    let name = "destinations::elasticsearch_holds_each_document_once";
    // A gigabyte of memory and half a minute: it is only run where it is asked for.
    if folder().is_none() {
        let kind = "no HEKA_OPENSEARCH";
        return vec![Trial::test(name, || Ok(())).with_ignored_flag(true).with_kind(kind)];
    }
    vec![test_with(&["java", "curl"], name, each_document_once)]
}

fn folder() -> Option<PathBuf> {
    std::env::var_os("HEKA_OPENSEARCH").map(PathBuf::from)
}

/// Starts a node of OpenSearch 2, as nobody where root asks: it refuses to run as root.
fn start(place: &Place, port: u16) -> anyhow::Result<Server> {
    let folder = place.path("search").display().to_string();
    let mut home = folder_of_program()?;
    for name in ["config", "data", "logs", "tmp"] {
        std::fs::create_dir_all(format!("{folder}/{name}"))?;
    }
    std::fs::copy(
        format!("{home}/config/log4j2.properties"),
        place.path("search/config/log4j2.properties"),
    )?;
    place.write(
        "search/config/opensearch.yml",
        &format!(
            "discovery.type: single-node\nhttp.port: {port}\nnetwork.host: 127.0.0.1\n\
             path.data: {folder}/data\npath.logs: {folder}/logs\n\
             cluster.routing.allocation.disk.threshold_enabled: false\n"
        ),
    )?;
    let is_root = nix::unistd::geteuid().is_root();
    let mut command = if is_root {
        // Nobody cannot read what lies in the home of root.
        let program = place.path("program");
        if !program.exists() {
            Command::new("cp").arg("-r").arg(&home).arg(&program).status()?;
        }
        home = program.display().to_string();
        Command::new("chmod").args(["-R", "a+rwX"]).arg(place.path("")).status()?;
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "java"]);
        command
    } else {
        Command::new("java")
    };
    command.args(["-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg("-Djava.security.manager=allow");
    command.arg(format!("-Dopensearch.path.home={home}"));
    command.arg(format!("-Dopensearch.path.conf={folder}/config"));
    command.args(["-Dopensearch.distribution.type=zip", "-Dopensearch.bundled_jdk=false"]);
    command.arg(format!("-Djava.io.tmpdir={folder}/tmp"));
    command.args(["-cp", &format!("{home}/lib/*"), "org.opensearch.bootstrap.OpenSearch"]);
    Server::start(command, port)
}

fn folder_of_program() -> anyhow::Result<String> {
    Ok(folder().context("HEKA_OPENSEARCH is not set")?.display().to_string())
}

fn each_document_once() -> anyhow::Result<()> {
    const MESSAGES: usize = 4000;
    let port = free_port()?;
    let place = Place::new(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = 'numbers'\n\
         [numbers]\ntype = 'PayloadRegexDecoder'\nmatch_regex = '^(?P<n>\\w+)\\s*$'\n\
         [numbers.message_fields]\nn = '%n%'\n\
         [documents]\ntype = 'ESJsonEncoder'\nindex = 'Heka-%{{Type}}'\nid = '%{{UUID}}'\n\
         [out]\ntype = 'ElasticSearchOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         encoder = 'documents'\nserver = 'http://127.0.0.1:{port}'\nmax_batch_bytes = 20000\n\
         compression = 'gzip'\nretries = {{ delay = '100ms', max_delay = '500ms' }}\n"
    ))?;
    let url = format!("http://127.0.0.1:{port}");
    let mut server = Some(start(&place, port)?);
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    for number in 0..MESSAGES / 2 {
        writeln!(stream, "a{number}")?;
    }
    expect_answer(&mut engine, &[&format!("{url}/heka-lines/_search?q=n:a7")], "\"a7\"")?;
    for number in MESSAGES / 2..MESSAGES {
        if number == MESSAGES * 3 / 4 {
            // Killed under load.
            server = None;
        }
        writeln!(stream, "a{number}")?;
    }
    anyhow::ensure!(server.is_none(), "it is killed");
    engine.wait_for("it to be missed", |engine| {
        engine.stderr().contains("cannot reach").then_some(())
    })?;
    let _server = start(&place, port)?;
    let count = format!("{url}/heka-lines/_count");
    let refresh = format!("{url}/heka-lines/_refresh");
    engine.wait_for("all documents", |_| {
        curl(&[&refresh]).ok()?;
        curl(&[&count]).ok()?.contains(&format!("\"count\":{MESSAGES},")).then_some(())
    })?;
    // A document that does not fit the mapping is refused, and those around it are stored.
    let mapping = r#"{"properties":{"strict":{"type":"integer"}}}"#;
    let json = "Content-Type: application/json";
    curl(&["-XPUT", &format!("{url}/heka-lines/_mapping"), "-H", json, "-d", mapping])?;
    engine.stop()?.expect_code(0)?;
    refused_one(&place, &url, port)
}

/// Sends three documents, the second of which the mapping refuses.
fn refused_one(place: &Place, url: &str, port: u16) -> anyhow::Result<()> {
    place.configure(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = 'numbers'\n\
         [numbers]\ntype = 'PayloadRegexDecoder'\nmatch_regex = '^(?P<n>.*?)\\s*$'\n\
         [numbers.message_fields]\nstrict = '%n%'\n\
         [documents]\ntype = 'ESJsonEncoder'\nindex = 'heka-lines'\nid = 'x-%{{strict}}'\n\
         [out]\ntype = 'ElasticSearchOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         encoder = 'documents'\nserver = 'http://127.0.0.1:{port}'\n"
    ))?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    stream.write_all(b"1\nword\n3\n")?;
    for id in ["x-1", "x-3"] {
        expect_answer(&mut engine, &[&format!("{url}/heka-lines/_doc/{id}")], "\"found\":true")?;
    }
    engine.wait_for("the reason", |engine| {
        engine.stderr().contains("does not fit the mapping").then_some(())
    })?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
