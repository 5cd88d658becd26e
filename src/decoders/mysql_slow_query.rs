//! `MysqlSlowQueryDecoder`: the slow query log of MySQL and MariaDB.

use std::fmt::Write;

use anyhow::Context;
use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use super::envelope::Envelope;
use crate::formats::time;
use crate::formats::time::TimeFormat;
use crate::message::Batch;
use crate::message::Builder;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Record;

/// The most pairs of a header that become fields.
const MAX_PAIRS: usize = 64;

/// Reads the slow query log of MySQL, MariaDB and Percona Server, an entry a record: a RegexSplitter
/// with `delimiter = '\n(# User@Host:)'` and `delimiter_eol = false` cuts them.
///
/// The message has the time of the query, the client's host and the SQL as payload. Its fields are
/// those of the header: `Query_time` (s), `Lock_time` (s), `Rows_sent`, `Rows_examined`, `Thread_id`,
/// `Schema`, `QC_hit`, `Full_scan` and whatever else the server tells; `user` and `address` are the
/// client's, `database` is that of a `use`. What the server writes at its start gives no message.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MysqlSlowQueryDecoder {
    /// The type of the messages; `mysql.slow-query`, or `mariadb.slow-query` for entries of MariaDB,
    /// where it is left out.
    #[serde(default)]
    message_type: Option<String>,
    /// How many bytes of the SQL are kept, with `...` behind them; a negative number keeps the end.
    #[serde(default)]
    truncate_sql: Option<i64>,
}

impl Described for MysqlSlowQueryDecoder {
    const NAME: &'static str = "MysqlSlowQueryDecoder";
    const ABOUT: &'static str = "Reads the slow query log of MySQL and MariaDB.";
    const EXAMPLE: &'static str = "[MysqlSlowQueryDecoder]\ntruncate_sql = 4096\n";
}

impl Decoder for MysqlSlowQueryDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        Ok(Box::new(Entries {
            settings: self.clone(),
            old_time: TimeFormat::go("060102 15:04:05"),
            name: String::new(),
            payload: Vec::new(),
            inner: envelope::Inner::default(),
        }))
    }
}

struct Entries {
    settings: MysqlSlowQueryDecoder,
    /// How servers before MySQL 5.7 write times.
    old_time: TimeFormat,
    name: String,
    /// SQL that was cut.
    payload: Vec<u8>,
    inner: envelope::Inner,
}

/// What an entry says.
#[derive(Default)]
struct Entry<'a> {
    time: Option<i64>,
    user: &'a [u8],
    host: &'a [u8],
    address: &'a [u8],
    database: &'a [u8],
    pairs: Vec<(&'a [u8], &'a [u8])>,
    is_mariadb: bool,
    sql: &'a [u8],
}

impl Decoding for Entries {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let Some(entry) = read(record.bytes, &self.old_time) else { return Ok(()) };
        if entry.pairs.iter().all(|(name, _)| *name != b"Query_time") {
            return Err(anyhow::anyhow!("the entry has no Query_time"));
        }
        let mut envelope = Envelope::of(record);
        let kind = if entry.is_mariadb { "mariadb.slow-query" } else { "mysql.slow-query" };
        let kind = self.settings.message_type.as_deref().unwrap_or(kind);
        envelope.message_type = kind.as_bytes();
        envelope.timestamp = entry.time.unwrap_or(record.now);
        envelope.pid = None;
        if let Some(host) = [entry.host, entry.address].into_iter().find(|host| !host.is_empty()) {
            envelope.hostname = host;
        }
        envelope.payload = Some(cut(entry.sql, self.settings.truncate_sql, &mut self.payload));
        let mut builder = envelope.begin(out);
        for (name, value) in &entry.pairs {
            put(name, value, &mut self.name, &mut builder);
        }
        for (name, value) in
            [("user", entry.user), ("address", entry.address), ("database", entry.database)]
        {
            if !value.is_empty() {
                builder.string(name, "", value);
            }
        }
        builder.encoded_fields(record.origin.fields());
        builder.finish().context("the entry is too large")?;
        Ok(())
    }
}

/// Reads an entry; `None` for what the server writes at its start.
fn read<'a>(bytes: &'a [u8], old_time: &TimeFormat) -> Option<Entry<'a>> {
    let mut entry = Entry::default();
    let mut rest = bytes;
    let mut has_header = false;
    while !rest.is_empty() {
        let (line, behind) = next_line(rest);
        if let Some(header) = line.strip_prefix(b"# ") {
            has_header |= read_header(header, old_time, &mut entry);
        } else if line == b"#" {
        } else if !has_header {
            // "Tcp port: 3306  Unix socket: …" and the names of columns.
        } else if let Some(seconds) = statement(line, b"SET timestamp=") {
            let seconds: Option<f64> = text(seconds).parse().ok();
            entry.time = seconds.and_then(nanoseconds).or(entry.time);
        } else if let Some(database) = statement(line, b"use ") {
            entry.database = database;
        } else {
            break;
        }
        rest = behind;
    }
    entry.sql = sql(rest);
    has_header.then_some(entry)
}

/// The first line, and what follows it.
fn next_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
    (envelope::without_line_end(&bytes[..end]), &bytes[end..])
}

/// What a statement of the log itself says, without the semicolon.
fn statement<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(start)?.strip_suffix(b";")
}

#[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
fn nanoseconds(seconds: f64) -> Option<i64> {
    (0.0..9e9).contains(&seconds).then(|| (seconds * 1e6).round() as i64 * 1_000)
}

/// The SQL: not the time that already belongs to the next entry, nor the semicolon's line end.
fn sql(bytes: &[u8]) -> &[u8] {
    let sql = bytes.trim_ascii_end();
    let last = memchr::memrchr(b'\n', sql).map_or(0, |at| at + 1);
    if sql[last..].starts_with(b"# Time: ") { sql[..last].trim_ascii_end() } else { sql }
}

/// Reads a line of the header, without its mark; `false` for a time alone.
fn read_header<'a>(line: &'a [u8], old_time: &TimeFormat, entry: &mut Entry<'a>) -> bool {
    if let Some(written) = line.strip_prefix(b"Time: ") {
        let written = written.trim_ascii();
        entry.time = time::read_rfc3339(written, 0)
            .map(|(time, _)| time)
            .or_else(|| old_time.read(written, chrono_tz::Tz::UTC, 0));
        return false;
    }
    let Some(client) = line.strip_prefix(b"User@Host: ") else {
        read_pairs(line, entry);
        return true;
    };
    // root[root] @ localhost [127.0.0.1]  Id:     7
    let at = memchr::memmem::find(client, b" @ ").unwrap_or(client.len());
    entry.user = client[..at].split(|byte| *byte == b'[').next().unwrap_or_default();
    let behind = client.get(at + 3..).unwrap_or_default();
    let open = memchr::memchr(b'[', behind).unwrap_or(behind.len());
    entry.host = behind[..open].trim_ascii();
    let address = behind.get(open + 1..).unwrap_or_default();
    let close = memchr::memchr(b']', address).unwrap_or(address.len());
    entry.address = address[..close].trim_ascii();
    read_pairs(address.get(close + 1..).unwrap_or_default(), entry);
    true
}

/// Reads `Name: value  Name: value`; a value may be left out.
fn read_pairs<'a>(line: &'a [u8], entry: &mut Entry<'a>) {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_suffix(b":") else { continue };
        let value = words.next_if(|word| !word.ends_with(b":"));
        entry.is_mariadb |= name == b"Thread_id" || name == b"QC_hit";
        if let Some(value) = value
            && entry.pairs.len() < MAX_PAIRS
        {
            entry.pairs.push((name, value));
        }
    }
}

/// Writes the field of a pair: a number, a yes or no, or text.
fn put(name: &[u8], value: &[u8], room: &mut String, out: &mut Builder<'_>) {
    room.clear();
    let _ = write!(room, "{}", String::from_utf8_lossy(name));
    let is_time = name.ends_with(b"_time") || name.ends_with(b"_wait");
    let unit = if is_time {
        "s"
    } else if name.starts_with(b"Bytes_") || name.ends_with(b"_sizes") {
        "B"
    } else {
        ""
    };
    if is_time && let Ok(number) = text(value).parse() {
        out.double(room, unit, number);
    } else if let Ok(number) = text(value).parse() {
        out.integer(room, unit, number);
    } else if let b"Yes" | b"No" = value {
        out.boolean(room, unit, value == b"Yes");
    } else {
        out.string(room, unit, value);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The start of the SQL, or its end, with three points where the rest was.
fn cut<'a>(sql: &'a [u8], most: Option<i64>, room: &'a mut Vec<u8>) -> &'a [u8] {
    let Some(most) = most else { return sql };
    let length = usize::try_from(most.unsigned_abs()).unwrap_or(usize::MAX);
    if length >= sql.len() {
        return sql;
    }
    room.clear();
    if most < 0 {
        room.extend_from_slice(b"...");
        room.extend_from_slice(&sql[sql.len() - length..]);
    } else {
        room.extend_from_slice(&sql[..length]);
        room.extend_from_slice(b"...");
    }
    room
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn entries_of_mysql_are_read() {
        check(
            "[MysqlSlowQueryDecoder]\ntruncate_sql = 10",
            "MysqlSlowQueryDecoder",
            "# User@Host: sync[sync] @ web-1 [10.0.0.1]  Id:    12\n\
             # Query_time: 2.500000  Lock_time: 0.000050 Rows_sent: 3  Rows_examined: 500\n\
             use shop;\nSET timestamp=1795361601;\nSELECT *\nFROM orders;\n# Time: 261122 15:33:25\n",
            "time 1000000000\ntype mysql.slow-query\nfrom logger web-1\npayload SELECT *\nF...\n\
             Id 12\nQuery_time[s] 2.5f\nLock_time[s] 5e-5f\nRows_sent 3\nRows_examined 500\n\
             user \"sync\"\naddress \"10.0.0.1\"\ndatabase \"shop\"\nextra 1\n",
        );
        check(
            "[MysqlSlowQueryDecoder]\ntruncate_sql = -4",
            "MysqlSlowQueryDecoder",
            "# Time: 2026-11-22T15:33:21.500000Z\n# User@Host: root[root] @  [::1]\n\
             # Query_time: 1.0  Lock_time: 0.0 Rows_sent: 0  Rows_examined: 0\nSELECT 1;",
            "time 1500000000\ntype mysql.slow-query\nfrom logger ::1\npayload ...T 1;\n\
             Query_time[s] 1.0f\nLock_time[s] 0.0f\nRows_sent 0\nRows_examined 0\nuser \"root\"\n\
             address \"::1\"\nextra 1\n",
        );
    }

    #[test]
    fn entries_of_mariadb_are_read() {
        check(
            "[MysqlSlowQueryDecoder]",
            "MysqlSlowQueryDecoder",
            "# User@Host: root[root] @ localhost []\n# Thread_id: 7  Schema: shop  QC_hit: No\n\
             # Query_time: 1.5  Lock_time: 0.25  Rows_sent: 1  Rows_examined: 2\n\
             # Rows_affected: 0  Bytes_sent: 60\n# Full_scan: Yes  Full_join: No\n#\n\
             SET timestamp=1795361601.25;\n# not a header, SQL\nSELECT 1;\n",
            "time 1250000000\ntype mariadb.slow-query\nfrom logger localhost\n\
             payload SELECT 1;\nThread_id 7\nSchema \"shop\"\nQC_hit false\nQuery_time[s] 1.5f\n\
             Lock_time[s] 0.25f\nRows_sent 1\nRows_examined 2\nRows_affected 0\nBytes_sent[B] 60\n\
             Full_scan true\nFull_join false\nuser \"root\"\nextra 1\n",
        );
    }

    #[test]
    fn start_of_the_server_gives_nothing_and_what_is_no_entry_is_an_error() {
        let check = |text, expected| {
            check("[MysqlSlowQueryDecoder]", "MysqlSlowQueryDecoder", text, expected);
        };
        check(
            "/usr/sbin/mysqld, Version: 8.0 (Ubuntu). started with:\nTcp port: 3306  Unix socket: \
             /x\nTime                 Id Command    Argument\n# Time: 2026-11-22T15:33:21Z\n",
            "",
        );
        check("# User@Host: a[a] @ b []\nSELECT 1;", "error: the entry has no Query_time\n");
    }
}
