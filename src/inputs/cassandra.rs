//! Cassandra: what a node tells of itself in its virtual tables.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::ensure;
use async_trait::async_trait;
use schemars::JsonSchema;
use scylla::client::session::Session;
use scylla::errors::DbError;
use scylla::errors::ExecutionError;
use scylla::errors::RequestAttemptError;
use scylla::frame::types::Consistency;
use scylla::value::CqlValue;
use scylla::value::Row;
use serde::Deserialize;

use super::daemon;
use super::daemon::Daemon;
use super::daemon::Report;
use super::daemon::Watched;
use crate::message::Builder;
use crate::net::Tls;
use crate::net::cassandra::Target;
use crate::net::cassandra::explained;
use crate::net::cassandra::tls_wanted;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// How many rows of a table become messages.
const MAX_ROWS: usize = 10_000;

/// Asks a node of Cassandra 4 or 5 at once and then every `ticker_interval`: messages of the types
/// `stats.cassandra` for the node, `.pool` for each of its thread pools, `.cache`, `.latency` by table and
/// operation, `.tombstones`, `.disk`, `.task` for compactions and the like, and `.internode`. What is
/// counted has rates; tables that nobody reads or writes are left out. A node that does not answer is told
/// of once as `daemon.down`, and once as `daemon.up` when it is back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CassandraInput {
    /// The node, `host:port`. Each node tells of itself alone: a cluster needs a section for each.
    address: String,
    /// Who asks, where the node wants to know; it may have to read the keyspace `system_views`.
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// How long the answers may take. In seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
    /// Whether TLS is spoken; it is not where this is left out.
    use_tls: Option<bool>,
    /// How TLS is spoken. The certificate of the node is checked for its address, or for `server_name`
    /// where that is given.
    tls: Option<Tls>,
}

impl Default for CassandraInput {
    fn default() -> CassandraInput {
        CassandraInput {
            address: "127.0.0.1:9042".to_owned(),
            username: String::new(),
            password: None,
            timeout: Duration::from_secs(10),
            use_tls: None,
            tls: None,
        }
    }
}

impl Described for CassandraInput {
    const NAME: &'static str = "CassandraInput";
    const ABOUT: &'static str = "Asks a node of Cassandra how it is.";
    const EXAMPLE: &'static str =
        "[CassandraInput]\naddress = \"127.0.0.1:9042\"\nticker_interval = 10\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        ensure!(
            self.address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()),
            "`{}` is no address of a node, expected `host:port`",
            self.address
        );
        tls_wanted(self.use_tls, self.tls.as_ref())?;
        Ok(())
    }
}

#[async_trait]
impl Input for CassandraInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let address = self.address.clone();
        let watched = Watched { daemon: "cassandra", address, timeout: self.timeout };
        let nodes = vec![self.address.clone()];
        let node = Node { settings: *self, nodes, session: None, missing: BTreeSet::new() };
        daemon::watch(cx, watched, node).await
    }
}

/// A virtual table.
struct View {
    kind: &'static str,
    name: &'static str,
    /// What tells it from others of the same kind: the name of a field, and its text.
    label: Option<(&'static str, &'static str)>,
    /// The columns that are counted since the start.
    counts: &'static [&'static str],
    /// The column without which a row says nothing: one that is 0 is left out.
    unless_zero: Option<&'static str>,
}

const fn view(kind: &'static str, name: &'static str, counts: &'static [&'static str]) -> View {
    View { kind, name, label: None, counts, unless_zero: None }
}

const fn latency(name: &'static str, operation: &'static str) -> View {
    View {
        kind: "stats.cassandra.latency",
        name,
        label: Some(("operation", operation)),
        counts: &["count"],
        unless_zero: Some("count"),
    }
}

const VIEWS: &[View] = &[
    view("stats.cassandra.pool", "thread_pools", &["completed_tasks", "blocked_tasks_all_time"]),
    view("stats.cassandra.cache", "caches", &["hit_count", "request_count"]),
    view("stats.cassandra.task", "sstable_tasks", &[]),
    latency("coordinator_read_latency", "coordinated read"),
    latency("coordinator_scan_latency", "coordinated scan"),
    latency("coordinator_write_latency", "coordinated write"),
    latency("local_read_latency", "local read"),
    latency("local_scan_latency", "local scan"),
    latency("local_write_latency", "local write"),
    View {
        unless_zero: Some("count"),
        ..view("stats.cassandra.tombstones", "tombstones_per_read", &["count"])
    },
    View { unless_zero: Some("mebibytes"), ..view("stats.cassandra.disk", "disk_usage", &[]) },
    View {
        label: Some(("direction", "out")),
        ..view("stats.cassandra.internode", "internode_outbound", OUT)
    },
    View {
        label: Some(("direction", "in")),
        ..view("stats.cassandra.internode", "internode_inbound", IN)
    },
];

const OUT: &[&str] =
    &["sent_bytes", "sent_count", "expired_count", "error_count", "overload_count"];
const IN: &[&str] = &["received_bytes", "received_count", "expired_count", "error_count"];

/// A node, and the session with it while there is one.
struct Node {
    settings: CassandraInput,
    nodes: Vec<String>,
    session: Option<Session>,
    /// Tables that this version does not have.
    missing: BTreeSet<&'static str>,
}

/// A row: the name of each column and its value.
type Named = Vec<(String, Option<CqlValue>)>;

#[async_trait]
impl Daemon for Node {
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()> {
        // One that fails is not used again.
        let session = match self.session.take() {
            Some(session) => session,
            None => self.connect().await?,
        };
        put_node(&session, &mut self.missing, report).await?;
        for view in VIEWS {
            for row in rows(&session, view.name, &mut self.missing).await? {
                put(view, &row, report);
            }
        }
        self.session = Some(session);
        Ok(())
    }
}

impl Node {
    async fn connect(&mut self) -> anyhow::Result<Session> {
        self.missing.clear();
        let target = Target {
            nodes: &self.nodes,
            only_these: true,
            username: &self.settings.username,
            password: self.settings.password.as_ref(),
            datacenter: "",
            consistency: Consistency::One,
            timeout: self.settings.timeout,
            tls: Tls::wanted(self.settings.use_tls, self.settings.tls.as_ref())?,
        };
        Ok(target.open().await?)
    }
}

/// All rows of a virtual table; none where this version does not have it.
async fn rows(
    session: &Session,
    table: &'static str,
    missing: &mut BTreeSet<&'static str>,
) -> anyhow::Result<Vec<Named>> {
    if missing.contains(table) {
        return Ok(Vec::new());
    }
    let text = format!("SELECT * FROM system_views.{table} LIMIT {MAX_ROWS}");
    match session.query_unpaged(text, &()).await {
        Ok(found) => named(found),
        Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(
            DbError::Invalid,
            _,
        ))) => {
            missing.insert(table);
            Ok(Vec::new())
        }
        Err(error) => Err(anyhow!("the node says of {table}: {}", explained(&error))),
    }
}

fn named(found: scylla::response::query_result::QueryResult) -> anyhow::Result<Vec<Named>> {
    let found = found.into_rows_result().context("the node gives no rows")?;
    let names: Vec<String> =
        found.column_specs().iter().map(|column| column.name().to_owned()).collect();
    let mut all = Vec::new();
    for row in found.rows::<Row>().context("the rows cannot be read")? {
        let row = row.context("a row cannot be read")?;
        all.push(names.iter().cloned().zip(row.columns).collect());
    }
    Ok(all)
}

/// The message for the node itself.
async fn put_node(
    session: &Session,
    missing: &mut BTreeSet<&'static str>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let text = "SELECT cluster_name, data_center, rack, release_version FROM system.local";
    let about = session.query_unpaged(text, &()).await;
    let about = about.map_err(|error| anyhow!("the node says: {}", explained(&error)))?;
    let about = named(about)?;
    let clients = rows(session, "clients", missing).await?.len();
    let hints = rows(session, "pending_hints", missing).await?;
    let metrics = rows(session, "cql_metrics", missing).await?;
    let executed = "statements_executed";
    let mut numbers = Vec::new();
    for metric in metrics {
        let text = metric.iter().find_map(|(_, value)| value.as_ref()?.as_text().cloned());
        let number = metric.iter().find_map(|(_, value)| value.as_ref()?.as_double());
        if let (Some(name), Some(number)) = (text, number) {
            let is_counted = name.ends_with(executed) || name.ends_with("evicted");
            let rate = is_counted.then(|| report.rate(&format!("node {name}"), number)).flatten();
            numbers.push((name, number, rate));
        }
    }
    let mut message = report.begin("stats.cassandra");
    for (name, value) in about.iter().flatten() {
        put_value(name, value.as_ref(), &mut message);
    }
    message.integer("clients", "", i64::try_from(clients).unwrap_or(i64::MAX));
    message.integer("nodes_with_pending_hints", "", i64::try_from(hints.len()).unwrap_or(0));
    for (name, number, rate) in numbers {
        message.double(&name, "", number);
        if let Some(rate) = rate {
            message.double(&format!("{name}_per_second"), "1/s", rate);
        }
    }
    Report::finish(message);
    Ok(())
}

fn put(view: &View, row: &Named, report: &mut Report) {
    let says_nothing = row.iter().any(|(name, value)| {
        Some(name.as_str()) == view.unless_zero && number(value.as_ref()) == Some(0.0)
    });
    if says_nothing {
        return;
    }
    // Texts and addresses tell the rows of a table apart.
    let mut key = view.name.to_owned();
    for (_, value) in row {
        match value {
            Some(CqlValue::Text(text)) => key.push_str(&format!("\0{text}")),
            Some(CqlValue::Inet(address)) => key.push_str(&format!("\0{address}")),
            _ => {}
        }
    }
    let mut rates = Vec::new();
    for (name, value) in row {
        if let Some(count) = number(value.as_ref()).filter(|_| view.counts.contains(&name.as_str()))
        {
            rates.push((name, report.rate(&format!("{key} {name}"), count)));
        }
    }
    let mut message = report.begin(view.kind);
    if let Some((name, text)) = view.label {
        message.string(name, "", text.as_bytes());
    }
    for (name, value) in row {
        put_value(name, value.as_ref(), &mut message);
    }
    for (name, rate) in rates {
        if let Some(rate) = rate {
            let unit = if unit(name) == "B" { "B/s" } else { "1/s" };
            message.double(&format!("{name}_per_second"), unit, rate);
        }
    }
    Report::finish(message);
}

fn number(value: Option<&CqlValue>) -> Option<f64> {
    match value? {
        CqlValue::Int(number) => Some(f64::from(*number)),
        CqlValue::BigInt(number) => Some(*number as f64),
        CqlValue::Double(number) => Some(*number),
        _ => None,
    }
}

fn put_value(name: &str, value: Option<&CqlValue>, message: &mut Builder<'_>) {
    let unit = unit(name);
    match value {
        Some(CqlValue::Text(text) | CqlValue::Ascii(text)) => {
            message.string(name, "", text.as_bytes());
        }
        Some(CqlValue::Int(number)) => {
            message.integer(name, unit, i64::from(*number));
        }
        Some(CqlValue::BigInt(number)) => {
            message.integer(name, unit, *number);
        }
        // What was never asked for has no ratio.
        Some(CqlValue::Double(number)) if number.is_finite() => {
            message.double(name, unit, *number);
        }
        Some(CqlValue::Boolean(truth)) => {
            message.boolean(name, "", *truth);
        }
        Some(CqlValue::Inet(address)) => {
            message.string(name, "", address.to_string().as_bytes());
        }
        _ => {}
    }
}

/// The unit of a column, by its name.
fn unit(name: &str) -> &'static str {
    const UNITS: [(&str, &str); 6] = [
        ("_bytes", "B"),
        ("mebibytes", "MiB"),
        ("_ms", "ms"),
        ("_millis", "ms"),
        ("_nanos", "ns"),
        ("per_second", "1/s"),
    ];
    UNITS.iter().find(|(end, _)| name.ends_with(end)).map_or("", |(_, unit)| unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value;

    #[test]
    fn rows_become_typed_fields_with_rates() {
        let row = |count: i64| -> Named {
            vec![
                ("keyspace_name".to_owned(), Some(CqlValue::Text("shop".to_owned()))),
                ("count".to_owned(), Some(CqlValue::BigInt(count))),
                ("p99th_ms".to_owned(), Some(CqlValue::Double(1.5))),
                ("ratio".to_owned(), Some(CqlValue::Double(f64::NAN))),
            ]
        };
        let view = latency("local_read_latency", "local read");
        let mut report = Report::new(crate::plugin::Origin::default());
        report.start();
        put(&view, &row(10), &mut report);
        put(&view, &row(0), &mut report);
        assert_eq!(report.take().iter().map(crate::message::Batch::len).sum::<usize>(), 1);
        report.start_after(2.0);
        put(&view, &row(20), &mut report);
        let batches = report.take();
        let told = batches[0].message(0);
        for (name, unit, expected) in [
            ("operation", "", Value::String(b"local read")),
            ("keyspace_name", "", Value::String(b"shop")),
            ("count", "", Value::Integer(20)),
            ("p99th_ms", "ms", Value::Double(1.5)),
            ("count_per_second", "1/s", Value::Double(5.0)),
        ] {
            let field = told.field(name.as_bytes(), 0).unwrap();
            assert_eq!(field.only_value(), Some(expected), "{name}");
            assert_eq!(field.representation(), unit.as_bytes(), "{name}");
        }
        assert!(told.field(b"ratio", 0).is_none());
    }
}
