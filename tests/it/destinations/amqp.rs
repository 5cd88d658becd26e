//! A real RabbitMQ between two engines.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use libtest_mimic::Trial;

use super::relay;
use super::relay::Arrives;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::harness::users::as_user;
use crate::harness::users::give;
use crate::suite::test_with;
use crate::tls::certificates::Authority;

pub(super) fn trials() -> Vec<Trial> {
    vec![test_with(
        &["rabbitmq-server", "epmd", "setpriv"],
        "destinations::rabbitmq_loses_no_message",
        no_message_lost,
    )]
}

/// RabbitMQ in a folder of its own.
struct Rabbit {
    place: Place,
    plain: u16,
    secure: u16,
    dist: u16,
    names: u16,
    _epmd: Server,
}

impl Rabbit {
    fn new() -> anyhow::Result<Rabbit> {
        let (plain, secure, dist, names) = (free_port()?, free_port()?, free_port()?, free_port()?);
        let place = Place::new("")?;
        let folder = folder(&place);
        let root = place.path("");
        let authority = Authority::new(&root, "ca")?;
        authority.sign("rabbit", &["localhost"])?;
        place.write("enabled_plugins", "[].\n")?;
        place.write(
            "rabbitmq.conf",
            &format!(
                "listeners.tcp.1 = 127.0.0.1:{plain}\nlisteners.ssl.1 = 127.0.0.1:{secure}\n\
                 ssl_options.cacertfile = {folder}/ca.pem\n\
                 ssl_options.certfile = {folder}/rabbit.pem\n\
                 ssl_options.keyfile = {folder}/rabbit.key\n\
                 max_message_size = 20000\n"
            ),
        )?;
        for name in ["", "ca.pem", "rabbit.pem", "rabbit.key"] {
            give(&place, "rabbitmq", name)?;
        }
        // The daemon that knows the names of nodes: else the server leaves one behind.
        let mut epmd = Command::new("epmd");
        epmd.args(["-address", "127.0.0.1", "-port", &names.to_string()]);
        let epmd = Server::start(epmd, names)?;
        Ok(Rabbit { place, plain, secure, dist, names, _epmd: epmd })
    }

    fn start(&self) -> anyhow::Result<Server> {
        let folder = folder(&self.place);
        let names = self.names;
        let mut command = as_user("rabbitmq", "/usr/lib/rabbitmq/bin/rabbitmq-server");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", &folder).env("ERL_EPMD_PORT", names.to_string());
        command.env("RABBITMQ_NODENAME", format!("heka{names}@localhost"));
        command.env("RABBITMQ_DIST_PORT", self.dist.to_string());
        command.env("RABBITMQ_MNESIA_BASE", format!("{folder}/data"));
        command.env("RABBITMQ_LOG_BASE", format!("{folder}/log"));
        command.env("RABBITMQ_PID_FILE", format!("{folder}/pid"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", format!("{folder}/enabled_plugins"));
        command.env("RABBITMQ_CONFIG_FILE", format!("{folder}/rabbitmq"));
        command.env("RABBITMQ_CONF_ENV_FILE", "/nonexistent");
        Server::start(command, self.secure)
    }
}

fn folder(place: &Place) -> String {
    place.path("").display().to_string().trim_end_matches('/').to_owned()
}

fn no_message_lost() -> anyhow::Result<()> {
    let rabbit = Rabbit::new()?;
    let plain = rabbit.plain;
    let url = format!("amqp://127.0.0.1:{plain}/");
    let exchange = "exchange = 'logs'\nexchange_type = 'topic'\nexchange_durability = true\n\
                    exchange_auto_delete = false\n";
    let output = |url: &str, more: &str| {
        format!(
            "type = 'AMQPOutput'\nurl = '{url}'\nrouting_key = 'a.b'\npersistent = true\n{exchange}{more}"
        )
    };
    let ca = rabbit.place.path("ca.pem").display().to_string();
    let secure = format!("amqps://localhost:{}/", rabbit.secure);
    let place = relay::sender(&output(&secure, &format!("tls = {{ root_cafile = '{ca}' }}\n")))?;
    let mut sender = place.run(&[])?;
    let mut stream = TcpStream::connect(sender.address("lines")?)?;
    stream.write_all(b"first\n")?;
    relay::told(&mut sender, "cannot connect to the broker localhost:")?;
    let server = rabbit.start()?;
    relay::told(&mut sender, "records belong in no queue (312 NO_ROUTE)")?;

    let wrong = relay::sender(&output(&format!("amqp://guest:wrong@127.0.0.1:{plain}/"), ""))?;
    let mut engine = wrong.run(&[])?;
    relay::told(&mut engine, "does not let `guest` in: look at user and password in `url`")?;
    engine.stop()?.expect_code(0)?;
    let other = relay::sender(&output(&url, "").replace("topic", "fanout"))?;
    let mut engine = other.run(&[])?;
    relay::told(&mut engine, "it is there with other settings")?;
    engine.stop()?.expect_code(0)?;
    let none = format!("type = 'AMQPInput'\nurl = '{url}'\nqueue = 'none'\nread_only = true\n");
    let none = relay::reader(&none)?;
    let mut engine = none.run(&[])?;
    relay::told(&mut engine, "create it there, or let `read_only` be false")?;
    engine.stop()?.expect_code(0)?;

    let reader_place = relay::reader(&format!(
        "type = 'AMQPInput'\nurl = '{url}'\nqueue = 'heka'\nrouting_key = 'a.#'\n\
         queue_durability = true\nqueue_auto_delete = false\nsplitter = 'HekaFramingSplitter'\n\
         decoder = 'ProtobufDecoder'\n{exchange}"
    ))?;
    let mut reader = reader_place.run(&[])?;
    reader.wait_for("the first line", |_| {
        relay::arrived(&reader_place).contains_key("first").then_some(())
    })?;
    stream.write_all(&vec![b'x'; 30_000])?;
    stream.write_all(b"\nsecond\n")?;
    relay::told(&mut sender, "the broker does not take a record of 30")?;
    reader.wait_for("the line behind the large one", |_| {
        relay::arrived(&reader_place).contains_key("second").then_some(())
    })?;
    let start = || rabbit.start();
    let engines = (sender, reader);
    let _server =
        relay::survives_a_kill(engines, &reader_place, server, start, Arrives::AtLeastOnce)?;
    Ok(())
}
