//! Topics of Kafka.
//!
//! The client numbers what it sends, and the brokers know again what they have: as long as the client
//! tries, each record is stored once and in order. So it is left to try for `delivery_timeout`, whatever
//! becomes of the connections, and the cursor moves over what the replicas have confirmed. Only what is
//! sent by another client, after that time or after a kill of the engine, may be stored twice.

mod settings;
mod variable;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::error::KafkaResult;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::BaseRecord;
use rdkafka::producer::Producer;
use rdkafka::producer::ThreadedProducer;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;
use tokio::task::JoinHandle;

use self::settings::Partitioner;
use self::settings::Settings;
use crate::net::kafka::Ear;
use crate::plugin::Batching;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;

/// A load is so large at most.
const BATCHING: Batching = Batching { records: 8192, bytes: 8 << 20, interval: Duration::ZERO };
/// How long brokers may take to tell of a topic.
const LOOK: Duration = Duration::from_secs(10);
/// So many topics are remembered with their partitions.
const MAX_TOPICS: usize = 10_000;

type Client = ThreadedProducer<Ear>;

/// Produces records.
#[derive(Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct KafkaOutput {
    settings: Settings,
    client: Option<Arc<Client>>,
    /// For `RoundRobin`: how many partitions a topic has, and which was the last.
    partitions: HashMap<String, (i32, i32)>,
}

impl std::fmt::Debug for KafkaOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaOutput").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl TryFrom<Settings> for KafkaOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<KafkaOutput> {
        settings.check()?;
        Ok(KafkaOutput { settings, client: None, partitions: HashMap::new() })
    }
}

impl JsonSchema for KafkaOutput {
    fn schema_name() -> Cow<'static, str> {
        "KafkaOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for KafkaOutput {
    const NAME: &'static str = "KafkaOutput";
    const ABOUT: &'static str = "Produces records to topics of Kafka.";
    const EXAMPLE: &'static str = "[KafkaOutput]\nmessage_matcher = \"Type == 'nginx.access'\"\n\
        addrs = [\"localhost:9092\"]\ntopic = \"access\"\npartitioner = \"Hash\"\n\
        hash_variable = \"Hostname\"\ncompression_codec = \"ZSTD\"\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("ProtobufEncoder"), ..Defaults::NONE };
}

#[async_trait]
impl Output for KafkaOutput {
    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        let largest = u32::try_from(cx.engine.max_message_size).unwrap_or(1_000_000_000);
        let largest = largest.clamp(1_000_000, 1_000_000_000);
        let config = self.settings.config(&cx.engine.hostname, largest).map_err(Failure::Stop)?;
        let client = Client::from_config_and_context(&config, Ear::default());
        let client = client.context("cannot start the client of kafka").map_err(Failure::Stop)?;
        self.client = Some(Arc::new(client));
        self.partitions.clear();
        let topic = self.settings.topic.clone();
        let asked = Some(topic).filter(|topic| !topic.is_empty());
        let mut tries = self.settings.metadata_retries;
        loop {
            match self.look(asked.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) if tries == 0 => return Err(Failure::Retry(error)),
                Err(_) => tries -= 1,
            }
            tokio::time::sleep(self.settings.wait_for_election).await;
        }
    }

    fn batching(&self) -> Option<Batching> {
        Some(BATCHING)
    }

    fn reads_messages(&self) -> bool {
        self.settings.topic_variable.is_some() || self.settings.hash_variable.is_some()
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        let client = self.client.clone().context("it is not open").map_err(Failure::Retry)?;
        let ear = client.client().context().clone();
        let mut failed = Vec::new();
        let all = load.first()..load.encoded.len();
        for index in all.clone() {
            if let Err(failure) = self.produce(&client, load, index).await {
                failed.push((index, failure));
            }
        }
        ear.wait(0).await;
        for (index, mut code) in ear.failed() {
            if is_size(code) {
                // What was too large may be what it went together with: brokers refuse all of it.
                if let Err(failure) = self.produce(&client, load, index).await {
                    failed.push((index, failure));
                    continue;
                }
                ear.wait(0).await;
                match ear.failed().pop() {
                    None => continue,
                    Some((_, alone)) => code = alone,
                }
            }
            failed.push((index, self.failure(&ear, code)));
        }
        if failed.is_empty() {
            load.advance(all.len());
            return Ok(Sent::Done);
        }
        failed.sort_by_key(|(index, failure)| (!matches!(failure, Failure::Reject(_)), *index));
        load.keep(&failed.iter().map(|(index, _)| *index).collect::<Vec<_>>());
        let (_, first) = failed.swap_remove(0);
        Err(first)
    }

    async fn close(&mut self) {
        let Some(client) = self.client.take() else { return };
        // Waits for the threads of the client.
        let _ = tokio::task::spawn_blocking(move || drop(client)).await;
    }
}

impl KafkaOutput {
    /// Asks the brokers for a topic, or for no one in particular.
    async fn look(&mut self, topic: Option<String>) -> anyhow::Result<()> {
        let client = self.client.clone().context("it is not open")?;
        let brokers = self.settings.addrs.join(", ");
        let ear = client.client().context().clone();
        let asked = topic.clone();
        let looking = tokio::task::spawn_blocking(move || {
            client.client().fetch_metadata(asked.as_deref(), LOOK)
        });
        let found = found(&ear, looking).await;
        let found = found.with_context(|| format!("cannot reach the brokers {brokers}"))?;
        ear.works();
        let Some(topic) = topic else { return Ok(()) };
        let of_topic = found.topics().iter().find(|found| found.name() == topic);
        let count = of_topic.map_or(0, |found| found.partitions().len());
        let code = of_topic.and_then(MetadataTopic::error).map(RDKafkaErrorCode::from);
        if code == Some(RDKafkaErrorCode::TopicAuthorizationFailed) {
            anyhow::bail!("the brokers {brokers} do not let us write to the topic `{topic}`");
        }
        anyhow::ensure!(
            count > 0,
            "there is no topic `{topic}` at {brokers}; make it with kafka-topics.sh --create"
        );
        if self.partitions.len() < MAX_TOPICS {
            self.partitions.insert(topic, (i32::try_from(count)?, 0));
        }
        Ok(())
    }

    /// Gives a record to the client.
    async fn produce(&mut self, client: &Client, load: &Load, index: usize) -> Result<(), Failure> {
        let (mut topic, mut key) = (Cow::Borrowed(""), Vec::new());
        if let Some(variable) = &self.settings.topic_variable {
            let message = load.message(index).context("a record has no message");
            let mut name = Vec::new();
            let has_one = variable.put(&message.map_err(Failure::Retry)?, &mut name);
            if !has_one {
                return Err(Failure::Reject(anyhow!("the message has no `topic_variable`")));
            }
            topic = Cow::Owned(String::from_utf8_lossy(&name).into_owned());
        }
        if let Some(variable) = &self.settings.hash_variable {
            let message = load.message(index).context("a record has no message");
            variable.put(&message.map_err(Failure::Retry)?, &mut key);
        }
        let partition = self.partition(&topic).await;
        let name = if topic.is_empty() { self.settings.topic.as_str() } else { &*topic };
        let ear = client.client().context();
        loop {
            let mut record: BaseRecord<'_, [u8], [u8], usize> =
                BaseRecord::with_opaque_to(name, index).payload(load.encoded.record(index));
            if !key.is_empty() {
                record = record.key(&key);
            }
            if let Some(partition) = partition {
                record = record.partition(partition);
            }
            let before = ear.given();
            match client.send(record) {
                Ok(()) => return Ok(()),
                Err((error, _)) => {
                    ear.not_given();
                    let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                    if error != full || before == 0 {
                        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                        return Err(self.failure(ear, code));
                    }
                    ear.wait(before / 2).await;
                }
            }
        }
    }

    /// The next partition of a topic, where they take turns.
    async fn partition(&mut self, topic: &str) -> Option<i32> {
        if self.settings.partitioner != Partitioner::RoundRobin {
            return None;
        }
        let topic = if topic.is_empty() { self.settings.topic.clone() } else { topic.to_owned() };
        if !self.partitions.contains_key(&topic) {
            // Where nothing is found the client chooses, or says what is wrong.
            self.look(Some(topic.clone())).await.ok()?;
        }
        let (count, last) = self.partitions.get_mut(&topic)?;
        *last = (*last + 1) % *count;
        Some(*last)
    }

    fn failure(&self, ear: &Ear, code: RDKafkaErrorCode) -> Failure {
        use RDKafkaErrorCode as Code;
        let is_own_topic = self.settings.topic_variable.is_some();
        match code {
            code if is_size(code) => Failure::Reject(anyhow!(
                "it is too large: see `max_message_bytes` here and `max.message.bytes` of the topic"
            )),
            Code::InvalidRecord | Code::PolicyViolation | Code::InvalidMessage => {
                Failure::Reject(anyhow!("the brokers do not take it: {code}"))
            }
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::InvalidTopic
                if is_own_topic =>
            {
                Failure::Reject(anyhow!("its topic is not there: {code}"))
            }
            code => Failure::Retry(anyhow!("the brokers have not taken it: {code}{}", ear.said())),
        }
    }
}

/// Whether something was too large.
fn is_size(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize)
}

/// What the brokers tell, or what is said of them meanwhile.
async fn found(ear: &Ear, looking: JoinHandle<KafkaResult<Metadata>>) -> anyhow::Result<Metadata> {
    tokio::select! {
        biased;
        found = looking => found?.map_err(|error| anyhow!("{error}{}", ear.said())),
        why = ear.ended() => Err(anyhow!(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let addrs = "addrs = ['a:1']\n";
        for (settings, expected) in [
            ("topic = 'x'", "missing field `addrs`"),
            ("addrs = []\ntopic = 'x'", "`addrs` is empty"),
            (addrs, "one of `topic` and `topic_variable`"),
            ("addrs = ['a:1']\ntopic = 'x'\ntopic_variable = 'Type'", "one of `topic`"),
            ("addrs = ['a:1']\ntopic_variable = 'type'", "is no variable"),
            ("addrs = ['a:1']\ntopic = 'x'\npartitioner = 'Hash'", "go together"),
            ("addrs = ['a:1']\ntopic = 'x'\nmax_open_reqests = 6", "at most 5"),
            ("addrs = ['a:1']\ntopic = 'x'\nusername = 'u'", "go together"),
            ("addrs = ['a:1']\ntopic = 'x'\ntls = {}", "write `use_tls = true`"),
        ] {
            let error = toml::from_str::<KafkaOutput>(settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{settings}: {error}");
        }
    }

    #[test]
    fn all_settings_are_known_to_the_client() {
        let settings = "addrs = ['a:1']\ntopic = 'x'\nid = 'i'\nmetadata_retries = 1\n\
            wait_for_election = 1\nbackground_refresh_frequency = 1\nmax_open_reqests = 5\n\
            dial_timeout = 1\nread_timeout = 1\nwrite_timeout = 1\nrequired_acks = 'WaitForLocal'\n\
            timeout = 1\nmax_buffer_time = 5\nmax_buffered_bytes = 1\nmax_message_bytes = 1000\n\
            back_pressure_threshold_bytes = 1000000\nusername = 'u'\npassword = 'p'\n";
        for codec in ["None", "GZIP", "Snappy", "LZ4", "ZSTD"] {
            let text = format!("{settings}compression_codec = '{codec}'");
            let output: KafkaOutput = toml::from_str(&text).unwrap();
            let config = output.settings.config("host", 1000).unwrap();
            drop(Client::from_config_and_context(&config, Ear::default()).unwrap());
        }
    }
}
