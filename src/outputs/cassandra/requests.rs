//! Requests, several under way at once, and what becomes of each record.

use std::future::Future;
use std::sync::Arc;

use anyhow::anyhow;
use hashbrown::HashMap;
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
    let requests = requests.into_iter();
    run_all(requests.map(|request| (request.records(), request.run(session.clone()))), most).await
}

/// Runs requests, each for some records, at most so many at once.
async fn run_all<R>(requests: impl Iterator<Item = (Vec<usize>, R)>, most: usize) -> Outcome
where
    R: Future<Output = Outcome> + Send + 'static,
{
    let mut outcome = Outcome::default();
    let mut waiting = requests.fuse();
    let mut running = JoinSet::new();
    let mut records = HashMap::new();
    loop {
        while running.len() < most
            && let Some((of, request)) = waiting.next()
        {
            records.insert(running.spawn(request).id(), of);
        }
        let Some(ended) = running.join_next_with_id().await else { return outcome };
        match ended {
            Ok((id, one)) => {
                records.remove(&id);
                outcome.failed.extend(one.failed);
                outcome.is_lost |= one.is_lost;
            }
            // It should not panic; when it does, nobody knows what it has stored.
            Err(error) => {
                let of = records.remove(&error.id()).unwrap_or_default();
                let later = |record| (record, Fate::Later(anyhow!("a request came to no end")));
                outcome.failed.extend(of.into_iter().map(later));
                outcome.is_lost = true;
            }
        }
    }
}

impl Request {
    /// The records that it is made from.
    fn records(&self) -> Vec<usize> {
        match self {
            Request::Text(record, _) => vec![*record],
            Request::Rows(_, _, rows) => rows.iter().map(|(record, _)| *record).collect(),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn records_of_a_request_that_panics_are_sent_again() {
        let requests = (0..9_usize).map(|number| {
            let request = async move {
                tokio::task::yield_now().await;
                assert!(number != 4, "one of them panics");
                let refused = Fate::Refused(anyhow!("no"));
                let failed = if number == 6 { vec![(12, refused)] } else { Vec::new() };
                Outcome { failed, is_lost: false }
            };
            (vec![2 * number, 2 * number + 1], request)
        });
        let mut outcome = run_all(requests, 3).await;
        outcome.failed.sort_by_key(|(record, _)| *record);
        let told = outcome.failed.iter().map(|(at, fate)| (*at, matches!(fate, Fate::Later(_))));
        assert_eq!(told.collect::<Vec<_>>(), [(8, true), (9, true), (12, false)]);
        assert!(outcome.is_lost);
    }
}
