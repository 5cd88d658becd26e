//! Cassandra, and what speaks its protocol: messages as rows.
//!
//! | setting | what is written |
//! | --- | --- |
//! | `table` | each message is a row with the columns of `columns` |
//! | `statement` | a statement that is prepared once and run for each message |
//! | `time_series` | each number of a message is a row of a series |
//! | none of them | each record is a statement, as the encoder gives it |
//!
//! Rows of a partition go in one batch, as one mutation; batches of different partitions go at the same
//! time, to the nodes that hold them. What is sent again writes the same rows again: the key is to hold
//! `%{Position}` or something that the messages bring along, never their UUID alone, and a row counts as
//! written at the time of its message, so that one that comes again undoes nothing later.

mod requests;
mod series;
mod settings;
mod source;
mod statement;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use hashbrown::HashMap;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use scylla::client::session::Session;
use serde::Deserialize;

use self::requests::Fate;
use self::requests::Outcome;
use self::requests::Request;
use self::settings::Settings;
use self::source::Subject;
use self::statement::Row;
use self::statement::Statement;
use crate::net::cassandra::explained;
use crate::plugin::Batching;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;

/// A load gets no more records at this size, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// A batch gets no more rows at this size, in bytes: nodes refuse batches of 50 KiB.
const MAX_BATCH: usize = 40 << 10;

/// Writes messages into Cassandra. It tries again what a node has no room or no time for, finds the row
/// in a batch that is refused, and passes over that one alone.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct CassandraOutput {
    settings: Settings,
    journal: [u8; 16],
    session: Option<Arc<Session>>,
    statement: Option<Statement>,
    /// Why the first records of the load that comes next are refused.
    refused: VecDeque<anyhow::Error>,
}

impl TryFrom<Settings> for CassandraOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<CassandraOutput> {
        settings.check()?;
        let (journal, refused) = ([0; 16], VecDeque::new());
        Ok(CassandraOutput { settings, journal, session: None, statement: None, refused })
    }
}

impl JsonSchema for CassandraOutput {
    fn schema_name() -> Cow<'static, str> {
        "CassandraOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for CassandraOutput {
    const NAME: &'static str = "CassandraOutput";
    const ABOUT: &'static str = "Writes messages into Cassandra, as rows or as time series.";
    const EXAMPLE: &'static str = "[CassandraOutput]\nmessage_matcher = \"Type =~ /^stats/\"\n\
        nodes = [\"cassandra1.example.com:9042\"]\nkeyspace = \"heka\"\ntime_series = \"points\"\n\
        create_schema = true\nname_prefix = \"%{Type}.\"\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("PayloadEncoder"), ..Defaults::NONE };
}

#[async_trait]
impl Output for CassandraOutput {
    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        self.journal = cx.journal_id;
        if self.session.is_none() {
            self.statement = None;
            self.session = Some(Arc::new(self.connect().await.map_err(Failure::Retry)?));
        }
        self.prepare().await.map_err(Failure::Retry)
    }

    fn batching(&self) -> Option<Batching> {
        let (records, interval) = (self.settings.flush_count, self.settings.flush_interval);
        Some(Batching { records, bytes: MAX_BYTES, interval })
    }

    fn reads_messages(&self) -> bool {
        true
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        if let Some(reason) = self.refused.pop_front() {
            return Err(Failure::Reject(reason));
        }
        let session = self.session.clone().context("it is not open").map_err(Failure::Retry)?;
        let mut failed = Vec::new();
        let requests = self.requests(load, &mut failed).map_err(Failure::Retry)?;
        let outcome = requests::run(&session, requests, self.settings.max_requests).await;
        let Outcome { failed: more, is_lost } = outcome;
        failed.extend(more);
        if is_lost {
            self.session = None;
        }
        self.sort(load, failed)
    }

    async fn close(&mut self) {
        self.session = None;
    }
}

impl CassandraOutput {
    async fn connect(&self) -> anyhow::Result<Session> {
        let session = self.settings.target()?.open().await?;
        let made = series::schema(&self.settings);
        for text in &made {
            run(&session, text).await?;
        }
        let keyspace = &self.settings.keyspace;
        if !keyspace.is_empty() {
            let used = session.use_keyspace(keyspace, true).await;
            used.map_err(|error| {
                let hint = "create it, or set `create_schema`";
                anyhow!("cannot use keyspace `{keyspace}` ({hint}): {}", explained(&error))
            })?;
        }
        for text in &self.settings.schema {
            run(&session, text).await?;
        }
        Ok(session)
    }

    async fn prepare(&mut self) -> anyhow::Result<()> {
        let text = self.settings.prepared_text().filter(|_| self.statement.is_none());
        if let (Some(text), Some(session)) = (text, &self.session) {
            let prepared = Statement::prepare(session, &text, &self.settings).await?;
            self.statement = Some(prepared);
        }
        Ok(())
    }

    /// The requests for what has not been sent; what becomes none goes to `failed`.
    fn requests(
        &mut self,
        load: &Load,
        failed: &mut Vec<(usize, Fate)>,
    ) -> anyhow::Result<Vec<Request>> {
        let records = load.first()..load.encoded.len();
        if self.settings.prepared_text().is_none() {
            let text = |at| String::from_utf8_lossy(load.encoded.record(at)).into_owned();
            return Ok(records.map(|at| Request::Text(at, text(at))).collect());
        }
        let mut groups = Groups::default();
        for at in records {
            let start = groups.rows;
            if let Err(error) = self.put_rows(load, at, &mut groups) {
                groups.forget(at);
                failed.push((at, Fate::Refused(error)));
            }
            debug_assert!(groups.rows >= start, "rows are only taken away by record");
        }
        let statement = self.statement.as_ref().context("it is not open")?;
        Ok(groups.requests(statement, self.settings.max_batch_rows))
    }

    /// Adds the rows that a record becomes.
    fn put_rows(&mut self, load: &Load, at: usize, groups: &mut Groups) -> anyhow::Result<()> {
        let message = load.message(at).context("the message is not there")?;
        let (entry, index) = load.place(at).context("the message is nowhere")?;
        let position = source::position(&self.journal, entry, index);
        let statement = self.statement.as_mut().context("it is not open")?;
        let mut subject = Subject { message, position, series: None };
        if self.settings.time_series.is_empty() {
            let row = statement.row(&subject)?;
            groups.add(statement, at, row);
            return Ok(());
        }
        for (name, value) in &series::numbers(&message, &mut self.settings)? {
            subject.series = Some((name, *value));
            let row = statement.row(&subject)?;
            groups.add(statement, at, row);
        }
        Ok(())
    }

    /// Moves over what is stored; what is refused comes first in what is left, then what is to be sent
    /// again.
    fn sort(&mut self, load: &mut Load, mut failed: Vec<(usize, Fate)>) -> Result<Sent, Failure> {
        failed.sort_by_key(|(record, _)| *record);
        let (mut refused, mut again): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut why = None;
        for (record, fate) in failed {
            match fate {
                // A record may have several rows: the first that failed decides.
                Fate::Refused(reason) if refused.last() != Some(&record) => {
                    refused.push(record);
                    self.refused.push_back(reason);
                }
                Fate::Refused(_) => {}
                Fate::Later(reason) => {
                    if again.last() != Some(&record) {
                        again.push(record);
                    }
                    why.get_or_insert(reason);
                }
            }
        }
        again.retain(|record| refused.binary_search(record).is_err());
        let (delayed, count) = (again.len(), load.records().len());
        let kept: Vec<usize> = refused.into_iter().chain(again).collect();
        load.keep(&kept);
        if let Some(reason) = self.refused.pop_front() {
            return Err(Failure::Reject(reason));
        }
        match why {
            Some(reason) if delayed > 0 => Err(Failure::Retry(
                reason.context(format!("{delayed} of {count} messages have to wait")),
            )),
            _ => Ok(Sent::Done),
        }
    }
}

async fn run(session: &Session, text: &str) -> anyhow::Result<()> {
    let done = session.query_unpaged(text, &()).await;
    done.map_err(|error| anyhow!("cannot run `{text}`: {}", explained(&error)))?;
    Ok(())
}

/// Rows by their partition, in the order in which partitions come up.
#[derive(Debug, Default)]
struct Groups {
    places: HashMap<Vec<u8>, usize>,
    all: Vec<Vec<(usize, Row)>>,
    rows: usize,
}

impl Groups {
    fn add(&mut self, statement: &Statement, record: usize, row: Row) {
        let place = match statement.partition(&row) {
            Some(partition) => *self.places.entry(partition).or_insert(self.all.len()),
            None => self.all.len(),
        };
        if place == self.all.len() {
            self.all.push(Vec::new());
        }
        self.all[place].push((record, row));
        self.rows += 1;
    }

    /// Takes the rows of a record away, the last that came.
    fn forget(&mut self, record: usize) {
        for group in &mut self.all {
            while group.last().is_some_and(|(of, _)| *of == record) {
                group.pop();
            }
        }
    }

    fn requests(self, statement: &Statement, most: usize) -> Vec<Request> {
        let mut requests = Vec::new();
        let mut close = |rows: &mut Vec<(usize, Row)>| {
            if !rows.is_empty() {
                let rows = std::mem::take(rows);
                requests.push(Request::Rows(
                    statement.prepared.clone(),
                    statement.batch_type(),
                    rows,
                ));
            }
        };
        for group in self.all {
            let (mut rows, mut bytes) = (Vec::new(), 0);
            for (record, row) in group {
                if rows.len() == most || bytes + row.size() > MAX_BATCH {
                    close(&mut rows);
                    bytes = 0;
                }
                bytes += row.size();
                rows.push((record, row));
            }
            close(&mut rows);
        }
        requests
    }
}
