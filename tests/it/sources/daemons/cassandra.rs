//! Cassandra, as its own virtual tables tell of it.

use libtest_mimic::Trial;

use super::expect;
use super::expect_payload;
use super::goes_down_and_comes_back;
use super::shipped;
use crate::harness::Place;
use crate::harness::cassandra;
use crate::harness::server::Server;
use crate::harness::server::free_port;

pub(super) fn trials() -> Vec<Trial> {
    vec![cassandra::trial("sources::cassandra_is_asked_how_it_is", is_asked_how_it_is)]
}

fn is_asked_how_it_is() -> anyhow::Result<()> {
    let (port, storage_port) = (free_port()?, free_port()?);
    let address = format!("127.0.0.1:{port}");
    let changes = [
        ("127.0.0.1:9042", address.as_str()),
        ("# username", "username"),
        ("# password", "password"),
    ];
    let place = Place::new(&shipped("cassandra.toml", &changes)?)?;
    let command = || cassandra::node(&place, port, storage_port);
    let start = || Server::start(command()?, port);
    let server = start()?;
    let mut engine = place.run(&[])?;
    expect(
        &mut engine,
        "stats.cassandra",
        &[("release_version", "", "5.0.6"), ("clients", "", "")],
    )?;
    let pool = [("name", "", "MutationStage"), ("completed_tasks_per_second", "1/s", "")];
    expect(&mut engine, "stats.cassandra.pool", &pool)?;
    let cache = [("name", "", "keys"), ("size_bytes", "B", "")];
    expect(&mut engine, "stats.cassandra.cache", &cache)?;
    let latency =
        [("operation", "", "local read"), ("p99th_ms", "ms", ""), ("count_per_second", "1/s", "")];
    expect(&mut engine, "stats.cassandra.latency", &latency)?;
    goes_down_and_comes_back(&mut engine, server, &start, "stats.cassandra")?;
    engine.stop()?.expect_code(0)?;
    let wrong = [changes[0], changes[1], ("# password = \"cassandra\"", "password = \"x\"")];
    let _server = start()?;
    let stranger = Place::new(&shipped("cassandra.toml", &wrong)?)?;
    let mut engine = stranger.run(&[])?;
    expect_payload(&mut engine, "daemon.down", "`username` or `password` is wrong")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
