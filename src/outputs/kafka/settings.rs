//! The settings of the Kafka output.

use std::time::Duration;

use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use super::variable::Variable;
use crate::net::Tls;
use crate::net::kafka::Access;
use crate::net::kafka::Mechanism;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// See [`super::KafkaOutput`].
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// What the client calls itself; the name of this host where it is left out.
    pub(super) id: Option<String>,
    /// Some of the brokers, as `host:9092`. They tell about the others.
    pub(super) addrs: Vec<String>,
    /// The topic.
    #[serde(default)]
    pub(super) topic: String,
    /// The variable of a message that holds its topic: `Type`, `Fields[name]`.
    #[schemars(with = "Option<String>")]
    pub(super) topic_variable: Option<Variable>,
    /// How a partition is chosen: `Random`, `RoundRobin` or `Hash`.
    #[serde(default)]
    pub(super) partitioner: Partitioner,
    /// The variable of a message that is its key, by which `Hash` chooses the partition.
    #[schemars(with = "Option<String>")]
    pub(super) hash_variable: Option<Variable>,
    /// Who has to have a record: `WaitForAll` replicas in sync, and then each is stored once;
    /// `WaitForLocal`, the leader alone; `NoResponse`, nobody: what is lost on the way stays lost.
    #[serde(default)]
    pub(super) required_acks: RequiredAcks,
    /// How long the brokers may take to have it. In milliseconds.
    #[serde(default = "one_second", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) timeout: Duration,
    /// How long records are kept for a cluster that does not take them, before the output is opened anew
    /// and says so. Until then each is stored once, whatever becomes of the connections. In seconds.
    #[serde(default = "five_minutes", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub(super) delivery_timeout: Duration,
    /// How records are compressed: `None`, `GZIP`, `Snappy`, `LZ4` or `ZSTD`.
    #[serde(default)]
    pub(super) compression_codec: Codec,
    /// How long a record waits for others to go with it. In milliseconds.
    #[serde(default = "one_millisecond", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) max_buffer_time: Duration,
    /// How many bytes go together at most. Heka's default was 1.
    #[serde(default = "buffered_bytes")]
    pub(super) max_buffered_bytes: u32,
    /// The largest record, in bytes; what a message may have where it is left out.
    pub(super) max_message_bytes: Option<u32>,
    /// How many bytes the client holds at most.
    #[serde(default = "back_pressure")]
    pub(super) back_pressure_threshold_bytes: u64,
    /// How many requests may be under way to a broker; 5 at most with `WaitForAll`.
    #[serde(default = "requests")]
    pub(super) max_open_reqests: u32,
    /// How often a topic is looked for before the output is said to fail.
    #[serde(default = "metadata_retries")]
    pub(super) metadata_retries: u32,
    /// How long a new leader of a partition is waited for between two looks. In milliseconds.
    #[serde(default = "election", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) wait_for_election: Duration,
    /// How often the client asks which brokers there are. In milliseconds.
    #[serde(default = "refresh", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) background_refresh_frequency: Duration,
    /// How long connecting may take. In milliseconds.
    #[serde(default = "one_minute", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) dial_timeout: Duration,
    /// How long an answer may take. In milliseconds.
    #[serde(default = "one_minute", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) read_timeout: Duration,
    /// How long sending may take; the longer of this and `read_timeout` counts. In milliseconds.
    #[serde(default = "one_minute", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) write_timeout: Duration,
    /// Whether TLS is spoken.
    #[serde(default)]
    pub(super) use_tls: bool,
    /// How the connections are secured.
    pub(super) tls: Option<Tls>,
    /// How the user is proven: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    #[serde(default)]
    pub(super) sasl_mechanism: Mechanism,
    /// Who sends, where the cluster asks for a user.
    #[serde(default)]
    pub(super) username: String,
    /// The password of the user.
    pub(super) password: Option<Secret>,
}

/// How a partition is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum Partitioner {
    /// By chance.
    #[default]
    Random,
    /// One after the other.
    RoundRobin,
    /// By the value of `hash_variable`, as Heka did.
    Hash,
}

/// Who has to have a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum RequiredAcks {
    /// Nobody.
    NoResponse,
    /// The leader.
    WaitForLocal,
    /// All replicas in sync.
    #[default]
    WaitForAll,
}

/// How records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum Codec {
    /// Not.
    #[default]
    None,
    /// gzip.
    #[serde(rename = "GZIP")]
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    #[serde(rename = "LZ4")]
    Lz4,
    /// Zstandard.
    #[serde(rename = "ZSTD")]
    Zstd,
}

fn one_second() -> Duration {
    Duration::from_secs(1)
}

fn five_minutes() -> Duration {
    Duration::from_mins(5)
}

fn one_millisecond() -> Duration {
    Duration::from_millis(1)
}

fn buffered_bytes() -> u32 {
    1_000_000
}

fn back_pressure() -> u64 {
    64 << 20
}

fn requests() -> u32 {
    4
}

fn metadata_retries() -> u32 {
    3
}

fn election() -> Duration {
    Duration::from_millis(250)
}

fn refresh() -> Duration {
    Duration::from_mins(10)
}

fn one_minute() -> Duration {
    Duration::from_mins(1)
}

impl Settings {
    /// Finds what contradicts itself.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.topic.is_empty() == self.topic_variable.is_some(),
            "one of `topic` and `topic_variable` has to be given"
        );
        anyhow::ensure!(
            (self.partitioner == Partitioner::Hash) == self.hash_variable.is_some(),
            "`partitioner = \"Hash\"` and `hash_variable` go together"
        );
        let is_all = self.required_acks == RequiredAcks::WaitForAll;
        anyhow::ensure!(self.max_open_reqests > 0, "`max_open_reqests` is 0, expected at least 1");
        anyhow::ensure!(
            !is_all || self.max_open_reqests <= 5,
            "`max_open_reqests` is {}, expected at most 5 with `WaitForAll`",
            self.max_open_reqests
        );
        anyhow::ensure!(self.max_buffered_bytes > 0, "`max_buffered_bytes` is 0");
        self.config("", 1_000_000)?;
        Ok(())
    }

    /// What the client is told.
    pub(super) fn config(&self, host: &str, largest: u32) -> anyhow::Result<ClientConfig> {
        let access = Access {
            brokers: &self.addrs,
            id: self.id.as_deref().unwrap_or(host),
            is_secure: self.use_tls,
            tls: self.tls.as_ref(),
            mechanism: self.sasl_mechanism,
            username: &self.username,
            password: self.password.as_ref(),
            dial_timeout: self.dial_timeout,
            answer_timeout: self.read_timeout.max(self.write_timeout),
            refresh: self.background_refresh_frequency,
        };
        let mut config = access.config()?;
        let millis = |time: Duration| time.as_millis().min(900_000).to_string();
        let acks = match self.required_acks {
            RequiredAcks::NoResponse => "0",
            RequiredAcks::WaitForLocal => "1",
            RequiredAcks::WaitForAll => "all",
        };
        let codec = match self.compression_codec {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        };
        let partitioner = match self.partitioner {
            Partitioner::Hash => "fnv1a_random",
            _ => "random",
        };
        let largest = self.max_message_bytes.unwrap_or(largest).max(1000);
        let together = self.max_buffered_bytes.clamp(largest, largest.max(2_147_483_647));
        let is_once = self.required_acks == RequiredAcks::WaitForAll;
        config
            .set("acks", acks)
            .set("enable.idempotence", is_once.to_string())
            .set("request.timeout.ms", millis(self.timeout.max(Duration::from_millis(1))))
            .set(
                "delivery.timeout.ms",
                self.delivery_timeout.as_millis().min(86_400_000).to_string(),
            )
            .set("compression.codec", codec)
            .set("linger.ms", millis(self.max_buffer_time))
            .set("batch.size", together.to_string())
            .set("message.max.bytes", largest.to_string())
            .set(
                "queue.buffering.max.kbytes",
                (self.back_pressure_threshold_bytes / 1024).clamp(1, 2_097_151).to_string(),
            )
            .set("max.in.flight.requests.per.connection", self.max_open_reqests.to_string())
            .set("sticky.partitioning.linger.ms", "0")
            .set("partitioner", partitioner);
        Ok(config)
    }
}
