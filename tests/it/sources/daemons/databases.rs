//! PostgreSQL, MariaDB and RabbitMQ.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use libtest_mimic::Trial;

use super::expect;
use super::expect_payload;
use super::goes_down_and_comes_back;
use super::shipped;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::harness::users::as_user;
use crate::harness::users::give;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test_with(
            &["/usr/share/postgresql/15/postgresql.conf.sample", "setpriv"],
            "sources::postgresql_is_asked_how_it_is",
            postgresql,
        ),
        test_with(
            &["mariadbd", "mariadb-install-db", "setpriv"],
            "sources::mariadb_is_asked_how_it_is",
            mariadb,
        ),
        test_with(
            &["rabbitmq-server", "epmd", "setpriv"],
            "sources::rabbitmq_is_asked_how_it_is",
            rabbitmq,
        ),
    ]
}

fn run(mut command: Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {stderr}");
    Ok(())
}

fn postgresql() -> anyhow::Result<()> {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let own = "[PostgresqlInput.queries]\nsums = \"select 'a' as label, 1.5::numeric as ratio, 7 as count\"\n\n[told]";
    let config = |login: &str| {
        let changes =
            [("127.0.0.1:5432", address.as_str()), ("username = \"heka\"", login), ("[told]", own)];
        shipped("postgresql.toml", &changes)
    };
    let server_place = Place::new("")?;
    give(&server_place, "postgres", "")?;
    let data = server_place.path("data").display().to_string();
    let bin = PathBuf::from("/usr/lib/postgresql/15/bin");
    server_place.write("password", "secret\n")?;
    let mut init = as_user("postgres", &bin.join("initdb").display().to_string());
    init.args(["-D", &data, "-U", "boss", "--auth=scram-sha-256", "--no-sync"]);
    init.arg(format!("--pwfile={}", server_place.path("password").display()));
    run(init)?;
    let start = || {
        let mut command = as_user("postgres", &bin.join("postgres").display().to_string());
        command.args(["-D", &data, "-p", &port.to_string(), "-h", "127.0.0.1", "-F"]);
        command.args(["-c", "unix_socket_directories="]);
        Server::start(command, port)
    };
    let mut server = start()?;
    server.wait_for("let someone in", |server| {
        server.log().contains("ready to accept connections").then_some(())
    })?;
    for (login, advice) in [
        ("username = 'boss'", "; give `password`"),
        ("username = 'boss'\npassword = 'wrong'", "; `username` or `password` is wrong"),
        (
            "username = 'boss'\npassword = 'secret'\ndatabase = 'nothing'",
            "; `database` names one that is there",
        ),
    ] {
        let place = Place::new(&config(login)?)?;
        let mut engine = place.run(&[])?;
        expect_payload(&mut engine, "daemon.down", advice)?;
        engine.stop()?.expect_code(0)?;
    }
    let place = Place::new(&config("username = 'boss'\npassword = 'secret'")?)?;
    let mut engine = place.run(&[])?;
    let about = [("max_connections", "", "100"), ("uptime", "s", ""), ("is_standby", "", "false")];
    expect(&mut engine, "stats.postgresql", &about)?;
    let database = [
        ("database", "", "postgres"),
        ("commits", "", ""),
        ("commits_per_second", "1/s", ""),
        ("size", "B", ""),
    ];
    expect(&mut engine, "stats.postgresql.database", &database)?;
    let buffers = [("buffers_alloc", "", ""), ("buffers_alloc_per_second", "1/s", "")];
    expect(&mut engine, "stats.postgresql.writer", &buffers)?;
    let own = [("query", "", "sums"), ("label", "", "a"), ("ratio", "", "1.5"), ("count", "", "7")];
    expect(&mut engine, "stats.postgresql.query", &own)?;
    goes_down_and_comes_back(&mut engine, server, &start, "stats.postgresql")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn mariadb() -> anyhow::Result<()> {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let own =
        "[MysqlInput.queries]\nsums = \"select 'a' as label, 1.5 as ratio, 7 as count\"\n\n[told]";
    let config = |login: &str| {
        let changes =
            [("127.0.0.1:3306", address.as_str()), ("username = \"heka\"", login), ("[told]", own)];
        shipped("mysql.toml", &changes)
    };
    let server_place = Place::new("")?;
    give(&server_place, "mysql", "")?;
    let folder = server_place.path("").display().to_string();
    let data = format!("--datadir={folder}/data");
    let mut install = as_user("mysql", "mariadb-install-db");
    install.args(["--no-defaults", &data, "--auth-root-authentication-method=normal"]);
    install.args(["--skip-test-db"]);
    run(install)?;
    server_place.write(
        "init.sql",
        "create user if not exists 'heka'@'localhost' identified by 'secret';\n\
        grant process, slave monitor, replication client on *.* to 'heka'@'localhost';\n",
    )?;
    let start = || {
        let mut command = as_user("mysql", "mariadbd");
        command.args(["--no-defaults", &data, "--bind-address=127.0.0.1", "--skip-log-bin"]);
        command.args([format!("--port={port}"), format!("--socket={folder}/s.sock")]);
        command
            .args([format!("--pid-file={folder}/pid"), format!("--init-file={folder}/init.sql")]);
        command.arg("--innodb-flush-log-at-trx-commit=0");
        Server::start(command, port)
    };
    let server = start()?;
    let place = Place::new(&config("username = 'heka'\npassword = 'wrong'")?)?;
    let mut engine = place.run(&[])?;
    expect_payload(&mut engine, "daemon.down", "; `username` or `password` is wrong")?;
    engine.stop()?.expect_code(0)?;
    let place = Place::new(&config("username = 'heka'\npassword = 'secret'")?)?;
    let mut engine = place.run(&[])?;
    let status = [
        ("version", "", ""),
        ("max_connections", "", "151"),
        ("Uptime", "s", ""),
        ("Bytes_sent_per_second", "B/s", ""),
        ("Questions_per_second", "1/s", ""),
    ];
    expect(&mut engine, "stats.mysql", &status)?;
    let own = [("query", "", "sums"), ("label", "", "a"), ("ratio", "", "1.5"), ("count", "", "7")];
    expect(&mut engine, "stats.mysql.query", &own)?;
    goes_down_and_comes_back(&mut engine, server, &start, "stats.mysql")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn rabbitmq() -> anyhow::Result<()> {
    let (port, amqp, dist, names) = (free_port()?, free_port()?, free_port()?, free_port()?);
    let server_place = Place::new("")?;
    give(&server_place, "rabbitmq", "")?;
    let folder = server_place.path("").display().to_string();
    let folder = folder.trim_end_matches('/');
    server_place.write("enabled_plugins", "[rabbitmq_management].\n")?;
    server_place.write(
        "rabbitmq.conf",
        &format!("listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}\n"),
    )?;
    // The daemon that knows the names of nodes: else the server leaves one behind.
    let mut epmd = Command::new("epmd");
    epmd.args(["-address", "127.0.0.1", "-port", &names.to_string()]);
    let _epmd = Server::start(epmd, names)?;
    let start = || {
        let mut command = as_user("rabbitmq", "/usr/lib/rabbitmq/bin/rabbitmq-server");
        command.env("HOME", folder).env("ERL_EPMD_PORT", names.to_string());
        command.env("RABBITMQ_NODENAME", format!("heka{names}@localhost"));
        command.env("RABBITMQ_DIST_PORT", dist.to_string());
        command.env("RABBITMQ_MNESIA_BASE", format!("{folder}/data"));
        command.env("RABBITMQ_LOG_BASE", format!("{folder}/log"));
        command.env("RABBITMQ_LOGS", "-").env("RABBITMQ_PID_FILE", format!("{folder}/pid"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", format!("{folder}/enabled_plugins"));
        command.env("RABBITMQ_CONFIG_FILE", format!("{folder}/rabbitmq"));
        command.env("RABBITMQ_CONF_ENV_FILE", "/nonexistent");
        Server::start(command, port)
    };
    let server = start()?;
    let url = format!("http://127.0.0.1:{port}");
    let config = |more: &str| {
        let section = format!("[RabbitmqInput]\n{more}");
        shipped("rabbitmq.toml", &[("http://127.0.0.1:15672", &url), ("[RabbitmqInput]", &section)])
    };
    let place = Place::new(&config("username = 'guest'\npassword = 'wrong'")?)?;
    let mut engine = place.run(&[])?;
    expect_payload(&mut engine, "daemon.down", "; it does not accept this `username`")?;
    engine.stop()?.expect_code(0)?;
    let place = Place::new(&config("")?)?;
    let mut engine = place.run(&[])?;
    expect(&mut engine, "stats.rabbitmq", &[("version", "", ""), ("queues", "", "0")])?;
    let node = [("memory_used", "B", ""), ("uptime", "ms", ""), ("memory_alarm", "", "false")];
    expect(&mut engine, "stats.rabbitmq.node", &node)?;
    let queue = format!("http://guest:guest@127.0.0.1:{port}/api/queues/%2F/work");
    let mut put = Command::new("curl");
    put.args(["--silent", "--fail", "-X", "PUT", "-H", "content-type: application/json"]);
    put.args(["-d", "{\"durable\":false}", &queue]);
    run(put)?;
    let work = [("queue", "", "work"), ("vhost", "", "/"), ("consumers", "", "0")];
    expect(&mut engine, "stats.rabbitmq.queue", &work)?;
    goes_down_and_comes_back(&mut engine, server, &start, "stats.rabbitmq")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
