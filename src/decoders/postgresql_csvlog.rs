//! `PostgresqlCsvlogDecoder`: the log of PostgreSQL in its own CSV.

use anyhow::Context;
use anyhow::ensure;
use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use super::envelope::Envelope;
use super::time_layout;
use super::time_layout::TimeLayout;
use crate::formats::csv::Dialect;
use crate::formats::csv::Row;
use crate::message::Batch;
use crate::message::Builder;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Record;

/// The columns and whether they are whole numbers. Version 9.0 to 12 has 23 of them, 13 has 24,
/// later ones have 26. Source: the documentation of `log_destination`.
const COLUMNS: [(&str, bool); 26] = [
    ("log_time", false),
    ("user_name", false),
    ("database_name", false),
    ("process_id", true),
    ("connection_from", false),
    ("session_id", false),
    ("session_line_num", true),
    ("command_tag", false),
    ("session_start_time", false),
    ("virtual_transaction_id", false),
    ("transaction_id", true),
    ("error_severity", false),
    ("sql_state_code", false),
    ("message", false),
    ("detail", false),
    ("hint", false),
    ("internal_query", false),
    ("internal_query_pos", true),
    ("context", false),
    ("query", false),
    ("query_pos", true),
    ("location", false),
    ("application_name", false),
    ("backend_type", false),
    ("leader_pid", true),
    ("query_id", true),
];
const FEWEST: usize = 22;
const TIME: usize = 0;
const PROCESS: usize = 3;
const SEVERITY: usize = 11;
const MESSAGE: usize = 13;

/// Reads the CSV log of PostgreSQL, an entry a record: a RegexSplitter with
/// `delimiter = '\n(\d{4}-\d\d-\d\d \d\d:)'` and `delimiter_eol = false` keeps entries of several
/// lines together.
///
/// The message has the time, the process and the severity of the entry and its text as payload. The
/// other columns are fields under their names. Where the text tells how long a statement took there
/// are `duration` (ms) and `statement` too.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PostgresqlCsvlogDecoder {
    /// The type of the messages.
    #[serde(default = "message_type")]
    message_type: String,
    /// The zone of times whose zone is not known by its name, as `Europe/Berlin`: that of
    /// `log_timezone`.
    #[serde(default = "time_layout::utc")]
    tz: String,
}

fn message_type() -> String {
    "postgresql".to_owned()
}

impl Described for PostgresqlCsvlogDecoder {
    const NAME: &'static str = "PostgresqlCsvlogDecoder";
    const ABOUT: &'static str = "Reads the CSV log of PostgreSQL.";
    const EXAMPLE: &'static str = "[PostgresqlCsvlogDecoder]\ntz = \"Europe/Berlin\"\n";
}

impl Decoder for PostgresqlCsvlogDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        let zone = time_layout::zone("tz", &self.tz)?;
        Ok(Box::new(Entries {
            layout: TimeLayout::compile("2006-01-02 15:04:05 MST", zone)?,
            message_type: self.message_type.clone(),
            row: Row::default(),
            inner: envelope::Inner::default(),
        }))
    }
}

struct Entries {
    layout: TimeLayout,
    message_type: String,
    row: Row,
    inner: envelope::Inner,
}

impl Decoding for Entries {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let line = envelope::without_line_end(record.bytes);
        self.row.read(line, Dialect::default())?;
        let found = self.row.len();
        let (least, most) = (FEWEST, COLUMNS.len());
        ensure!(
            (least..=most).contains(&found),
            "the entry has {found} columns, those of PostgreSQL have {least} to {most}"
        );
        let value = |index| self.row.said(line, index);
        let mut envelope = Envelope::of(record);
        envelope.message_type = self.message_type.as_bytes();
        let time = value(TIME).context("the entry has no log_time")?;
        envelope.timestamp = self.layout.read(time, record.now)?;
        envelope.pid = value(PROCESS).and_then(number);
        envelope.severity = value(SEVERITY).map(severity).or(envelope.severity);
        envelope.payload = value(MESSAGE);
        let mut builder = envelope.begin(out);
        for (index, (name, is_number)) in COLUMNS.iter().enumerate() {
            if matches!(index, TIME | PROCESS | MESSAGE) {
                continue;
            }
            let Some(text) = value(index) else { continue };
            match number(text).filter(|_| *is_number) {
                Some(number) => builder.integer(name, "", number),
                None => builder.string(name, "", text),
            };
        }
        put_duration(value(MESSAGE).unwrap_or_default(), &mut builder);
        builder.encoded_fields(record.origin.fields());
        builder.finish()?;
        Ok(())
    }
}

/// The severity that PostgreSQL's own documentation gives for syslog.
fn severity(word: &[u8]) -> i32 {
    match word {
        b"PANIC" => 2,
        b"FATAL" => 3,
        b"ERROR" => 4,
        b"WARNING" | b"NOTICE" => 5,
        b"LOG" | b"INFO" => 6,
        _ => 7,
    }
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Writes what `duration: 12.5 ms  statement: SELECT 1` says.
fn put_duration(text: &[u8], out: &mut Builder<'_>) {
    let Some(rest) = text.strip_prefix(b"duration: ") else { return };
    let Some(end) = memchr::memmem::find(rest, b" ms") else { return };
    let Some(duration) = number::<f64>(&rest[..end]) else { return };
    out.double("duration", "ms", duration);
    let behind = rest[end + 3..].trim_ascii_start();
    if let Some(at) = memchr::memmem::find(behind, b": ").filter(|_| !behind.is_empty()) {
        out.string("statement", "", &behind[at + 2..]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn columns_become_header_and_fields() {
        check(
            "[PostgresqlCsvlogDecoder]",
            "PostgresqlCsvlogDecoder",
            "2026-11-22 15:33:21.250 UTC,\"app\",\"shop\",4711,\"10.0.0.1:5000\",6923.1,3,\"SELECT\",\
             2026-11-22 15:00:00 UTC,4/12,0,ERROR,42P01,\"relation \"\"x\"\"\ndoes not exist\",,\"look\",\
             ,,,\"select *\nfrom x;\",15,,\"psql\",\"client backend\",,-5\n",
            "time 1250000000\ntype postgresql\nfrom logger host\nseverity 4\npid 4711\n\
             payload relation \"x\"\ndoes not exist\nuser_name \"app\"\ndatabase_name \"shop\"\n\
             connection_from \"10.0.0.1:5000\"\nsession_id \"6923.1\"\nsession_line_num 3\n\
             command_tag \"SELECT\"\nsession_start_time \"2026-11-22 15:00:00 UTC\"\n\
             virtual_transaction_id \"4/12\"\ntransaction_id 0\nerror_severity \"ERROR\"\n\
             sql_state_code \"42P01\"\nhint \"look\"\nquery \"select *\\nfrom x;\"\nquery_pos 15\n\
             application_name \"psql\"\nbackend_type \"client backend\"\nquery_id -5\nextra 1\n",
        );
    }

    #[test]
    fn duration_of_a_statement_is_a_field() {
        check(
            "[PostgresqlCsvlogDecoder]\ntz = 'Europe/Berlin'",
            "PostgresqlCsvlogDecoder",
            "2026-11-22 16:33:20 CET,,,7,,,,,,,,LOG,00000,\
             \"duration: 12.5 ms  statement: SELECT 1: 2\",,,,,,,,,\"\"",
            "time 0\ntype postgresql\nfrom logger host\nseverity 6\npid 7\n\
             payload duration: 12.5 ms  statement: SELECT 1: 2\nerror_severity \"LOG\"\n\
             sql_state_code \"00000\"\napplication_name \"\"\nduration[ms] 12.5f\n\
             statement \"SELECT 1: 2\"\nextra 1\n",
        );
    }

    #[test]
    fn mistakes_are_told() {
        check(
            "[PostgresqlCsvlogDecoder]",
            "PostgresqlCsvlogDecoder",
            "a,b",
            "error: the entry has 2 columns, those of PostgreSQL have 22 to 26\n",
        );
    }
}
