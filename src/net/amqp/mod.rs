//! A broker of AMQP 0-9-1, as RabbitMQ is one: where it is, and a channel on a connection of its own.
//!
//! The client reports what goes wrong by ending things; why it did so is said to a callback. Both come
//! together in [`Link::error`]: what the broker gave as the reason, and what can be done about it.

mod ear;
mod url;

use std::sync::Arc;
use std::time::Duration;

use amqprs::channel::Channel;
use amqprs::channel::ExchangeDeclareArguments;
use amqprs::connection::Connection;
use amqprs::connection::OpenConnectionArguments;
use amqprs::tls::TlsAdaptor;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;

pub use ear::Outcome;
pub use ear::Told;
pub use url::Broker;

use super::Tls;
use super::tls;
use ear::Ear;

/// How long connecting and logging in may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often a connection is looked at besides.
const LOOK: Duration = Duration::from_secs(2);

/// Why there is no talking with a broker.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL of the broker is none.
    #[error("`url` is no address of a broker: {0}; expected amqp://user:password@host:5672/vhost")]
    Url(&'static str),
    /// TLS settings that do not work.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// There is no connection.
    #[error("cannot connect to the broker {broker}: {reason}")]
    Connect {
        /// Its host and port.
        broker: String,
        /// What the system said.
        reason: String,
    },
    /// The broker has ended the connection before it was open.
    #[error(
        "the broker {broker} does not let `{user}` in: look at user and password in `url`, and at \
         its permissions for the virtual host `{virtual_host}` ({reason})"
    )]
    Login {
        /// Its host and port.
        broker: String,
        /// Who asked.
        user: String,
        /// For what.
        virtual_host: String,
        /// What the client saw.
        reason: String,
    },
    /// It did not answer.
    #[error("the broker {broker} does not answer within {within:?}")]
    Timeout {
        /// Its host and port.
        broker: String,
        /// How long it was given.
        within: Duration,
    },
    /// The broker has refused what was asked.
    #[error("cannot {what} at the broker {broker}: {reason}{advice}")]
    Refused {
        /// What was asked.
        what: String,
        /// Its host and port.
        broker: String,
        /// What it said.
        reason: String,
        /// What can be done about it.
        advice: &'static str,
    },
}

/// What kind of exchange: how it finds the queues for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExchangeKind {
    /// All queues that are bound.
    Fanout,
    /// Those bound with the routing key.
    Direct,
    /// Those bound with a pattern that the routing key fits.
    Topic,
    /// Those bound with headers that the message has.
    Headers,
}

impl ExchangeKind {
    fn name(self) -> &'static str {
        match self {
            ExchangeKind::Fanout => "fanout",
            ExchangeKind::Direct => "direct",
            ExchangeKind::Topic => "topic",
            ExchangeKind::Headers => "headers",
        }
    }
}

/// An exchange, as it is declared.
#[derive(Clone, Debug)]
pub struct Exchange<'a> {
    /// Its name.
    pub name: &'a str,
    /// What kind it is.
    pub kind: ExchangeKind,
    /// Whether it outlives the broker.
    pub is_durable: bool,
    /// Whether it goes with the last queue bound to it.
    pub is_auto_delete: bool,
}

/// An open channel.
pub struct Link {
    broker: Arc<str>,
    /// The channel.
    pub channel: Channel,
    /// What the broker says on its own.
    pub told: Arc<Told>,
    _watch: AbortOnDropHandle<()>,
    // Ends when it is dropped.
    _connection: Connection,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("broker", &self.broker).finish_non_exhaustive()
    }
}

impl Link {
    /// Connects, logs in and opens a channel.
    ///
    /// # Errors
    /// When the broker is not there, or does not want us.
    pub async fn open(broker: &Broker, tls: Option<&Tls>, name: &str) -> Result<Link, Error> {
        let mut arguments = OpenConnectionArguments::new(
            broker.host(),
            broker.port(),
            broker.user(),
            broker.password(),
        );
        arguments.virtual_host(broker.virtual_host()).heartbeat(broker.heartbeat());
        arguments.connection_name(&format!("heka {name}"));
        if broker.is_secure() {
            let default = Tls::default();
            let tls = tls.unwrap_or(&default);
            let server = match tls.server_name.as_str() {
                "" => broker.host().trim_matches(['[', ']']),
                server => server,
            };
            let connector = tokio_rustls::TlsConnector::from(tls.client()?);
            arguments.tls_adaptor(TlsAdaptor::new(connector, server.to_owned()));
        }
        let opened = tokio::time::timeout(TIMEOUT, Link::attempt(broker, &arguments)).await;
        opened
            .unwrap_or_else(|_| Err(Error::Timeout { broker: broker.to_string(), within: TIMEOUT }))
    }

    async fn attempt(broker: &Broker, arguments: &OpenConnectionArguments) -> Result<Link, Error> {
        let connection = Connection::open(arguments).await;
        let connection = connection.map_err(|error| broker.not_open(&error))?;
        let told = Arc::new(Told::default());
        let failed = |error: amqprs::error::Error| {
            let what = "open a channel".to_owned();
            refused(&broker.to_string(), what, told.reason().unwrap_or(error.to_string()))
        };
        connection.register_callback(Ear(told.clone())).await.map_err(failed)?;
        let channel = connection.open_channel(None).await.map_err(failed)?;
        channel.register_callback(Ear(told.clone())).await.map_err(failed)?;
        let (watched, ear) = (connection.clone(), told.clone());
        let watch = tokio::spawn(async move {
            while watched.is_open() {
                // What ended before it was listened to is not told.
                let _ = tokio::time::timeout(LOOK, watched.listen_network_io_failure()).await;
            }
            ear.end("the connection was lost");
        });
        let watch = AbortOnDropHandle::new(watch);
        let broker = Arc::from(broker.to_string());
        Ok(Link { broker, channel, told, _watch: watch, _connection: connection })
    }

    /// Declares an exchange.
    ///
    /// # Errors
    /// When the broker refuses, as it does when there is another one under that name.
    pub async fn declare(&self, exchange: &Exchange<'_>) -> Result<(), Error> {
        let mut arguments = ExchangeDeclareArguments::new(exchange.name, exchange.kind.name());
        arguments.durable(exchange.is_durable).auto_delete(exchange.is_auto_delete);
        let declared = self.channel.exchange_declare(arguments).await;
        declared.map_err(|error| {
            self.error(format!("declare the exchange `{}`", exchange.name), &error)
        })
    }

    /// What went wrong when `what` was asked: the broker's own reason where it gave one.
    pub fn error(&self, what: String, error: &amqprs::error::Error) -> Error {
        self.failure(what, &error.to_string())
    }

    /// As [`Link::error`], where the client has no error of its own to show.
    pub fn failure(&self, what: String, seen: &str) -> Error {
        refused(&self.broker, what, self.told.reason().unwrap_or_else(|| seen.to_owned()))
    }
}

fn refused(broker: &str, what: String, reason: String) -> Error {
    let advice = match &reason {
        text if text.starts_with("403") => {
            "; give the user the permission, see rabbitmqctl set_permissions"
        }
        text if text.starts_with("404") => "; create it there, or let `read_only` be false",
        text if text.starts_with("405") => "; somebody else has it for himself alone",
        text if text.starts_with("406") => {
            "; it is there with other settings: make type, durability, auto_delete and ttl the same, \
             or use it as it is with `read_only = true`"
        }
        _ => "",
    };
    Error::Refused { what, broker: broker.to_owned(), reason, advice }
}
