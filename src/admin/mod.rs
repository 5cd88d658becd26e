//! The HTTP API and the control socket of a running engine.
//!
//! | request | answer | where |
//! | --- | --- | --- |
//! | `GET /metrics` | all numbers, Prometheus text | both |
//! | `GET /health` | 200 `ok`, or 503 and what is wrong | both |
//! | `GET /status` | what is flowing, JSON | both |
//! | `POST /forget` | gives up the cursor of the reader named in the body | control socket; admin port with token or certificate |
//! | `POST /sandbox` | a [`Request`] in JSON, answered by a [`Reply`]: what `heka sandbox` asks | as `/reload` |
//! | `POST /reload` | reads the configuration again | control socket; admin port with token or certificate |
//!
//! [`Request`]: crate::pipeline::Request
//! [`Reply`]: crate::pipeline::Reply
//!
//! The control socket is `heka.sock` in `base_dir`, open to its owner alone. The admin port only
//! reads, unless a token is configured and shown as `Authorization: Bearer TOKEN`, or every client
//! has to show a certificate that is checked. Where it listens on more than the loopback, reading
//! wants one of the two as well.

mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::metrics::Registry;
use crate::net::Address;
use crate::net::ListenOptions;
use crate::net::Listener;
use crate::net::StreamNet;
use crate::net::Tls;
use crate::pipeline::Request;
use crate::pipeline::Status;
use crate::stdx::secret::Secret;

/// How many requests may wait for the engine.
const QUEUE: usize = 16;
/// How many connections each way in has at most; further ones wait.
const CONNECTIONS: usize = 64;
/// The permissions of the control socket: for its owner alone.
const OWNER_ALONE: u32 = 0o600;

/// The name of the control socket in the engine's folder.
pub const SOCKET: &str = "heka.sock";

/// What the engine is asked for.
#[derive(Clone, Debug)]
pub enum Wish {
    /// To read its configuration again.
    Reload,
    /// Something about its filters.
    Sandbox(Request),
}

/// A request to the engine, waiting for its answer.
pub struct Asked {
    /// What is asked for.
    pub wish: Wish,
    answer: oneshot::Sender<Result<String, String>>,
}

impl Asked {
    /// Answers: what was done, or why nothing was.
    pub fn answer(self, outcome: Result<String, String>) {
        let _ = self.answer.send(outcome);
    }
}

/// Gives up a reader of the journal; says what was done, or why nothing was.
pub type Forget = Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// Where the two ways in are, and who may do what.
#[derive(Clone)]
pub struct Settings {
    /// Where the admin port listens; nowhere without an address.
    pub address: Option<SocketAddr>,
    /// What a request over the port has to show that changes something.
    pub token: Option<Secret>,
    /// How the port speaks TLS; plainly without.
    pub tls: Option<Tls>,
    /// The folder of the control socket.
    pub folder: PathBuf,
    /// Gives up a reader.
    pub forget: Forget,
}

/// What both ways in know.
struct Shared {
    metrics: Arc<Registry>,
    status: ArcSwap<Status>,
    wishes: mpsc::Sender<Asked>,
    token: Option<String>,
    /// Others than this machine reach the port: it wants the token for reading too.
    is_reachable: bool,
    forget: Forget,
}

/// The admin port and the control socket.
pub struct Admin {
    shared: Arc<Shared>,
    asked: mpsc::Receiver<Asked>,
    stopping: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Admin {
    /// Listens on the control socket and, where one is configured, on the admin port.
    ///
    /// # Errors
    /// When the control socket cannot be made, or the settings of TLS do not work. An admin port
    /// that is taken is a warning.
    pub async fn start(settings: Settings, metrics: Arc<Registry>) -> anyhow::Result<Admin> {
        let (wishes, asked) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            metrics,
            status: ArcSwap::from_pointee(Status::default()),
            wishes,
            token: settings.token.as_ref().map(|token| token.reveal().to_owned()),
            is_reachable: settings.address.is_some_and(|address| !address.ip().is_loopback()),
            forget: settings.forget.clone(),
        });
        let stopping = CancellationToken::new();
        let control = control(&settings).await?;
        let port = port(&settings).await?;
        let serve = |name, listener, is_trusted| {
            let router = serve::router(shared.clone(), is_trusted);
            tokio::spawn(serve::serve(name, listener, router, stopping.clone()))
        };
        let mut tasks = vec![serve("control socket", control, true)];
        if let Some(port) = port {
            let asks_for_certificates =
                settings.tls.as_ref().is_some_and(Tls::asks_for_certificates);
            tasks.push(serve("admin port", port, asks_for_certificates));
        }
        Ok(Admin { shared, asked, stopping, tasks })
    }

    /// The next request to the engine.
    pub async fn asked(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }

    /// Shows `status` to who asks from now on.
    pub fn publish(&self, status: &Status) {
        self.shared.status.store(Arc::new(status.clone()));
    }

    /// Closes both ways in; who is amid a request gets a moment.
    pub async fn stop(self) {
        self.stopping.cancel();
        // Requests that wait for the engine are told that it stops.
        drop(self.asked);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// Binds the control socket; one left over by an engine that is no more is taken away.
async fn control(settings: &Settings) -> anyhow::Result<Listener> {
    let path = settings.folder.join(SOCKET);
    let failed = || format!("cannot open the control socket {}", path.display());
    let address = Address::stream(StreamNet::Unix, &path.to_string_lossy()).with_context(failed)?;
    let options = ListenOptions {
        keep_alive: None,
        max_connections: CONNECTIONS,
        tls: None,
        mode: Some(OWNER_ALONE),
    };
    Listener::bind(&address, options).await.with_context(failed)
}

/// Binds the admin port, where there is to be one.
async fn port(settings: &Settings) -> anyhow::Result<Option<Listener>> {
    let Some(address) = settings.address else { return Ok(None) };
    let tls = settings.tls.as_ref().map(Tls::server).transpose();
    let options = ListenOptions {
        keep_alive: None,
        max_connections: CONNECTIONS,
        tls: tls.context("cannot open the admin port")?,
        mode: None,
    };
    let written = Address::stream(StreamNet::Tcp, &address.to_string())?;
    match Listener::bind(&written, options).await {
        Ok(listener) => {
            if let Some(address) = listener.local_address() {
                tracing::info!(%address, "the admin port is open");
            }
            Ok(Some(listener))
        }
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::new(error));
            tracing::warn!(%address, error, "there is no admin port");
            Ok(None)
        }
    }
}
