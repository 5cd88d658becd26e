//! Exporters of Prometheus, pages of JSON, and plugins of Nagios.

use std::process::Command;

use libtest_mimic::Trial;

use super::expect;
use super::expect_payload;
use super::goes_down_and_comes_back;
use super::shipped;
use super::told;
use super::web::start_haproxy;
use super::web::start_nginx;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test_with(&["prometheus"], "sources::prometheus_is_scraped", prometheus),
        test_with(&["haproxy"], "sources::the_exporter_of_haproxy_is_scraped", haproxy),
        test_with(&["nginx"], "sources::pages_of_json_become_fields", json),
        test_with(
            &["/usr/lib/nagios/plugins/check_load"],
            "sources::plugins_of_nagios_are_run",
            nagios_plugins,
        ),
    ]
}

const EXPORTER: &str = "http://127.0.0.1:9100/metrics";

const EXCEPT: &str = "name_except = \"(go|process|promhttp)_.*\"";

fn prometheus() -> anyhow::Result<()> {
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}/metrics");
    // What is asked for here, and no more: each message is printed.
    let wanted = "name_match = 'go_memstats_alloc_bytes_total|prometheus_build_info|scrape_.*|\
                  prometheus_http_request_duration_seconds_bucket'";
    let changes = [(EXPORTER, url.as_str()), (EXCEPT, wanted)];
    let place = Place::new(&shipped("prometheus.toml", &changes)?)?;
    place.write("prometheus.yml", "global:\n  scrape_interval: 1m\n")?;
    let start = || {
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", place.path("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", place.path("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Server::start(command, port)
    };
    let server = start()?;
    let mut engine = place.run(&[])?;
    let kind = "stats.prometheus";
    let instance = format!("127.0.0.1:{port}");
    let bytes = [
        ("name", "", "go_memstats_alloc_bytes_total"),
        ("value", "B", ""),
        ("rate", "B/s", ""),
        ("type", "", "counter"),
        ("instance", "", &instance),
        ("job", "", "PrometheusInput"),
    ];
    expect(&mut engine, kind, &bytes)?;
    let bucket = [
        ("name", "", "prometheus_http_request_duration_seconds_bucket"),
        ("type", "", "histogram"),
        ("le", "", "+Inf"),
        ("handler", "", "/metrics"),
    ];
    expect(&mut engine, kind, &bucket)?;
    // Its own labels are called version, revision and the like; `name` is one of ours.
    expect(&mut engine, kind, &[("name", "", "prometheus_build_info"), ("version", "", "")])?;
    expect(&mut engine, kind, &[("name", "", "scrape_duration_seconds"), ("value", "s", "")])?;
    goes_down_and_comes_back(&mut engine, server, &start, kind)?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn haproxy() -> anyhow::Result<()> {
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}/metrics");
    let wanted = "name_match = 'haproxy_server_status|haproxy_frontend_bytes_in_total'";
    let changes = [(EXPORTER, url.as_str()), (EXCEPT, wanted)];
    let place = Place::new(&shipped("prometheus.toml", &changes)?)?;
    let _server = start_haproxy(&place, port)?;
    let mut engine = place.run(&[])?;
    let status = [
        ("name", "", "haproxy_server_status"),
        ("proxy", "", "back"),
        ("server", "", "one"),
        ("state", "", "DOWN"),
        ("value", "", "1"),
    ];
    expect(&mut engine, "stats.prometheus", &status)?;
    let bytes = [("name", "", "haproxy_frontend_bytes_in_total"), ("rate", "B/s", "")];
    expect(&mut engine, "stats.prometheus", &bytes)?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn json() -> anyhow::Result<()> {
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}/health");
    let changes = [("http://127.0.0.1:9200/_cluster/health", url.as_str())];
    let place = Place::new(&shipped("http.toml", &changes)?)?;
    let start = || start_nginx(&place, port);
    let server = start()?;
    let mut engine = place.run(&[])?;
    let kind = "heka.httpinput.data";
    let fields = [
        ("answer", "", "42"),
        ("StatusCode", "", "200"),
        ("ResponseSize", "B", "13"),
        ("ResponseTime", "s", ""),
    ];
    expect(&mut engine, kind, &fields)?;
    goes_down_and_comes_back(&mut engine, server, &start, kind)?;
    expect_payload(&mut engine, "heka.httpinput.error", "Connection refused")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn nagios_plugins() -> anyhow::Result<()> {
    let port = free_port()?;
    let tcp = format!(
        "[web]\ntype = 'NagiosPluginInput'\nbin = 'check_tcp'\n\
         args = ['-H', '127.0.0.1', '-p', '{port}', '-t', '5']\nticker_interval = '200ms'\n\n[told]"
    );
    let place = Place::new(&shipped("nagios-plugins.toml", &[("[told]", &tcp)])?)?;
    let start = || start_nginx(&place, port);
    let server = start()?;
    let mut engine = place.run(&[])?;
    let load = [("service", "", "load"), ("perf.load1", "", ""), ("perf.load5.crit", "", "12.000")];
    expect(&mut engine, "stats.nagios", &load)?;
    let disk = [("service", "", "disk"), ("perf./", "B", ""), ("perf./.min", "B", "0")];
    expect(&mut engine, "stats.nagios", &disk)?;
    let web = [
        ("service", "", "web"),
        ("status", "", "0"),
        ("state", "", "OK"),
        ("perf.time", "s", ""),
        ("duration", "s", ""),
    ];
    expect(&mut engine, "stats.nagios", &web)?;
    // The other services are as this machine is: only that of the server counts.
    let others = told(&engine).iter().filter(|it| it.kind == "daemon.down").count();
    drop(server);
    expect_payload(&mut engine, "daemon.down", "service at web is down: CRITICAL: connect to")?;
    let _server = start()?;
    expect_payload(&mut engine, "daemon.up", "service at web is back after")?;
    let downs = told(&engine).iter().filter(|it| it.kind == "daemon.down").count();
    anyhow::ensure!(downs <= others + 3, "{downs} times down");
    engine.stop()?.expect_code(0)?;
    Ok(())
}
