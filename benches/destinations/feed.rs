//! Lines that come in.

use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

/// How often a part of what is due is sent.
const SLICE: Duration = Duration::from_millis(10);
/// How many lines there are before they come again.
const LINES: u64 = 100_000;

/// Lines, and where each ends.
pub(crate) struct Lines {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    fn of(text: Vec<u8>) -> Lines {
        let ends =
            text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let ends = ends.collect();
        Lines { text, ends }
    }

    /// `count` lines from number `first` on, or fewer where they come to an end.
    fn part(&self, first: u64, count: u64) -> (&[u8], u64) {
        let all = self.ends.len();
        let from = usize::try_from(first).unwrap_or_default() % all;
        let to = (from + usize::try_from(count).unwrap_or(all)).min(all);
        let start = if from == 0 { 0 } else { self.ends[from - 1] };
        (&self.text[start..self.ends[to - 1]], (to - from) as u64)
    }
}

/// An access log in the combined format.
pub(crate) fn access_log(folder: &Path) -> anyhow::Result<Lines> {
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("log");
    crate::log::make(&path, LINES, 2026)?;
    Ok(Lines::of(std::fs::read(path)?))
}

/// Points of a thousand metrics, as carbon reads them, one a minute each.
pub(crate) fn points(_folder: &Path) -> anyhow::Result<Lines> {
    let lines = (0..LINES).map(|number| {
        let (metric, minute) = (number % 1000, number / 1000);
        format!("bench.metric{metric} {number} {}\n", 1_795_000_000 + 60 * minute)
    });
    Ok(Lines::of(lines.collect::<String>().into_bytes()))
}

/// Sends `total` lines, so many a second or as fast as they are taken.
pub(crate) fn over_tcp(
    to: SocketAddr,
    lines: &Lines,
    total: u64,
    rate: Option<u64>,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    let started = Instant::now();
    let mut sent = 0;
    while sent < total {
        let due = match rate {
            None => total,
            Some(rate) => {
                let passed = started.elapsed() + SLICE;
                u64::try_from(passed.as_millis())? * rate / 1000
            }
        };
        while sent < due.min(total) {
            let (part, count) = lines.part(sent, (due.min(total) - sent).min(2000));
            stream.write_all(part)?;
            sent += count;
        }
        if rate.is_some() {
            std::thread::sleep(SLICE);
        }
    }
    Ok(())
}
