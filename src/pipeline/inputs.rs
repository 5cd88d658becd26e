//! Runs inputs: lends them streams, starts them again after a failure, says when they have ended.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::counters::InputCounters;
use super::decode::DecodeFailures;
use super::decode::DecodeThreads;
use super::decode::Opened;
use super::decode::StreamPlan;
use super::failures::Failures;
use super::parts::Parts;
use super::plan::Retries;
use super::progress::Progress;
use crate::journal::Journal;
use crate::message::Source;
use crate::message::SourcePosition;
use crate::plugin::Delivery;
use crate::plugin::Engine;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Lender;
use crate::plugin::Origin;
use crate::plugin::Stopping;
use crate::stdx::backoff::Backoff;

/// Makes the input anew from its section.
pub(super) type MakeInput = Arc<dyn Fn() -> anyhow::Result<Box<dyn Input>> + Send + Sync>;

/// What an input is run with.
pub(super) struct InputPlan {
    pub(super) name: Arc<str>,
    pub(super) engine: Engine,
    pub(super) make: MakeInput,
    pub(super) parts: Arc<Parts>,
    pub(super) splitter: String,
    pub(super) decoder: Option<String>,
    pub(super) failures: DecodeFailures,
    pub(super) ticker_interval: Duration,
    pub(super) retries: Retries,
    pub(super) can_exit: bool,
    pub(super) until_done: bool,
}

/// What the engine lends one input.
struct Desk {
    name: Arc<str>,
    engine: Engine,
    /// What new streams are made of; a reload may change it.
    parts: ArcSwap<Parts>,
    splitter: String,
    decoder: Option<String>,
    failures: DecodeFailures,
    undecoded: Failures,
    counters: Arc<InputCounters>,
    threads: Arc<DecodeThreads>,
    journal: Journal,
    progress: Progress,
}

#[async_trait::async_trait]
impl Lender for Desk {
    async fn open(
        &self,
        origin: Origin,
        source: Option<Source>,
    ) -> anyhow::Result<Box<dyn Delivery>> {
        let plan = StreamPlan {
            engine: self.engine.clone(),
            parts: self.parts.load_full(),
            input: self.name.clone(),
            splitter: self.splitter.clone(),
            decoder: self.decoder.clone(),
            failures: self.failures,
            undecoded: self.undecoded.clone(),
            origin,
            source,
            counters: self.counters.clone(),
        };
        let opened = Opened::open(&self.threads, plan, self.progress.clone()).await?;
        Ok(Box::new(opened))
    }

    fn count_dropped(&self, count: u64) {
        self.counters.dropped.add(count);
    }

    fn journal(&self) -> [u8; 16] {
        self.journal.id()
    }

    fn largest_entry(&self) -> usize {
        self.journal.largest_entry()
    }

    fn last_position(&self, source: &Source) -> Option<SourcePosition> {
        self.journal.last_position(source)
    }

    fn last_positions(&self, prefix: &str) -> Vec<(Source, SourcePosition)> {
        self.journal.last_positions(prefix)
    }
}

/// An input that runs.
pub(super) struct RunningInput {
    pub(super) name: Arc<str>,
    pub(super) counters: Arc<InputCounters>,
    desk: Arc<Desk>,
    stopping: Stopping,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    has_ended: AtomicBool,
    has_failed: AtomicBool,
}

impl RunningInput {
    /// Starts an input; `changed` is told when it ends.
    pub(super) fn start(
        plan: InputPlan,
        threads: &Arc<DecodeThreads>,
        journal: &Journal,
        progress: &Progress,
        changed: &Arc<Notify>,
    ) -> RunningInput {
        let counters = Arc::new(InputCounters::new(&plan.engine.metrics, &plan.name));
        let (name, engine) = (plan.name.clone(), plan.engine.clone());
        let undecoded = Failures::new("decoder", name, engine, journal.clone());
        let desk = Arc::new(Desk {
            undecoded,
            name: plan.name.clone(),
            engine: plan.engine.clone(),
            parts: ArcSwap::new(plan.parts.clone()),
            splitter: plan.splitter.clone(),
            decoder: plan.decoder.clone(),
            failures: plan.failures,
            counters: counters.clone(),
            threads: threads.clone(),
            journal: journal.clone(),
            progress: progress.clone(),
        });
        let stopping = Stopping::new();
        let state = Arc::new(State::default());
        let name = plan.name.clone();
        let task = tokio::spawn(supervise(
            plan,
            desk.clone(),
            stopping.clone(),
            state.clone(),
            counters.clone(),
            changed.clone(),
        ));
        RunningInput { name, counters, desk, stopping, state, task }
    }

    /// Tells whether it has ended by itself.
    pub(super) fn has_ended(&self) -> bool {
        self.state.has_ended.load(Ordering::Acquire)
    }

    /// Tells whether it has ended and must not.
    pub(super) fn has_failed(&self) -> bool {
        self.state.has_failed.load(Ordering::Acquire)
    }

    /// Goes over to the decoders of `parts`, in streams that are open and in those to come.
    pub(super) async fn recode(&self, parts: &Arc<Parts>) -> anyhow::Result<()> {
        self.desk.parts.store(parts.clone());
        self.desk.threads.recode(&self.name, parts).await
    }

    /// Asks it to end.
    pub(super) fn ask_to_stop(&self) {
        self.stopping.cancel();
    }

    /// Waits until it has ended, at most `patience`.
    pub(super) async fn stop(self, patience: Duration) {
        self.stopping.cancel();
        let abort = self.task.abort_handle();
        if tokio::time::timeout(patience, self.task).await.is_err() {
            tracing::warn!(input = &*self.name, "an input did not end in time");
            abort.abort();
        }
    }
}

async fn supervise(
    plan: InputPlan,
    desk: Arc<Desk>,
    stopping: Stopping,
    state: Arc<State>,
    counters: Arc<InputCounters>,
    changed: Arc<Notify>,
) {
    let retries = &plan.retries;
    let (name, engine) = (plan.name.clone(), plan.engine.clone());
    let failures = Failures::new("input", name, engine, desk.journal.clone());
    let mut backoff =
        Backoff::new(retries.delay, retries.max_delay, retries.max_jitter, retries.max_retries);
    loop {
        let cx = InputContext {
            name: plan.name.clone(),
            engine: plan.engine.clone(),
            ticker_interval: plan.ticker_interval,
            stopping: stopping.clone(),
            until_done: plan.until_done,
            lender: desk.clone(),
        };
        let before = counters.messages.value();
        counters.failing.set(0.0);
        let result = run_once(&plan, cx).await;
        if stopping.is_cancelled() {
            break;
        }
        let error = match result {
            Ok(()) => {
                tracing::info!(input = &*plan.name, "an input has ended");
                state.has_failed.store(!plan.can_exit, Ordering::Release);
                break;
            }
            Err(error) => format!("{error:#}"),
        };
        if counters.messages.value() > before {
            backoff.reset();
        }
        counters.restarts.add(1);
        counters.failing.set(1.0);
        let input = &*plan.name;
        let Some(wait) = backoff.next_wait() else {
            failures.ended(&error, backoff.tried());
            tracing::error!(input, error, "an input has failed and no retry is left");
            state.has_failed.store(!plan.can_exit, Ordering::Release);
            break;
        };
        let seconds = wait.as_secs_f64();
        failures.failed(&error, backoff.tried());
        tracing::warn!(input, error, seconds, "an input has failed and will start again");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stopping.cancelled() => break,
        }
    }
    state.has_ended.store(true, Ordering::Release);
    changed.notify_one();
}

/// Runs the input in a task of its own, so that a panic in it is a failure like any other.
async fn run_once(plan: &InputPlan, cx: InputContext) -> anyhow::Result<()> {
    let input = (plan.make)()?;
    let task = AbortOnDrop(tokio::spawn(input.run(cx)));
    let mut task = task;
    (&mut task.0).await.context("the input has panicked")?
}

/// Ends the inner task with the outer one.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
