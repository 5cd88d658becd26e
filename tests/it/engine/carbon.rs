//! Points in a real carbon-cache.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::carbon;
use crate::suite::test_with;

pub(crate) fn trials() -> Vec<Trial> {
    let programs = ["carbon-cache", "whisper-fetch"];
    let as_lines = || points_are_kept(false);
    let as_pickles = || points_are_kept(true);
    vec![
        test_with(&programs, "carbon::points_are_kept_over_a_kill", as_lines),
        test_with(&programs, "carbon::pickled_points_are_kept_over_a_kill", as_pickles),
    ]
}

/// How many metrics there are, and how many points each has between two kills.
const METRICS: u64 = 20;
const PART: u64 = 300;

fn points_are_kept(are_pickled: bool) -> anyhow::Result<()> {
    let ports = carbon::Ports::free()?;
    let (protocol, to) = if are_pickled { ("pickle", ports.pickles) } else { ("tcp", ports.lines) };
    let place = Place::new(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n\
         [out]\ntype = 'CarbonOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         address = '127.0.0.1:{to}'\nprotocol = '{protocol}'\nretries = {{ delay = '20ms', max_delay = '100ms' }}\n"
    ))?;
    carbon::configure(&place, ports, 5)?;
    let mut server = carbon::start(&place, ports)?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 60 * 60;
    let mut points = Vec::new();
    for part in 0..3_u64 {
        if part > 0 {
            // Under load: it has read what it has not stored, and not read what its system has.
            let first = points[points.len() - usize::try_from(PART)?];
            // It stores one metric after the other, by order.
            engine.wait_for("the first metric to be stored", |_| {
                [0, METRICS - 1].iter().any(|metric| holds(&place, *metric, &[first])).then_some(())
            })?;
            drop(server);
            server = carbon::start(&place, ports)?;
        }
        for number in part * PART..(part + 1) * PART {
            let (value, time) = (number * 3 + 1, now - 60 * (3 * PART + 10 - number));
            let lines: String =
                (0..METRICS).map(|metric| format!("heka.test{metric} {value} {time}\n")).collect();
            stream.write_all(lines.as_bytes())?;
            points.push((time, value));
        }
    }
    for metric in 0..METRICS {
        expect(&place, &mut engine, metric, &points)?;
    }
    engine.stop()?.expect_code(0)?;
    drop(server);
    Ok(())
}

/// Waits until the file of the metric holds these points.
fn expect(
    place: &Place,
    engine: &mut Engine,
    metric: u64,
    points: &[(u64, u64)],
) -> anyhow::Result<()> {
    engine.wait_for("the points", |_| holds(place, metric, points).then_some(()))
}

fn holds(place: &Place, metric: u64, points: &[(u64, u64)]) -> bool {
    let file = place.path(&format!("whisper/heka/test{metric}.wsp"));
    let Ok(fetched) = Command::new("whisper-fetch").arg(&file).output() else { return false };
    let text = String::from_utf8_lossy(&fetched.stdout).into_owned();
    let is_there = |(time, value): &(u64, u64)| {
        let row = format!("{time}\t{value}.");
        text.lines().any(|line| line.starts_with(&row))
    };
    points.iter().all(is_there)
}
