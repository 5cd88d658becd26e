//! `CsvDecoder`: comma-separated values.

use std::collections::BTreeMap;

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;
use schemars::JsonSchema;
use serde::Deserialize;

use super::columns::Columns;
use super::envelope;
use super::time_layout;
use super::time_layout::TimeLayout;
use crate::formats::csv::Dialect;
use crate::formats::csv::Row;
use crate::message::Batch;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Record;

/// Reads comma-separated values, RFC 4180, or those with another delimiter.
///
/// Columns called `Timestamp`, `Type`, `Logger`, `Severity`, `Payload`, `EnvVersion`, `Pid` and
/// `Hostname` go into the header, the others become fields. An empty value without quotes is left
/// out. Values with line ends in them need a splitter that leaves them whole.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CsvDecoder {
    /// The columns in their order: a name, its representation behind a bar, its kind (`int`,
    /// `float`, `bool`, `string`) behind a colon, as in `"size|B:int"`; `""` passes one over.
    columns: Vec<String>,
    /// What stands between values, one byte.
    #[serde(default = "comma")]
    delimiter: String,
    /// What stands around values, one byte.
    #[serde(default = "quote")]
    quote: String,
    /// Whether a line that has the names of the columns as values is passed over.
    #[serde(default = "is_true")]
    skip_header: bool,
    /// How `Timestamp` is written: a layout of Go, `Epoch`, `EpochMilli`, `EpochMicro`, `EpochNano`,
    /// or a pattern of strftime. The usual layouts are tried too.
    #[serde(default)]
    timestamp_layout: String,
    /// The zone of times that name none, as `Europe/Berlin`.
    #[serde(default = "time_layout::utc")]
    tz: String,
    /// The numbers that words of severity stand for; the usual words are known.
    #[serde(default)]
    severity_map: BTreeMap<String, i32>,
    /// The type of the messages; that of the input where it is left out.
    #[serde(default)]
    message_type: Option<String>,
    /// Whether the line is kept as payload, where no column is.
    #[serde(default)]
    payload_keep: bool,
}

fn comma() -> String {
    ",".to_owned()
}

fn quote() -> String {
    "\"".to_owned()
}

fn is_true() -> bool {
    true
}

impl Described for CsvDecoder {
    const NAME: &'static str = "CsvDecoder";
    const ABOUT: &'static str = "Reads comma-separated values into typed fields.";
    const EXAMPLE: &'static str = "\
[CsvDecoder]
columns = [\"Timestamp\", \"Severity\", \"user\", \"size|B:int\", \"took|s:float\"]
timestamp_layout = \"2006-01-02 15:04:05\"
";
}

impl Decoder for CsvDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        ensure!(!self.columns.is_empty(), "`columns` is empty");
        let zone = time_layout::zone("tz", &self.tz)?;
        let mut columns = Columns::new(TimeLayout::compile(&self.timestamp_layout, zone)?);
        columns.severities = self.severity_map.clone();
        columns.message_type.clone_from(&self.message_type);
        columns.payload_keep = self.payload_keep;
        for column in &self.columns {
            columns
                .describe(column)
                .with_context(|| format!("cannot use the column {column:?}"))?;
        }
        let dialect = Dialect {
            delimiter: one_byte("delimiter", &self.delimiter)?,
            quote: one_byte("quote", &self.quote)?,
        };
        let name = |column: &String| {
            column.split(['|', ':']).next().unwrap_or_default().as_bytes().to_vec()
        };
        let header = self.skip_header.then(|| self.columns.iter().map(name).collect());
        Ok(Box::new(Rows {
            columns,
            dialect,
            header,
            row: Row::default(),
            inner: envelope::Inner::default(),
        }))
    }
}

fn one_byte(setting: &str, written: &str) -> anyhow::Result<u8> {
    match written.as_bytes() {
        &[byte] => Ok(byte),
        bytes => bail!("{setting} must be exactly one byte, {written:?} has {}", bytes.len()),
    }
}

struct Rows {
    columns: Columns,
    dialect: Dialect,
    /// The names of the columns, where a line of them is to be passed over.
    header: Option<Vec<Vec<u8>>>,
    row: Row,
    inner: envelope::Inner,
}

impl Decoding for Rows {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let line = envelope::without_line_end(record.bytes);
        self.row.read(line, self.dialect)?;
        let (found, expected) = (self.row.len(), self.columns.len());
        ensure!(found <= expected, "the line has {found} values, there are {expected} columns");
        if let Some(header) = &self.header
            && is_header(&self.row, line, header)
        {
            return Ok(());
        }
        let row = &self.row;
        self.columns.write(record, line, &|index| row.said(line, index), out)
    }
}

fn is_header(row: &Row, line: &[u8], names: &[Vec<u8>]) -> bool {
    let is_same = |(index, name): (usize, &Vec<u8>)| {
        name.is_empty()
            || row.value(line, index).is_some_and(|value| value.eq_ignore_ascii_case(name))
    };
    row.len() == names.len() && names.iter().enumerate().all(is_same)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::super::tests::check_refused;

    const SETTINGS: &str = "[CsvDecoder]\ncolumns = ['Timestamp', 'Severity', 'user', '', 'size|B:int', \
                            'took|s:float', 'ok:bool']\nmessage_type = 'csv'\ndelimiter = ';'\n";

    #[test]
    fn columns_become_header_and_typed_fields() {
        check(
            SETTINGS,
            "CsvDecoder",
            "2026-11-22 15:33:21;error;\"a;\"\"b\"\"\";passed over;42;0.5;yes\r\n",
            "time 1000000000\ntype csv\nfrom logger host\nseverity 3\nuser \"a;\\\"b\\\"\"\n\
             size[B] 42\ntook[s] 0.5f\nok true\nextra 1\n",
        );
        check(
            SETTINGS,
            "CsvDecoder",
            ";;\"\";;-;many",
            "time 0\ntype csv\nfrom logger host\nuser \"\"\ntook[s] \"many\"\nextra 1\n",
        );
    }

    #[test]
    fn line_of_names_is_passed_over() {
        check(SETTINGS, "CsvDecoder", "timestamp;severity;user;;size;took;ok\n", "");
    }

    #[test]
    fn mistakes_are_told() {
        check(
            "[CsvDecoder]\ncolumns = ['a']",
            "CsvDecoder",
            "1,2",
            "error: the line has 2 values, there are 1 columns\n",
        );
        check_refused("[CsvDecoder]\ncolumns = []", "CsvDecoder", "`columns` is empty");
        check_refused("[CsvDecoder]\ncolumns = ['a:b']", "CsvDecoder", "\"b\" is no kind");
        check_refused(
            "[CsvDecoder]\ncolumns = ['a']\ndelimiter = ''",
            "CsvDecoder",
            "delimiter must be exactly one byte, \"\" has 0",
        );
    }
}
