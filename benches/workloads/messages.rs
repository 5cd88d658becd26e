//! The stream of framed messages that W4 to W6 send, made from the log.
//!
//! A message has nine fields and is about 450 bytes long. `bucket` has 11 values and `shard` 200, in
//! turn, for filters to match.

use std::io::BufRead;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use heka::message::Batch;
use heka::message::Uuids;

/// How many values `bucket` has.
pub(crate) const BUCKETS: u64 = 11;
/// How many values `shard` has.
pub(crate) const SHARDS: u64 = 200;

/// What is in the stream.
pub(crate) struct Stream {
    /// How many messages.
    pub(crate) messages: u64,
    /// How many bytes, frames included.
    pub(crate) bytes: u64,
    /// The sum of `body_bytes_sent`.
    pub(crate) sent: u64,
}

/// Writes the messages of `log` into the file at `path`.
pub(crate) fn make(log: &Path, path: &Path) -> anyhow::Result<Stream> {
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut uuids = Uuids::seeded(1);
    let mut stream = Stream { messages: 0, bytes: 0, sent: 0 };
    let mut batch = Batch::new();
    for line in BufReader::with_capacity(1 << 20, std::fs::File::open(log)?).lines() {
        let line = line?;
        let parts = Parts::of(&line).with_context(|| format!("no access-log line: {line}"))?;
        batch.truncate(0);
        put(&mut batch, &parts, stream.messages, &uuids.make())?;
        out.write_all(batch.bytes())?;
        stream.messages += 1;
        stream.bytes += batch.bytes().len() as u64;
        stream.sent += parts.bytes.cast_unsigned();
    }
    out.flush()?;
    Ok(stream)
}

fn put(batch: &mut Batch, parts: &Parts<'_>, number: u64, uuid: &[u8; 16]) -> anyhow::Result<()> {
    let mut message = batch.begin();
    message.uuid(uuid);
    message.timestamp(1_772_323_200_000_000_000 + i64::try_from(number)? * 43_000_000);
    message.message_type(b"access").logger(b"benchmark.access").severity(6).env_version(b"1.0");
    message.pid(4242).hostname(b"web01.frontend.example.org");
    message.string("remote_addr", "ipv4", parts.address.as_bytes());
    message.string("method", "", parts.method.as_bytes());
    message.string("uri", "", parts.uri.as_bytes());
    message.integer("status", "", parts.status);
    message.integer("body_bytes_sent", "B", parts.bytes);
    message.string("http_referer", "", parts.referer.as_bytes());
    message.string("http_user_agent", "", parts.agent.as_bytes());
    message.string("bucket", "", format!("b{}", number % BUCKETS).as_bytes());
    message.string("shard", "", format!("s{}", number % SHARDS).as_bytes());
    Ok(message.finish()?)
}

/// The parts of a line in combined format.
struct Parts<'a> {
    address: &'a str,
    method: &'a str,
    uri: &'a str,
    status: i64,
    bytes: i64,
    referer: &'a str,
    agent: &'a str,
}

impl<'a> Parts<'a> {
    fn of(line: &'a str) -> Option<Parts<'a>> {
        let mut quoted = line.split('"');
        let (address, _) = quoted.next()?.split_once(' ')?;
        let mut request = quoted.next()?.split(' ');
        let mut numbers = quoted.next()?.trim().split(' ');
        let referer = quoted.next()?;
        quoted.next()?;
        Some(Parts {
            address,
            method: request.next()?,
            uri: request.next()?,
            status: numbers.next()?.parse().ok()?,
            bytes: numbers.next()?.parse().unwrap_or(0),
            referer,
            agent: quoted.next()?,
        })
    }
}
