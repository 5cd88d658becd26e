//! A queue of RabbitMQ, or of another broker of AMQP 0-9-1.
//!
//! What is delivered is acknowledged when it is in the journal and synced: the broker delivers it again
//! to whoever comes next when the engine, or the connection, ends before that.

use std::borrow::Cow;
use std::sync::Arc;

use amqprs::Deliver;
use amqprs::FieldTable;
use amqprs::FieldValue;
use amqprs::channel::BasicAckArguments;
use amqprs::channel::BasicConsumeArguments;
use amqprs::channel::BasicQosArguments;
use amqprs::channel::ConsumerMessage;
use amqprs::channel::QueueBindArguments;
use amqprs::channel::QueueDeclareArguments;
use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::message::Value;
use crate::net::Tls;
use crate::net::amqp::Broker;
use crate::net::amqp::Exchange;
use crate::net::amqp::ExchangeKind;
use crate::net::amqp::Link;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Origin;
use crate::plugin::Stream;
use crate::stdx::secret::Secret;

/// The longest name that AMQP has room for, in bytes.
const MAX_NAME: usize = 255;

/// Reads a queue: messages of the type `amqp`, with the body as payload and the fields `Exchange` and
/// `RoutingKey`.
///
/// Each body goes through the splitter by itself. What an `AMQPOutput` has sent is read with
/// `splitter = "HekaFramingSplitter"` and `decoder = "ProtobufDecoder"`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct AmqpInput {
    settings: Settings,
    broker: Broker,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The broker: `amqp://user:password@host:5672/vhost`, with `amqps` for TLS.
    url: Secret,
    /// The exchange that the queue is bound to. Nothing is bound where it is empty.
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
    /// What the queue is bound with.
    #[serde(default)]
    routing_key: String,
    /// How many messages may wait to be acknowledged. Each time what has come is synced before it is
    /// acknowledged, so a small number costs throughput. Heka's default was 2.
    #[serde(default = "prefetch")]
    prefetch_count: u16,
    /// The queue. Where it is empty the broker makes one up, anew for each connection.
    #[serde(default)]
    queue: String,
    /// Whether the queue is bound to the exchange.
    #[serde(default = "yes")]
    bind_queue: bool,
    /// Whether the queue outlives the broker.
    #[serde(default)]
    queue_durability: bool,
    /// Whether the queue is for this connection alone, and goes with it.
    #[serde(default)]
    queue_exclusive: bool,
    /// Whether the queue goes with the last that reads it.
    #[serde(default = "yes")]
    queue_auto_delete: bool,
    /// How long a message stays in the queue, -1 is for ever. In milliseconds.
    #[serde(default = "for_ever")]
    queue_ttl: i32,
    /// Whether exchange and queue are there already and nothing is declared.
    #[serde(default)]
    read_only: bool,
    /// How the connection is secured, with `amqps`.
    tls: Option<Tls>,
}

fn fanout() -> ExchangeKind {
    ExchangeKind::Fanout
}

fn yes() -> bool {
    true
}

fn prefetch() -> u16 {
    1000
}

fn for_ever() -> i32 {
    -1
}

impl TryFrom<Settings> for AmqpInput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<AmqpInput> {
        let broker = Broker::parse(&settings.url)?;
        anyhow::ensure!(
            settings.tls.is_none() || broker.is_secure(),
            "`tls` is given, but `url` begins with amqp://, which is for all to read: write amqps://"
        );
        for (option, name) in [
            ("exchange", &settings.exchange),
            ("routing_key", &settings.routing_key),
            ("queue", &settings.queue),
        ] {
            anyhow::ensure!(name.len() <= MAX_NAME, "`{option}` is longer than 255 bytes");
        }
        anyhow::ensure!(
            !settings.read_only || !settings.queue.is_empty(),
            "`read_only` needs the name of a `queue` that is there"
        );
        anyhow::ensure!(
            settings.queue_ttl >= -1,
            "`queue_ttl` is {}, expected milliseconds, or -1 for no limit",
            settings.queue_ttl
        );
        anyhow::ensure!(settings.prefetch_count > 0, "`prefetch_count` is 0, expected at least 1");
        Ok(AmqpInput { settings, broker })
    }
}

impl JsonSchema for AmqpInput {
    fn schema_name() -> Cow<'static, str> {
        "AMQPInput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for AmqpInput {
    const NAME: &'static str = "AMQPInput";
    const ABOUT: &'static str = "Reads a queue of RabbitMQ (AMQP 0-9-1).";
    const EXAMPLE: &'static str = "[AMQPInput]\nurl = \"amqp://guest:guest@localhost/\"\n\
        exchange = \"logs\"\nexchange_type = \"topic\"\nrouting_key = \"#\"\nqueue = \"heka\"\n\
        queue_durability = true\nqueue_auto_delete = false\n";

    fn check(&self) -> anyhow::Result<()> {
        if let Some(tls) = &self.settings.tls {
            tls.client()?;
        }
        Ok(())
    }
}

#[async_trait]
impl Input for AmqpInput {
    fn promise(&self) -> &'static str {
        "acknowledged when it is durable: the server delivers the rest again, at least once"
    }

    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let mut stream = cx.stream(cx.origin("amqp"), None).await?;
        let read = self.read(&cx, &mut stream);
        tokio::select! {
            () = cx.stopping.cancelled() => Ok(()),
            ended = read => ended,
        }
    }
}

impl AmqpInput {
    async fn read(&self, cx: &InputContext, stream: &mut Stream) -> anyhow::Result<()> {
        let link = Link::open(&self.broker, self.settings.tls.as_ref(), &cx.name).await?;
        let (queue, mut deliveries) = self.consume(&link).await?;
        tracing::info!(input = &*cx.name, broker = %self.broker, queue, "reads the queue");
        let mut origins = Origins { cx, last: None };
        loop {
            let Some(first) = deliveries.recv().await else {
                let why = link.told.ended().await;
                return Err(link.failure(format!("read the queue `{queue}`"), &why).into());
            };
            let mut tag = take(stream, &mut origins, first).await?;
            // More than `prefetch_count` are never there.
            while let Ok(next) = deliveries.try_recv() {
                tag = take(stream, &mut origins, next).await?;
            }
            stream.durable().await?;
            let acknowledged = link.channel.basic_ack(BasicAckArguments::new(tag, true)).await;
            acknowledged.map_err(|error| link.error("acknowledge".to_owned(), &error))?;
        }
    }

    /// Declares what is to be there, and asks for messages.
    async fn consume(
        &self,
        link: &Link,
    ) -> anyhow::Result<(String, UnboundedReceiver<ConsumerMessage>)> {
        let settings = &self.settings;
        let mut queue = settings.queue.clone();
        if !settings.read_only {
            if !settings.exchange.is_empty() {
                let exchange = Exchange {
                    name: &settings.exchange,
                    kind: settings.exchange_type,
                    is_durable: settings.exchange_durability,
                    is_auto_delete: settings.exchange_auto_delete,
                };
                link.declare(&exchange).await?;
            }
            queue = self.declare_queue(link).await?;
            if settings.bind_queue && !settings.exchange.is_empty() {
                let binding =
                    QueueBindArguments::new(&queue, &settings.exchange, &settings.routing_key);
                let bound = link.channel.queue_bind(binding).await;
                bound.map_err(|error| {
                    link.error(format!("bind `{queue}` to `{}`", settings.exchange), &error)
                })?;
            }
        }
        let ahead = BasicQosArguments::new(0, settings.prefetch_count, false);
        let asked = link.channel.basic_qos(ahead).await;
        asked.map_err(|error| link.error("ask for messages".to_owned(), &error))?;
        let mut arguments = BasicConsumeArguments::new(&queue, "");
        arguments.manual_ack(true).exclusive(false);
        let consuming = link.channel.basic_consume_rx(arguments).await;
        let (_, deliveries) =
            consuming.map_err(|error| link.error(format!("read the queue `{queue}`"), &error))?;
        Ok((queue, deliveries))
    }

    async fn declare_queue(&self, link: &Link) -> anyhow::Result<String> {
        let settings = &self.settings;
        let mut arguments = QueueDeclareArguments::new(&settings.queue);
        arguments
            .durable(settings.queue_durability)
            .exclusive(settings.queue_exclusive)
            .auto_delete(settings.queue_auto_delete);
        if settings.queue_ttl >= 0 {
            let mut table = FieldTable::new();
            let name = "x-message-ttl".try_into().expect("the name is short");
            table.insert(name, FieldValue::I(settings.queue_ttl));
            arguments.arguments(table);
        }
        let declared = link.channel.queue_declare(arguments).await;
        let declared = declared.map_err(|error| {
            link.error(format!("declare the queue `{}`", settings.queue), &error)
        })?;
        Ok(declared.map_or_else(|| settings.queue.clone(), |(name, _, _)| name))
    }
}

/// Hands over a delivery; gives its number.
async fn take(
    stream: &mut Stream,
    origins: &mut Origins<'_>,
    delivery: ConsumerMessage,
) -> anyhow::Result<u64> {
    let deliver = delivery.deliver.ok_or_else(|| anyhow::anyhow!("a delivery has no head"))?;
    let origin = origins.of(&deliver);
    stream.whole(Bytes::from(delivery.content.unwrap_or_default()), Some(origin)).await?;
    Ok(deliver.delivery_tag())
}

/// What is said of messages, made once for those that come the same way.
struct Origins<'a> {
    cx: &'a InputContext,
    last: Option<(String, String, Arc<Origin>)>,
}

impl Origins<'_> {
    fn of(&mut self, deliver: &Deliver) -> Arc<Origin> {
        let (exchange, key) = (deliver.exchange(), deliver.routing_key());
        if let Some((last_exchange, last_key, origin)) = &self.last
            && (last_exchange, last_key) == (exchange, key)
        {
            return origin.clone();
        }
        let mut origin = self.cx.origin("amqp");
        origin.push("Exchange", "", Value::String(exchange.as_bytes()));
        origin.push("RoutingKey", "", Value::String(key.as_bytes()));
        let origin = Arc::new(origin);
        self.last = Some((exchange.clone(), key.clone(), origin.clone()));
        origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for (settings, expected) in [
            ("", "missing field `url`"),
            ("url = 'localhost'", "no address of a broker"),
            ("url = 'amqp://h'\ntls = {}", "write amqps://"),
            ("url = 'amqp://h'\nread_only = true", "needs the name of a `queue`"),
            ("url = 'amqp://h'\nqueue_ttl = -2", "-1 for no limit"),
            ("url = 'amqp://h'\nprefetch_count = 0", "at least 1"),
            ("url = 'amqp://h'\nexchange_type = 'x'", "`fanout`, `direct`"),
            ("url = 'amqp://h'\nquue = 'x'", "unknown field `quue`"),
        ] {
            let error = toml::from_str::<AmqpInput>(settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
