//! Few files may be open, and clients take all of them.

use std::io::Write;
use std::net::TcpStream;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

/// How many files the engine may have open.
const LIMIT: usize = 96;
const LINES: usize = 20_000;

pub(crate) fn trials() -> Vec<Trial> {
    vec![test("limits::descriptors::clients_leave_the_journal_some", leave_some)]
}

/// More clients come than there are descriptors, and stay; what one says goes through segments of
/// the journal all the same.
fn leave_some() -> anyhow::Result<()> {
    let place = Place::new(
        "[hekad]\nbase_dir = 'DIR/state'\n[hekad.admin]\naddress = ''\n\
         [hekad.journal]\nmax_bytes = 2097152\n\
         [lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n[PayloadEncoder]\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'lines'\"\npath = 'DIR/copy'\n\
         encoder = 'PayloadEncoder'\nflush_interval = 10\n",
    )?;
    let limited = format!("ulimit -n {LIMIT}; exec \"$0\" \"$@\"");
    let mut engine = place.run_under(&["sh", "-c", &limited], &[])?;
    let address = engine.address("lines")?;
    let mut clients: Vec<TcpStream> = Vec::new();
    for _ in 0..2 * LIMIT {
        clients.push(TcpStream::connect(address)?);
    }
    engine.wait_for("the clients to be too many", |engine| {
        engine.stderr().contains("too many files are open").then_some(())
    })?;
    let line = [&[b'x'; 499][..], b"\n"].concat();
    clients[0].write_all(&line.repeat(LINES))?;
    engine.wait_for("the lines", |_| {
        (place.read("copy").len() == LINES * line.len()).then_some(())
    })?;
    // Who waited is served when others have gone.
    clients.truncate(2 * LIMIT - 1);
    let mut last = TcpStream::connect(address)?;
    last.write_all(b"the last\n")?;
    clients.clear();
    engine.wait_for("the last", |_| place.read("copy").ends_with("the last\n").then_some(()))?;
    let stderr = engine.stderr();
    // Each that listens says it once, the control socket too where it comes to it.
    let told = stderr.lines().filter(|line| line.contains("too many files"));
    let mut told: Vec<_> = told.filter_map(|line| line.split_once("address=")).collect();
    told.sort_unstable_by_key(|(_, address)| *address);
    let count = told.len();
    told.dedup_by_key(|(_, address)| *address);
    anyhow::ensure!(count > 0 && told.len() == count, "{stderr}");
    anyhow::ensure!(!stderr.contains("cannot write the journal"), "{stderr}");
    engine.stop()?.expect_code(0)?;
    Ok(())
}
