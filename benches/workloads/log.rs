//! The log that the workloads read: made from a seed, or a given one repeated.
//!
//! A line is about 243 bytes long, 23 lines are of the same
//! second on average.

use std::fmt::Write as _;
use std::io::BufRead;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use chrono::DateTime;
use chrono::FixedOffset;
use heka::message::Uuids;

/// How a line says when it was.
const FORMAT: &str = "%d/%b/%Y:%H:%M:%S %z";
/// 1 March 2026, in seconds since the epoch.
const FIRST: i64 = 1_772_323_200;

const FOLDERS: &[&str] =
    &["static", "images", "search", "cart", "docs", "api", "auth", "blog", "v2"];
const WORDS: &[&str] = &[
    "workers",
    "detail",
    "summary",
    "of",
    "yesterday",
    "list",
    "by",
    "name",
    "region",
    "north",
    "invoice",
    "draft",
    "node",
    "status",
    "history",
    "item",
    "page",
    "reader",
];
const ENDINGS: &[&str] = &[".png", ".css", ".json", ".html", "", "", "/", ".svg"];
const METHODS: &[&str] = &["GET", "GET", "GET", "GET", "GET", "GET", "POST", "POST", "PUT", "HEAD"];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/VERSION.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:VERSION.0) Gecko/20100101 Firefox/VERSION.0",
    "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/VERSION.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
     Gecko) Version/16.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
     Version/16.VERSION Safari/605.1.15",
    "probe/1.VERSION",
];

/// Writes `lines` lines into the file at `path`, the same for the same seed.
pub(crate) fn make(path: &Path, lines: u64, seed: u64) -> anyhow::Result<()> {
    let mut random = Random(Uuids::seeded(seed));
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut line = String::new();
    for number in 0..lines {
        line.clear();
        let seconds = FIRST + i64::try_from(number / 23)?;
        random.line(&mut line, seconds)?;
        out.write_all(line.as_bytes())?;
    }
    Ok(out.flush()?)
}

/// Repeats the log `from` until there are `lines` lines, each time with its timestamps moved on to
/// behind the last.
pub(crate) fn repeat(from: &Path, path: &Path, lines: u64) -> anyhow::Result<()> {
    let open =
        || std::fs::File::open(from).with_context(|| format!("cannot read {}", from.display()));
    let (first, last) = first_and_last(BufReader::new(open()?))
        .with_context(|| format!("{} is no access log", from.display()))?;
    let span = (last - first).num_seconds() + 1;
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut written = 0;
    let mut moved = Moved::default();
    for round in 0.. {
        for line in BufReader::new(open()?).split(b'\n') {
            if written == lines {
                return Ok(out.flush()?);
            }
            let line = line?;
            if let Some((before, time, behind)) = cut(&line) {
                out.write_all(before)?;
                out.write_all(moved.on(time, round * span)?.as_bytes())?;
                out.write_all(behind)?;
            } else {
                out.write_all(&line)?;
            }
            out.write_all(b"\n")?;
            written += 1;
        }
    }
    Ok(())
}

fn first_and_last(
    log: impl BufRead,
) -> anyhow::Result<(DateTime<FixedOffset>, DateTime<FixedOffset>)> {
    let mut found = None;
    for line in log.split(b'\n') {
        let line = line?;
        let Some((_, time, _)) = cut(&line) else { continue };
        let time = DateTime::parse_from_str(std::str::from_utf8(time)?, FORMAT)?;
        found = Some((found.map_or(time, |(first, _)| first), time));
    }
    found.context("no line has a time in brackets")
}

/// A line up to its time, the time, and what stands behind it.
fn cut(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let open = line.iter().position(|&byte| byte == b'[')? + 1;
    let length = line[open..].iter().position(|&byte| byte == b']')?;
    Some((&line[..open], &line[open..open + length], &line[open + length..]))
}

/// The last time that was moved; neighbours are mostly of the same second.
#[derive(Default)]
struct Moved {
    from: Vec<u8>,
    by: i64,
    to: String,
}

impl Moved {
    fn on(&mut self, time: &[u8], by: i64) -> anyhow::Result<&str> {
        if self.from != time || self.by != by {
            let parsed = DateTime::parse_from_str(std::str::from_utf8(time)?, FORMAT)?;
            let moved = parsed + chrono::TimeDelta::seconds(by);
            *self = Moved { from: time.to_vec(), by, to: moved.format(FORMAT).to_string() };
        }
        Ok(&self.to)
    }
}

struct Random(Uuids);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        let bytes = self.0.make();
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn line(&mut self, line: &mut String, seconds: i64) -> anyhow::Result<()> {
        let time = DateTime::from_timestamp(seconds, 0).context("beyond the calendar")?;
        let (a, b) = (1 + self.below(223), self.below(256));
        write!(line, "{a}.{b}.{}.{} - ", self.below(256), 1 + self.below(254))?;
        line.push_str(if self.below(20) == 0 { "user" } else { "-" });
        write!(line, " [{}] \"{} ", time.format("%d/%b/%Y:%H:%M:%S +0000"), self.of(METHODS))?;
        self.path(line)?;
        let status = match self.below(100) {
            0..=77 => 200,
            78..=85 => 304,
            86..=90 => 404,
            91..=95 => 301,
            96..=97 => 403,
            98 => 401,
            _ => 500,
        };
        let bytes = if status == 304 { 0 } else { self.below(15_000) };
        write!(line, " HTTP/1.1\" {status} {bytes} \"")?;
        if self.below(2) == 0 {
            line.push('-');
        } else {
            write!(line, "https://{}.example.org/{}", self.of(WORDS), self.of(FOLDERS))?;
            write!(line, "/{}", self.of(WORDS))?;
        }
        let version = (80 + self.below(40)).to_string();
        writeln!(line, "\" \"{}\"", self.of(AGENTS).replace("VERSION", &version))?;
        Ok(())
    }

    fn path(&mut self, line: &mut String) -> anyhow::Result<()> {
        for _ in 0..=1 + self.below(3) {
            write!(line, "/{}", self.of(WORDS))?;
        }
        write!(line, "/{}/{:08x}", self.of(FOLDERS), self.below(usize::MAX))?;
        if self.below(2) == 0 {
            write!(line, "_{:x}{:x}", self.below(usize::MAX), self.below(usize::MAX))?;
        }
        line.push_str(self.of(ENDINGS));
        if self.below(4) == 0 {
            write!(line, "?id={}&page={}&sort=rank", self.below(1_000_000), self.below(50))?;
        }
        Ok(())
    }
}
