//! Points in a real InfluxDB, through the HTTP output and an encoder in Lua.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use libtest_mimic::Trial;

use super::answer::curl;
use super::answer::expect_answer;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    vec![test_with(
        &["influxd", "curl"],
        "destinations::influxdb_holds_each_point_once",
        each_point_once,
    )]
}

fn start(place: &Place, port: u16) -> anyhow::Result<Server> {
    let mut command = Command::new("influxd");
    command.arg("-config").arg(place.path("influx.conf"));
    Server::start(command, port)
}

fn each_point_once() -> anyhow::Result<()> {
    const POINTS: usize = 2000;
    let (port, backup) = (free_port()?, free_port()?);
    let place = Place::new(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = 'numbers'\n\
         [numbers]\ntype = 'PayloadRegexDecoder'\n\
         match_regex = '^(?P<Timestamp>\\d+) (?P<value>\\S+)\\s*$'\ntimestamp_layout = 'EpochNano'\n\
         [numbers.message_fields]\nload = '%value%'\n\
         [points]\ntype = 'SandboxEncoder'\nfilename = 'lua_encoders/schema_influx_line.lua'\n\
         config = {{ skip_fields = 'Logger Severity Payload EnvVersion Pid Hostname', tag_fields = 'Type', timestamp_precision = 'ms' }}\n\
         [out]\ntype = 'HttpOutput'\nmessage_matcher = \"Type == 'lines'\"\nencoder = 'points'\n\
         address = 'http://127.0.0.1:{port}/write?db=heka&precision=ms'\nbatch = true\n\
         max_batch_count = 100\ncompression = 'gzip'\n\
         retries = {{ delay = '50ms', max_delay = '200ms' }}\n"
    ))?;
    let folder = place.path("").display().to_string();
    place.write(
        "influx.conf",
        &format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{backup}\"\n\
             [meta]\ndir = \"{folder}/meta\"\n\
             [data]\ndir = \"{folder}/data\"\nwal-dir = \"{folder}/wal\"\n\
             [http]\nbind-address = \"127.0.0.1:{port}\"\n"
        ),
    )?;
    let query = format!("http://127.0.0.1:{port}/query");
    let mut server = Some(start(&place, port)?);
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    writeln!(stream, "1500000000000000000 0.5")?;
    engine.wait_for("it to be told that there is no database", |engine| {
        engine.stderr().contains("look at the path in the address").then_some(())
    })?;
    curl(&["-XPOST", &query, "--data-urlencode", "q=CREATE DATABASE heka"])?;
    for number in 1..POINTS {
        if number == POINTS / 2 {
            server = None;
        }
        writeln!(stream, "{}000000 0.5", 1_500_000_000_000 + number)?;
    }
    anyhow::ensure!(server.is_none(), "it is killed");
    engine.wait_for("it to be missed", |engine| {
        engine.stderr().contains("cannot reach").then_some(())
    })?;
    let _server = start(&place, port)?;
    let count = "q=SELECT count(value) FROM /load/ WHERE Type = 'lines'";
    let ask = ["-G", &query, "--data-urlencode", "db=heka", "--data-urlencode", count];
    expect_answer(&mut engine, &ask, &format!("{POINTS}]"))?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
