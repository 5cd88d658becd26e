//! HTTP: a server on a [`Listener`], and the client that plugins share, which speaks HTTP/1.1.
//!
//! A server speaks HTTP/1.1, and HTTP/2 besides where it is asked for: under TLS the client chooses in its
//! handshake, otherwise the first bytes tell which of them it is.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Error;
use super::Listener;
use super::Peer;
use super::Place;
use super::Stream;
use super::Tls;
use super::accept::Accepted;

/// How long a client may take over the head of a request.
const HEAD: Duration = Duration::from_secs(30);
/// How long open requests may take when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long a connection may take then on which no whole request has come in: its last answer may
/// still be on its way.
const IDLE_GRACE: Duration = Duration::from_millis(500);

/// How often a client that speaks HTTP/2 is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How many requests a client that speaks HTTP/2 may have open.
const MAX_STREAMS: u32 = 100;
/// How much of a request and of a connection is held before somebody reads it, in bytes.
const BUFFERS: (u32, u32) = (64 << 10, 256 << 10);
/// How large the head of a request may be, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// HTTP/1.1.
    One,
    /// HTTP/1.1 and HTTP/2, which gRPC needs.
    OneAndTwo,
}

impl Versions {
    /// The names by which a client that speaks TLS chooses.
    fn names(self) -> Vec<Vec<u8>> {
        match self {
            Versions::One => Vec::new(),
            Versions::OneAndTwo => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }

    fn builder(self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        let mut one = builder.http1();
        one.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD);
        if self == Versions::One {
            return builder.http1_only();
        }
        let mut two = builder.http2();
        two.timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE);
        two.max_concurrent_streams(MAX_STREAMS);
        two.initial_stream_window_size(BUFFERS.0).initial_connection_window_size(BUFFERS.1);
        builder
    }
}

/// Serves `router` on `listener` until `stopping` says so; open requests get 5 s to end. Each
/// request carries the [`Peer`] among its extensions. `name` is whose server it is, for the log.
///
/// # Errors
/// When the socket that listens is broken.
pub async fn serve(
    name: &str,
    listener: Listener,
    router: Router,
    stopping: CancellationToken,
) -> Result<(), Error> {
    serve_versions(name, Versions::One, listener, router, stopping).await
}

/// As [`serve`], in these versions of the protocol.
///
/// # Errors
/// When the socket that listens is broken.
pub async fn serve_versions(
    name: &str,
    versions: Versions,
    listener: Listener,
    router: Router,
    stopping: CancellationToken,
) -> Result<(), Error> {
    let name: Arc<str> = Arc::from(name);
    let connections = TaskTracker::new();
    let result = loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => break Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                let accepted = accepted.offering(versions.names());
                let (router, stopping) = (router.clone(), stopping.clone());
                connections.spawn(connection(name.clone(), versions, accepted, router, stopping));
            }
            Err(error) => break Err(error),
        }
    };
    drop(listener);
    connections.close();
    let _ = tokio::time::timeout(GRACE, connections.wait()).await;
    result
}

async fn connection(
    name: Arc<str>,
    versions: Versions,
    accepted: Accepted,
    router: Router,
    stopping: CancellationToken,
) {
    let peer = accepted.peer();
    let shaken = tokio::select! {
        () = stopping.cancelled() => return,
        shaken = accepted.shake_hands() => shaken,
    };
    match shaken {
        Ok((stream, place)) => {
            if let Err(error) = speak((stream, &place), versions, peer, router, stopping).await {
                tracing::debug!(server = &*name, %peer, %error, "http connection ended");
            }
            drop(place);
        }
        Err(error) => {
            let error = error.with_causes();
            tracing::warn!(server = &*name, %peer, error, "connection failed");
        }
    }
}

async fn speak(
    (stream, place): (Stream, &Place),
    versions: Versions,
    peer: Peer,
    router: Router,
    stopping: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let requests = Arc::new(Requests::default());
    let counted = requests.clone();
    let router = router.layer(axum::Extension(peer)).layer(axum::middleware::from_fn(
        move |request: Request, next: Next| {
            let counted = counted.clone();
            async move {
                counted.begun.fetch_add(1, Ordering::Relaxed);
                let answer = next.run(request).await;
                counted.answered.fetch_add(1, Ordering::Relaxed);
                answer
            }
        },
    ));
    let service = TowerToHyperService::new(router);
    let builder = versions.builder();
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let silent = async {
        tokio::time::sleep(HEAD).await;
        if requests.begun.load(Ordering::Relaxed) > 0 {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        result = connection.as_mut() => return result,
        // Who says nothing at all has not even said which version it speaks.
        () = silent => return Ok(()),
        () = place.is_wanted() => connection.as_mut().graceful_shutdown(),
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    if requests.are_open() && !stopping.is_cancelled() {
        // Who has asked something and waits is answered before it goes.
        tokio::select! {
            result = connection.as_mut() => return result,
            () = stopping.cancelled() => {}
        }
    }
    let grace = if requests.are_open() { GRACE } else { IDLE_GRACE };
    match tokio::time::timeout(grace, connection).await {
        Ok(result) => result,
        Err(_) => Ok(()),
    }
}

/// The requests of a connection.
#[derive(Default)]
struct Requests {
    begun: AtomicUsize,
    answered: AtomicUsize,
}

impl Requests {
    fn are_open(&self) -> bool {
        self.begun.load(Ordering::Relaxed) > self.answered.load(Ordering::Relaxed)
    }
}

/// How the client behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientOptions {
    /// How long a request may take in all; `None` sets no limit.
    pub timeout: Option<Duration>,
    /// How long connecting may take; 30 s where `None`.
    pub connect_timeout: Option<Duration>,
    /// Whether each request has a connection of its own.
    pub is_one_shot: bool,
}

/// A client that speaks TLS as `tls` says, follows no proxy of the environment and at most 10
/// redirects. Without settings it trusts what the system trusts.
///
/// # Errors
/// When the TLS settings do not work.
pub fn client(tls: Option<&Tls>, options: ClientOptions) -> Result<reqwest::Client, Error> {
    let config = match tls {
        Some(tls) => tls.client_by_name()?,
        None => super::tls::system_client()?,
    };
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .user_agent(concat!("heka/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout.unwrap_or(Duration::from_secs(30)))
        .pool_max_idle_per_host(if options.is_one_shot { 0 } else { 8 })
        .no_proxy();
    if let Some(timeout) = options.timeout {
        builder = builder.timeout(timeout);
    }
    builder.build().map_err(Error::Client)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;
    use crate::net::Address;
    use crate::net::ListenOptions;
    use crate::net::StreamNet;

    #[tokio::test]
    async fn client_and_server_talk_and_the_server_stops() {
        let address = Address::stream(StreamNet::Tcp, "127.0.0.1:0").unwrap();
        let options = ListenOptions { keep_alive: None, max_connections: 2, tls: None, mode: None };
        let listener = Listener::bind(&address, options).await.unwrap();
        let url = format!("http://{}/", listener.local_address().unwrap());
        let stopping = CancellationToken::new();
        let peer = |peer: axum::Extension<Peer>| async move { peer.host() };
        let router = Router::new().route("/", get(peer));
        let server = tokio::spawn(serve("http", listener, router, stopping.clone()));
        let client = client(None, ClientOptions::default()).unwrap();
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "127.0.0.1");
        stopping.cancel();
        server.await.unwrap().unwrap();
        assert!(client.get(&url).send().await.unwrap_err().is_connect());
    }
}
