//! One stuck output leaves the others alone, and gets everything once it moves again.

use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;
use std::time::Instant;

use libtest_mimic::Trial;

use super::numbered_lines;
use crate::harness::Place;
use crate::suite::test;

/// More than sockets and queues hold.
const LINES: usize = 400_000;

pub(crate) fn trials() -> Vec<Trial> {
    let ratio = test("stuck::the_others_keep_their_speed", others_keep_their_speed);
    // A machine that is busy says nothing about speed.
    let is_wanted = std::env::var_os("HEKA_ROUNDS").is_some();
    vec![
        test("stuck::an_output_that_never_reads_lags_alone", lags_alone),
        if is_wanted { ratio } else { ratio.with_ignored_flag(true).with_kind("no HEKA_ROUNDS") },
    ]
}

/// The shortest time with the stuck output is to be within 5 % of that without it; the rounds take
/// turns, so that what else the machine does meets both.
fn others_keep_their_speed() -> anyhow::Result<()> {
    let rounds: usize = std::env::var("HEKA_ROUNDS").map_or(Ok(3), |rounds| rounds.parse())?;
    let log: String =
        (0..3 * LINES).map(|number| format!("line {number} of the log {number:0>80}\n")).collect();
    let mut shortest = [Duration::MAX; 2];
    for round in 0..2 * rounds {
        let took = copied(&log, round % 2 == 1)?;
        shortest[round % 2] = shortest[round % 2].min(took);
    }
    let ratio = shortest[0].as_secs_f64() / shortest[1].as_secs_f64();
    println!("{} lines: {shortest:?} without and with a stuck output, {ratio:.3}", 3 * LINES);
    anyhow::ensure!(ratio >= 0.95, "{shortest:?} without and with it: {ratio:.3} of the speed");
    Ok(())
}

/// How long it takes to copy `log`.
fn copied(log: &str, with_stuck: bool) -> anyhow::Result<Duration> {
    let peer = TcpListener::bind("127.0.0.1:0")?;
    let stuck = format!(
        "[stuck]\ntype = 'TcpOutput'\naddress = '{}'\nmessage_matcher = 'TRUE'\n\
         encoder = 'PayloadEncoder'\nuse_framing = false\n",
        peer.local_addr()?
    );
    let place = Place::new(&format!(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [PayloadEncoder]\n{}\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = 'TRUE'\npath = 'DIR/out'\n\
         encoder = 'PayloadEncoder'\n",
        if with_stuck { &stuck } else { "" }
    ))?;
    place.write("logs/log", log)?;
    let mut engine = place.run(&[])?;
    let mut wait_until = |share: usize| {
        let length = (log.len() / 4 * share) as u64;
        engine.wait_for("the copy", |_| {
            let out = std::fs::metadata(place.path("out"));
            out.is_ok_and(|out| out.len() >= length).then_some(())
        })
    };
    // First the stuck one fills its buffers.
    wait_until(1)?;
    let begun = Instant::now();
    wait_until(4)?;
    Ok(begun.elapsed())
}

fn lags_alone() -> anyhow::Result<()> {
    let peer = TcpListener::bind("127.0.0.1:0")?;
    let address = peer.local_addr()?;
    let place = Place::new(&format!(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [PayloadEncoder]\n\
         [stuck]\ntype = 'TcpOutput'\naddress = '{address}'\nmessage_matcher = 'TRUE'\n\
         encoder = 'PayloadEncoder'\nuse_framing = false\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = 'TRUE'\npath = 'DIR/out'\n\
         encoder = 'PayloadEncoder'\n"
    ))?;
    let log = numbered_lines(LINES);
    place.write("logs/log", &log)?;
    let mut engine = place.run(&["--until-done"])?;
    let (mut reader, _) = peer.accept()?;
    // The peer reads nothing: the other output gets to its end all the same.
    engine.wait_for("the other output to be done", |_| {
        std::fs::metadata(place.path("out"))
            .is_ok_and(|out| out.len() == log.len() as u64)
            .then_some(())
    })?;
    let mut received = Vec::new();
    reader.set_read_timeout(Some(Duration::from_secs(30)))?;
    reader.read_to_end(&mut received)?;
    engine.finish()?.expect_code(0)?;
    anyhow::ensure!(received == log.as_bytes(), "{} of {} bytes came", received.len(), log.len());
    Ok(())
}
