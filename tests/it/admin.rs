//! The admin port and the control socket: what they show, and who may change something.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::process::Stdio;

use anyhow::Context;
use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::http::ask;
use crate::harness::http::ask_socket;
use crate::suite::test;
use crate::suite::test_with;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with(&["promtool"], "admin::metrics_are_as_prometheus_wants", metrics_are_sound),
        test("admin::a_token_opens_the_port", a_token_opens_the_port),
        test("admin::without_a_token_the_port_only_reads", without_a_token_the_port_only_reads),
        test("admin::the_control_socket_is_its_owner_s", the_control_socket_is_its_owner_s),
        test("admin::health_tells_what_is_wrong", health_tells_what_is_wrong),
        test("admin::numbers_go_with_their_plugin", numbers_go_with_their_plugin),
    ]
}

const HEKAD: &str = "[hekad]\nbase_dir = 'DIR/state'\n[hekad.admin]\naddress = '127.0.0.1:0'\n";

/// An input, filters and an output of several kinds, so that every number there is is shown.
const PLUGINS: &str = "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR'\nfile_match = 'log'\n\
    [udp]\ntype = 'UdpInput'\naddress = '127.0.0.1:0'\n\
    [StatAccumInput]\n\
    [counter]\ntype = 'SandboxFilter'\nfilename = 'DIR/counter.lua'\nmessage_matcher = 'TRUE'\n\
    [stat]\ntype = 'StatFilter'\nmessage_matcher = 'TRUE'\n\
    [stat.Metric.a]\ntype = 'Counter'\nname = 'a'\nvalue = '1'\n\
    [copy]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'logfile'\"\npath = 'DIR/out'\n\
    encoder = 'PayloadEncoder'\n";

fn start(place: &Place, config: &str) -> anyhow::Result<(Engine, SocketAddr)> {
    place.write("counter.lua", "function process_message() return 0 end\n")?;
    place.configure(config)?;
    let mut engine = place.run(&[])?;
    let port = engine.address("the admin port")?;
    engine.wait_for("the start", |engine| {
        engine.stderr().contains("heka has started").then_some(())
    })?;
    Ok((engine, port))
}

fn metrics_are_sound() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write("log", "one\ntwo\nthree\n")?;
    let (mut engine, port) = start(&place, &format!("{HEKAD}{PLUGINS}"))?;
    let wanted = "heka_output_sent_total{plugin=\"copy\"} 3\n";
    let metrics = engine.wait_for("three messages out", |_| {
        let answer = ask(port, "GET /metrics", "").ok()?;
        (answer.status == 200 && answer.body.contains(wanted)).then_some(answer.body)
    })?;
    for expected in [
        "heka_input_messages_total{plugin=\"lines\"} 3\n",
        "heka_input_kernel_dropped_total{plugin=\"udp\"} 0\n",
        "heka_filter_cpu_seconds_total{plugin=\"counter\"} ",
        "heka_journal_max_bytes ",
        "heka_stat_refused_total{plugin=\"StatAccumInput\"} 0\n",
    ] {
        anyhow::ensure!(metrics.contains(expected), "no {expected} in\n{metrics}");
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    promtool.stdin.take().context("stdin is piped")?.write_all(metrics.as_bytes())?;
    let checked = promtool.wait_with_output()?;
    anyhow::ensure!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn a_token_opens_the_port() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let with_token = format!("{HEKAD}token = 'secret'\n{PLUGINS}");
    let (engine, port) = start(&place, &with_token)?;
    for (headers, status) in [
        ("", 401),
        ("Authorization: Bearer \r\n", 401),
        ("Authorization: Bearer secre\r\n", 401),
        ("Authorization: Bearer secrets\r\n", 401),
        ("Authorization: Basic secret\r\n", 401),
        ("Authorization: Bearer secret\r\n", 200),
    ] {
        let answer = ask(port, "POST /reload", headers)?;
        anyhow::ensure!(answer.status == status, "{headers}: {answer:?}");
    }
    place.configure(&with_token.replace("DIR/out", "DIR/other"))?;
    let answer = ask(port, "POST /reload", "Authorization: Bearer secret\r\n")?;
    anyhow::ensure!(answer.status == 200 && answer.body == "changed: copy\n", "{answer:?}");
    place.configure(&with_token.replace("FileOutput", "FileOutpt"))?;
    let answer = ask(port, "POST /reload", "Authorization: Bearer secret\r\n")?;
    anyhow::ensure!(answer.status == 422, "{answer:?}");
    anyhow::ensure!(answer.body.contains("did you mean `FileOutput`?"), "{answer:?}");
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn without_a_token_the_port_only_reads() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let (engine, port) = start(&place, &format!("{HEKAD}{PLUGINS}"))?;
    for (request, headers, status) in [
        ("POST /reload", "", 403),
        ("POST /reload", "Authorization: Bearer \r\n", 403),
        ("GET /reload", "", 405),
        ("POST /metrics", "", 405),
        ("GET /nothing", "", 404),
        ("GET /status", "", 200),
        ("GET /health", "", 200),
    ] {
        let answer = ask(port, request, headers)?;
        anyhow::ensure!(answer.status == status, "{request}: {answer:?}");
    }
    let status: serde_json::Value = serde_json::from_str(&ask(port, "GET /status", "")?.body)?;
    let plugins = status["plugins"].as_array().context("no plugins")?;
    anyhow::ensure!(plugins.iter().any(|plugin| plugin["name"] == "copy"), "{status}");
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn the_control_socket_is_its_owner_s() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let (engine, _) = start(&place, &format!("{HEKAD}{PLUGINS}"))?;
    let socket = place.path("state/heka.sock");
    let mode = std::fs::metadata(&socket)?.permissions().mode() & 0o777;
    anyhow::ensure!(mode == 0o600, "its permissions are {mode:o}");
    anyhow::ensure!(ask_socket(&socket, "GET /health")?.body == "ok\n");
    anyhow::ensure!(ask_socket(&socket, "GET /metrics")?.body.contains("heka_journal_bytes "));
    let answer = ask_socket(&socket, "POST /reload")?;
    anyhow::ensure!(answer.status == 200 && answer.body == "nothing has changed\n", "{answer:?}");
    // What an engine leaves behind that was killed does not keep the next from starting.
    engine.kill()?;
    anyhow::ensure!(socket.exists(), "the socket is gone");
    let mut engine = place.run(&[])?;
    engine.wait_for("an answer", |_| ask_socket(&socket, "GET /status").ok())?;
    engine.stop()?.expect_code(0)?;
    anyhow::ensure!(!socket.exists(), "the socket is left behind");
    Ok(())
}

/// An output that reaches nobody, a filter whose script always fails, an input whose port is taken.
fn health_tells_what_is_wrong() -> anyhow::Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let place = Place::new("")?;
    place.write("log", "one\ntwo\nthree\n")?;
    place.write("fails.lua", "function process_message() error('it fails') end\n")?;
    let config = format!(
        "{HEKAD}[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR'\nfile_match = 'log'\n\
         [send]\ntype = 'TcpOutput'\nmessage_matcher = 'TRUE'\naddress = '{free}'\n\
         [script]\ntype = 'SandboxFilter'\nfilename = 'DIR/fails.lua'\nmax_failures = 1\n\
         message_matcher = \"Type == 'logfile'\"\n[script.retries]\ndelay = '10m'\n\
         max_delay = '10m'\n\
         [listen]\ntype = 'TcpInput'\naddress = '{}'\n",
        taken.local_addr()?
    );
    let (mut engine, port) = start(&place, &config)?;
    for trouble in ["send fails\n", "script is stopped by its failures\n", "listen fails\n"] {
        engine.wait_for(trouble, |_| {
            let answer = ask(port, "GET /health", "").ok()?;
            (answer.status == 503 && answer.body.contains(trouble)).then_some(())
        })?;
    }
    drop(engine);
    Ok(())
}

fn numbers_go_with_their_plugin() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let (engine, port) = start(&place, &format!("{HEKAD}{PLUGINS}"))?;
    let before = ask(port, "GET /metrics", "")?.body;
    let names = ["udp", "counter", "copy"];
    let shown = |metrics: &str, name: &str| metrics.contains(&format!("plugin=\"{name}\""));
    anyhow::ensure!(names.iter().all(|name| shown(&before, name)), "{before}");
    place.configure(&format!(
        "{HEKAD}[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR'\nfile_match = 'log'\n"
    ))?;
    let answer = ask_socket(&place.path("state/heka.sock"), "POST /reload")?;
    anyhow::ensure!(answer.body.starts_with("removed: "), "{answer:?}");
    let after = ask(port, "GET /metrics", "")?.body;
    anyhow::ensure!(!names.iter().any(|name| shown(&after, name)), "{after}");
    anyhow::ensure!(shown(&after, "lines"), "{after}");
    engine.stop()?.expect_code(0)?;
    Ok(())
}
