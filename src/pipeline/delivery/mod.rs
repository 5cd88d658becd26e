//! From the journal to the outputs.
//!
//! A delivery thread reads what is synced, asks the index and encodes; each output is a task that
//! gets the encoded loads through a queue of [`QUEUE`] loads. An output that is slow or stuck fills
//! its queue and is then left alone: nobody else waits for it. Its cursor moves when the task says
//! that a load is done.

mod feeder;
mod letters;
mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::feeder::Feeder;
use self::feeder::Seed;
use super::counters::OutputCounters;
use super::failures::Failures;
use super::plan::Retries;
use super::routing::Routing;
use crate::journal::Journal;
use crate::journal::Position;
use crate::journal::ReaderOptions;
use crate::plugin::Encoded;
use crate::plugin::Encoder;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Reached;

/// How many loads may wait for an output.
const QUEUE: usize = 2;
/// Loads in the queue and the one being sent may together have so many times the bytes of a usual one.
const MAX_LOADS: usize = 3;
/// A load is closed at this size, in bytes.
const MAX_LOAD: usize = 256 * 1024;
/// The memory of a larger load is not kept for the next, in bytes.
const MAX_SPARE: usize = 2 * 1024 * 1024;
/// How many commands may wait for a thread.
const COMMANDS: usize = 1024;
/// The longest sleep, for what nobody wakes the thread for.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);

/// Makes the output anew from its section.
pub(super) type MakeOutput = Arc<dyn Fn() -> anyhow::Result<Box<dyn Output>> + Send + Sync>;

/// An output as the delivery gets it.
pub(super) struct OutputPlan {
    pub(super) context: OutputContext,
    pub(super) make: MakeOutput,
    pub(super) encoder: Option<(String, Arc<dyn Encoder>)>,
    pub(super) reader: ReaderOptions,
    pub(super) ticker_interval: Duration,
    pub(super) retries: Retries,
    pub(super) can_exit: bool,
    pub(super) counters: Arc<OutputCounters>,
}

/// A load on its way to an output.
struct Parcel {
    load: Load,
    /// How often the feeder had gone back when it made the load.
    round: u64,
    /// Which of the records are dead letters.
    letters: Vec<usize>,
    _weight: Weight,
}

/// The bytes of a parcel, counted as long as it is there.
struct Weight {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Weight {
    fn new(shared: &Arc<Shared>, bytes: usize) -> Weight {
        shared.bytes.fetch_add(bytes, Ordering::AcqRel);
        Weight { shared: shared.clone(), bytes }
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.shared.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// What thread and task of an output tell each other.
#[derive(Debug, Default)]
struct Shared {
    /// How far it has got.
    reached: Arc<Reached>,
    /// How often the feeder has to go back to there, because what was taken did not become certain.
    rounds: AtomicU64,
    /// Bytes of the loads in the queue and of the one being sent.
    bytes: AtomicUsize,
    /// The memory of a load that was sent, for the next.
    spare: Mutex<Option<Encoded>>,
    is_failing: AtomicBool,
    has_ended: AtomicBool,
    /// Whether no record is to wait for others, because the engine stops.
    is_hurried: AtomicBool,
}

impl Shared {
    /// Keeps the memory of a load that was sent.
    fn keep(&self, mut encoded: Encoded) {
        if encoded.bytes.capacity() > MAX_SPARE {
            return;
        }
        encoded.clear();
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(encoded);
    }

    /// Memory for a load, where there is some.
    fn spare(&self) -> Option<Encoded> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a thread is told.
enum Command {
    Add(Box<Seed>, Arc<Routing>, Sender<anyhow::Result<()>>),
    Remove(Arc<str>, Sender<()>),
    Recode(Arc<str>, (String, Arc<dyn Encoder>), Sender<anyhow::Result<()>>),
    Route(Arc<Routing>),
    ShutDown,
}

/// A running output.
struct Running {
    name: Arc<str>,
    shared: Arc<Shared>,
    stopping: CancellationToken,
    reopening: Arc<Notify>,
    hurrying: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
    can_exit: bool,
    counters: Arc<OutputCounters>,
}

/// The delivery thread and all outputs.
pub(super) struct Deliveries {
    journal: Journal,
    commands: Sender<Command>,
    thread: std::thread::JoinHandle<()>,
    running: Vec<Running>,
    ended: Arc<Notify>,
}

impl Deliveries {
    /// Starts the thread.
    pub(super) fn start(journal: Journal, routing: Arc<Routing>) -> std::io::Result<Deliveries> {
        let (tx, rx) = crossbeam_channel::bounded(COMMANDS);
        let builder = std::thread::Builder::new().name("delivery".into()).stack_size(8 << 20);
        let thread = builder.spawn(move || run(&rx, routing))?;
        let sleeper = thread.thread().clone();
        journal.subscribe_durable(Arc::new(move || sleeper.unpark()));
        let ended = Arc::new(Notify::new());
        Ok(Deliveries { journal, commands: tx, thread, running: Vec::new(), ended })
    }

    /// Starts an output.
    pub(super) fn add(&mut self, plan: OutputPlan, routing: &Arc<Routing>) -> anyhow::Result<()> {
        let name = plan.context.name.clone();
        let reader = self.journal.reader(&name, plan.reader)?;
        let shared =
            Arc::new(Shared { reached: plan.context.reached.clone(), ..Shared::default() });
        shared.reached.delivered.store(reader.position().0, Ordering::Release);
        shared.reached.whole_from.store(reader.position().0 + 1, Ordering::Release);
        let (tx, rx) = mpsc::channel(QUEUE);
        let stopping = CancellationToken::new();
        let reopening = Arc::new(Notify::new());
        let hurrying = Arc::new(Notify::new());
        let running = Running {
            name,
            shared: shared.clone(),
            stopping: stopping.clone(),
            reopening: reopening.clone(),
            hurrying: hurrying.clone(),
            can_exit: plan.can_exit,
            counters: plan.counters.clone(),
            task: tokio::spawn(
                task::Task {
                    context: plan.context.clone(),
                    make: plan.make.clone(),
                    journal: self.journal.clone(),
                    parcels: rx,
                    shared: shared.clone(),
                    feeder: self.thread.thread().clone(),
                    stopping,
                    reopening,
                    hurrying,
                    ended: self.ended.clone(),
                    ticker_interval: plan.ticker_interval,
                    retries: plan.retries.clone(),
                    counters: plan.counters.clone(),
                    failures: Failures::new(
                        "output",
                        plan.context.name.clone(),
                        plan.context.engine.clone(),
                        self.journal.clone(),
                    ),
                }
                .run(),
            ),
        };
        let (name, engine) = (plan.context.name.clone(), plan.context.engine.clone());
        let failures = Failures::new("encoder", name, engine, self.journal.clone());
        let seed = Box::new(Seed { plan, reader, parcels: tx, shared, failures });
        let (reply, started) = crossbeam_channel::bounded(1);
        self.tell(Command::Add(seed, routing.clone(), reply))?;
        let started = started.recv().map_err(|_| anyhow::anyhow!("the delivery thread has ended"));
        if let Err(error) = started.and_then(|started| started) {
            running.stopping.cancel();
            return Err(error);
        }
        self.running.push(running);
        Ok(())
    }

    /// Ends an output; what it has not delivered stays in the journal.
    pub(super) async fn remove(&mut self, name: &str, patience: Duration) -> anyhow::Result<()> {
        let Some(index) = self.running.iter().position(|one| &*one.name == name) else {
            return Ok(());
        };
        let running = self.running.swap_remove(index);
        running.stopping.cancel();
        let abort = running.task.abort_handle();
        if tokio::time::timeout(patience, running.task).await.is_err() {
            abort.abort();
        }
        let (tx, rx) = crossbeam_channel::bounded(1);
        self.tell(Command::Remove(running.name.clone(), tx))?;
        let _ = tokio::task::spawn_blocking(move || rx.recv_timeout(Duration::from_secs(5))).await;
        Ok(())
    }

    /// Has an output go over to another version of its encoder.
    pub(super) fn recode(
        &self,
        output: &str,
        name: &str,
        encoder: Arc<dyn Encoder>,
    ) -> anyhow::Result<()> {
        let (tx, rx) = crossbeam_channel::bounded(1);
        self.tell(Command::Recode(Arc::from(output), (name.to_owned(), encoder), tx))?;
        rx.recv().map_err(|_| anyhow::anyhow!("the delivery thread has ended"))?
    }

    /// Has the thread ask other matchers.
    pub(super) fn route(&self, routing: &Arc<Routing>) -> anyhow::Result<()> {
        self.tell(Command::Route(routing.clone()))
    }

    /// Has every output that has nothing more to send make certain what it holds. No record waits
    /// for others from now on.
    pub(super) fn hurry(&self) {
        for running in &self.running {
            running.hurrying.notify_one();
            if !running.shared.is_hurried.swap(true, Ordering::AcqRel) {
                self.thread.thread().unpark();
            }
        }
    }

    /// Has every output open anew what someone else may have moved away.
    pub(super) fn reopen(&self) {
        for running in &self.running {
            running.reopening.notify_one();
        }
    }

    /// The outputs that have not delivered up to `end`, by name, and whether each is failing.
    pub(super) fn behind(&self, end: Position) -> Vec<(Arc<str>, bool)> {
        let mut behind = Vec::new();
        for running in &self.running {
            let shared = &running.shared;
            let delivered = shared.reached.delivered.load(Ordering::Acquire);
            running.counters.lag.set(end.0.saturating_sub(delivered) as f64);
            if delivered < end.0 {
                let is_failing = shared.is_failing.load(Ordering::Acquire)
                    || shared.has_ended.load(Ordering::Acquire);
                behind.push((running.name.clone(), is_failing));
            }
        }
        behind
    }

    /// Tells whether all of these outputs have ended, so that waiting for them is in vain.
    pub(super) fn have_ended(&self, behind: &[(Arc<str>, bool)]) -> bool {
        let has_ended = |running: &Running| running.shared.has_ended.load(Ordering::Acquire);
        let is_behind = |running: &&Running| behind.iter().any(|(name, _)| *name == running.name);
        self.running.iter().filter(is_behind).all(has_ended)
    }

    /// The sum of what all outputs have delivered, to see whether they move.
    pub(super) fn progress(&self) -> u64 {
        let delivered =
            |running: &Running| running.shared.reached.delivered.load(Ordering::Acquire);
        let sent = |running: &Running| running.counters.sent.value();
        self.running.iter().map(|running| delivered(running).wrapping_add(sent(running))).sum()
    }

    /// Resolves when an output has ended by itself.
    pub(super) fn ended(&self) -> Arc<Notify> {
        self.ended.clone()
    }

    /// The name of an output that has ended and must not.
    pub(super) fn ended_for_good(&self) -> Option<Arc<str>> {
        let has_ended = |running: &&Running| {
            !running.can_exit && running.shared.has_ended.load(Ordering::Acquire)
        };
        self.running.iter().find(has_ended).map(|running| running.name.clone())
    }

    /// Ends all outputs until `deadline`, then the thread.
    pub(super) async fn shut_down(mut self, deadline: Instant) {
        for running in &self.running {
            running.stopping.cancel();
        }
        for running in self.running.drain(..) {
            let left = deadline.saturating_duration_since(Instant::now());
            let abort = running.task.abort_handle();
            if tokio::time::timeout(left, running.task).await.is_err() {
                tracing::warn!(output = &*running.name, "an output did not end in time");
                abort.abort();
            }
        }
        let _ = self.tell(Command::ShutDown);
        let thread = self.thread;
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }

    fn tell(&self, command: Command) -> anyhow::Result<()> {
        let told = self.commands.send(command);
        self.thread.thread().unpark();
        told.map_err(|_| anyhow::anyhow!("the delivery thread has ended"))
    }
}

/// The loop of the delivery thread.
fn run(commands: &Receiver<Command>, mut routing: Arc<Routing>) {
    let mut feeders: Vec<Feeder> = Vec::new();
    loop {
        while let Ok(command) = commands.try_recv() {
            match command {
                Command::Add(seed, new, reply) => {
                    let grown = Feeder::grow(*seed, &new);
                    let _ = reply.send(grown.map(|feeder| feeders.push(feeder)));
                    routing = new;
                    route_all(&mut feeders, &routing);
                }
                Command::Remove(name, done) => {
                    feeders.retain_mut(|feeder| {
                        let stays = *feeder.name() != *name;
                        if !stays {
                            feeder.commit();
                        }
                        stays
                    });
                    let _ = done.send(());
                }
                Command::Recode(output, (name, encoder), done) => {
                    let feeder = feeders.iter_mut().find(|feeder| *feeder.name() == *output);
                    let recoded = feeder.map(|feeder| feeder.recode(&name, encoder));
                    let _ = done.send(recoded.unwrap_or(Ok(())));
                }
                Command::Route(new) => {
                    routing = new;
                    route_all(&mut feeders, &routing);
                }
                Command::ShutDown => {
                    for feeder in &mut feeders {
                        feeder.commit();
                    }
                    return;
                }
            }
        }
        let mut is_moving = false;
        for feeder in &mut feeders {
            is_moving |= feeder.feed(&routing);
        }
        if !is_moving {
            let patience = feeders.iter().filter_map(Feeder::patience).min();
            std::thread::park_timeout(patience.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP));
        }
    }
}

fn route_all(feeders: &mut [Feeder], routing: &Routing) {
    for feeder in feeders {
        feeder.route(routing);
    }
}
