//! Datagrams that inputs receive, on a thread beside them.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use bytes::BytesMut;
use tokio::sync::mpsc;

use crate::metrics::Counter;
use crate::net;
use crate::net::datagram::Receiver;
use crate::plugin::InputContext;
use crate::plugin::Origin;
use crate::plugin::Stopping;

/// How many rounds of datagrams wait between the socket and the engine.
const AHEAD: usize = 16;
/// The log tells of drops at most so often.
const TELL: Duration = Duration::from_secs(10);

/// Datagrams as they come.
pub(super) struct Datagrams {
    rounds: mpsc::Receiver<Round>,
    thread: JoinHandle<Result<(), net::Error>>,
}

impl Datagrams {
    /// Receives until the input stops.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn listen(receiver: Receiver, cx: &InputContext) -> anyhow::Result<Datagrams> {
        let (rounds, received) = mpsc::channel(AHEAD);
        let counted = Counted::of(cx);
        let stopping = cx.stopping.clone();
        let thread = std::thread::Builder::new()
            .name(cx.name.to_string())
            .spawn(move || listen(receiver, counted, &stopping, &rounds))?;
        Ok(Datagrams { rounds: received, thread })
    }

    /// The next datagrams; `None` when the input stops and all it had received was taken.
    pub(super) async fn next(&mut self) -> Option<Round> {
        self.rounds.recv().await
    }

    /// Ends the thread and says how it went.
    ///
    /// # Errors
    /// When the socket broke.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        let ended = tokio::task::spawn_blocking(move || self.thread.join()).await?;
        ended.ok().context("the thread that receives has panicked")??;
        Ok(())
    }
}

/// Datagrams that were received with one call.
#[derive(Default)]
pub(super) struct Round {
    bytes: Bytes,
    /// Where each ends in the bytes, and who sent it.
    ends: Vec<(usize, Option<IpAddr>)>,
}

impl Round {
    /// The datagrams, each with its sender where the net has addresses.
    pub(super) fn datagrams(self) -> impl Iterator<Item = (Bytes, Option<IpAddr>)> {
        let mut start = 0;
        self.ends.into_iter().map(move |(end, sender)| {
            let datagram = self.bytes.slice(start..end);
            start = end;
            (datagram, sender)
        })
    }
}

/// What is counted of datagrams that did not come, or not whole.
struct Counted {
    cx: InputContext,
    dropped: Arc<Counter>,
    cut: Arc<Counter>,
    /// Datagrams dropped that the log does not tell of yet, and when it last did.
    untold: u64,
    told: Option<Instant>,
}

impl Counted {
    fn of(cx: &InputContext) -> Counted {
        let labels = [("plugin", &*cx.name)];
        let counter = |name, help| cx.engine.metrics.counter(name, help, &labels);
        Counted {
            cx: cx.clone(),
            dropped: counter(
                "heka_input_kernel_dropped_total",
                "Datagrams the kernel dropped as the input did not take them in time.",
            ),
            cut: counter("heka_input_cut_total", "Datagrams longer than 64 KiB, which were cut."),
            untold: 0,
            told: None,
        }
    }

    fn dropped(&mut self, count: u32) {
        self.dropped.add(u64::from(count));
        self.cx.count_dropped(u64::from(count));
        self.untold += u64::from(count);
    }

    /// Logs what was dropped, at most every [`TELL`].
    fn tell(&mut self) {
        if self.untold > 0 && self.told.is_none_or(|told| told.elapsed() >= TELL) {
            let (input, dropped) = (&*self.cx.name, self.untold);
            tracing::error!(input, dropped, "the kernel dropped datagrams: they came too fast");
            (self.untold, self.told) = (0, Some(Instant::now()));
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.told = None;
        self.tell();
    }
}

/// Receives until the input stops or nobody takes what was received.
fn listen(
    mut receiver: Receiver,
    mut counted: Counted,
    stopping: &Stopping,
    rounds: &mpsc::Sender<Round>,
) -> Result<(), net::Error> {
    while !stopping.is_cancelled() {
        let mut bytes = BytesMut::new();
        let mut ends = Vec::new();
        let received = receiver.receive(|datagram| {
            bytes.extend_from_slice(datagram.bytes);
            ends.push((bytes.len(), datagram.sender));
            counted.cut.add(u64::from(datagram.is_cut));
        })?;
        counted.dropped(received.dropped);
        counted.tell();
        if received.datagrams > 0
            && rounds.blocking_send(Round { bytes: bytes.freeze(), ends }).is_err()
        {
            break;
        }
    }
    Ok(())
}

/// Origins by sender; one is kept, as datagrams of one sender often follow each other.
pub(super) struct Origins {
    base: Origin,
    last: Option<(IpAddr, Arc<Origin>)>,
}

impl Origins {
    pub(super) fn of(base: Origin) -> Origins {
        Origins { base, last: None }
    }

    /// The origin whose hostname is the address of the sender.
    pub(super) fn from(&mut self, sender: IpAddr) -> Arc<Origin> {
        match &self.last {
            Some((last, origin)) if *last == sender => origin.clone(),
            _ => {
                let mut origin = self.base.clone();
                origin.hostname = sender.to_string().into_bytes();
                let origin = Arc::new(origin);
                self.last = Some((sender, origin.clone()));
                origin
            }
        }
    }
}
