//! One stuck output leaves the others alone, and gets everything once it moves again.

use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

use libtest_mimic::Trial;

use super::numbered_lines;
use crate::harness::Place;
use crate::suite::test;

/// More than sockets and queues hold.
const LINES: usize = 400_000;

pub(crate) fn trials() -> Vec<Trial> {
    vec![test("stuck::an_output_that_never_reads_lags_alone", lags_alone)]
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
