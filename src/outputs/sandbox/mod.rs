//! A Lua script that sends messages.
//!
//! The script has a thread of its own. A load goes to it whole and comes back with what became of each
//! message. Those that are not certain yet (-4 and -5) stand in a ledger with the ends of the entries
//! between them: when the script says that they are done, the output says up to which entry all is.
//! A script that asks for a message again (-3) gets it with the state it has, handed over from one
//! output to the next; so does one that holds messages back when it is to end. After a limit the output is
//! opened with a fresh script, and what was not certain comes again: earlier loads by themselves, of the one
//! at hand what the script had taken of it.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::message::Header;
use crate::message::Message;
use crate::message::frame;
use crate::message::frame::Step;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Encoded;
use crate::plugin::Failure;
use crate::plugin::Handover;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::sandbox::Role;
use crate::sandbox::Sandbox;
use crate::sandbox::Settings;
use crate::sandbox::Spec;
use crate::sandbox::Stop;
use crate::sandbox::Trouble;
use crate::sandbox::Verdict;

/// How many orders may wait for the thread.
const QUEUE: usize = 4;

/// Sends messages with a Lua script, which may write files and to the network.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(from = "Settings")]
#[schemars(with = "Settings")]
pub(super) struct SandboxOutput {
    settings: Settings,
    thread: Option<Running>,
    /// Where the thread is left for the output that is opened next.
    handover: Handover,
    /// Whether the script goes on with its state after the failure at hand.
    is_kept: bool,
    /// How far the load at hand is certain.
    place: Option<Place>,
}

/// A record of a load: all before it are certain.
#[derive(Clone, Copy, Debug)]
struct Place {
    entry: u64,
    record: usize,
}

/// What one output leaves for the next.
#[derive(Debug)]
enum Left {
    /// The script goes on.
    Thread(Running, Option<Place>),
    /// A fresh script begins here.
    Fresh(Place),
}

impl From<Settings> for SandboxOutput {
    fn from(settings: Settings) -> SandboxOutput {
        let handover = Handover::default();
        SandboxOutput { settings, thread: None, handover, is_kept: false, place: None }
    }
}

/// The thread of the script, as the task sees it.
#[derive(Debug)]
struct Running {
    orders: mpsc::Sender<Order>,
    settled: watch::Receiver<u64>,
    stopping: Arc<AtomicBool>,
    /// Whether the script has been given nothing yet.
    is_fresh: bool,
}

impl Described for SandboxOutput {
    const NAME: &'static str = "SandboxOutput";
    const ABOUT: &'static str = "Sends messages with a Lua script.";
    const EXAMPLE: &'static str = "[SandboxOutput]\nmessage_matcher = \"TRUE\"\n\
        filename = \"lua_outputs/example.lua\"\nticker_interval = 10\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("ProtobufEncoder"), ..Defaults::NONE };
}

/// What the thread is to do.
enum Order {
    Send { encoded: Encoded, first: usize, entry: u64, reply: oneshot::Sender<Outcome> },
    Tick { is_last: bool, reply: oneshot::Sender<Result<bool, Failure>> },
}

/// What became of a load.
struct Outcome {
    encoded: Encoded,
    /// How many records are done with.
    done: usize,
    /// Where those begin that are not certain.
    place: Place,
    /// Whether the script asks for the next one again and is to keep its state.
    is_asking: bool,
    result: Result<Sent, Failure>,
}

#[async_trait]
impl Output for SandboxOutput {
    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        if !cx.has_messages {
            let error = anyhow!("the script reads messages: its encoder is ProtobufEncoder");
            return Err(Failure::Stop(error));
        }
        self.handover = cx.handover.clone();
        self.is_kept = false;
        match self.handover.take() {
            Some(Left::Thread(thread, place)) => {
                (self.thread, self.place) = (Some(thread), place);
                return Ok(());
            }
            Some(Left::Fresh(place)) => self.place = Some(place),
            None => self.place = None,
        }
        let spec = self.settings.spec(&cx.name, Role::Output, &cx.engine.share_dir);
        let mut spec = spec.map_err(|error| Failure::Stop(error.into()))?;
        spec.hostname = cx.engine.hostname.to_string();
        spec.pid = cx.engine.pid;
        if self.settings.cpu_limit.is_none() {
            spec.limits.cpu = std::time::Duration::ZERO;
        }
        let stopping = spec.stopping.clone();
        let (orders, rx) = mpsc::channel(QUEUE);
        let (settled_tx, settled) = watch::channel(0);
        let (loaded_tx, loaded) = oneshot::channel();
        let is_framed = cx.is_framed;
        let builder = std::thread::Builder::new().name(cx.name.to_string()).stack_size(8 << 20);
        let spawned =
            builder.spawn(move || match ScriptThread::new(&spec, is_framed, settled_tx) {
                Ok(thread) => {
                    let _ = loaded_tx.send(Ok(()));
                    thread.run(rx);
                }
                Err(error) => drop(loaded_tx.send(Err(error))),
            });
        spawned.context("cannot start a thread").map_err(Failure::Retry)?;
        let loaded = loaded.await.unwrap_or_else(|_| Err(anyhow!("the script's thread has died")));
        loaded.map_err(Failure::Stop)?;
        self.thread = Some(Running { orders, settled, stopping, is_fresh: true });
        Ok(())
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        let (reply, outcome) = oneshot::channel();
        let is_fresh =
            self.thread.as_mut().is_some_and(|thread| std::mem::take(&mut thread.is_fresh));
        if let Some(place) = self.place.filter(|place| is_fresh && place.entry == load.entry) {
            load.go_back_to(place.record);
        }
        let first = load.first();
        let encoded = std::mem::take(&mut load.encoded);
        let order = Order::Send { encoded, first, entry: load.entry, reply };
        self.order(order).await?;
        let Ok(outcome) = outcome.await else { return Err(dead()) };
        load.encoded = outcome.encoded;
        self.is_kept = outcome.is_asking;
        self.place = outcome.result.is_err().then_some(outcome.place);
        load.advance(outcome.done);
        outcome.result
    }

    async fn settled(&mut self) -> Result<u64, Failure> {
        let Some(thread) = &mut self.thread else { return std::future::pending().await };
        match thread.settled.changed().await {
            Ok(()) => Ok(*thread.settled.borrow_and_update()),
            Err(_) => Err(dead()),
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        let (reply, done) = oneshot::channel();
        self.order(Order::Tick { is_last: true, reply }).await?;
        match done.await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                self.is_kept = true;
                Err(Failure::Retry(anyhow!("the script holds messages back")))
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(dead()),
        }
    }

    async fn tick(&mut self) -> Result<(), Failure> {
        let (reply, done) = oneshot::channel();
        self.order(Order::Tick { is_last: false, reply }).await?;
        let done = done.await.map_err(|_| dead()).and_then(|done| done);
        self.is_kept &= done.is_ok();
        done.map(|_| ())
    }

    fn keeps_held(&self) -> bool {
        self.is_kept
    }

    async fn close(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.is_kept {
            self.handover.give(Left::Thread(thread, self.place));
            return;
        }
        thread.stopping.store(true, Ordering::Release);
        if let Some(place) = self.place {
            self.handover.give(Left::Fresh(place));
        }
    }
}

fn dead() -> Failure {
    Failure::Retry(anyhow!("the script's thread has died"))
}

impl SandboxOutput {
    async fn order(&self, order: Order) -> Result<(), Failure> {
        match &self.thread {
            Some(thread) => thread.orders.send(order).await.map_err(|_| dead()),
            None => Err(Failure::Retry(anyhow!("the script is not loaded"))),
        }
    }
}

/// What is not certain yet, in order.
#[derive(Debug, Default)]
struct Ledger {
    items: VecDeque<Item>,
    /// Messages that are not done.
    open: usize,
}

#[derive(Debug)]
enum Item {
    Message {
        sequence: u64,
        is_done: bool,
    },
    /// All before it belongs to this entry or one before.
    Entry(u64),
}

impl Ledger {
    fn hold(&mut self, sequence: u64) {
        self.items.push_back(Item::Message { sequence, is_done: false });
        self.open += 1;
    }

    fn settle_all(&mut self) {
        for item in &mut self.items {
            if let Item::Message { is_done, .. } = item {
                *is_done = true;
            }
        }
        self.open = 0;
    }

    fn settle(&mut self, wanted: u64) {
        for item in &mut self.items {
            match item {
                Item::Message { sequence, is_done } if *sequence == wanted && !*is_done => {
                    *is_done = true;
                    self.open -= 1;
                    return;
                }
                _ => {}
            }
        }
    }

    /// The entry up to which all is done, where that is further than before.
    fn reached(&mut self) -> Option<u64> {
        let mut reached = None;
        loop {
            match self.items.front() {
                Some(Item::Entry(entry)) => reached = Some(*entry),
                Some(Item::Message { is_done: true, .. }) => {}
                _ => return reached,
            }
            self.items.pop_front();
        }
    }
}

/// The thread a script runs on.
struct ScriptThread {
    sandbox: Sandbox,
    name: String,
    is_framed: bool,
    ledger: Ledger,
    sequence: u64,
    settled: watch::Sender<u64>,
    has_ended: bool,
    /// Whether the script waits for the message that it asked for again.
    is_asking: bool,
    /// How far the load that was sent last is certain.
    place: Place,
}

impl ScriptThread {
    fn new(
        spec: &Spec,
        is_framed: bool,
        settled: watch::Sender<u64>,
    ) -> anyhow::Result<ScriptThread> {
        Ok(ScriptThread {
            sandbox: Sandbox::load(spec).context("cannot load the script")?,
            name: spec.name.clone(),
            is_framed,
            ledger: Ledger::default(),
            sequence: 0,
            settled,
            has_ended: false,
            is_asking: false,
            place: Place { entry: 0, record: 0 },
        })
    }

    fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        while let Some(order) = orders.blocking_recv() {
            match order {
                Order::Send { encoded, first, entry, reply } => {
                    self.is_asking = false;
                    let (done, result) = self.send(&encoded, first, entry);
                    let is_asking = self.is_asking;
                    let place = self.place;
                    let _ = reply.send(Outcome { encoded, done, place, is_asking, result });
                }
                Order::Tick { is_last, reply } => {
                    let _ = reply.send(self.tick(is_last));
                }
            }
        }
        // The script is told once that it ends, also where it holds nothing.
        if !self.has_ended {
            let _ = self.tick(true);
        }
    }

    /// Sends the records from `first` on: how many are done with, and how it ended.
    fn send(
        &mut self,
        encoded: &Encoded,
        first: usize,
        entry: u64,
    ) -> (usize, Result<Sent, Failure>) {
        if self.place.entry != entry || self.ledger.open == 0 {
            self.place = Place { entry, record: first };
        }
        for index in first..encoded.len() {
            if let Err(failure) = self.send_one(encoded.record(index)) {
                return (index - first, Err(failure));
            }
            if self.ledger.open == 0 {
                self.place.record = index + 1;
            }
        }
        let all = encoded.len() - first;
        self.ledger.items.push_back(Item::Entry(entry));
        let reached = self.ledger.reached();
        if reached == Some(entry) {
            return (all, Ok(Sent::Done));
        }
        if let Some(reached) = reached {
            let _ = self.settled.send(reached);
        }
        (all, Ok(Sent::Held))
    }

    fn send_one(&mut self, record: &[u8]) -> Result<(), Failure> {
        let bytes = match frame::step(record, usize::MAX) {
            Step::Frame { message, .. } if self.is_framed => message,
            _ => record,
        };
        let header = Header::locate(bytes).map_err(|error| Failure::Reject(error.into()))?;
        let sequence = self.sequence;
        self.sequence += 1;
        let verdict = self.sandbox.send(&Message::new(bytes, &header), sequence);
        match verdict {
            Ok(Verdict::Sent) => self.ledger.settle_all(),
            Ok(Verdict::Skipped) => {}
            Ok(Verdict::Gathered | Verdict::UnderWay) => self.ledger.hold(sequence),
            Ok(Verdict::Retry) => {
                self.is_asking = true;
                self.sequence = sequence;
                self.note_settled();
                return Err(Failure::Retry(anyhow!("the script asks for the message again")));
            }
            Err(trouble) => return Err(Self::failure(trouble)),
        }
        self.note_settled();
        Ok(())
    }

    fn note_settled(&mut self) {
        let settled = self.sandbox.settled();
        if settled.all {
            self.ledger.settle_all();
        }
        for sequence in settled.sequences {
            self.ledger.settle(sequence);
        }
        if settled.failures > 0 {
            let (output, failures) = (&*self.name, settled.failures);
            tracing::warn!(output, failures, "a script could not send messages");
        }
    }

    /// Calls `timer_event`; tells whether nothing is held any more.
    fn tick(&mut self, is_last: bool) -> Result<bool, Failure> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let ns = i64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX);
        if is_last && self.ledger.open == 0 && !self.has_ended {
            // Called before each stop and after each load that is done: there is nothing to do.
            return Ok(true);
        }
        self.has_ended |= is_last;
        if let Err(trouble) = self.sandbox.tick(ns, is_last) {
            return Err(Self::failure(trouble));
        }
        self.note_settled();
        if let Some(reached) = self.ledger.reached() {
            let _ = self.settled.send(reached);
        }
        Ok(self.ledger.open == 0)
    }

    fn failure(trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Failed(failure) => Failure::Reject(match failure.status {
                Some(status) => anyhow!("the script returned {status}: {}", failure.message),
                None => anyhow!("{}", failure.message).context(failure.traceback),
            }),
            Trouble::Stopped(Stop::Terminated { reason, .. }) => {
                Failure::Stop(anyhow!("the script has ended itself: {reason}"))
            }
            Trouble::Stopped(Stop::Limit { message, .. }) => Failure::Retry(anyhow!(message)),
        }
    }
}
