//! A real broker of Kafka between two engines, started from the jars in `kafka` below `HEKA_CLIENTS`.

use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Trial;

use super::relay;
use super::relay::Arrives;
use super::server::Server;
use super::server::free_port;
use crate::harness::Place;
use crate::suite::test;

const NAME: &str = "destinations::kafka_holds_each_message_once";

pub(super) fn trials() -> Vec<Trial> {
    let is_there = jars().is_some() && cfg!(feature = "kafka");
    if is_there {
        return vec![test(NAME, each_once)];
    }
    let why = if cfg!(feature = "kafka") { "no kafka" } else { "without the feature kafka" };
    vec![Trial::test(NAME, || Ok(())).with_ignored_flag(true).with_kind(why)]
}

fn jars() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("HEKA_CLIENTS")?).join("kafka/lib");
    folder.is_dir().then_some(folder)
}

fn java(program: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
    command.arg(jars().unwrap_or_default().join("*")).arg(program);
    command
}

/// Writes what the broker is told; topics are made where `makes` says so.
fn configure(place: &Place, (port, other): (u16, u16), makes: bool) -> anyhow::Result<()> {
    let folder = place.path("data").display().to_string();
    place.write(
        "server.properties",
        &format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{other}\n\
             listeners=USERS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{other}\n\
             advertised.listeners=USERS://127.0.0.1:{port}\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,USERS:SASL_PLAINTEXT\n\
             controller.listener.names=CONTROLLER\ninter.broker.listener.name=USERS\n\
             sasl.enabled.mechanisms=PLAIN\nsasl.mechanism.inter.broker.protocol=PLAIN\n\
             listener.name.users.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required \
             username=\"broker\" password=\"own\" user_broker=\"own\" user_heka=\"right\";\n\
             log.dirs={folder}\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\nnum.partitions=3\nmessage.max.bytes=20000\n\
             auto.create.topics.enable={makes}\n"
        ),
    )
}

fn each_once() -> anyhow::Result<()> {
    let files = Place::new("")?;
    let ports = (free_port()?, free_port()?);
    let port = ports.0;
    configure(&files, ports, false)?;
    let properties = files.path("server.properties");
    let mut format = java("kafka.tools.StorageTool");
    format.args(["format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c"]).arg(&properties);
    let formatted = format.output()?;
    anyhow::ensure!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
    let start = || {
        let mut command = java("kafka.Kafka");
        command.arg(&properties);
        Server::start(command, port)
    };
    let access = |password: &str| {
        format!(
            "addrs = ['127.0.0.1:{port}']\ntopic = 'lines'\nusername = 'heka'\npassword = '{password}'\n"
        )
    };
    let output = |password: &str| {
        let access = access(password);
        format!(
            "type = 'KafkaOutput'\nuse_framing = false\npartitioner = 'RoundRobin'\nmax_buffered_bytes = 15000\nmax_message_bytes = 15000\n{access}"
        )
    };
    let place = relay::sender(&output("right"))?;
    let mut sender = place.run(&[])?;
    let mut stream = TcpStream::connect(sender.address("lines")?)?;
    stream.write_all(b"first\n")?;
    relay::told(&mut sender, "cannot reach the brokers 127.0.0.1:")?;
    let server = start()?;
    relay::told(&mut sender, "there is no topic `lines`")?;
    let wrong = relay::sender(&output("wrong"))?;
    let mut engine = wrong.run(&[])?;
    relay::told(&mut engine, "SASL authentication")?;
    engine.stop()?.expect_code(0)?;
    drop(server);
    configure(&files, ports, true)?;
    let server = start()?;
    let reader_place = relay::reader(&format!(
        "type = 'KafkaInput'\ngroup = 'heka'\ndecoder = 'ProtobufDecoder'\n{}",
        access("right")
    ))?;
    let mut reader = reader_place.run(&[])?;
    reader.wait_for("the first line", |_| {
        relay::arrived(&reader_place).contains_key("first").then_some(())
    })?;
    stream.write_all(&vec![b'x'; 30_000])?;
    stream.write_all(b"\nsecond\n")?;
    relay::told(&mut sender, "it is too large: see `max_message_bytes`")?;
    reader.wait_for("the line behind the large one", |_| {
        relay::arrived(&reader_place).contains_key("second").then_some(())
    })?;
    let engines = (sender, reader);
    let _server = relay::survives_a_kill(engines, &reader_place, server, start, Arrives::Once)?;
    Ok(())
}
