//! A real nats-server between two engines.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use libtest_mimic::Trial;

use super::relay;
use super::relay::Arrives;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::test_with;
use crate::tls::certificates::Authority;

pub(super) fn trials() -> Vec<Trial> {
    vec![test_with(&["nats-server"], "destinations::nats_holds_each_message_once", each_once)]
}

fn each_once() -> anyhow::Result<()> {
    let port = free_port()?;
    let files = Place::new("")?;
    let folder = files.path("").display().to_string();
    let folder = folder.trim_end_matches('/');
    let root = files.path("");
    let authority = Authority::new(&root, "ca")?;
    authority.sign("server", &["localhost"])?;
    files.write(
        "server.conf",
        &format!(
            "listen: 127.0.0.1:{port}\nmax_payload: 20000\n\
             jetstream {{ store_dir: \"{folder}/store\" }}\n\
             tls {{ cert_file: \"{folder}/server.pem\", key_file: \"{folder}/server.key\" }}\n\
             authorization {{ users: [ {{ user: heka, password: right }} ] }}\n"
        ),
    )?;
    let start = || {
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(files.path("server.conf"));
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        Server::start(command, port)
    };
    let access = |password: &str| {
        format!(
            "servers = ['tls://localhost:{port}']\nusername = 'heka'\npassword = '{password}'\n\
             tls = {{ root_cafile = '{folder}/ca.pem' }}\n"
        )
    };
    let output = |password: &str, more: &str| {
        format!("type = 'NatsOutput'\nsubject = 'logs.%{{Type}}'\n{}{more}", access(password))
    };
    let place = relay::sender(&output("right", ""))?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    stream.write_all(b"first\n")?;
    relay::told(&mut engine, "cannot connect to the server tls://localhost:")?;
    let server = start()?;
    relay::told(&mut engine, "no stream takes the subject")?;
    let wrong = relay::sender(&output("wrong", ""))?;
    let mut refused = wrong.run(&[])?;
    relay::told(&mut refused, "does not let us in: look at `username` and `password`")?;
    refused.stop()?.expect_code(0)?;
    let input = format!(
        "type = 'NatsInput'\nstream = 'LOGS'\ndecoder = 'ProtobufDecoder'\n{}",
        access("right")
    );
    let reader_place = relay::reader(&input)?;
    let mut reader = reader_place.run(&[])?;
    relay::told(&mut reader, "cannot find the stream `LOGS`")?;
    engine.kill()?;
    // What was not sent before comes now: the engine starts again, and makes the stream.
    place.configure(&relay::sender_config(&output(
        "right",
        "stream = 'LOGS'\nstream_subjects = ['logs.>']\nuse_framing = false\n",
    )))?;
    let mut sender = place.run(&[])?;
    reader.wait_for("the first line", |_| {
        relay::arrived(&reader_place).contains_key("first").then_some(())
    })?;
    let mut stream = TcpStream::connect(sender.address("lines")?)?;
    stream.write_all(&vec![b'x'; 30_000])?;
    stream.write_all(b"\nsecond\n")?;
    relay::told(&mut sender, "it is larger than the 20000 bytes that the server takes")?;
    reader.wait_for("the line behind the large one", |_| {
        relay::arrived(&reader_place).contains_key("second").then_some(())
    })?;
    let engines = (sender, reader);
    let _server = relay::survives_a_kill(engines, &reader_place, server, start, Arrives::Once)?;
    Ok(())
}
