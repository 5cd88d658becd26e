//! A connection: TCP or a Unix socket, plain or under TLS.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncBufRead;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::net::UnixStream;

use super::places::Pulse;
use super::queued;

/// A connection that can be read and written.
#[derive(Debug)]
pub struct Stream {
    transport: Transport,
    peer: Peer,
    /// Told when something moves, where somebody wants to know.
    pulse: Option<Arc<Pulse>>,
}

#[derive(Debug)]
enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    TlsTcp(Box<tokio_rustls::TlsStream<TcpStream>>),
    TlsUnix(Box<tokio_rustls::TlsStream<UnixStream>>),
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address of the network.
    Network(SocketAddr),
    /// A process of this machine.
    Local,
}

impl Peer {
    /// The address without the port; `localhost` for a process of this machine.
    pub fn host(&self) -> String {
        match self {
            Peer::Network(address) => address.ip().to_canonical().to_string(),
            Peer::Local => "localhost".to_owned(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Network(address) => address.fmt(f),
            Peer::Local => f.write_str("a local process"),
        }
    }
}

/// A socket before TLS is spoken on it.
#[derive(Debug)]
pub(super) enum Raw {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(super) fn plain(raw: Raw, peer: Peer) -> Stream {
        let transport = match raw {
            Raw::Tcp(socket) => Transport::Tcp(socket),
            Raw::Unix(socket) => Transport::Unix(socket),
        };
        Stream { transport, peer, pulse: None }
    }

    /// Has `pulse` told when something moves.
    pub(super) fn with_pulse(mut self, pulse: Arc<Pulse>) -> Stream {
        self.pulse = Some(pulse);
        self
    }

    /// The socket under it; `None` where TLS is spoken already.
    pub(super) fn into_raw(self) -> Option<Raw> {
        match self.transport {
            Transport::Tcp(socket) => Some(Raw::Tcp(socket)),
            Transport::Unix(socket) => Some(Raw::Unix(socket)),
            Transport::TlsTcp(_) | Transport::TlsUnix(_) => None,
        }
    }

    /// Shakes hands as the server.
    pub(super) async fn accepted(
        raw: Raw,
        peer: Peer,
        tls: Arc<rustls::ServerConfig>,
    ) -> std::io::Result<Stream> {
        let acceptor = tokio_rustls::TlsAcceptor::from(tls);
        let transport = match raw {
            Raw::Tcp(socket) => Transport::TlsTcp(Box::new(acceptor.accept(socket).await?.into())),
            Raw::Unix(socket) => {
                Transport::TlsUnix(Box::new(acceptor.accept(socket).await?.into()))
            }
        };
        Ok(Stream { transport, peer, pulse: None })
    }

    /// Shakes hands as the client.
    pub(super) async fn connected(
        raw: Raw,
        peer: Peer,
        tls: Arc<rustls::ClientConfig>,
        name: rustls_pki_types::ServerName<'static>,
    ) -> std::io::Result<Stream> {
        let connector = tokio_rustls::TlsConnector::from(tls);
        let transport = match raw {
            Raw::Tcp(socket) => {
                Transport::TlsTcp(Box::new(connector.connect(name, socket).await?.into()))
            }
            Raw::Unix(socket) => {
                Transport::TlsUnix(Box::new(connector.connect(name, socket).await?.into()))
            }
        };
        Ok(Stream { transport, peer, pulse: None })
    }

    /// Waits for the server to accept the client, certificate included.
    ///
    /// Under TLS 1.3 the handshake of a client ends before the server has looked at its certificate,
    /// so that what is written at once to a server that refuses would be lost. A server that has
    /// accepted says so with a session ticket. One that gives no tickets is believed after
    /// `patience`, in which a refusal would have come.
    pub(super) async fn be_accepted(&mut self, patience: Duration) -> std::io::Result<()> {
        let accepted = poll_fn(|cx| match &mut self.transport {
            Transport::TlsTcp(stream) => poll_accepted(stream, cx),
            Transport::TlsUnix(stream) => poll_accepted(stream, cx),
            Transport::Tcp(_) | Transport::Unix(_) => Poll::Ready(Ok(())),
        });
        tokio::time::timeout(patience, accepted).await.unwrap_or(Ok(()))
    }

    /// Ends the connection in good order: says that nothing more comes, and under TLS waits up to
    /// `patience` for the other side to say the same. What it still says, such as further session
    /// tickets, is passed over: a socket that is dropped with something unread takes back what it
    /// has sent.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn close(&mut self, patience: Duration) -> std::io::Result<()> {
        self.shutdown().await?;
        if matches!(self.transport, Transport::Tcp(_) | Transport::Unix(_)) {
            return Ok(());
        }
        let mut rest = [0; 512];
        let ended = async { while let Ok(1..) = self.read(&mut rest).await {} };
        let _ = tokio::time::timeout(patience, ended).await;
        Ok(())
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// How many bytes the other side's system has not acknowledged, of all that was flushed; over a
    /// Unix socket, how many the other side has not read.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn unacknowledged(&self) -> std::io::Result<usize> {
        queued::unacknowledged(match &self.transport {
            Transport::Tcp(socket) => socket.as_fd(),
            Transport::Unix(socket) => socket.as_fd(),
            Transport::TlsTcp(socket) => socket.get_ref().0.as_fd(),
            Transport::TlsUnix(socket) => socket.get_ref().0.as_fd(),
        })
    }

    /// The certificate the other side showed, in DER; `None` where it showed none.
    pub fn certificate(&self) -> Option<&rustls_pki_types::CertificateDer<'static>> {
        let certificates = match &self.transport {
            Transport::TlsTcp(stream) => stream.get_ref().1.peer_certificates(),
            Transport::TlsUnix(stream) => stream.get_ref().1.peer_certificates(),
            Transport::Tcp(_) | Transport::Unix(_) => None,
        };
        certificates?.first()
    }
}

/// Ready when the server has shown that it takes this client, or that it does not.
fn poll_accepted<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut tokio_rustls::TlsStream<S>,
    cx: &mut Context<'_>,
) -> Poll<std::io::Result<()>> {
    let tokio_rustls::TlsStream::Client(stream) = stream else { return Poll::Ready(Ok(())) };
    if stream.get_ref().1.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
        return Poll::Ready(Ok(()));
    }
    match Pin::new(&mut *stream).poll_fill_buf(cx) {
        Poll::Ready(Ok([])) => {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(answer) => return Poll::Ready(answer.map(drop)),
        Poll::Pending => {}
    }
    if stream.get_ref().1.tls13_tickets_received() > 0 {
        return Poll::Ready(Ok(()));
    }
    Poll::Pending
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let polled = match &mut self.transport {
            Transport::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Transport::Unix(socket) => Pin::new(socket).poll_read(cx, buffer),
            Transport::TlsTcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Transport::TlsUnix(socket) => Pin::new(socket).poll_read(cx, buffer),
        };
        match &self.pulse {
            Some(pulse) if polled.is_pending() => pulse.wait(),
            Some(pulse) => pulse.beat(),
            None => {}
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let polled = match &mut self.transport {
            Transport::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Transport::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
            Transport::TlsTcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Transport::TlsUnix(socket) => Pin::new(socket).poll_write(cx, bytes),
        };
        if let Some(pulse) = self.pulse.as_ref().filter(|_| polled.is_ready()) {
            pulse.beat();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Transport::Unix(socket) => Pin::new(socket).poll_flush(cx),
            Transport::TlsTcp(socket) => Pin::new(socket).poll_flush(cx),
            Transport::TlsUnix(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Transport::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
            Transport::TlsTcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Transport::TlsUnix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}
