//! Sockets, TLS, HTTP client and server as all plugins use them.
//!
//! Stream sockets: an [`Address`] says where, a [`Listener`] or a [`Connector`] gives a [`Stream`],
//! which is plain or under TLS. Datagrams: [`datagram`]. HTTP: [`http`]. AMQP: [`amqp`]. NATS: [`nats`]. All of it is bounded: the
//! connections of a listener, the time a connection may take, the size of a body.

pub mod amqp;
#[cfg(feature = "cassandra")]
pub mod cassandra;
pub mod datagram;
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod nats;
pub mod tls;

mod accept;
mod address;
mod connect;
mod exchange;
mod held;
mod places;
mod queued;
mod stream;

pub use accept::Listener;
pub use accept::Options as ListenOptions;
pub use address::Address;
pub use address::DatagramNet;
pub use address::StreamNet;
pub use connect::Connector;
pub use exchange::Exchange;
pub use held::Binding;
pub use held::Successor;
pub use held::keep_only;
pub use places::Place;
pub use stream::Peer;
pub use stream::Stream;
pub use tls::Tls;

/// What went wrong with a socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be read.
    #[error("`{address}` is no address for {net}, expected {expected}")]
    Address {
        /// What was written.
        address: String,
        /// The net it was written for.
        net: &'static str,
        /// What it should look like.
        expected: &'static str,
    },
    /// A name has no address of the family that was asked for.
    #[error("cannot resolve `{0}` for {1}")]
    Resolve(String, &'static str),
    /// There is no such net.
    #[error("`{0}` is no net")]
    Net(String),
    /// A port that not everybody may bind.
    #[error(
        "cannot listen on {address}: only root may, and who has the capability net_bind_service \
         (see `user` and `keep_capabilities` of [hekad])"
    )]
    Privileged {
        /// The address.
        address: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The system said no.
    #[error("cannot {what} {address}")]
    Socket {
        /// What was tried.
        what: &'static str,
        /// On which address.
        address: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("no connection to {0} within {1:?}")]
    Timeout(String, std::time::Duration),
    /// TLS settings that do not work.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// No node of Cassandra lets us in.
    #[cfg(feature = "cassandra")]
    #[error("cannot reach cassandra at {nodes}: {told}")]
    Cassandra {
        /// The nodes that were asked.
        nodes: String,
        /// What the driver says, and what to do.
        told: String,
    },
    /// The TLS of its driver does not start.
    #[cfg(feature = "cassandra")]
    #[error("cannot set up tls for cassandra: {0}")]
    OpenSsl(String),
    /// The HTTP client cannot be built.
    #[error("cannot build the http client")]
    Client(#[source] reqwest::Error),
}

impl Error {
    /// The error and what caused it, in one line.
    fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }

    /// As [`Error::socket`], of one that is to be bound to a port.
    fn listening(
        port: Option<u16>,
        what: &'static str,
        address: &impl std::fmt::Display,
    ) -> impl FnOnce(std::io::Error) -> Error {
        let address = address.to_string();
        move |source| {
            let is_privileged = port.is_some_and(|port| port < held::first_free_port());
            match source.kind() {
                std::io::ErrorKind::PermissionDenied if is_privileged => {
                    Error::Privileged { address, source }
                }
                _ => Error::Socket { what, address, source },
            }
        }
    }

    fn socket(
        what: &'static str,
        address: &impl std::fmt::Display,
    ) -> impl FnOnce(std::io::Error) -> Error {
        let address = address.to_string();
        move |source| Error::Socket { what, address, source }
    }
}
