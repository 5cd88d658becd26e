//! Topics of Kafka, through a consumer group.
//!
//! What is read is committed when it is in the journal and synced. A commit may be lost with the engine,
//! and then the brokers give again what was read: so the offset of the last record is kept beside the
//! messages in the journal, and what lies at or before it, and is no younger, is not taken again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::CommitMode;
use rdkafka::consumer::Consumer;
use rdkafka::consumer::StreamConsumer;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use crate::message::SourcePosition;
use crate::message::Value;
use crate::net::Tls;
use crate::net::kafka::Access;
use crate::net::kafka::Ear;
use crate::net::kafka::Mechanism;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Stream;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// So many records are made durable together at most.
const TOGETHER: usize = 4096;
/// A commit that was lost is no further behind than this; what is, was asked for by someone.
const MAX_AGAIN: i64 = 100_000;

/// Reads a topic: messages of the type `heka.kafka`, with the fields `Key`, `Topic`, `Partition` and
/// `Offset`.
///
/// Each record goes through the splitter by itself.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct KafkaInput(Settings);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What the client calls itself; the name of this host where it is left out.
    id: Option<String>,
    /// Some of the brokers, as `host:9092`. They tell about the others.
    addrs: Vec<String>,
    /// The topic; a regular expression where it begins with `^`.
    topic: String,
    /// The one partition to read. Where it is left out, the partitions are shared out among all that
    /// are in the group.
    partition: Option<i32>,
    /// The consumer group; `id` where it is left out.
    group: Option<String>,
    /// Where a group begins that has got nowhere yet: `Manual` and `Oldest` with the oldest record,
    /// `Newest` with what comes from now on.
    #[serde(default)]
    offset_method: OffsetMethod,
    /// How many bytes of a partition are asked for at once.
    #[serde(default = "fetch_size")]
    default_fetch_size: u32,
    /// How many bytes a broker waits for.
    #[serde(default = "one")]
    min_fetch_size: u32,
    /// The largest answer of a broker, in bytes; 0 is what the client does by itself.
    #[serde(default)]
    max_message_size: u32,
    /// How long a broker waits for them. In milliseconds.
    #[serde(default = "wait_time", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    max_wait_time: Duration,
    /// How many records the client reads ahead, for each partition, at most.
    #[serde(default = "event_buffer")]
    event_buffer_size: u32,
    /// How often the client asks which brokers there are. In milliseconds.
    #[serde(default = "refresh", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    background_refresh_frequency: Duration,
    /// Read for Heka's sake: how often to try again is said by `retries`.
    #[serde(default, rename = "metadata_retries")]
    _metadata_retries: u32,
    /// Read for Heka's sake: the client waits as long as an election takes.
    #[serde(default, rename = "wait_for_election")]
    _wait_for_election: u32,
    /// Read for Heka's sake: there is one request at a time to a broker.
    #[serde(default, rename = "max_open_reqests")]
    _max_open_reqests: u32,
    /// How long connecting may take. In milliseconds.
    #[serde(default = "one_minute", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    dial_timeout: Duration,
    /// How long an answer may take. In milliseconds.
    #[serde(default = "one_minute", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    read_timeout: Duration,
    /// How long sending may take; the longer of this and `read_timeout` counts. In milliseconds.
    #[serde(default = "one_minute", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    write_timeout: Duration,
    /// Whether TLS is spoken.
    #[serde(default)]
    use_tls: bool,
    /// How the connections are secured.
    tls: Option<Tls>,
    /// How the user is proven: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    #[serde(default)]
    sasl_mechanism: Mechanism,
    /// Who reads, where the cluster asks for a user.
    #[serde(default)]
    username: String,
    /// The password of the user.
    password: Option<Secret>,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
enum OffsetMethod {
    /// With the oldest record.
    #[default]
    Manual,
    /// With what comes from now on.
    Newest,
    /// With the oldest record.
    Oldest,
}

fn fetch_size() -> u32 {
    1 << 20
}

fn one() -> u32 {
    1
}

fn wait_time() -> Duration {
    Duration::from_millis(250)
}

fn event_buffer() -> u32 {
    20_000
}

fn refresh() -> Duration {
    Duration::from_mins(10)
}

fn one_minute() -> Duration {
    Duration::from_mins(1)
}

impl TryFrom<Settings> for KafkaInput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<KafkaInput> {
        anyhow::ensure!(!settings.topic.is_empty(), "`topic` is empty");
        anyhow::ensure!(
            settings.partition.is_none() || !settings.topic.starts_with('^'),
            "`partition` is for one topic, and `topic` is a regular expression"
        );
        anyhow::ensure!(settings.event_buffer_size > 0, "`event_buffer_size` is 0");
        let input = KafkaInput(settings);
        input.config("")?;
        Ok(input)
    }
}

impl JsonSchema for KafkaInput {
    fn schema_name() -> Cow<'static, str> {
        "KafkaInput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for KafkaInput {
    const NAME: &'static str = "KafkaInput";
    const ABOUT: &'static str = "Reads topics of Kafka, as a member of a consumer group.";
    const EXAMPLE: &'static str =
        "[KafkaInput]\naddrs = [\"localhost:9092\"]\ntopic = \"access\"\ngroup = \"heka\"\n";
}

#[async_trait]
impl Input for KafkaInput {
    fn promise(&self) -> &'static str {
        "read again from where the journal has it: each message comes once"
    }

    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let consumer = self.open(&cx)?;
        let read = read(&consumer, &self.0, &cx);
        let ended = tokio::select! {
            () = cx.stopping.cancelled() => Ok(()),
            ended = read => ended,
        };
        // Leaving the group takes a while.
        let _ = tokio::task::spawn_blocking(move || drop(consumer)).await;
        ended
    }
}

impl KafkaInput {
    fn config(&self, host: &str) -> anyhow::Result<ClientConfig> {
        let settings = &self.0;
        let id = settings.id.as_deref().unwrap_or(host);
        let access = Access {
            brokers: &settings.addrs,
            id,
            is_secure: settings.use_tls,
            tls: settings.tls.as_ref(),
            mechanism: settings.sasl_mechanism,
            username: &settings.username,
            password: settings.password.as_ref(),
            dial_timeout: settings.dial_timeout,
            answer_timeout: settings.read_timeout.max(settings.write_timeout),
            refresh: settings.background_refresh_frequency,
        };
        let mut config = access.config()?;
        let reset = match settings.offset_method {
            OffsetMethod::Newest => "latest",
            OffsetMethod::Manual | OffsetMethod::Oldest => "earliest",
        };
        let partition = settings.default_fetch_size.clamp(1, 1_000_000_000);
        config
            .set("group.id", settings.group.as_deref().unwrap_or(id))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", reset)
            .set("session.timeout.ms", "10000")
            .set("partition.assignment.strategy", "range,roundrobin")
            .set("fetch.message.max.bytes", partition.to_string())
            .set("fetch.min.bytes", settings.min_fetch_size.clamp(1, 100_000_000).to_string())
            .set("fetch.wait.max.ms", settings.max_wait_time.as_millis().min(300_000).to_string())
            .set("queued.min.messages", settings.event_buffer_size.min(10_000_000).to_string());
        if settings.max_message_size > 0 {
            let most = settings.max_message_size.clamp(partition + 512, 2_147_483_135);
            // The client wants it to be no smaller than what it may send, which is nothing.
            config.set("message.max.bytes", most.min(1_000_000).to_string());
            config.set("fetch.max.bytes", most.to_string());
            config.set("receive.message.max.bytes", (most + 512).to_string());
        }
        Ok(config)
    }

    fn open(&self, cx: &InputContext) -> anyhow::Result<StreamConsumer<Ear>> {
        let config = self.config(&cx.engine.hostname)?;
        let consumer: StreamConsumer<Ear> =
            StreamConsumer::from_config_and_context(&config, Ear::default())
                .context("cannot start the client of kafka")?;
        let topic = self.0.topic.as_str();
        match self.0.partition {
            None => consumer.subscribe(&[topic]),
            Some(partition) => {
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(topic, partition, Offset::Stored)?;
                consumer.assign(&list)
            }
        }
        .with_context(|| format!("cannot subscribe to `{topic}`"))?;
        Ok(consumer)
    }
}

async fn read(
    consumer: &StreamConsumer<Ear>,
    settings: &Settings,
    cx: &InputContext,
) -> anyhow::Result<()> {
    let ear = consumer.context();
    let brokers = settings.addrs.join(", ");
    let mut taking = Taking { cx, partitions: HashMap::new(), assignments: 0 };
    loop {
        let first = tokio::select! {
            biased;
            next = consumer.recv() => next,
            why = ear.ended() => anyhow::bail!("cannot read from the brokers {brokers}: {why}"),
        };
        let mut touched = Vec::new();
        let mut next = Some(first);
        let mut count = 0;
        while let Some(record) = next {
            let record = match record {
                Ok(record) => record,
                // The client finds its brokers again.
                Err(error) if is_passing(&error) => {
                    tracing::debug!(input = &*cx.name, %error, "a broker is away");
                    break;
                }
                Err(error) => return Err(failure(&error, settings, &ear.said())),
            };
            ear.works();
            taking.follow(ear.assignments());
            let at = (record.topic().to_owned(), record.partition());
            let next_offset = record.offset() + 1;
            taking.take(&record, &at).await?;
            match touched.iter_mut().find(|(other, _)| *other == at) {
                Some((_, next)) => *next = next_offset,
                None => touched.push((at, next_offset)),
            }
            count += 1;
            next = if count < TOGETHER { consumer.recv().now_or_never() } else { None };
        }
        for (at, next_offset) in touched {
            if let Some(partition) = taking.partitions.get_mut(&at) {
                partition.stream.durable().await?;
                ear.durable(&at.0, at.1, next_offset);
            }
        }
        if let Some(list) = ear.uncommitted() {
            // Who is no longer given a partition cannot commit it, and need not.
            if let Err(error) = consumer.commit(&list, CommitMode::Async) {
                tracing::debug!(input = &*cx.name, %error, "cannot commit");
            }
        }
    }
}

/// Whether the client goes on by itself.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
        )
    )
}

fn failure(error: &KafkaError, settings: &Settings, said: &str) -> anyhow::Error {
    let (topic, brokers) = (&settings.topic, settings.addrs.join(", "));
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            anyhow::anyhow!(
                "there is no topic `{topic}` at {brokers}; make it with kafka-topics.sh --create"
            )
        }
        _ => anyhow::anyhow!("cannot read from the brokers {brokers}: {error}{said}"),
    }
}

/// Hands over records, each once.
struct Taking<'a> {
    cx: &'a InputContext,
    partitions: HashMap<(String, i32), Partition>,
    assignments: u64,
}

struct Partition {
    stream: Stream,
    /// Bytes that were handed over.
    handed: u64,
    /// The last that was taken.
    last: Option<Last>,
    /// It was said that records are passed over.
    is_said: bool,
}

/// The last record that was taken of a partition: 24 bytes in the detail of its position, little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    offset: i64,
    timestamp: i64,
    /// Where the bytes of the record begin: it is taken when the position lies behind.
    start: u64,
}

impl Last {
    fn written(self) -> Arc<[u8]> {
        let numbers =
            [self.offset.to_le_bytes(), self.timestamp.to_le_bytes(), self.start.to_le_bytes()];
        numbers.concat().into()
    }

    fn read(position: &SourcePosition) -> Option<Last> {
        let (numbers, _) = position.detail.as_chunks::<8>();
        let [offset, timestamp, start] = numbers.try_into().ok()?;
        let mut last = Last {
            offset: i64::from_le_bytes(offset),
            timestamp: i64::from_le_bytes(timestamp),
            start: u64::from_le_bytes(start),
        };
        if position.offset <= last.start {
            last.offset -= 1;
        }
        Some(last)
    }

    /// Whether this record was taken already: it comes at or before the last one and is no younger, as
    /// one of a topic made anew would be.
    fn has(self, offset: i64, timestamp: i64) -> bool {
        offset <= self.offset && timestamp <= self.timestamp && self.offset - offset < MAX_AGAIN
    }
}

impl Taking<'_> {
    /// Forgets what is read when partitions were given anew: others may have read them meanwhile.
    fn follow(&mut self, assignments: u64) {
        if self.assignments != assignments {
            self.assignments = assignments;
            self.partitions.clear();
        }
    }

    async fn take(
        &mut self,
        record: &BorrowedMessage<'_>,
        at: &(String, i32),
    ) -> anyhow::Result<()> {
        if !self.partitions.contains_key(at) {
            let source = self.cx.source(&format!("{}:{}", at.0, at.1));
            let kept = self.cx.last_position(&source);
            let last = kept.as_ref().and_then(Last::read);
            let stream = self.cx.stream(self.cx.origin("heka.kafka"), Some(source)).await?;
            let handed = kept.map_or(0, |kept| kept.offset);
            self.partitions.insert(at.clone(), Partition { stream, handed, last, is_said: false });
        }
        let partition = self.partitions.get_mut(at).context("the partition is there")?;
        let (offset, timestamp) = (record.offset(), record.timestamp().to_millis().unwrap_or(0));
        if partition.last.is_some_and(|last| last.has(offset, timestamp)) {
            if !std::mem::replace(&mut partition.is_said, true) {
                tracing::info!(
                    input = &*self.cx.name,
                    topic = at.0,
                    partition = at.1,
                    offset,
                    "records that are in the journal already are passed over; an input of another \
                     name would read them again"
                );
            }
            return Ok(());
        }
        let Some(payload) = record.payload().filter(|payload| !payload.is_empty()) else {
            return Ok(());
        };
        let mut origin = self.cx.origin("heka.kafka");
        origin.push("Key", "", Value::Bytes(record.key().unwrap_or_default()));
        origin.push("Topic", "", Value::String(at.0.as_bytes()));
        origin.push("Partition", "", Value::Integer(i64::from(at.1)));
        origin.push("Offset", "", Value::Integer(offset));
        let last = Last { offset, timestamp, start: partition.handed };
        partition.last = Some(last);
        let position = SourcePosition { offset: partition.handed, detail: last.written() };
        partition.stream.at(position).await?;
        partition.handed += payload.len() as u64;
        partition.stream.whole(Bytes::copy_from_slice(payload), Some(Arc::new(origin))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_known_again() {
        let last = Last { offset: 10, timestamp: 5, start: 100 };
        let read = |offset| Last::read(&SourcePosition { offset, detail: last.written() }).unwrap();
        assert_eq!(read(100).offset, 9, "its bytes were not taken");
        assert_eq!(read(101).offset, 10);
        assert!(last.has(10, 5) && last.has(3, 1));
        assert!(!last.has(11, 5), "it is a new one");
        assert!(!last.has(3, 6), "the topic was made anew");
        assert!(!Last { offset: 200_000, ..last }.has(3, 1), "someone wants it again");
        assert_eq!(Last::read(&SourcePosition::at(3)), None);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for (settings, expected) in [
            ("topic = 'x'", "missing field `addrs`"),
            ("addrs = []\ntopic = 'x'", "`addrs` is empty"),
            ("addrs = ['a:1']\ntopic = ''", "`topic` is empty"),
            ("addrs = ['a:1']\ntopic = '^x'\npartition = 1", "a regular expression"),
            ("addrs = ['a:1']\ntopic = 'x'\noffset_method = 'x'", "`Manual`"),
        ] {
            let error = toml::from_str::<KafkaInput>(settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{settings}: {error}");
        }
    }

    #[tokio::test]
    async fn all_settings_are_known_to_the_client() {
        let settings = "addrs = ['a:1']\ntopic = 'x'\nid = 'i'\ngroup = 'g'\nmetadata_retries = 3\n\
            wait_for_election = 250\nmax_open_reqests = 4\ndefault_fetch_size = 32768\n\
            min_fetch_size = 1\nmax_message_size = 100000\nmax_wait_time = 250\n\
            event_buffer_size = 16\nbackground_refresh_frequency = 600000\n";
        for method in ["Manual", "Newest", "Oldest"] {
            let text = format!("{settings}offset_method = '{method}'");
            let input: KafkaInput = toml::from_str(&text).unwrap();
            let config = input.config("host").unwrap();
            let _: StreamConsumer<Ear> =
                StreamConsumer::from_config_and_context(&config, Ear::default()).unwrap();
        }
    }
}
