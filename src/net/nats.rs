//! A server of NATS with JetStream: a connection, and why it ended.
//!
//! The client would connect again by itself, for ever and silently. Here the end of a connection is told,
//! and the pipeline opens the plugin anew after its own pause.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::ConnectErrorKind;
use async_nats::ConnectOptions;
use async_nats::Event;
use async_nats::ServerAddr;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use tokio::sync::watch;

use super::Tls;
use super::tls;
use crate::stdx::secret::Secret;

/// How long connecting, and any request, may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often the server is asked whether it lives.
const PING: Duration = Duration::from_secs(10);

/// Why there is no talking with a server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be read.
    #[error(
        "`{0}` is no address of a server of NATS, expected host:4222, nats://host or tls://host"
    )]
    Address(String),
    /// TLS settings that do not work.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The file with the credentials cannot be used.
    #[error("cannot read credentials from {path}: {reason}")]
    Credentials {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The server does not know who asks.
    #[error(
        "the server {0} does not let us in: look at `username` and `password`, `token`, `nkey_seed` or \
         `credentials_file`"
    )]
    Login(String),
    /// There is no connection.
    #[error("cannot connect to the server {server}: {reason}")]
    Connect {
        /// The addresses.
        server: String,
        /// What went wrong.
        reason: String,
    },
    /// The connection has ended.
    #[error("the connection to the server {server} has ended: {reason}")]
    Ended {
        /// The addresses.
        server: String,
        /// What the server or the system said.
        reason: String,
    },
}

/// Where to connect to, and as whom.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The servers of a cluster, any of which will do.
    pub servers: &'a [String],
    /// A user.
    pub username: &'a str,
    /// The password of the user.
    pub password: Option<&'a Secret>,
    /// A token, in place of a user.
    pub token: Option<&'a Secret>,
    /// The seed of an NKey, in place of a user.
    pub nkey: Option<&'a Secret>,
    /// A file with a token and the seed of its key.
    pub credentials: Option<&'a Path>,
    /// How the connection is secured.
    pub tls: Option<&'a Tls>,
}

/// A connection.
#[derive(Clone, Debug)]
pub struct Link {
    server: Arc<str>,
    client: Client,
    /// JetStream, over this connection.
    pub jetstream: Context,
    ended: watch::Receiver<Option<String>>,
    said: watch::Receiver<Option<String>>,
}

impl Access<'_> {
    /// Finds what contradicts itself.
    ///
    /// # Errors
    /// When an address cannot be read, or the settings of TLS do not work.
    pub fn check(&self) -> Result<(), Error> {
        self.addresses()?;
        self.tls.map(Tls::client).transpose()?;
        Ok(())
    }

    fn addresses(&self) -> Result<Vec<ServerAddr>, Error> {
        let read = |text: &String| text.parse().map_err(|_| Error::Address(text.clone()));
        self.servers.iter().map(read).collect()
    }

    async fn options(&self) -> Result<ConnectOptions, Error> {
        let mut options = ConnectOptions::new();
        if !self.username.is_empty() {
            let password = self.password.map_or("", Secret::reveal);
            options = options.user_and_password(self.username.to_owned(), password.to_owned());
        }
        if let Some(token) = self.token {
            options = options.token(token.reveal().to_owned());
        }
        if let Some(seed) = self.nkey {
            options = options.nkey(seed.reveal().trim().to_owned());
        }
        if let Some(path) = self.credentials {
            let unreadable = |error: std::io::Error| Error::Credentials {
                path: path.display().to_string(),
                reason: error.to_string(),
            };
            options = options.credentials_file(path).await.map_err(unreadable)?;
        }
        if let Some(tls) = self.tls {
            let config = match tls.server_name.as_str() {
                "" => tls.client()?,
                _ => tls.client_by_name()?,
            };
            options = options.require_tls(true).tls_client_config((*config).clone());
        }
        Ok(options)
    }
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// When no server is there, or it does not want us.
    pub async fn open(access: &Access<'_>, name: &str, in_flight: usize) -> Result<Link, Error> {
        let server: Arc<str> = access.servers.join(", ").into();
        let (end, ended) = watch::channel(None);
        let (say, said) = watch::channel(None);
        let options = access.options().await?.name(format!("heka {name}"));
        let options = options.max_reconnects(1).connection_timeout(TIMEOUT).ping_interval(PING);
        let options = options.client_capacity(in_flight.max(256)).event_callback(move |event| {
            match event {
                Event::Disconnected | Event::Closed => {
                    end.send_if_modified(|reason| {
                        let is_first = reason.is_none();
                        reason.get_or_insert_with(|| "it was lost".to_owned());
                        is_first
                    });
                }
                Event::ServerError(error) => {
                    say.send_replace(Some(error.to_string()));
                }
                _ => {}
            }
            std::future::ready(())
        });
        let connected = options.connect(access.addresses()?).await;
        let client = connected.map_err(|error| match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                Error::Login(server.to_string())
            }
            _ => {
                let mut reason = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(error) = cause {
                    let text = error.to_string();
                    if !reason.contains(&text) {
                        reason.push_str(&format!(": {text}"));
                    }
                    cause = error.source();
                }
                Error::Connect { server: server.to_string(), reason }
            }
        })?;
        let context = ContextBuilder::new().timeout(TIMEOUT).max_ack_inflight(in_flight);
        let jetstream = context.build(client.clone());
        Ok(Link { server, client, jetstream, ended, said })
    }

    /// The largest message the server takes, headers included, in bytes.
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// What the server said last about something it does not permit.
    pub fn said(&self) -> Option<String> {
        self.said.borrow().clone()
    }

    /// Resolves when the connection has ended.
    pub async fn ended(&self) -> Error {
        let mut ended = self.ended.clone();
        let waited = ended.wait_for(Option::is_some).await;
        let reason = waited.ok().and_then(|reason| reason.clone());
        let reason = self.said().or(reason).unwrap_or_else(|| "the client has ended".to_owned());
        Error::Ended { server: self.server.to_string(), reason }
    }

    /// Sends what is still on its way.
    pub async fn flush(&self) {
        // Who asks does not depend on it.
        let _ = tokio::time::timeout(TIMEOUT, self.client.flush()).await;
    }
}
