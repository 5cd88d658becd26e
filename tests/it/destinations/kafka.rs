//! A real broker of Kafka between two engines, started from the jars in `kafka` below `HEKA_CLIENTS`.

use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Trial;

use super::relay;
use super::relay::Arrives;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::Test;
use crate::suite::test;
use crate::tls::certificates::Authority;

pub(super) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 2] = [
        ("destinations::kafka_holds_each_message_once", each_once),
        ("sources::kafka_is_shared_within_a_group_over_tls", shared_within_a_group),
    ];
    let is_there = jars().is_some() && cfg!(feature = "kafka");
    if is_there {
        return tests.map(|(name, run)| test(name, run)).into();
    }
    let why = if cfg!(feature = "kafka") { "no kafka" } else { "without the feature kafka" };
    tests
        .map(|(name, _)| Trial::test(name, || Ok(())).with_ignored_flag(true).with_kind(why))
        .into()
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
fn configure(
    place: &Place,
    (port, other): (u16, u16),
    secure: u16,
    makes: bool,
) -> anyhow::Result<()> {
    let folder = place.path("data").display().to_string();
    let certificates = place.path("").display().to_string();
    place.write(
        "server.properties",
        &format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{other}\n\
             listeners=USERS://127.0.0.1:{port},SECURE://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{other}\n\
             advertised.listeners=USERS://127.0.0.1:{port},SECURE://localhost:{secure}\n\
             listener.security.protocol.map=\
             CONTROLLER:PLAINTEXT,USERS:SASL_PLAINTEXT,SECURE:SASL_SSL\n\
             ssl.keystore.type=PEM\nssl.keystore.location={certificates}/both.pem\n\
             listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512\n\
             listener.name.secure.scram-sha-256.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             listener.name.secure.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
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

/// A broker in a folder of its own.
struct Broker {
    files: Place,
    ports: (u16, u16),
    secure: u16,
}

impl Broker {
    fn new(makes: bool) -> anyhow::Result<Broker> {
        let files = Place::new("")?;
        let broker = Broker { files, ports: (free_port()?, free_port()?), secure: free_port()? };
        let root = broker.files.path("");
        let authority = Authority::new(&root, "ca")?;
        authority.sign("server", &["localhost"])?;
        let both = broker.files.read("server.key") + &broker.files.read("server.pem");
        broker.files.write("both.pem", &both)?;
        broker.configure(makes)?;
        let mut format = java("kafka.tools.StorageTool");
        format.args(["format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c"]).arg(broker.properties());
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            format.args(["--add-scram", &format!("{mechanism}=[name=heka,password=scrambled]")]);
        }
        let formatted = format.output()?;
        let why = String::from_utf8_lossy(&formatted.stderr).into_owned();
        anyhow::ensure!(formatted.status.success(), "{why}");
        Ok(broker)
    }

    fn configure(&self, makes: bool) -> anyhow::Result<()> {
        configure(&self.files, self.ports, self.secure, makes)
    }

    fn properties(&self) -> PathBuf {
        self.files.path("server.properties")
    }

    fn start(&self) -> anyhow::Result<Server> {
        let mut command = java("kafka.Kafka");
        command.arg(self.properties());
        Server::start(command, self.ports.0)
    }

    /// How the side that speaks TLS is asked.
    fn secure_access(&self, mechanism: &str, password: &str) -> String {
        let (secure, ca) = (self.secure, self.files.path("ca.pem").display().to_string());
        format!(
            "addrs = ['localhost:{secure}']\ntopic = 'lines'\nusername = 'heka'\n\
             password = '{password}'\nsasl_mechanism = '{mechanism}'\nuse_tls = true\n\
             tls = {{ root_cafile = '{ca}' }}\n"
        )
    }
}

/// Two members of a group read over TLS, one of which is killed: the other takes over what it had.
fn shared_within_a_group() -> anyhow::Result<()> {
    let broker = Broker::new(true)?;
    let _server = broker.start()?;
    let wrong = broker.secure_access("SCRAM-SHA-512", "wrong");
    let wrong = relay::sender(&format!("type = 'KafkaOutput'\n{wrong}"))?;
    let mut engine = wrong.run(&[])?;
    relay::told(&mut engine, "SASL authentication")?;
    engine.stop()?.expect_code(0)?;
    let access = broker.secure_access("SCRAM-SHA-512", "scrambled");
    let place = relay::sender(&format!(
        "type = 'KafkaOutput'\nuse_framing = false\npartitioner = 'RoundRobin'\n\
         max_buffered_bytes = 1\n{access}"
    ))?;
    let mut sender = place.run(&[])?;
    let mut stream = TcpStream::connect(sender.address("lines")?)?;
    let member = || {
        let access = broker.secure_access("SCRAM-SHA-256", "scrambled");
        relay::reader(&format!(
            "type = 'KafkaInput'\ngroup = 'heka'\ndecoder = 'ProtobufDecoder'\n{access}"
        ))
    };
    let places = [member()?, member()?];
    let (mut first, mut second) = (places[0].run(&[])?, places[1].run(&[])?);
    let mut sent = 0;
    let mut write = |lines: usize| -> anyhow::Result<()> {
        for _ in 0..lines {
            writeln!(stream, "line {sent}")?;
            sent += 1;
        }
        Ok(())
    };
    // Both have some of what is sent once the group is whole.
    for (engine, place) in [(&mut first, &places[0]), (&mut second, &places[1])] {
        engine.wait_for("a member to have its share", |_| {
            write(20).ok()?;
            (!relay::arrived(place).is_empty()).then_some(())
        })?;
    }
    write(1000)?;
    first.kill()?;
    write(1000)?;
    second.wait_for("all lines", |_| {
        let mut lines = relay::arrived(&places[0]);
        lines.extend(relay::arrived(&places[1]));
        (lines.len() >= sent).then_some(())
    })?;
    sender.stop()?.expect_code(0)?;
    second.stop()?.expect_code(0)?;
    Ok(())
}

fn each_once() -> anyhow::Result<()> {
    let broker = Broker::new(false)?;
    let port = broker.ports.0;
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
    let server = broker.start()?;
    relay::told(&mut sender, "there is no topic `lines`")?;
    let wrong = relay::sender(&output("wrong"))?;
    let mut engine = wrong.run(&[])?;
    relay::told(&mut engine, "SASL authentication")?;
    engine.stop()?.expect_code(0)?;
    drop(server);
    broker.configure(true)?;
    let server = broker.start()?;
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
    let start = || broker.start();
    let _server = relay::survives_a_kill(engines, &reader_place, server, start, Arrives::Once)?;
    Ok(())
}
