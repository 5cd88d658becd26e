//! Requests, several under way at once, and what becomes of each record.

use std::sync::Arc;

use anyhow::anyhow;
use scylla::client::session::Session;
use scylla::errors::DbError;
use scylla::errors::ExecutionError;
use scylla::errors::PrepareError;
use scylla::errors::RequestAttemptError;
use scylla::statement::batch::Batch;
use scylla::statement::batch::BatchType;
use scylla::statement::prepared::PreparedStatement;
use tokio::task::JoinSet;

use super::statement::Row;
use crate::net::cassandra::explained;

/// What one request holds.
#[derive(Debug)]
pub(super) enum Request {
    /// Rows of one partition, each with the record that it is made from.
    Rows(PreparedStatement, BatchType, Vec<(usize, Row)>),
    /// A record that is a statement.
    Text(usize, String),
}

/// What became of a record that is not stored.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is not wanted.
    Refused(anyhow::Error),
    /// It may be taken later.
    Later(anyhow::Error),
}

/// What became of requests.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Those that are not stored.
    pub(super) failed: Vec<(usize, Fate)>,
    /// Whether the session is of no more use.
    pub(super) is_lost: bool,
}

/// Runs requests, at most so many at once.
pub(super) async fn run(session: &Arc<Session>, requests: Vec<Request>, most: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut waiting = requests.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < most
            && let Some(request) = waiting.next()
        {
            running.spawn(request.run(session.clone()));
        }
        let Some(ended) = running.join_next().await else { return outcome };
        match ended {
            Ok(one) => {
                outcome.failed.extend(one.failed);
                outcome.is_lost |= one.is_lost;
            }
            // It cannot panic; were it to, nobody knows what it has done.
            Err(_) => outcome.is_lost = true,
        }
    }
}

impl Request {
    async fn run(self, session: Arc<Session>) -> Outcome {
        let mut outcome = Outcome::default();
        match self {
            Request::Text(record, text) => {
                let result = session.query_unpaged(text, &()).await;
                outcome.take(&[record], result.err());
            }
            Request::Rows(prepared, _, rows) if rows.len() == 1 => {
                for (record, row) in &rows {
                    let result = session.execute_unpaged(&prepared, row).await;
                    outcome.take(&[*record], result.err());
                }
            }
            Request::Rows(prepared, kind, rows) => {
                let mut batch = Batch::new(kind);
                for _ in &rows {
                    batch.append_statement(prepared.clone());
                }
                let (records, values): (Vec<usize>, Vec<Row>) = rows.into_iter().unzip();
                let result = session.batch(&batch, &values).await.err();
                if result.as_ref().is_some_and(is_about_what_was_sent) {
                    // One of them is to blame.
                    for (record, row) in records.into_iter().zip(values) {
                        let result = session.execute_unpaged(&prepared, row).await;
                        outcome.take(&[record], result.err());
                    }
                } else {
                    outcome.take(&records, result);
                }
            }
        }
        outcome
    }
}

impl Outcome {
    fn take(&mut self, records: &[usize], error: Option<ExecutionError>) {
        let Some(error) = error else { return };
        let told = explained(&error);
        let is_refused = is_about_what_was_sent(&error);
        self.is_lost |= is_of_the_connection(&error);
        for record in records {
            let reason = anyhow!("cassandra says: {told}");
            let fate = if is_refused { Fate::Refused(reason) } else { Fate::Later(reason) };
            self.failed.push((*record, fate));
        }
    }
}

/// Tells whether what was sent is to blame; a table that is not there is not.
fn is_about_what_was_sent(error: &ExecutionError) -> bool {
    let attempt = match error {
        ExecutionError::BadQuery(_) => return true,
        ExecutionError::LastAttemptError(attempt) => attempt,
        ExecutionError::PrepareError(PrepareError::AllAttemptsFailed { first_attempt }) => {
            first_attempt
        }
        _ => return false,
    };
    let RequestAttemptError::DbError(error, reason) = attempt else { return false };
    let reason = reason.to_lowercase();
    let is_schema = ["unconfigured table", "undefined column", "keyspace"]
        .into_iter()
        .any(|word| reason.contains(word) && reason.len() < 200);
    match error {
        DbError::SyntaxError | DbError::AlreadyExists { .. } | DbError::FunctionFailure { .. } => {
            true
        }
        DbError::Invalid => !is_schema,
        _ => false,
    }
}

/// Tells whether no request may get through any more.
fn is_of_the_connection(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::EmptyPlan
            | ExecutionError::ConnectionPoolError(_)
            | ExecutionError::LastAttemptError(RequestAttemptError::BrokenConnectionError(_))
    )
}
