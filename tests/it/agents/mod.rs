//! Agents that send to aggregators and are acknowledged: what is read there arrives here, once.

mod copies;
mod faults;
mod kills;
mod network;
mod proxy;
mod several;

use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Place;

pub(crate) fn trials() -> Vec<Trial> {
    let groups =
        [copies::trials(), faults::trials(), kills::trials(), network::trials(), several::trials()];
    groups.into_iter().flatten().collect()
}

const RETRIES: &str = "retries = { delay = '20ms', max_delay = '100ms', max_jitter = '20ms' }\n";

/// Lines `from` to `to` of a log.
fn lines(from: usize, to: usize) -> String {
    (from..to).map(|number| format!("line {number:08} of a log that an agent reads\n")).collect()
}

/// The configuration of an agent that sends `DIR/logs/log` to `addresses`.
fn agent(addresses: &[SocketAddr], settings: &str) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!(
        "[hekad]\nbase_dir = 'DIR/state'\nhostname = 'shop-1'\n\
         [hekad.admin]\naddress = '127.0.0.1:0'\n\
         [lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [send]\ntype = 'TcpOutput'\nmessage_matcher = \"Type == 'logfile'\"\n\
         protocol = 'ack'\naddresses = {addresses:?}\n{RETRIES}{settings}\n"
    )
}

/// The configuration of an aggregator at `address` that writes payloads into `DIR/out`.
fn aggregator(address: &str, settings: &str) -> String {
    format!(
        "[PayloadEncoder]\nappend_newlines = false\n\
         [write]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'logfile'\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\n\
         [take]\ntype = 'TcpInput'\naddress = '{address}'\n{settings}\n"
    )
}

/// Starts an aggregator, which from then on listens where it listened first.
fn start_aggregator(settings: &str) -> anyhow::Result<(Place, Engine, SocketAddr)> {
    let place = Place::new(&aggregator("127.0.0.1:0", settings))?;
    let mut engine = place.run(&[])?;
    let address = engine.address("take")?;
    place.configure(&aggregator(&address.to_string(), settings))?;
    Ok((place, engine, address))
}

/// An agent with so many lines to read.
fn agent_place(addresses: &[SocketAddr], settings: &str, lines_: usize) -> anyhow::Result<Place> {
    let place = Place::new(&agent(addresses, settings))?;
    place.write("logs/log", &lines(0, lines_))?;
    Ok(place)
}

/// Waits until the aggregator has written exactly these lines, in order and once.
fn expect_lines(place: &Place, engine: &mut Engine, count: usize) -> anyhow::Result<()> {
    let expected = lines(0, count);
    engine
        .wait_for("the last line", |_| (place.read("out").len() >= expected.len()).then_some(()))?;
    let out = place.read("out");
    if out != expected {
        let mut pairs = out.lines().zip(expected.lines());
        let differs = pairs.position(|(out, expected)| out != expected);
        let counts = (out.lines().count(), count);
        anyhow::bail!("{counts:?} lines, differing from {differs:?} on; {}", engine.stderr());
    }
    Ok(())
}

/// The value of a metric of the aggregator, which is there once an agent has come.
fn metric(engine: &mut Engine, name: &str) -> anyhow::Result<f64> {
    let address = engine.address("admin")?;
    let began = Instant::now();
    loop {
        let text = crate::harness::http::ask(address, "GET /metrics", "")?.body;
        if let Some(line) = text.lines().find(|line| line.starts_with(name)) {
            return Ok(line.rsplit(' ').next().unwrap_or_default().parse()?);
        }
        anyhow::ensure!(began.elapsed() < Duration::from_mins(1), "there is no {name}:\n{text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
