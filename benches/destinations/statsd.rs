//! How many counters are taken in over UDP: many in a datagram, and one in each.

use std::net::SocketAddr;
use std::net::UdpSocket;
use std::time::Duration;
use std::time::Instant;

use crate::Arguments;
use crate::engine::Engine;

/// What fits on a wire of 1 500 bytes.
const DATAGRAM: usize = 1432;
/// What is asked of datagrams of that size, counters a second.
const WANTED: u64 = 500_000;
/// How often a part of what is due is sent.
const SLICE: Duration = Duration::from_millis(5);
/// How long what was sent may take to be counted.
const SETTLE: Duration = Duration::from_secs(5);

const CONFIG: &str = "[statsd]\ntype = 'StatsdInput'\naddress = '127.0.0.1:0'\n\
    [StatAccumInput]\nticker_interval = 1\nemit_in_payload = true\n\
    [out]\ntype = 'LogOutput'\nmessage_matcher = \"Type == 'heka.statmetric'\"\n\
    encoder = 'PayloadEncoder'\n";

/// Counters in one datagram, and how many they are.
fn datagram(most: usize) -> (Vec<u8>, u64) {
    let mut text = String::new();
    let mut count = 0;
    loop {
        let line = format!("bench.counter{}:1|c\n", count % 100);
        if count > 0 && text.len() + line.len() > most {
            break (text.into_bytes(), count);
        }
        text += &line;
        count += 1;
    }
}

pub(crate) fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    for (what, most, rate) in [
        ("in datagrams of 1 432 bytes", DATAGRAM, Some(WANTED)),
        ("one a datagram, as fast as sent", 1, None),
    ] {
        let folder = tempfile::tempdir_in(&arguments.folder)?;
        let mut engine = Engine::start(&arguments.bin, folder.path(), CONFIG)?;
        let to = engine.address("statsd")?;
        let before = engine.cpu()?;
        let (sent, seconds) = send(to, most, rate, Duration::from_secs(arguments.seconds))?;
        let ended = Instant::now();
        // What is not counted after a while never was.
        let counted = engine.wait_for("the counters", |engine| {
            let counted = sum(&engine.stdout());
            (counted >= sent || ended.elapsed() > SETTLE).then_some(counted)
        })?;
        let cpu = (engine.cpu()? - before) * 1e6 / counted.max(1) as f64;
        let (a_second, lost) = (counted as f64 / seconds, sent.saturating_sub(counted));
        println!("{what:<33} {a_second:>12.0} {lost:>12} {cpu:>18.2}");
    }
    Ok(())
}

/// Sends for so long; how many counters, in how many seconds.
fn send(
    to: SocketAddr,
    most: usize,
    rate: Option<u64>,
    long: Duration,
) -> anyhow::Result<(u64, f64)> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(to)?;
    let (bytes, count) = datagram(most);
    let started = Instant::now();
    let mut sent = 0;
    while started.elapsed() < long {
        let due = match rate {
            Some(rate) => u64::try_from(started.elapsed().as_millis())? * rate / 1000,
            None => sent + 1000,
        };
        while sent < due {
            socket.send(&bytes)?;
            sent += count;
        }
        if rate.is_some() {
            std::thread::sleep(SLICE);
        }
    }
    Ok((sent, started.elapsed().as_secs_f64()))
}

/// What was counted by all lines `stats.counters.NAME.count N TIME`.
fn sum(stdout: &str) -> u64 {
    let counts = stdout.lines().filter(|line| line.starts_with("stats.counters.bench"));
    let counts = counts.filter_map(|line| {
        let (name, rest) = line.split_once(' ')?;
        let number = rest.split(' ').next()?;
        name.strip_suffix(".count").and_then(|_| number.parse::<f64>().ok())
    });
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and small")]
    counts.map(|number| number as u64).sum()
}
