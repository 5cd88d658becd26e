//! Redis and memcached.

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
        test_with(&["redis-server"], "sources::redis_is_asked_how_it_is", redis),
        test_with(&["redis-server"], "sources::redis_refuses_a_wrong_password", redis_password),
        test_with(&["memcached"], "sources::memcached_is_asked_how_it_is", memcached),
    ]
}

fn start_redis(place: &Place, port: u16, more: &[&str]) -> anyhow::Result<Server> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.args(more).current_dir(place.path(""));
    Server::start(command, port)
}

fn redis() -> anyhow::Result<()> {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let changes =
        [("127.0.0.1:6379", address.as_str()), ("[RedisInput]", "[RedisInput]\ncommands = true")];
    let place = Place::new(&shipped("redis.toml", &changes)?)?;
    let start = || start_redis(&place, port, &[]);
    let server = start()?;
    let mut engine = place.run(&[])?;
    let fields = [
        ("redis_version", "", ""),
        ("uptime_in_seconds", "s", ""),
        ("used_memory", "B", ""),
        ("used_cpu_sys", "s", ""),
        ("connected_clients", "", "1"),
        ("commands_per_second", "1/s", ""),
        ("net_output_per_second", "B/s", ""),
    ];
    expect(&mut engine, "stats.redis", &fields)?;
    expect(&mut engine, "stats.redis.command", &[("command", "", "info"), ("usec", "us", "")])?;
    goes_down_and_comes_back(&mut engine, server, &start, "stats.redis")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn redis_password() -> anyhow::Result<()> {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let config = |more: &str| {
        let section = format!("[RedisInput]\n{more}");
        shipped("redis.toml", &[("127.0.0.1:6379", &address), ("[RedisInput]", &section)])
    };
    let place = Place::new(&config("")?)?;
    let _server = start_redis(&place, port, &["--requirepass", "secret"])?;
    for (settings, advice) in [
        ("", "; give `password`, and `username` where it has users"),
        ("password = 'wrong'", "; `username` or `password` is wrong"),
    ] {
        let place = Place::new(&config(settings)?)?;
        let mut engine = place.run(&[])?;
        expect_payload(&mut engine, "daemon.down", advice)?;
        anyhow::ensure!(engine.stderr().contains(advice), "not on the terminal: {advice}");
        engine.stop()?.expect_code(0)?;
    }
    place.configure(&config("username = 'default'\npassword = 'secret'")?)?;
    let mut engine = place.run(&[])?;
    expect(&mut engine, "stats.redis", &[("used_memory", "B", "")])?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn memcached() -> anyhow::Result<()> {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let place = Place::new(&shipped("memcached.toml", &[("127.0.0.1:11211", &address)])?)?;
    let start = || {
        let mut command = Command::new("memcached");
        command.args(["-u", "nobody", "-l", "127.0.0.1", "-U", "0", "-p", &port.to_string()]);
        Server::start(command, port)
    };
    let server = start()?;
    let mut engine = place.run(&[])?;
    let fields = [
        ("version", "", ""),
        ("uptime", "s", ""),
        ("limit_maxbytes", "B", "67108864"),
        ("bytes_read_per_second", "B/s", ""),
        ("gets_per_second", "1/s", "0"),
        ("used_percent", "%", "0"),
    ];
    expect(&mut engine, "stats.memcached", &fields)?;
    goes_down_and_comes_back(&mut engine, server, &start, "stats.memcached")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
