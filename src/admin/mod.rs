//! The HTTP API and the control socket of a running engine.
//!
//! | request | answer | where |
//! | --- | --- | --- |
//! | `GET /metrics` | all numbers, Prometheus text | both |
//! | `GET /health` | 200 `ok`, or 503 and what is wrong | both |
//! | `GET /status` | what is flowing, JSON | both |
//! | `POST /reload` | reads the configuration again | control socket; admin port with the token |
//!
//! The control socket is `heka.sock` in `base_dir`, open to its owner alone. The admin port only
//! reads unless a token is configured and shown as `Authorization: Bearer TOKEN`.

mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::metrics::Registry;
use crate::pipeline::Status;
use crate::stdx::secret::Secret;

/// How many requests may wait for the engine.
const QUEUE: usize = 16;
/// How long a request may go on when the engine ends.
const GRACE: Duration = Duration::from_millis(500);

/// A request to reload, waiting for its answer.
pub struct Asked {
    answer: oneshot::Sender<Result<String, String>>,
}

impl Asked {
    /// Answers: what was done, or why nothing was.
    pub fn answer(self, outcome: Result<String, String>) {
        let _ = self.answer.send(outcome);
    }
}

/// Where the two ways in are, and who may do what.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the admin port listens; nowhere without an address.
    pub address: Option<SocketAddr>,
    /// What a request over the port has to show that changes something.
    pub token: Option<Secret>,
    /// The folder of the control socket.
    pub folder: PathBuf,
}

/// What both ways in know.
struct Shared {
    metrics: Arc<Registry>,
    status: ArcSwap<Status>,
    reloads: mpsc::Sender<Asked>,
    token: Option<String>,
}

/// The admin port and the control socket.
pub struct Admin {
    shared: Arc<Shared>,
    asked: mpsc::Receiver<Asked>,
    stopping: CancellationToken,
    socket: PathBuf,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Admin {
    /// Listens on the control socket and, where one is configured, on the admin port.
    ///
    /// # Errors
    /// When the control socket cannot be made. An admin port that is taken is a warning.
    pub async fn start(settings: Settings, metrics: Arc<Registry>) -> anyhow::Result<Admin> {
        let (reloads, asked) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            metrics,
            status: ArcSwap::from_pointee(Status::default()),
            reloads,
            token: settings.token.as_ref().map(|token| token.reveal().to_owned()),
        });
        let stopping = CancellationToken::new();
        let socket = settings.folder.join("heka.sock");
        let mut tasks = Vec::new();
        let control = serve::control(&socket)
            .with_context(|| format!("cannot open the control socket {}", socket.display()))?;
        tasks.push(tokio::spawn(serve::on_socket(control, shared.clone(), stopping.clone())));
        if let Some(address) = settings.address {
            match tokio::net::TcpListener::bind(address).await {
                Ok(listener) => {
                    if let Ok(address) = listener.local_addr() {
                        tracing::info!(%address, "the admin port is open");
                    }
                    let served = serve::on_port(listener, shared.clone(), stopping.clone());
                    tasks.push(tokio::spawn(served));
                }
                Err(error) => {
                    tracing::warn!(%address, %error, "there is no admin port");
                }
            }
        }
        Ok(Admin { shared, asked, stopping, socket, tasks })
    }

    /// The next request to reload.
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
        for mut task in self.tasks {
            if tokio::time::timeout(GRACE, &mut task).await.is_err() {
                task.abort();
            }
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}
