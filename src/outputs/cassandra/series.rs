//! Time series: the table, and the rows a message becomes.
//!
//! A partition is a day of one series of one host, its rows the newest first. The time window of its
//! compaction is the same day, so that what is old is dropped whole. That asks for a trend:
//!
//! ```sql
//! SELECT floor(at, 1h), avg(value) FROM points
//! WHERE name = 'load' AND host = 'web1' AND day = '2026-11-23' GROUP BY name, host, day, floor(at, 1h);
//! ```

use super::settings::Settings;
use super::source::Source;
use crate::message::Message;
use crate::message::Value;
use crate::message::places::verbatim;

/// The columns of the table.
pub(super) const COLUMNS: [&str; 7] = ["name", "host", "day", "at", "id", "value", "tags"];

/// What a column gets.
pub(super) fn source(column: &str) -> Option<Source> {
    use super::source::Header;
    Some(match column {
        "name" => Source::SeriesName,
        "host" => Source::Text(Header::Hostname),
        "day" | "at" => Source::Timestamp,
        "id" => Source::Position,
        "value" => Source::SeriesValue,
        "tags" => Source::Tags,
        _ => return None,
    })
}

/// The statements that make what is missing.
pub(super) fn schema(settings: &Settings) -> Vec<String> {
    if !settings.create_schema {
        return Vec::new();
    }
    let Settings { keyspace, time_series, datacenter, replication, keep, .. } = settings;
    let quoted = datacenter.replace('\'', "''");
    let strategy = match datacenter.as_str() {
        "" => format!("'class': 'SimpleStrategy', 'replication_factor': {replication}"),
        _ => format!("'class': 'NetworkTopologyStrategy', '{quoted}': {replication}"),
    };
    let mut statements = vec![format!(
        "CREATE KEYSPACE IF NOT EXISTS \"{keyspace}\" WITH replication = {{{strategy}}}"
    )];
    if !time_series.is_empty() {
        statements.push(format!(
            "CREATE TABLE IF NOT EXISTS \"{keyspace}\".\"{time_series}\" (name text, host text, day date, \
             at timestamp, id uuid, value double, tags frozen<map<text, text>>, \
             PRIMARY KEY ((name, host, day), at, id)) WITH CLUSTERING ORDER BY (at DESC, id ASC) \
             AND compaction = {{'class': 'TimeWindowCompactionStrategy', \
             'compaction_window_unit': 'DAYS', 'compaction_window_size': 1}} \
             AND default_time_to_live = {}",
            keep.as_secs()
        ));
    }
    statements
}

/// The names and numbers of the series that a message tells of.
pub(super) fn numbers<'a>(
    message: &Message<'a>,
    settings: &mut Settings,
) -> anyhow::Result<Vec<(Vec<u8>, Value<'a>)>> {
    let mut prefix = Vec::new();
    if let Some(places) = &mut settings.name_prefix {
        places.put(message, message.timestamp(), verbatim, &mut prefix)?;
    }
    let wanted = &settings.fields;
    let mut numbers = Vec::new();
    for field in message.fields() {
        let is_wanted =
            wanted.is_empty() || wanted.iter().any(|name| name.as_bytes() == field.name());
        if let Some(value @ (Value::Integer(_) | Value::Double(_))) = field.value(0)
            && is_wanted
        {
            numbers.push(([&prefix, field.name()].concat(), value));
        }
    }
    Ok(numbers)
}
