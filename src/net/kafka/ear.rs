//! What the client of Kafka says on its own: what is wrong, and what became of records.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use rdkafka::ClientContext;
use rdkafka::TopicPartitionList;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::CommitMode;
use rdkafka::consumer::Consumer;
use rdkafka::consumer::ConsumerContext;
use rdkafka::consumer::Rebalance;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::topic_partition_list::Offset;
use tokio::sync::Notify;

/// Hears what the client of one plugin says.
#[derive(Debug, Default)]
pub struct Ear {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What was wrong last.
    said: Option<String>,
    /// Why there will be nothing before it is opened anew.
    ended: Option<String>,
    /// Whether brokers have been reached.
    has_worked: bool,
    /// Whether it was said that none can be reached any more.
    is_away: bool,
    /// How many records the client has.
    under_way: usize,
    /// The records that did not arrive.
    failed: Vec<(usize, RDKafkaErrorCode)>,
    /// Up to where all is durable, by partition, and not committed yet.
    durable: HashMap<(String, i32), i64>,
    /// How often partitions were given or taken.
    assignments: u64,
}

impl Ear {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was wrong last, in brackets; nothing where nothing was.
    pub fn said(&self) -> String {
        self.state().said.as_ref().map(|said| format!(" ({said})")).unwrap_or_default()
    }

    /// Resolves when nothing more is to be expected, with the reason.
    pub async fn ended(&self) -> String {
        loop {
            let changed = self.changed.notified();
            if let Some(reason) = self.state().ended.clone() {
                return reason;
            }
            changed.await;
        }
    }

    /// Says that brokers have been reached: when none can be any more, the client finds them again.
    pub fn works(&self) {
        let mut state = self.state();
        state.has_worked = true;
        if std::mem::take(&mut state.is_away) {
            tracing::info!("brokers of kafka can be reached again");
        }
    }

    /// Says that the client is given a record; gives how many it had before.
    pub fn given(&self) -> usize {
        let mut state = self.state();
        state.under_way += 1;
        state.under_way - 1
    }

    /// Says that the client did not take the record it was to be given.
    pub fn not_given(&self) {
        let mut state = self.state();
        state.under_way = state.under_way.saturating_sub(1);
    }

    /// Waits until something has become of all records, or `most` or fewer are under way.
    pub async fn wait(&self, most: usize) {
        loop {
            let changed = self.changed.notified();
            if self.state().under_way <= most {
                return;
            }
            changed.await;
        }
    }

    /// The records that were given and did not arrive, and why.
    pub fn failed(&self) -> Vec<(usize, RDKafkaErrorCode)> {
        std::mem::take(&mut self.state().failed)
    }

    /// Says up to where, the first offset not included, a partition is durable.
    pub fn durable(&self, topic: &str, partition: i32, next: i64) {
        self.state().durable.insert((topic.to_owned(), partition), next);
    }

    /// How often partitions were given or taken.
    pub fn assignments(&self) -> u64 {
        self.state().assignments
    }

    /// What is durable and not committed yet.
    pub fn uncommitted(&self) -> Option<TopicPartitionList> {
        let durable = std::mem::take(&mut self.state().durable);
        if durable.is_empty() {
            return None;
        }
        let mut list = TopicPartitionList::with_capacity(durable.len());
        for ((topic, partition), next) in durable {
            // Fails only for what is no offset.
            let _ = list.add_partition_offset(&topic, partition, Offset::Offset(next));
        }
        Some(list)
    }
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(?level, facility, text, "kafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let is_final = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::SaslAuthenticationFailed
                    | RDKafkaErrorCode::Fatal
            )
        );
        let mut state = self.state();
        let is_general = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        // That no broker is left is said after what each of them had.
        if !is_general || state.said.is_none() {
            state.said = Some(reason.to_owned());
        }
        if is_general && state.has_worked {
            if !std::mem::replace(&mut state.is_away, true) {
                tracing::warn!(reason, "no broker of kafka can be reached");
            }
        } else if is_final {
            let said = state.said.clone().unwrap_or_default();
            state.ended.get_or_insert(said);
        }
        drop(state);
        tracing::debug!(%error, reason, "kafka");
        self.changed.notify_waiters();
    }
}

impl ProducerContext for Ear {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let mut state = self.state();
        state.under_way = state.under_way.saturating_sub(1);
        match result {
            Ok(_) => state.is_away = false,
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                state.failed.push((index, code));
            }
        }
        let is_round = state.under_way.is_multiple_of(256);
        drop(state);
        if is_round {
            self.changed.notify_waiters();
        }
    }
}

impl ConsumerContext for Ear {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Ear>, change: &Rebalance<'_>) {
        if let Rebalance::Revoke(_) = change
            && let Some(list) = self.uncommitted()
        {
            // Who gets the partition next then begins behind it; if not, what is between comes twice.
            if let Err(error) = consumer.commit(&list, CommitMode::Sync) {
                tracing::debug!(%error, "cannot commit before partitions go to others");
            }
        }
        self.state().assignments += 1;
    }
}
