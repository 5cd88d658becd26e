//! nginx, Apache and HAProxy.

use std::process::Command;

use libtest_mimic::Trial;

use super::expect;
use super::expect_payload;
use super::goes_down_and_comes_back;
use super::shipped;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test_with(&["nginx"], "sources::nginx_is_asked_how_it_is", nginx),
        test_with(&["apache2"], "sources::apache_is_asked_how_it_is", apache),
        test_with(&["haproxy"], "sources::haproxy_is_asked_over_its_socket", haproxy_socket),
        test_with(&["haproxy"], "sources::haproxy_is_asked_over_http", haproxy_page),
    ]
}

/// An nginx with a page of stub_status, and one that only `me` may see.
pub(super) fn start_nginx(place: &Place, port: u16) -> anyhow::Result<Server> {
    let folder = place.path("").display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/temporary;\n"))
        .concat();
    place.write(
        "nginx.conf",
        &format!(
            "daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}server {{\nlisten 127.0.0.1:{port};\n\
             location /nginx_status {{ stub_status; }}\n\
             location /closed {{ deny all; }}\n\
             location / {{ default_type application/json; return 200 '{{\"answer\":42}}'; }}\n}}\n}}\n"
        ),
    )?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(place.path("nginx.conf"));
    command.arg("-e").arg(place.path("error.log"));
    Server::start(command, port)
}

fn nginx() -> anyhow::Result<()> {
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}/nginx_status");
    let config = |url: &str| shipped("nginx.toml", &[("http://127.0.0.1/nginx_status", url)]);
    let place = Place::new(&config(&url)?)?;
    let start = || start_nginx(&place, port);
    let server = start()?;
    let mut engine = place.run(&[])?;
    let fields = [
        ("active", "", "1"),
        ("writing", "", "1"),
        ("requests", "", ""),
        ("requests_per_second", "1/s", ""),
        ("dropped", "", "0"),
    ];
    expect(&mut engine, "stats.nginx", &fields)?;
    goes_down_and_comes_back(&mut engine, server, &start, "stats.nginx")?;
    engine.stop()?.expect_code(0)?;
    let _server = start()?;
    for (path, advice) in
        [("closed", "403 Forbidden"), ("", "is no page of stub_status; is `url` right?")]
    {
        let place = Place::new(&config(&format!("http://127.0.0.1:{port}/{path}"))?)?;
        let mut engine = place.run(&[])?;
        expect_payload(&mut engine, "daemon.down", advice)?;
        engine.stop()?.expect_code(0)?;
    }
    Ok(())
}

fn apache() -> anyhow::Result<()> {
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}/server-status?auto");
    let place =
        Place::new(&shipped("apache.toml", &[("http://127.0.0.1/server-status?auto", &url)])?)?;
    let folder = place.path("").display().to_string();
    let modules: String = ["mpm_event", "authz_core", "status"]
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .concat();
    place.write(
        "httpd.conf",
        &format!(
            "ServerRoot {folder}\nServerName localhost\nListen 127.0.0.1:{port}\n\
             DefaultRuntimeDir {folder}\nPidFile {folder}/httpd.pid\nErrorLog {folder}/error.log\n\
             {modules}ExtendedStatus On\n<Location /server-status>\nSetHandler server-status\n\
             </Location>\n"
        ),
    )?;
    let start = || {
        let mut command = Command::new("apache2");
        command.args(["-d", &folder, "-f", &format!("{folder}/httpd.conf"), "-DFOREGROUND"]);
        Server::start(command, port)
    };
    let server = start()?;
    let mut engine = place.run(&[])?;
    let fields = [
        ("server_version", "", ""),
        ("uptime", "s", ""),
        ("busy_workers", "", "1"),
        ("workers_sending", "", "1"),
        ("requests_per_second", "1/s", ""),
        ("bytes_per_second", "B/s", ""),
    ];
    expect(&mut engine, "stats.apache", &fields)?;
    goes_down_and_comes_back(&mut engine, server, &start, "stats.apache")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// A HAProxy with a server that is down, and its statistics on a socket and for `me` over HTTP.
pub(super) fn start_haproxy(place: &Place, port: u16) -> anyhow::Result<Server> {
    let folder = place.path("").display().to_string();
    let nobody = free_port()?;
    place.write(
        "haproxy.cfg",
        &format!(
            "global\n  stats socket {folder}/s.sock mode 600 level operator\n\
             defaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n\
             frontend front\n  bind 127.0.0.1:{port}\n  stats enable\n  stats uri /stats\n\
             \x20 stats auth me:secret\n\
             \x20 http-request use-service prometheus-exporter if {{ path /metrics }}\n\
             \x20 default_backend back\n\
             backend back\n  server one 127.0.0.1:{nobody} check inter 100ms\n"
        ),
    )?;
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(place.path("haproxy.cfg"));
    Server::start(command, port)
}

const SERVER: [(&str, &str, &str); 7] = [
    ("proxy", "", "back"),
    ("service", "", "one"),
    ("kind", "", "server"),
    ("status", "", "DOWN"),
    ("bin", "B", "0"),
    ("bytes_in_per_second", "B/s", "0"),
    ("downtime", "s", ""),
];

fn haproxy_socket() -> anyhow::Result<()> {
    let port = free_port()?;
    let place = Place::new(&shipped(
        "haproxy.toml",
        &[("socket = \"/run/haproxy/admin.sock\"", "socket = 'DIR/s.sock'")],
    )?)?;
    let start = || start_haproxy(&place, port);
    let server = start()?;
    let mut engine = place.run(&[])?;
    expect(&mut engine, "stats.haproxy", &SERVER)?;
    expect(&mut engine, "stats.haproxy.info", &[("Uptime_sec", "s", ""), ("Idle_pct", "%", "")])?;
    goes_down_and_comes_back(&mut engine, server, &start, "stats.haproxy.info")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn haproxy_page() -> anyhow::Result<()> {
    let port = free_port()?;
    let config = |more: &str| {
        let page = format!("url = 'http://127.0.0.1:{port}/stats'\n{more}");
        shipped("haproxy.toml", &[("socket = \"/run/haproxy/admin.sock\"", &page)])
    };
    let place = Place::new(&config("username = 'me'\npassword = 'secret'\nkinds = ['server']")?)?;
    let _server = start_haproxy(&place, port)?;
    let mut engine = place.run(&[])?;
    expect(&mut engine, "stats.haproxy", &SERVER)?;
    engine.stop()?.expect_code(0)?;
    for (settings, advice) in [
        ("", "; it wants a user: give `username` and `password`"),
        (
            "username = 'me'\npassword = 'wrong'",
            "; it does not accept this `username` and `password`",
        ),
    ] {
        let place = Place::new(&config(settings)?)?;
        let mut engine = place.run(&[])?;
        expect_payload(&mut engine, "daemon.down", advice)?;
        engine.stop()?.expect_code(0)?;
    }
    Ok(())
}
