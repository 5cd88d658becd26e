//! What the outputs over a stream socket have in common.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use tokio::io::AsyncRead;
use tokio::io::AsyncWriteExt;
use tokio::io::ReadBuf;

use crate::net::Address;
use crate::net::Connector;
use crate::net::Stream;
use crate::net::StreamNet;
use crate::plugin::Failure;

/// How long the other side may take to end a connection that is closed.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection, while there is one.
#[derive(Debug)]
pub(super) struct Connection {
    connector: Connector,
    stream: Option<Stream>,
}

impl Connection {
    /// A connection to where `connector` leads, not made yet.
    pub(super) fn new(connector: Connector) -> Connection {
        Connection { connector, stream: None }
    }

    /// Connects where there is no connection.
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        if self.stream.is_none() {
            let connected = self.connector.connect().await;
            self.stream = Some(connected.map_err(|error| Failure::Retry(error.into()))?);
        }
        Ok(())
    }

    /// Writes all of `bytes`. A connection that the other side has closed is found before that, and
    /// whatever goes wrong ends it.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.open().await?;
        let address = self.connector.address();
        let Some(stream) = &mut self.stream else {
            return Err(Failure::Retry(anyhow!("there is no connection to {address}")));
        };
        let result = match heard(stream).await {
            Ok(()) => match stream.write_all(bytes).await {
                Ok(()) => stream.flush().await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        result.with_context(|| format!("cannot write to {address}")).map_err(|error| {
            self.stream = None;
            Failure::Retry(error)
        })
    }

    /// How many bytes of all that was written the other side's system has not acknowledged.
    ///
    /// # Errors
    /// When there is no connection any more, or the other side has closed it.
    pub(super) async fn unacknowledged(&mut self) -> Result<usize, Failure> {
        let address = self.connector.address();
        let Some(stream) = &mut self.stream else {
            return Err(Failure::Retry(anyhow!("there is no connection to {address}")));
        };
        let left = stream.unacknowledged();
        let result = match (left, heard(stream).await) {
            (Ok(left), Ok(())) => Ok(left),
            // It had everything when it said that it has no more to say. After a reset a queue says
            // nothing.
            (Ok(0), Err(error)) if error.kind() == ErrorKind::ConnectionAborted => Ok(0),
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        result.with_context(|| format!("the connection to {address} broke")).map_err(|error| {
            self.stream = None;
            Failure::Retry(error)
        })
    }

    /// Resolves when the other side has closed, which ends the connection.
    pub(super) async fn ended(&mut self) -> Failure {
        let address = self.connector.address();
        let Some(stream) = &mut self.stream else {
            return Failure::Retry(anyhow!("there is no connection to {address}"));
        };
        let error = poll_fn(|cx| listen(stream, cx)).await;
        let error =
            anyhow::Error::from(error).context(format!("the connection to {address} broke"));
        self.stream = None;
        Failure::Retry(error)
    }

    /// Waits until the other side has closed.
    #[cfg(test)]
    pub(super) async fn closed_by_peer(&mut self) {
        while heard(self.stream.as_mut().unwrap()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    /// Closes the connection in good order.
    pub(super) async fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            let _ = stream.close(GOODBYE).await;
        }
    }
}

/// Reads what the other side says, which nobody asked for; an error when it has closed.
async fn heard(stream: &mut Stream) -> std::io::Result<()> {
    poll_fn(|cx| match listen(stream, cx) {
        Poll::Pending => Poll::Ready(Ok(())),
        Poll::Ready(error) => Poll::Ready(Err(error)),
    })
    .await
}

/// As [`heard`], until it has closed.
fn listen(stream: &mut Stream, cx: &mut std::task::Context<'_>) -> Poll<std::io::Error> {
    let mut bytes = [0; 512];
    loop {
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                return Poll::Ready(ErrorKind::ConnectionAborted.into());
            }
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(error),
        }
    }
}

/// Reads the address of a TCP socket, `host:port`.
pub(super) fn tcp_address<'de, D: Deserializer<'de>>(from: D) -> Result<Address, D::Error> {
    let written = String::deserialize(from)?;
    Address::stream(StreamNet::Tcp, &written).map_err(serde::de::Error::custom)
}

/// An address of this machine: an IP address, with a port or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalAddress(pub(super) SocketAddr);

impl<'de> Deserialize<'de> for LocalAddress {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<LocalAddress, D::Error> {
        let written = String::deserialize(from)?;
        let without_port = || written.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
        written.parse().or_else(|_| without_port()).map(LocalAddress).map_err(|_| {
            serde::de::Error::custom(format!(
                "`{written}` is no local address, expected an ip address, with `:port` or without"
            ))
        })
    }
}

impl JsonSchema for LocalAddress {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "LocalAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "an ip address, with a port or without" })
    }
}
