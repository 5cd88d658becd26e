//! HTTPS: what HttpListenInput takes from curl and from HttpOutput.

use std::net::SocketAddr;
use std::process::Command;
use std::process::Output;

use libtest_mimic::Trial;

use super::SERVER;
use super::client;
use super::place;
use crate::harness::Engine;
use crate::harness::Place;
use crate::suite::test;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test_with(
            &["curl"],
            "tls::curl_is_taken_in_with_a_certificate_only",
            curl_is_taken_in_with_a_certificate_only,
        ),
        test("tls::http_output_sends_to_http_input", http_output_sends_to_http_input),
    ]
}

fn listener(place: &Place) -> anyhow::Result<(Engine, SocketAddr)> {
    let tls = SERVER.replace("NAME", "take");
    place.configure(&format!(
        "[write]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.httpdata.request'\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\n\
         [take]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:0'\n{tls}"
    ))?;
    let mut engine = place.run(&[])?;
    let address = engine.address("take")?;
    Ok((engine, address))
}

fn curl(place: &Place, address: SocketAddr, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "60", "--data", "from curl"]);
    command.args(arguments).arg(format!("https://localhost:{}/", address.port()));
    Ok(command.current_dir(place.path("")).output()?)
}

fn curl_is_taken_in_with_a_certificate_only() -> anyhow::Result<()> {
    let place = place()?;
    let (mut engine, address) = listener(&place)?;
    let good = ["--cacert", "tls/ours.pem", "--cert", "tls/client.pem", "--key", "tls/client.key"];
    for arguments in [&good[..2], &["--cacert", "tls/theirs.pem"]] {
        let refused = curl(&place, address, arguments)?;
        anyhow::ensure!(!refused.status.success(), "{arguments:?}: {refused:?}");
    }
    engine.wait_for("a refusal that names the section", |engine| {
        let stderr = engine.stderr();
        let mut lines = stderr.lines().filter(|line| line.contains("\"take\""));
        lines.any(|line| line.contains("sent no certificates")).then_some(())
    })?;
    anyhow::ensure!(place.read("out").is_empty(), "somebody was let in");
    let taken = curl(&place, address, &good)?;
    anyhow::ensure!(taken.status.success(), "{taken:?}");
    engine.wait_for("the body", |_| (place.read("out") == "from curl\n").then_some(()))?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// A record a request, over a connection that the client has opened once it has its certificate.
fn http_output_sends_to_http_input() -> anyhow::Result<()> {
    let place = place()?;
    let (mut engine, address) = listener(&place)?;
    let sender = |tls: &str| {
        let folder = place.path("tls").display().to_string();
        let port = address.port();
        format!(
            "[read]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR'\nfile_match = 'log'\n\
             [PayloadEncoder]\nappend_newlines = false\n\
             [send]\ntype = 'HttpOutput'\nmessage_matcher = \"Type == 'logfile'\"\n\
             address = 'https://localhost:{port}/'\nencoder = 'PayloadEncoder'\n\
             [send.retries]\ndelay = '20ms'\nmax_delay = '20ms'\nmax_jitter = '0s'\n{tls}"
        )
        .replace("DIR/tls", &folder)
    };
    let agent = Place::new(&sender(&client("send", "ours", "")))?;
    agent.write("log", "one\ntwo\nthree\n")?;
    let mut refused = agent.run(&[])?;
    refused.wait_for("a refusal", |refused| {
        let stderr = refused.stderr();
        let mut lines = stderr.lines().filter(|line| line.contains("output=\"send\""));
        lines.any(|line| line.contains("CertificateRequired")).then_some(())
    })?;
    refused.stop()?.expect_code(0)?;
    agent.configure(&sender(&client("send", "ours", "client")))?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    engine.wait_for("all lines", |_| (place.read("out") == "one\ntwo\nthree\n").then_some(()))?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
