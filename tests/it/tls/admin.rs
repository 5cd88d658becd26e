//! The admin port where others can reach it: a token or a certificate opens it, nothing else does.

use std::net::SocketAddr;
use std::process::Command;

use libtest_mimic::Trial;

use super::place;
use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::http::ask;
use crate::suite::test;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test("tls::a_reachable_admin_port_wants_its_token", wants_its_token),
        test_with(
            &["curl"],
            "tls::a_reachable_admin_port_wants_a_certificate",
            wants_a_certificate,
        ),
        test("tls::a_reachable_admin_port_that_asks_for_nothing_is_refused", asks_for_nothing),
    ]
}

fn reachable(more: &str) -> String {
    format!("[hekad]\nbase_dir = 'DIR/state'\n[hekad.admin]\naddress = '0.0.0.0:0'\n{more}")
}

const TLS: &str = "[hekad.admin.tls]\ncert_file = 'DIR/tls/server.pem'\n\
    key_file = 'DIR/tls/server.key'\nclient_auth = 'RequireAndVerifyClientCert'\n\
    client_cafile = 'DIR/tls/ours.pem'\n";

fn start(place: &Place, config: &str) -> anyhow::Result<(Engine, SocketAddr)> {
    place.configure(config)?;
    let mut engine = place.run(&[])?;
    let port = engine.address("the admin port")?.port();
    Ok((engine, SocketAddr::from(([127, 0, 0, 1], port))))
}

fn wants_its_token() -> anyhow::Result<()> {
    let place = place()?;
    let (engine, port) = start(&place, &reachable("token = 'secret'\n"))?;
    for request in ["GET /metrics", "GET /health", "GET /status", "POST /reload", "GET /nothing"] {
        for (headers, is_let_in) in [
            ("", false),
            ("Authorization: Bearer secre\r\n", false),
            ("Authorization: Bearer secret\r\n", true),
        ] {
            let answer = ask(port, request, headers)?;
            let is_refused = answer.status == 401;
            anyhow::ensure!(is_refused != is_let_in, "{request} {headers}: {answer:?}");
            anyhow::ensure!(is_let_in || !answer.body.contains("heka_"), "{answer:?}");
        }
    }
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn wants_a_certificate() -> anyhow::Result<()> {
    let place = place()?;
    let (engine, port) = start(&place, &reachable(TLS))?;
    let ask = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "60", "--cacert", "tls/ours.pem"]);
        command.args(arguments).arg(format!("https://localhost:{}/metrics", port.port()));
        command.current_dir(place.path("")).output()
    };
    let strange = ["--cert", "tls/stranger.pem", "--key", "tls/stranger.key"];
    for arguments in [&[][..], &strange] {
        let refused = ask(arguments)?;
        anyhow::ensure!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    }
    let taken = ask(&["--cert", "tls/client.pem", "--key", "tls/client.key"])?;
    let metrics = String::from_utf8_lossy(&taken.stdout);
    anyhow::ensure!(metrics.contains("heka_journal_bytes "), "{taken:?}");
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn asks_for_nothing() -> anyhow::Result<()> {
    let place = place()?;
    let without = TLS.lines().take(3).collect::<Vec<_>>().join("\n") + "\n";
    for config in [reachable(""), reachable("token = ''\n"), reachable(&without)] {
        place.configure(&config)?;
        let stderr = place.run(&[])?.finish()?.expect_code(2)?.stderr;
        anyhow::ensure!(stderr.contains("token"), "{stderr}");
    }
    Ok(())
}
