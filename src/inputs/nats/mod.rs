//! Streams of NATS JetStream, through a durable consumer.
//!
//! What is delivered is acknowledged when it is in the journal and synced. An acknowledgement may be lost
//! with the connection, and then the server delivers again: so the numbers of what was taken are kept, in
//! memory and beside the messages in the journal, until the server itself has passed them. Each message
//! is handed over with what was taken before it: a connection may end between any two.

mod seen;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::AckPolicy;
use async_nats::jetstream::consumer::Consumer;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull;
use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::StreamExt;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use self::seen::Made;
use self::seen::Seen;
use crate::message::SourcePosition;
use crate::message::Value;
use crate::net::Tls;
use crate::net::nats::Access;
use crate::net::nats::Link;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Origin;
use crate::plugin::Stream;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// Reads a stream: messages of the type `nats`, with the field `Subject`.
///
/// Each goes through the splitter by itself. What a `NatsOutput` has sent as messages of Heka is read with
/// `decoder = "ProtobufDecoder"`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct NatsInput(Settings);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The servers, any of which will do: `host:4222`, `nats://host` or `tls://host`.
    #[serde(default = "servers")]
    servers: Vec<String>,
    /// The stream.
    stream: String,
    /// The name of the durable consumer, which is made where there is none. Several engines with the
    /// same share the messages. The name of the section where it is left out.
    consumer: Option<String>,
    /// Which subjects of the stream a consumer that is made gets; all where it is empty.
    #[serde(default)]
    filter_subject: String,
    /// Where a consumer that is made begins.
    #[serde(default)]
    start: Start,
    /// How many messages may wait to be acknowledged.
    #[serde(default = "ack_pending")]
    max_ack_pending: u16,
    /// After what time the server delivers again what a consumer that is made has not acknowledged. In
    /// seconds.
    #[serde(default = "thirty_seconds", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    ack_wait: Duration,
    /// Who reads, where the server asks for a user.
    #[serde(default)]
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// A token, where the server asks for one.
    token: Option<Secret>,
    /// The seed of an NKey, where the server asks for one.
    nkey_seed: Option<Secret>,
    /// A file of credentials, where the server asks for such.
    credentials_file: Option<PathBuf>,
    /// How the connection is secured. Where it is given, nothing is read without TLS.
    tls: Option<Tls>,
}

/// Where a consumer begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Start {
    /// With the oldest message of the stream.
    #[default]
    Oldest,
    /// With what comes from now on.
    Newest,
}

fn servers() -> Vec<String> {
    vec!["127.0.0.1:4222".to_owned()]
}

fn ack_pending() -> u16 {
    2000
}

fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

impl TryFrom<Settings> for NatsInput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<NatsInput> {
        anyhow::ensure!(!settings.servers.is_empty(), "`servers` is empty");
        anyhow::ensure!(
            settings.max_ack_pending > 0,
            "`max_ack_pending` is 0, expected at least 1"
        );
        anyhow::ensure!(!settings.ack_wait.is_zero(), "`ack_wait` is 0, expected some time");
        for (option, name) in
            [("stream", Some(&settings.stream)), ("consumer", settings.consumer.as_ref())]
        {
            anyhow::ensure!(
                name.is_none_or(|name| is_name(name)),
                "`{option}` is no name: of signs it has `-` and `_` alone"
            );
        }
        Ok(NatsInput(settings))
    }
}

/// Whether the server takes it as a name. Signs that mean something in subjects are none.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || "-_".contains(letter))
}

impl JsonSchema for NatsInput {
    fn schema_name() -> Cow<'static, str> {
        "NatsInput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for NatsInput {
    const NAME: &'static str = "NatsInput";
    const ABOUT: &'static str = "Reads a stream of NATS JetStream.";
    const EXAMPLE: &'static str = "[NatsInput]\nservers = [\"nats://localhost:4222\"]\nstream = \"LOGS\"\nconsumer = \"heka\"\n";

    fn check(&self) -> anyhow::Result<()> {
        Ok(self.access().check()?)
    }
}

#[async_trait]
impl Input for NatsInput {
    fn promise(&self) -> &'static str {
        "acknowledged when it is durable: the server delivers the rest again, at least once"
    }

    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        tokio::select! {
            () = cx.stopping.cancelled() => Ok(()),
            ended = self.read(&cx) => ended,
        }
    }
}

impl NatsInput {
    fn access(&self) -> Access<'_> {
        Access {
            servers: &self.0.servers,
            username: &self.0.username,
            password: self.0.password.as_ref(),
            token: self.0.token.as_ref(),
            nkey: self.0.nkey_seed.as_ref(),
            credentials: self.0.credentials_file.as_deref(),
            tls: self.0.tls.as_ref(),
        }
    }

    async fn read(&self, cx: &InputContext) -> anyhow::Result<()> {
        let most = usize::from(self.0.max_ack_pending);
        let link = Link::open(&self.access(), &cx.name, most).await?;
        let (name, consumer, of_stream) = self.consumer(&link, &cx.name).await?;
        let info = consumer.cached_info();
        let source = cx.source(&format!("{}:{name}", self.0.stream));
        let made = Made { stream: of_stream, consumer: info.created.unix_timestamp() };
        let kept = cx.last_position(&source).unwrap_or_default();
        let mut seen = Seen::read(&kept, made);
        seen.forget(info.ack_floor.stream_sequence);
        let mut taking = Taking {
            stream: cx.stream(cx.origin("nats"), Some(source)).await?,
            cx,
            seen,
            handed: kept.offset,
            last: None,
        };
        let mut messages = consumer
            .stream()
            .max_messages_per_batch(most)
            .messages()
            .await
            .with_context(|| format!("cannot read the consumer `{name}`"))?;
        tracing::info!(input = &*cx.name, stream = self.0.stream, consumer = name, "reads");
        loop {
            let next = next(&mut messages, &link).await?;
            let mut taken = Vec::new();
            let mut next = Some(next);
            while let Some(message) = next {
                let message =
                    message.with_context(|| format!("cannot read the consumer `{name}`"))?;
                taking.take(&message).await?;
                taken.push(message);
                let mut more = || messages.next().now_or_never().flatten();
                next = if taken.len() < most { more() } else { None };
            }
            taking.stream.durable().await?;
            for message in taken {
                let acknowledged = message.ack().await;
                acknowledged.map_err(|error| anyhow::anyhow!("cannot acknowledge: {error}"))?;
            }
        }
    }

    /// The consumer, which is made where it is not there, and when the stream was made.
    async fn consumer(
        &self,
        link: &Link,
        section: &str,
    ) -> anyhow::Result<(String, Consumer<pull::Config>, i128)> {
        let settings = &self.0;
        let stream = link.jetstream.get_stream(&settings.stream).await.with_context(|| {
            format!("cannot find the stream `{}`; make it with nats stream add", settings.stream)
        })?;
        let plain = |letter: char| if is_name(&letter.to_string()) { letter } else { '_' };
        let of_section = || section.chars().map(plain).collect();
        let name: String = settings.consumer.clone().unwrap_or_else(of_section);
        let config = pull::Config {
            durable_name: Some(name.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: settings.ack_wait,
            max_ack_pending: i64::from(settings.max_ack_pending),
            filter_subject: settings.filter_subject.clone(),
            deliver_policy: match settings.start {
                Start::Oldest => DeliverPolicy::All,
                Start::Newest => DeliverPolicy::New,
            },
            ..pull::Config::default()
        };
        let consumer = stream.get_or_create_consumer(&name, config).await;
        let consumer =
            consumer.with_context(|| format!("cannot find or make the consumer `{name}`"))?;
        let policy = consumer.cached_info().config.ack_policy;
        anyhow::ensure!(
            policy == AckPolicy::Explicit,
            "the consumer `{name}` is there, but does not acknowledge each message: name another one"
        );
        Ok((name, consumer, stream.cached_info().created.unix_timestamp_nanos()))
    }
}

/// The next message, while there is a connection.
async fn next(
    messages: &mut pull::Stream,
    link: &Link,
) -> anyhow::Result<Result<Message, pull::MessagesError>> {
    tokio::select! {
        biased;
        next = messages.next() => next.context("the server delivers no more"),
        ended = link.ended() => Err(ended.into()),
    }
}

/// Hands over messages, each once.
struct Taking<'a> {
    cx: &'a InputContext,
    stream: Stream,
    seen: Seen,
    /// Bytes that were handed over.
    handed: u64,
    last: Option<(Vec<u8>, Arc<Origin>)>,
}

impl Taking<'_> {
    async fn take(&mut self, message: &Message) -> anyhow::Result<()> {
        let info =
            message.info().map_err(|error| anyhow::anyhow!("cannot read a message: {error}"))?;
        let sequence = info.stream_sequence;
        if self.seen.has(sequence) {
            return Ok(());
        }
        let detail = Arc::from(self.seen.written(sequence, self.handed));
        self.stream.at(SourcePosition { offset: self.handed, detail }).await?;
        self.handed += message.payload.len() as u64;
        self.seen.insert(sequence);
        let origin = self.origin(message.subject.as_bytes());
        self.stream.whole(message.payload.clone(), Some(origin)).await
    }

    fn origin(&mut self, subject: &[u8]) -> Arc<Origin> {
        if let Some((last, origin)) = &self.last
            && last == subject
        {
            return origin.clone();
        }
        let mut origin = self.cx.origin("nats");
        origin.push("Subject", "", Value::String(subject));
        let origin = Arc::new(origin);
        self.last = Some((subject.to_vec(), origin.clone()));
        origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for (settings, expected) in [
            ("", "missing field `stream`"),
            ("stream = 'a.b'", "`stream` is no name"),
            ("stream = 'A'\nconsumer = ''", "`consumer` is no name"),
            ("stream = 'A'\nstart = 'x'", "`oldest` or `newest`"),
            ("stream = 'A'\nmax_ack_pending = 0", "at least 1"),
            ("stream = 'A'\nack_wait = 0", "some time"),
        ] {
            let error = toml::from_str::<NatsInput>(settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
