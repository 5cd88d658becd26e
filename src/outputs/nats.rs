//! Streams of NATS JetStream.
//!
//! Each message carries its place in the journal as `Nats-Msg-Id`. What is sent again after a lost
//! connection, or a kill on either side, is known again by the stream within its duplicate window, so
//! that it holds each message once.

use std::borrow::Cow;
use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Config;
use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use crate::message::Message;
use crate::message::template::Template;
use crate::net::Tls;
use crate::net::nats::Access;
use crate::net::nats::Link;
use crate::plugin::Batching;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// A load gets no more records once it has so many bytes.
const MAX_BYTES: usize = 4 << 20;

/// Publishes records and waits until a stream has them.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct NatsOutput {
    settings: Settings,
    subject: Template,
    /// The subject, where it is the same for all.
    constant: Option<String>,
    link: Option<Link>,
    /// What the ids of messages begin with.
    prefix: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The servers, any of which will do: `host:4222`, `nats://host` or `tls://host`.
    #[serde(default = "servers")]
    servers: Vec<String>,
    /// The subject. Places such as `%{Type}` or `%{field}` are filled from each message.
    subject: String,
    /// The stream that is made for `stream_subjects` where there is none of that name.
    #[serde(default)]
    stream: String,
    /// The subjects of that stream; empty where others make it.
    #[serde(default)]
    stream_subjects: Vec<String>,
    /// How long the stream that is made knows again what it has. In seconds.
    #[serde(default = "two_minutes", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    duplicate_window: Duration,
    /// How many messages may be under way without an answer.
    #[serde(default = "batch_count")]
    max_batch_count: usize,
    /// Who publishes, where the server asks for a user.
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
    /// How the connection is secured. Where it is given, nothing is sent without TLS.
    tls: Option<Tls>,
}

fn servers() -> Vec<String> {
    vec!["127.0.0.1:4222".to_owned()]
}

fn two_minutes() -> Duration {
    Duration::from_mins(2)
}

fn batch_count() -> usize {
    2000
}

impl TryFrom<Settings> for NatsOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<NatsOutput> {
        let subject = Template::braced(&settings.subject);
        let constant = subject.names().next().is_none().then(|| settings.subject.clone());
        if let Some(constant) = &constant {
            anyhow::ensure!(
                is_subject(constant),
                "`subject` is `{constant}`, expected words with dots between them, as `logs.web`"
            );
        }
        anyhow::ensure!(!settings.servers.is_empty(), "`servers` is empty");
        anyhow::ensure!(
            settings.stream.is_empty() == settings.stream_subjects.is_empty(),
            "`stream` and `stream_subjects` go together: what is to be made, and for what"
        );
        anyhow::ensure!(
            settings.max_batch_count > 0,
            "`max_batch_count` is 0, expected at least 1"
        );
        Ok(NatsOutput { settings, subject, constant, link: None, prefix: String::new() })
    }
}

impl JsonSchema for NatsOutput {
    fn schema_name() -> Cow<'static, str> {
        "NatsOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for NatsOutput {
    const NAME: &'static str = "NatsOutput";
    const ABOUT: &'static str =
        "Publishes records to streams of NATS JetStream, each once within their duplicate window.";
    const EXAMPLE: &'static str = "[NatsOutput]\nmessage_matcher = \"Type == 'nginx.access'\"\n\
        servers = [\"nats://localhost:4222\"]\nsubject = \"logs.%{Type}\"\nstream = \"LOGS\"\n\
        stream_subjects = [\"logs.>\"]\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("ProtobufEncoder"), ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        Ok(self.access().check()?)
    }
}

#[async_trait]
impl Output for NatsOutput {
    fn promise(&self) -> &'static str {
        "once, where the last batch comes again within the stream's duplicate window; at least once after it"
    }

    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        let hex = cx.journal_id.iter().map(|byte| format!("{byte:02x}"));
        self.prefix = format!("{}-{}", hex.collect::<String>(), cx.name);
        let link = Link::open(&self.access(), &cx.name, self.settings.max_batch_count).await;
        let link = link.map_err(|error| Failure::Retry(error.into()))?;
        if !self.settings.stream.is_empty() {
            let config = Config {
                name: self.settings.stream.clone(),
                subjects: self.settings.stream_subjects.clone(),
                duplicate_window: self.settings.duplicate_window,
                ..Config::default()
            };
            let made = link.jetstream.get_or_create_stream(config).await;
            let made = made.with_context(|| {
                format!("cannot find or make the stream `{}`", self.settings.stream)
            });
            made.map_err(Failure::Retry)?;
        }
        self.link = Some(link);
        Ok(())
    }

    fn batching(&self) -> Option<Batching> {
        let records = self.settings.max_batch_count;
        Some(Batching { records, bytes: MAX_BYTES, interval: Duration::ZERO })
    }

    fn reads_messages(&self) -> bool {
        true
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        while load.records().len() > 0 {
            self.publish(load).await?;
        }
        Ok(Sent::Done)
    }

    async fn idle(&mut self) -> Result<(), Failure> {
        let Some(link) = &self.link else { return std::future::pending().await };
        Err(Failure::Retry(link.ended().await.into()))
    }

    async fn close(&mut self) {
        self.link = None;
    }
}

impl NatsOutput {
    fn access(&self) -> Access<'_> {
        Access {
            servers: &self.settings.servers,
            username: &self.settings.username,
            password: self.settings.password.as_ref(),
            token: self.settings.token.as_ref(),
            nkey: self.settings.nkey_seed.as_ref(),
            credentials: self.settings.credentials_file.as_deref(),
            tls: self.settings.tls.as_ref(),
        }
    }

    /// Publishes some of the load and waits for the answers.
    async fn publish(&self, load: &mut Load) -> Result<(), Failure> {
        let link = self.link.as_ref().context("it is not open").map_err(Failure::Retry)?;
        let first = load.first();
        let last = load.encoded.len().min(first + self.settings.max_batch_count);
        let mut under_way = Vec::with_capacity(last - first);
        let mut failed = None;
        let mut next = first;
        while next < last && failed.is_none() {
            match self.begin(link, load, next).await {
                Ok(answer) => under_way.push((next, answer)),
                // What is before it has to be answered first.
                Err(failure) => failed = Some((next, failure)),
            }
            next += 1;
        }
        let mut missing = Vec::new();
        let mut why = None;
        for (index, answer) in under_way {
            let answer = match answered(link, answer).await {
                Ok(answer) => answer.map_err(|error| self.failure(link, &error)),
                Err(ended) => Err(Failure::Retry(ended.into())),
            };
            match answer {
                Ok(()) => {}
                Err(Failure::Reject(error)) if why.is_none() => {
                    missing.insert(0, index);
                    why = Some(Failure::Reject(error));
                }
                Err(failure) => {
                    missing.push(index);
                    why.get_or_insert(failure);
                }
            }
        }
        if let Some((index, failure)) = failed {
            // It is refused by itself once it comes first.
            missing.push(index);
            if missing.len() == 1 {
                why = Some(failure);
            }
        }
        let rest = next..load.encoded.len();
        if why.is_none() && missing.is_empty() {
            load.advance(next - first);
            return Ok(());
        }
        missing.extend(rest);
        load.keep(&missing);
        why.map_or(Ok(()), Err)
    }

    /// Publishes the record at `index`.
    async fn begin(
        &self,
        link: &Link,
        load: &Load,
        index: usize,
    ) -> Result<PublishAckFuture, Failure> {
        let place = load.place(index).zip(load.message(index));
        let ((entry, at), message) =
            place.context("a record has no message").map_err(Failure::Retry)?;
        let subject = self.subject_of(&message).map_err(Failure::Reject)?;
        let id = format!("{}-{entry}-{at}", self.prefix);
        let payload = Bytes::copy_from_slice(load.encoded.record(index));
        let message = PublishMessage::build().payload(payload).message_id(id);
        let begun = link.jetstream.send_publish(subject, message).await;
        begun.map_err(|error| self.failure(link, &error))
    }

    fn subject_of(&self, message: &Message<'_>) -> anyhow::Result<String> {
        if let Some(subject) = &self.constant {
            return Ok(subject.clone());
        }
        let mut bytes = Vec::new();
        self.subject.put_message(message, &mut bytes);
        let subject = String::from_utf8_lossy(&bytes).into_owned();
        let is_one = is_subject(&subject);
        anyhow::ensure!(is_one, "`{subject}` is no subject, which is made of words with dots");
        Ok(subject)
    }

    fn failure(&self, link: &Link, error: &PublishError) -> Failure {
        let refused = error.source().and_then(|source| {
            source.downcast_ref::<async_nats::jetstream::Error>().map(|it| (it.error_code(), it))
        });
        match (error.kind(), refused) {
            (PublishErrorKind::MaxPayloadExceeded, _) => Failure::Reject(anyhow!(
                "it is larger than the {} bytes that the server takes, see its `max_payload`",
                link.max_payload()
            )),
            (_, Some((ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, refusal))) => {
                Failure::Reject(anyhow!("the stream does not take it: {refusal}"))
            }
            (_, Some((_, refusal))) => {
                Failure::Retry(anyhow!("the stream does not take it now: {refusal}"))
            }
            (PublishErrorKind::StreamNotFound, _) => Failure::Retry(anyhow!(
                "no stream takes the subject `{}`: make one (nats stream add), or give `stream` and \
                 `stream_subjects` here",
                self.settings.subject
            )),
            (kind, None) => {
                let said = link.said().map(|said| format!(", {said}")).unwrap_or_default();
                Failure::Retry(anyhow!("the stream has not answered: {kind}{said}"))
            }
        }
    }
}

/// Waits for an answer, or for the end of the connection.
async fn answered(
    link: &Link,
    answer: PublishAckFuture,
) -> Result<Result<(), PublishError>, crate::net::nats::Error> {
    tokio::select! {
        biased;
        answer = answer.into_future() => Ok(answer.map(drop)),
        ended = link.ended() => Err(ended),
    }
}

/// Whether something can be published under it.
fn is_subject(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && !word.contains(|letter: char| letter.is_whitespace() || "*>".contains(letter))
    };
    text.split('.').all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for (settings, expected) in [
            ("", "missing field `subject`"),
            ("subject = 'a b'", "expected words with dots"),
            ("subject = 'a.>'", "expected words with dots"),
            ("subject = 'a'\nstream = 'A'", "go together"),
            ("subject = 'a'\nservers = []", "`servers` is empty"),
            ("subject = 'a'\nmax_batch_count = 0", "at least 1"),
        ] {
            let error = toml::from_str::<NatsOutput>(settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let output: NatsOutput = toml::from_str("subject = 'a'\nservers = ['http://a']").unwrap();
        assert!(output.check().unwrap_err().to_string().contains("no address of a server"));
    }
}
