//! The settings of the output.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use schemars::JsonSchema;
use scylla::frame::types::Consistency;
use serde::Deserialize;

use super::source::Source;
use crate::message::Places;
use crate::net::Tls;
use crate::net::cassandra::Target;
use crate::net::cassandra::tls_wanted;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// See [`super::CassandraOutput`].
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// Nodes of the cluster, `host:port`; they tell of the others.
    pub(super) nodes: Vec<String>,
    /// The keyspace. It is made where it is missing and `create_schema` says so.
    pub(super) keyspace: String,
    /// Who writes; nobody where empty.
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// The data centre whose nodes are asked first.
    pub(super) datacenter: String,
    /// How many replicas have to have a row: `one`, `two`, `three`, `quorum`, `all`, `local_one`,
    /// `local_quorum`, `each_quorum` or `any`.
    consistency: Agreement,
    /// A table: each message becomes a row of it, with the columns that `columns` names.
    pub(super) table: String,
    /// A statement that is prepared once and run for each message. Its markers, `?` or `:name`, are
    /// filled from `columns`.
    pub(super) statement: String,
    /// The columns, or the markers of `statement`, and what each gets: text with places such as
    /// `%{Type}`. A single place keeps the type of what it stands for, as the column wants it:
    /// `%{Timestamp}`, `%{field}`, `%{Position}` (the place of the message in the journal, a uuid that
    /// is the same when the message is sent again), `%{Fields}` (all fields as a map of texts), `%{Tags}` (those
    /// that are texts). What a message lacks is left as it is.
    pub(super) columns: BTreeMap<String, Source>,
    /// A table of time series: each number among the fields of a message becomes a row with name, host,
    /// day, time, value and the texts as tags. See `create_schema`.
    pub(super) time_series: String,
    /// Which fields become rows of `time_series`; all that are numbers when empty.
    pub(super) fields: Vec<String>,
    /// What stands before the name of a field in `time_series`, such as `%{Type}.`.
    pub(super) name_prefix: Option<Places>,
    /// Whether the keyspace and the table of `time_series` are made where they are missing.
    pub(super) create_schema: bool,
    /// How many replicas a keyspace that is made has, in `datacenter` where that is given.
    pub(super) replication: u8,
    /// How long rows of a table that is made live, 0 is for ever. In seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub(super) keep: Duration,
    /// Statements that are run when the output connects, such as `CREATE TABLE IF NOT EXISTS …`.
    pub(super) schema: Vec<String>,
    /// Messages are written when so many wait; what else is there goes along.
    pub(super) flush_count: usize,
    /// Messages are written when one has waited for so long. In milliseconds.
    #[serde(deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) flush_interval: Duration,
    /// How many rows of one partition go in one batch.
    pub(super) max_batch_rows: usize,
    /// How many requests are under way at once.
    pub(super) max_requests: usize,
    /// How long a request may take. In seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
    /// Whether TLS is spoken; it is not where this is left out.
    use_tls: Option<bool>,
    /// How TLS is spoken. The certificates of the nodes are checked for their addresses, or for
    /// `server_name` where that is given.
    tls: Option<Tls>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Agreement {
    Any,
    One,
    Two,
    Three,
    Quorum,
    All,
    #[default]
    LocalQuorum,
    EachQuorum,
    LocalOne,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            nodes: vec!["127.0.0.1:9042".to_owned()],
            keyspace: String::new(),
            username: String::new(),
            password: None,
            datacenter: String::new(),
            consistency: Agreement::default(),
            table: String::new(),
            statement: String::new(),
            columns: BTreeMap::new(),
            time_series: String::new(),
            fields: Vec::new(),
            name_prefix: None,
            create_schema: false,
            replication: 1,
            keep: Duration::ZERO,
            schema: Vec::new(),
            flush_count: 1000,
            flush_interval: Duration::from_millis(200),
            max_batch_rows: 100,
            max_requests: 32,
            timeout: Duration::from_secs(10),
            use_tls: None,
            tls: None,
        }
    }
}

impl Settings {
    /// Finds what does not go together.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let ways = [&self.table, &self.statement, &self.time_series];
        let given = ways.into_iter().filter(|way| !way.is_empty()).count();
        ensure!(given <= 1, "only one of `table`, `statement` and `time_series` can be used");
        ensure!(!self.nodes.is_empty(), "`nodes` is empty: who is to be asked?");
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        ensure!(self.max_requests > 0 && self.max_batch_rows > 0, "limits have to be above 0");
        for (option, name) in [
            ("keyspace", &self.keyspace),
            ("table", &self.table),
            ("time_series", &self.time_series),
        ] {
            // What stands in a statement as it is.
            let is_sound =
                name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            ensure!(is_sound, "`{option}`: `{name}` is no name, expected letters, digits and `_`");
        }
        let needs_keyspace = !self.table.is_empty() || !self.time_series.is_empty();
        ensure!(!needs_keyspace || !self.keyspace.is_empty(), "`keyspace` is missing");
        ensure!(
            self.table.is_empty() || !self.columns.is_empty(),
            "`columns` is missing: which columns does a row of `{}` have?",
            self.table
        );
        ensure!(
            !self.columns.keys().any(|name| name.contains('"') && name != "\""),
            "a name among `columns` has a quotation mark; names count as they are written"
        );
        ensure!(
            !self.create_schema || !self.keyspace.is_empty(),
            "`create_schema` needs `keyspace`"
        );
        tls_wanted(self.use_tls, self.tls.as_ref())?;
        Ok(())
    }

    /// Whom to open a session with.
    ///
    /// # Errors
    /// When the settings of TLS do not work.
    pub(super) fn target(&self) -> anyhow::Result<Target<'_>> {
        Ok(Target {
            tls: Tls::wanted(self.use_tls, self.tls.as_ref())?,
            nodes: &self.nodes,
            only_these: false,
            username: &self.username,
            password: self.password.as_ref(),
            datacenter: &self.datacenter,
            consistency: match self.consistency {
                Agreement::Any => Consistency::Any,
                Agreement::One => Consistency::One,
                Agreement::Two => Consistency::Two,
                Agreement::Three => Consistency::Three,
                Agreement::Quorum => Consistency::Quorum,
                Agreement::All => Consistency::All,
                Agreement::LocalQuorum => Consistency::LocalQuorum,
                Agreement::EachQuorum => Consistency::EachQuorum,
                Agreement::LocalOne => Consistency::LocalOne,
            },
            timeout: self.timeout,
        })
    }

    /// The statement that is prepared, unless records are statements themselves.
    pub(super) fn prepared_text(&self) -> Option<String> {
        if !self.statement.is_empty() {
            return Some(self.statement.clone());
        }
        let (table, columns): (_, Vec<&str>) = if self.time_series.is_empty() {
            (&self.table, self.columns.keys().map(String::as_str).collect())
        } else {
            (&self.time_series, super::series::COLUMNS.to_vec())
        };
        if table.is_empty() {
            return None;
        }
        // The later message wins, also where an earlier one is sent again.
        Some(format!(
            "INSERT INTO \"{}\".\"{table}\" (\"{}\") VALUES ({}) USING TIMESTAMP ?",
            self.keyspace,
            columns.join("\", \""),
            vec!["?"; columns.len()].join(", ")
        ))
    }
}
