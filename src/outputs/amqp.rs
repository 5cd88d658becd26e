//! An exchange of RabbitMQ, or of another broker of AMQP 0-9-1.
//!
//! Records are published with confirmation: the cursor moves over those that the broker says it has.
//! When the connection ends, those alone come again that it has not confirmed.

use std::borrow::Cow;
use std::time::Duration;

use amqprs::BasicProperties;
use amqprs::DELIVERY_MODE_PERSISTENT;
use amqprs::channel::BasicPublishArguments;
use amqprs::channel::ConfirmSelectArguments;
use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use crate::net::Tls;
use crate::net::amqp::Broker;
use crate::net::amqp::Exchange;
use crate::net::amqp::ExchangeKind;
use crate::net::amqp::Link;
use crate::net::amqp::Outcome;
use crate::plugin::Batching;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::stdx::secret::Secret;

/// The longest name that AMQP has room for, in bytes.
const MAX_NAME: usize = 255;
/// A load gets no more records once it has so many bytes.
const MAX_BYTES: usize = 4 << 20;

/// Publishes records.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct AmqpOutput {
    settings: Settings,
    broker: Broker,
    link: Option<Link>,
    /// The number of the record that was published last, counted by both sides.
    published: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The broker: `amqp://user:password@host:5672/vhost`, with `amqps` for TLS.
    url: Secret,
    /// The exchange; where it is empty, the queue that `routing_key` names gets the records.
    #[serde(default)]
    exchange: String,
    /// What kind of exchange that is: `fanout`, `direct`, `topic` or `headers`.
    #[serde(default = "fanout")]
    exchange_type: ExchangeKind,
    /// Whether the exchange outlives the broker.
    #[serde(default)]
    exchange_durability: bool,
    /// Whether the exchange goes with the last queue bound to it.
    #[serde(default = "yes")]
    exchange_auto_delete: bool,
    /// Says to the exchange which queues are meant.
    #[serde(default)]
    routing_key: String,
    /// Whether the broker is to keep the records on its disk.
    #[serde(default)]
    persistent: bool,
    /// What readers are told that a record is.
    #[serde(default = "content_type")]
    content_type: String,
    /// Whether a record that belongs in no queue stays here until there is one. Otherwise the broker
    /// drops it.
    #[serde(default = "yes")]
    mandatory: bool,
    /// Whether the exchange is there already and is not declared.
    #[serde(default)]
    read_only: bool,
    /// How many records are published before their confirmation is waited for, at most.
    #[serde(default = "batch_count")]
    max_batch_count: usize,
    /// How the connection is secured, with `amqps`.
    tls: Option<Tls>,
}

fn fanout() -> ExchangeKind {
    ExchangeKind::Fanout
}

fn yes() -> bool {
    true
}

fn content_type() -> String {
    "application/hekad".to_owned()
}

fn batch_count() -> usize {
    2000
}

impl TryFrom<Settings> for AmqpOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<AmqpOutput> {
        let broker = Broker::parse(&settings.url)?;
        anyhow::ensure!(
            settings.tls.is_none() || broker.is_secure(),
            "`tls` is given, but `url` begins with amqp://, which is for all to read: write amqps://"
        );
        for (option, name) in [
            ("exchange", &settings.exchange),
            ("routing_key", &settings.routing_key),
            ("content_type", &settings.content_type),
        ] {
            anyhow::ensure!(name.len() <= MAX_NAME, "`{option}` is longer than 255 bytes");
        }
        anyhow::ensure!(
            !settings.exchange.is_empty() || !settings.routing_key.is_empty(),
            "`exchange` is missing; to write into a queue by its name, give that as `routing_key`"
        );
        anyhow::ensure!(
            settings.max_batch_count > 0,
            "`max_batch_count` is 0, expected at least 1"
        );
        Ok(AmqpOutput { settings, broker, link: None, published: 0 })
    }
}

impl JsonSchema for AmqpOutput {
    fn schema_name() -> Cow<'static, str> {
        "AMQPOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for AmqpOutput {
    const NAME: &'static str = "AMQPOutput";
    const ABOUT: &'static str = "Publishes records to an exchange of RabbitMQ (AMQP 0-9-1).";
    const EXAMPLE: &'static str = "[AMQPOutput]\nmessage_matcher = \"Type == 'nginx.access'\"\n\
        url = \"amqp://guest:guest@localhost/\"\nexchange = \"logs\"\nexchange_type = \"topic\"\n\
        exchange_durability = true\nexchange_auto_delete = false\nrouting_key = \"nginx\"\n\
        persistent = true\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("ProtobufEncoder"), ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        if let Some(tls) = &self.settings.tls {
            tls.client()?;
        }
        Ok(())
    }
}

#[async_trait]
impl Output for AmqpOutput {
    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        let opened = self.connect(&cx.name).await;
        self.link = Some(opened.map_err(|error| Failure::Retry(error.into()))?);
        self.published = 0;
        Ok(())
    }

    fn batching(&self) -> Option<Batching> {
        let records = self.settings.max_batch_count;
        Some(Batching { records, bytes: MAX_BYTES, interval: Duration::ZERO })
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        while load.records().len() > 0 {
            self.publish(load).await?;
        }
        Ok(Sent::Done)
    }

    async fn idle(&mut self) -> Result<(), Failure> {
        let Some(link) = &self.link else { return std::future::pending().await };
        let why = link.told.ended().await;
        Err(Failure::Retry(link.failure("stay connected".to_owned(), &why).into()))
    }

    async fn close(&mut self) {
        self.link = None;
    }
}

impl AmqpOutput {
    async fn connect(&self, name: &str) -> Result<Link, crate::net::amqp::Error> {
        let settings = &self.settings;
        let link = Link::open(&self.broker, settings.tls.as_ref(), name).await?;
        if !settings.read_only && !settings.exchange.is_empty() {
            let exchange = Exchange {
                name: &settings.exchange,
                kind: settings.exchange_type,
                is_durable: settings.exchange_durability,
                is_auto_delete: settings.exchange_auto_delete,
            };
            link.declare(&exchange).await?;
        }
        let selected = link.channel.confirm_select(ConfirmSelectArguments::default()).await;
        selected.map_err(|error| link.error("ask for confirmations".to_owned(), &error))?;
        Ok(link)
    }

    /// Publishes some of the load and waits for what becomes of it.
    async fn publish(&mut self, load: &mut Load) -> Result<(), Failure> {
        let settings = &self.settings;
        let link = self.link.as_ref().context("it is not open").map_err(Failure::Retry)?;
        let mut properties = BasicProperties::default();
        properties.with_content_type(&settings.content_type);
        if settings.persistent {
            properties.with_delivery_mode(DELIVERY_MODE_PERSISTENT);
        }
        let mut arguments = BasicPublishArguments::new(&settings.exchange, &settings.routing_key);
        arguments.mandatory(settings.mandatory);
        let (first, before) = (load.first(), self.published);
        let mut error = None;
        for record in load.records().take(settings.max_batch_count) {
            self.published += 1;
            link.told.published(self.published);
            let (properties, arguments) = (properties.clone(), arguments.clone());
            let sent = link.channel.basic_publish(properties, record.to_vec(), arguments).await;
            if let Err(failed) = sent {
                link.told.end(&failed.to_string());
                error = Some(failed);
                break;
            }
        }
        let outcome = link.told.outcome().await;
        let count = usize::try_from(self.published - before).unwrap_or(usize::MAX);
        if outcome.outstanding.is_empty() && outcome.ended.is_none() && outcome.returned.is_none() {
            load.advance(count);
            return Ok(());
        }
        // What is not stored comes again, and what was not published yet.
        let at = |number: &u64| first + usize::try_from(number - before - 1).unwrap_or(usize::MAX);
        let rest = first + count..load.encoded.len();
        let what = "publish".to_owned();
        let seen = outcome.ended.clone().or(error.map(|error| error.to_string()));
        let why = seen.map(|seen| link.failure(what, &seen));
        if outcome.returned.is_none() {
            let again: Vec<_> = outcome.outstanding.iter().map(at).chain(rest).collect();
            load.keep(&again);
        }
        if let Some(size) = why.as_ref().and_then(|why| too_large(&why.to_string(), load)) {
            let text = "the broker does not take a record of";
            return Err(Failure::Reject(anyhow!(
                "{text} {size} bytes; see its `max_message_size`"
            )));
        }
        Err(self.failure(&outcome, why))
    }

    fn failure(&self, outcome: &Outcome, why: Option<crate::net::amqp::Error>) -> Failure {
        let (exchange, key) = (&self.settings.exchange, &self.settings.routing_key);
        if let Some((reason, count)) = &outcome.returned {
            return Failure::Retry(anyhow!(
                "{count} records belong in no queue ({reason}): bind one to the exchange `{exchange}` \
                 with the routing key `{key}`, or let the broker drop them with `mandatory = false`"
            ));
        }
        let Some(why) = why else {
            return Failure::Retry(anyhow!(
                "the broker {} has no room for {} records now; look at the limits of its queues",
                self.broker,
                outcome.refused
            ));
        };
        Failure::Retry(why.into())
    }
}

/// The size of the record that the broker has ended the channel for, which then is the first.
fn too_large(reason: &str, load: &mut Load) -> Option<usize> {
    if !reason.contains("message size") {
        return None;
    }
    let numbers = reason.split(|letter: char| !letter.is_ascii_digit());
    let sizes: Vec<usize> = numbers.filter_map(|number| number.parse().ok()).collect();
    let index = load.records().position(|record| sizes.contains(&record.len()))?;
    let all = 0..load.records().len();
    let kept: Vec<_> = std::iter::once(index).chain(all.filter(|other| *other != index)).collect();
    load.keep(&kept);
    load.records().next().map(<[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for (settings, expected) in [
            ("exchange = 'x'", "missing field `url`"),
            ("url = 'amqp://h'", "`exchange` is missing"),
            ("url = 'amqp:h'\nexchange = 'x'", "no address of a broker"),
            ("url = 'amqp://h'\nexchange = 'x'\ntls = {}", "write amqps://"),
            ("url = 'amqp://h'\nexchange = 'x'\nmax_batch_count = 0", "at least 1"),
        ] {
            let error = toml::from_str::<AmqpOutput>(settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
