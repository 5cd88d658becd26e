//! Syslog under TLS, from a real rsyslogd.

use std::process::Command;

use libtest_mimic::Trial;

use super::SERVER;
use super::place;
use crate::harness::server::Server;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    let module = "/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_ossl.so";
    let other = "/usr/lib/aarch64-linux-gnu/rsyslog/lmnsd_ossl.so";
    let module = if std::path::Path::new(other).exists() { other } else { module };
    vec![test_with(
        &["rsyslogd", "logger", module],
        "tls::rsyslogd_is_taken_in_with_a_certificate_only",
        rsyslogd,
    )]
}

fn rsyslogd() -> anyhow::Result<()> {
    let place = place()?;
    let tls = SERVER.replace("NAME", "take");
    place.configure(&format!(
        "[take]\ntype = 'SyslogInput'\nnet = 'tcp'\naddress = '127.0.0.1:0'\n{tls}\
         [PayloadEncoder]\n[copy]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'syslog'\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\n"
    ))?;
    let mut engine = place.run(&[])?;
    let port = engine.address("take")?.port();
    let stranger = start(&place, port, "stranger")?;
    engine.wait_for("a refusal", |engine| {
        engine.stderr().contains("connection failed").then_some(())
    })?;
    anyhow::ensure!(place.read("out").is_empty(), "a stranger was let in");
    drop(stranger);
    let _client = start(&place, port, "client")?;
    engine.wait_for("the message", |_| {
        place.read("out").lines().any(|line| line == "over tls").then_some(())
    })?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// An rsyslogd that sends a message with this certificate, again and again until it is taken.
fn start(place: &crate::harness::Place, port: u16, name: &str) -> anyhow::Result<Server> {
    let folder = place.path("").display().to_string();
    let folder = folder.trim_end_matches('/');
    let config = format!(
        "global(workDirectory=\"{folder}\" DefaultNetstreamDriver=\"ossl\"\n\
         DefaultNetstreamDriverCAFile=\"{folder}/tls/ours.pem\"\n\
         DefaultNetstreamDriverCertFile=\"{folder}/tls/{name}.pem\"\n\
         DefaultNetstreamDriverKeyFile=\"{folder}/tls/{name}.key\")\n\
         module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
         input(type=\"imuxsock\" Socket=\"{folder}/{name}.sock\")\n\
         action(type=\"omfwd\" target=\"localhost\" protocol=\"tcp\" port=\"{port}\"\n\
         template=\"RSYSLOG_SyslogProtocol23Format\" TCP_Framing=\"octet-counted\"\n\
         StreamDriver=\"ossl\" StreamDriverMode=\"1\" StreamDriverAuthMode=\"x509/name\"\n\
         StreamDriverPermittedPeers=\"localhost\" action.resumeRetryCount=\"-1\"\n\
         action.resumeInterval=\"1\")\n"
    );
    place.write(&format!("{name}.conf"), &config)?;
    let mut command = Command::new("rsyslogd");
    command.args(["-n", "-f", &format!("{folder}/{name}.conf")]);
    command.args(["-i", &format!("{folder}/{name}.pid")]);
    let mut running = Server::spawn(command)?;
    let socket = place.path(&format!("{name}.sock"));
    running.wait_for("its socket", |_| socket.exists().then_some(()))?;
    let socket = socket.display().to_string();
    let status = Command::new("logger").args(["-u", &socket, "over tls"]).status()?;
    anyhow::ensure!(status.success(), "logger ended with {status}");
    Ok(running)
}
