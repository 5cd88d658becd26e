//! TcpOutput to TcpInput, and what `flood` and `inject` send there.

use std::net::SocketAddr;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;

use super::SERVER;
use super::client;
use super::place;
use crate::harness::Engine;
use crate::harness::Place;
use crate::suite::test;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test("tls::messages_go_from_engine_to_engine", messages_go_from_engine_to_engine),
        test("tls::a_client_that_is_refused_loses_nothing", a_client_that_is_refused_loses_nothing),
        test("tls::a_wrong_server_is_refused", a_wrong_server_is_refused),
        test("tls::a_wrong_client_is_refused", a_wrong_client_is_refused),
        test("tls::agents_show_certificates_that_are_replaced", certificates_are_replaced),
        test("tls::flood_and_inject_speak_it", flood_and_inject_speak_it),
    ]
}

const LINES: usize = 5_000;

/// An engine that takes messages in and writes their payloads to `out`.
fn aggregator(place: &Place, certificate: &str) -> anyhow::Result<(Engine, SocketAddr)> {
    let tls = SERVER.replace("NAME", "take").replace("server", certificate);
    place.configure(&format!(
        "[PayloadEncoder]\nappend_newlines = false\n\
         [write]\ntype = 'FileOutput'\nmessage_matcher = \"Logger != 'hekad'\"\npath = 'DIR/out'\n\
         encoder = 'PayloadEncoder'\n\
         [take]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n{tls}"
    ))?;
    let mut engine = place.run(&[])?;
    let address = engine.address("take")?;
    Ok((engine, address))
}

/// Configures an engine that sends the lines of its `log` to the host of `place`, with certificates
/// from there.
fn configure_agent(agent: &Place, place: &Place, host: &str, tls: &str) -> anyhow::Result<()> {
    let folder = place.path("tls").display().to_string();
    agent.configure(
        &format!(
            "[read]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR'\nfile_match = 'log'\n\
             [send]\ntype = 'TcpOutput'\nmessage_matcher = \"Type == 'logfile'\"\n\
             address = '{host}'\nuse_tls = true\n\
             [send.retries]\ndelay = '20ms'\nmax_delay = '20ms'\nmax_jitter = '0s'\n{tls}"
        )
        .replace("DIR/tls", &folder),
    )
}

/// A folder for an agent with a log of so many lines.
fn agent(count: usize) -> anyhow::Result<Place> {
    let agent = Place::new("")?;
    agent.write("log", &lines(count))?;
    Ok(agent)
}

fn lines(count: usize) -> String {
    (0..count).map(|number| format!("line {number} of the log\n")).collect()
}

/// Both sides show a certificate that the other trusts.
fn messages_go_from_engine_to_engine() -> anyhow::Result<()> {
    let place = place()?;
    let (mut engine, address) = aggregator(&place, "server")?;
    let agent = agent(LINES)?;
    let tls = client("send", "ours", "client");
    configure_agent(&agent, &place, &address.to_string(), &tls)?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    engine.wait_for("all lines", |_| (place.read("out") == lines(LINES)).then_some(()))?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// The acknowledged protocol, both sides with a certificate; the server's is replaced by one of another
/// authority, and no longer trusted, then by a good one. Nothing is started anew.
fn certificates_are_replaced() -> anyhow::Result<()> {
    let place = place()?;
    let (mut engine, address) = aggregator(&place, "server")?;
    let agent = agent(LINES)?;
    let tls = client("send", "ours", "client");
    configure_agent(&agent, &place, &address.to_string(), &tls)?;
    let config = agent.read("heka.toml");
    agent.write("heka.toml", &config.replace("use_tls", "protocol = 'ack'\nuse_tls"))?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    engine.wait_for("all lines", |_| (place.read("out") == lines(LINES)).then_some(()))?;
    let replace = |by: &str| -> anyhow::Result<()> {
        for end in ["pem", "key"] {
            let [from, to] = [by, "server"].map(|name| place.path(&format!("tls/{name}.{end}")));
            std::fs::copy(from, to)?;
        }
        Ok(())
    };
    for end in ["pem", "key"] {
        std::fs::copy(
            place.path(&format!("tls/server.{end}")),
            place.path(&format!("tls/good.{end}")),
        )?;
    }
    replace("stranger")?;
    agent.write("log", &lines(2 * LINES))?;
    let mut sender = agent.run(&["--until-done"])?;
    sender.wait_for("the stranger to be refused", |engine| {
        engine.stderr().contains("UnknownIssuer").then_some(())
    })?;
    replace("good")?;
    sender.finish()?.expect_code(0)?;
    engine.wait_for("the rest", |_| (place.read("out") == lines(2 * LINES)).then_some(()))?;
    Ok(())
}

/// A server of TLS 1.3 looks at the client's certificate after the client's handshake has ended:
/// nothing may count as sent before. When the section has its certificate, all of it arrives.
fn a_client_that_is_refused_loses_nothing() -> anyhow::Result<()> {
    let place = place()?;
    let (mut engine, address) = aggregator(&place, "server")?;
    let (agent, address) = (agent(LINES)?, address.to_string());
    configure_agent(&agent, &place, &address, &client("send", "ours", ""))?;
    let mut sender = agent.run(&[])?;
    sender.wait_for("three refusals", |sender| {
        let refused = |line: &&str| line.contains("send") && line.contains("CertificateRequired");
        (sender.stderr().lines().filter(refused).count() >= 3).then_some(())
    })?;
    engine.wait_for("a refusal that names the section", |engine| {
        let stderr = engine.stderr();
        let mut lines = stderr.lines().filter(|line| line.contains("input=\"take\""));
        lines.any(|line| line.contains("sent no certificates")).then_some(())
    })?;
    anyhow::ensure!(place.read("out").is_empty(), "somebody was let in");
    configure_agent(&agent, &place, &address, &client("send", "ours", "client"))?;
    sender.signal(Signal::SIGHUP)?;
    engine.wait_for("all lines", |_| (place.read("out") == lines(LINES)).then_some(()))?;
    sender.stop()?.expect_code(0)?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// Waits until the output `send` says why it does not connect.
fn expect_refusal(sender: &mut Engine, expected: &str) -> anyhow::Result<()> {
    sender.wait_for(expected, |sender| {
        let stderr = sender.stderr();
        let mut lines = stderr.lines().filter(|line| line.contains("output=\"send\""));
        lines.any(|line| line.contains(expected)).then_some(())
    })
}

/// The server is another than the client wants to speak to.
fn a_wrong_server_is_refused() -> anyhow::Result<()> {
    let place = place()?;
    for (certificate, root, host, expected) in [
        ("server", "theirs", "127.0.0.1", "UnknownIssuer"),
        ("expired", "ours", "127.0.0.1", "certificate expired"),
        ("elsewhere", "ours", "localhost", "is only valid for DnsName"),
    ] {
        let (engine, address) = aggregator(&place, certificate)?;
        let agent = agent(1)?;
        let host = format!("{host}:{}", address.port());
        configure_agent(&agent, &place, &host, &client("send", root, "client"))?;
        let mut sender = agent.run(&[])?;
        expect_refusal(&mut sender, expected)?;
        sender.stop()?.expect_code(0)?;
        engine.stop()?.expect_code(0)?;
        anyhow::ensure!(place.read("out").is_empty(), "{certificate} was believed");
    }
    Ok(())
}

/// The client is none that the server knows.
fn a_wrong_client_is_refused() -> anyhow::Result<()> {
    let place = place()?;
    let (mut engine, address) = aggregator(&place, "server")?;
    for (certificate, to_client, to_server) in [
        ("stranger", "UnknownCA", "UnknownIssuer"),
        ("expired", "CertificateExpired", "certificate expired"),
    ] {
        let agent = agent(1)?;
        let tls = client("send", "ours", certificate);
        configure_agent(&agent, &place, &address.to_string(), &tls)?;
        let mut sender = agent.run(&[])?;
        expect_refusal(&mut sender, to_client)?;
        engine.wait_for(to_server, |engine| {
            let stderr = engine.stderr();
            let mut lines = stderr.lines().filter(|line| line.contains("input=\"take\""));
            lines.any(|line| line.contains(to_server)).then_some(())
        })?;
        sender.stop()?.expect_code(0)?;
    }
    anyhow::ensure!(place.read("out").is_empty(), "somebody was let in");
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn flood_and_inject_speak_it() -> anyhow::Result<()> {
    let place = place()?;
    let (mut engine, address) = aggregator(&place, "server")?;
    let address = address.to_string();
    let tls =
        ["--tls-ca", "tls/ours.pem", "--tls-cert", "tls/client.pem", "--tls-key", "tls/client.key"];
    let inject = ["inject", "--heka", &address, "--payload", "one message"];
    place.heka(&[&inject[..], &tls].concat(), "")?.expect_code(0)?;
    engine.wait_for("the message", |_| (place.read("out") == "one message").then_some(()))?;
    let flood = ["flood", &address, "-n", "3000", "--size", "100", "--ascii"];
    place.heka(&[&flood[..], &tls].concat(), "")?.expect_code(0)?;
    let all = "one message".len() + 3000 * 100;
    engine.wait_for("the flood", |_| (place.read("out").len() == all).then_some(()))?;
    let refused = place.heka(&[&inject[..], &tls[..2]].concat(), "")?.expect_code(1)?;
    anyhow::ensure!(refused.stderr.contains("CertificateRequired"), "{}", refused.stderr);
    let refused = place.heka(&[&flood[..], &tls[2..]].concat(), "")?.expect_code(1)?;
    anyhow::ensure!(refused.stderr.contains("UnknownIssuer"), "{}", refused.stderr);
    let plain = place.heka(&inject, "")?;
    engine.wait_for("a refusal of plain text", |engine| {
        engine.stderr().contains("InvalidContentType").then_some(())
    })?;
    drop(plain);
    place.write(
        "flood.toml",
        &format!(
            "[default]\nip_address = '{address}'\nnum_messages = 10\nstatic_message_size = 10\n\
             ascii_only = true\n             use_tls = true\n{}",
            client("default", "ours", "client").replace("DIR/", "")
        ),
    )?;
    place.heka(&["flood", "--config", "flood.toml"], "")?.expect_code(0)?;
    let all = all + 100;
    engine.wait_for("the configured flood", |_| (place.read("out").len() == all).then_some(()))?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
