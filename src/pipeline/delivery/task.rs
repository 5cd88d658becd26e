//! An output as a task: sends, waits and tries again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::MakeOutput;
use super::Parcel;
use super::Shared;
use super::letters;
use crate::journal::Journal;
use crate::journal::Position;
use crate::pipeline::counters::OutputCounters;
use crate::pipeline::failures::Failures;
use crate::pipeline::plan::Retries;
use crate::plugin::Failure;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::stdx::backoff::Backoff;

/// How long a load that is being sent, and a last flush, may take once the output is to end.
const GRACE: Duration = Duration::from_secs(1);
/// How long dead letters may take to be durable, before what they are of is sent again.
const SYNC_PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Task {
    pub(super) context: OutputContext,
    pub(super) make: MakeOutput,
    pub(super) journal: Journal,
    pub(super) parcels: mpsc::Receiver<Parcel>,
    pub(super) shared: Arc<Shared>,
    pub(super) feeder: std::thread::Thread,
    pub(super) stopping: CancellationToken,
    pub(super) reopening: Arc<Notify>,
    pub(super) hurrying: Arc<Notify>,
    pub(super) ended: Arc<Notify>,
    pub(super) ticker_interval: Duration,
    pub(super) retries: Retries,
    pub(super) counters: Arc<OutputCounters>,
    pub(super) failures: Failures,
}

/// Why the loop over an open output was left.
enum Left {
    /// It is to be opened again after a pause.
    Failed(anyhow::Error),
    /// It will never work.
    Hopeless(anyhow::Error),
    /// The engine stops, or the feeder has gone.
    Stopped,
}

/// What waits for the task between two loads.
enum Turn {
    Parcel(Parcel),
    Settled(Result<u64, Failure>),
    Idle(Result<(), Failure>),
    Hurry,
    Tick,
    Reopen,
    Stop,
}

/// What is not delivered: the load being sent, and how far those go that are taken but not certain.
#[derive(Default)]
struct Pending {
    current: Option<Parcel>,
    held: Option<u64>,
    round: u64,
    /// The last dead letter, until it is durable.
    letter: Option<Position>,
}

impl Task {
    pub(super) async fn run(mut self) {
        let retries = &self.retries;
        let mut backoff =
            Backoff::new(retries.delay, retries.max_delay, retries.max_jitter, retries.max_retries);
        let mut pending = Pending::default();
        let mut tick = interval(self.ticker_interval);
        loop {
            let mut output = match (self.make)() {
                Ok(output) => output,
                Err(error) => {
                    self.end(&error, backoff.tried());
                    break;
                }
            };
            let left = self.serve(output.as_mut(), &mut pending, &mut backoff, &mut tick).await;
            let wait = match left {
                Left::Stopped => None,
                Left::Hopeless(error) => {
                    self.end(&error, backoff.tried());
                    None
                }
                Left::Failed(error) => {
                    let wait = backoff.next_wait();
                    match wait {
                        Some(wait) => self.tell(&error, wait, backoff.tried()),
                        None => self.end(&error.context("no retry is left"), backoff.tried()),
                    }
                    wait
                }
            };
            if let Some(wait) = wait
                && output.keeps_held()
            {
                self.wait_with(output.as_mut(), wait, &mut tick).await;
                if self.stopping.is_cancelled() {
                    self.finish(output.as_mut(), &mut pending).await;
                }
            }
            let keeps_held = output.keeps_held();
            output.close().await;
            if !keeps_held {
                self.go_back(&mut pending);
            }
            let Some(wait) = wait.filter(|_| !self.stopping.is_cancelled()) else { break };
            if !keeps_held && !self.pause(wait).await {
                break;
            }
        }
        self.feeder.unpark();
    }

    /// Says that the output has failed and when it will try again.
    fn tell(&self, error: &anyhow::Error, wait: Duration, tried: u32) {
        self.shared.is_failing.store(true, Ordering::Release);
        self.counters.failing.set(1.0);
        self.counters.retries.add(1);
        // A place that stays away is told of now and then, not every time.
        if tried.is_power_of_two() {
            let (output, error) = (&*self.context.name, format!("{error:#}"));
            let seconds = wait.as_secs_f64();
            self.failures.failed(&error, tried);
            tracing::warn!(output, error, tried, seconds, "an output failed and will try again");
        }
    }

    /// Waits before the next try; `false` when the engine stops meanwhile.
    async fn pause(&self, wait: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = self.stopping.cancelled() => false,
        }
    }

    /// Waits before the next try with an output that goes on with what it has: its ticker does too.
    async fn wait_with(
        &self,
        output: &mut dyn Output,
        wait: Duration,
        tick: &mut Option<tokio::time::Interval>,
    ) {
        let pause = self.pause(wait);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                _ = &mut pause => return,
                () = due(tick) => {}
            }
            if let Err(failure) = output.tick().await {
                let (Failure::Retry(error) | Failure::Reject(error) | Failure::Stop(error)) =
                    failure;
                let (output, error) = (&*self.context.name, format!("{error:#}"));
                tracing::warn!(output, error, "an output failed while it waited");
                return;
            }
        }
    }

    fn end(&self, error: &anyhow::Error, tried: u32) {
        let (output, error) = (&*self.context.name, format!("{error:#}"));
        self.failures.ended(&error, tried);
        tracing::error!(output, error, "an output has ended");
        // It holds nothing back any more.
        self.journal.retire(output);
        self.shared.has_ended.store(true, Ordering::Release);
        self.counters.failing.set(1.0);
        self.ended.notify_one();
    }

    /// Opens the output and sends until something is wrong.
    async fn serve(
        &mut self,
        output: &mut dyn Output,
        pending: &mut Pending,
        backoff: &mut Backoff,
        tick: &mut Option<tokio::time::Interval>,
    ) -> Left {
        tokio::select! {
            opened = output.open(&self.context) => {
                if let Err(failure) = opened {
                    return left(failure);
                }
            }
            () = self.stopping.cancelled() => return Left::Stopped,
        }
        self.go_on(output.resumes_at(), pending);
        self.return_to(output.returns_to(), pending);
        if let Some(left) = self.send(output, pending, backoff).await {
            return left;
        }
        loop {
            let pause = output.pauses_until();
            let turn = tokio::select! {
                biased;
                // Parcels come last: while there are always more, the others have their turn too.
                () = self.stopping.cancelled() => Turn::Stop,
                () = self.reopening.notified() => Turn::Reopen,
                turn = heard(output, pending.held.is_some()) => turn,
                () = self.hurrying.notified(), if pending.held.is_some() => Turn::Hurry,
                () = due(tick) => Turn::Tick,
                parcel = next(&mut self.parcels, pause) => parcel.map_or(Turn::Stop, Turn::Parcel),
            };
            let done = match turn {
                Turn::Parcel(parcel) => {
                    // There is a place in the queue again.
                    self.feeder.unpark();
                    if parcel.round == pending.round {
                        pending.current = Some(parcel);
                    }
                    match self.send(output, pending, backoff).await {
                        Some(Left::Stopped) => return self.finish(output, pending).await,
                        Some(left) => return left,
                        None => Ok(()),
                    }
                }
                Turn::Settled(Ok(entry)) => {
                    self.delivered(entry, pending);
                    Ok(())
                }
                Turn::Settled(Err(failure)) => Err(failure),
                Turn::Idle(done) => done,
                // While there is more to send, waiting for what was sent would only take time.
                Turn::Hurry if !self.parcels.is_empty() => Ok(()),
                Turn::Hurry => tokio::select! {
                    flushed = self.flush(output, pending) => flushed,
                    () = self.stopping.cancelled() => return self.finish(output, pending).await,
                },
                Turn::Tick => output.tick().await,
                Turn::Reopen => output.reopen().await,
                Turn::Stop => return self.finish(output, pending).await,
            };
            if let Err(failure) = done {
                return left(failure);
            }
        }
    }

    /// Makes certain what is only held, before a stop.
    async fn finish(&self, output: &mut dyn Output, pending: &mut Pending) -> Left {
        match tokio::time::timeout(GRACE, self.flush(output, pending)).await {
            Ok(Err(failure)) => {
                let (output, Failure::Retry(error) | Failure::Reject(error) | Failure::Stop(error)) =
                    (&*self.context.name, failure);
                let error = format!("{error:#}");
                tracing::warn!(output, error, "what was sent last is not certain and comes again");
            }
            Ok(Ok(())) => {}
            Err(_) => tracing::warn!(output = &*self.context.name, "an output did not end in time"),
        }
        Left::Stopped
    }

    /// Has the feeder go back to what is delivered, when loads were taken that will now not become certain.
    fn go_back(&self, pending: &mut Pending) {
        if pending.held.take().is_some() {
            pending.current = None;
            pending.round += 1;
            self.shared.rounds.store(pending.round, Ordering::Release);
            self.feeder.unpark();
        }
    }

    /// Sends the load there is, and notes how far that delivers; a way out where it cannot.
    async fn send(
        &self,
        output: &mut dyn Output,
        pending: &mut Pending,
        backoff: &mut Backoff,
    ) -> Option<Left> {
        while let Some(parcel) = &mut pending.current {
            let load = &mut parcel.load;
            let unsent = load.records().len() as u64;
            let bytes = load.rest().len() as u64;
            let sent = tokio::select! {
                biased;
                sent = output.send(load) => sent,
                () = self.stopped() => return Some(Left::Stopped),
            };
            match sent {
                Ok(sent) => {
                    self.succeeded(backoff);
                    self.counters.sent.add(unsent);
                    self.counters.bytes.add(bytes);
                    pending.held = Some(load.entry);
                    self.shared.keep(std::mem::take(&mut load.encoded));
                    pending.current = None;
                    self.feeder.unpark();
                    if sent == Sent::Done
                        && let Err(failure) = self.flush(output, pending).await
                    {
                        return Some(left(failure));
                    }
                }
                Err(Failure::Reject(error)) => {
                    self.counters.sent.add(unsent.saturating_sub(load.records().len() as u64));
                    let (output, error) = (&*self.context.name, format!("{error:#}"));
                    tracing::warn!(output, error, "a record was refused and is passed over");
                    self.counters.rejected.add(1);
                    let first = load.first();
                    if !parcel.letters.contains(&first) && load.records().len() > 0 {
                        let record = load.encoded.record(first);
                        let (journal, entry) = (&self.journal, load.entry);
                        let letter = letters::append(journal, &self.context, record, &error, entry);
                        pending.letter = letter.or(pending.letter);
                        // It may be refused once more, where the output goes back in its load.
                        parcel.letters.push(first);
                    }
                    load.advance(1);
                }
                Err(failure) => {
                    self.counters.sent.add(unsent.saturating_sub(load.records().len() as u64));
                    return Some(left(failure));
                }
            }
        }
        None
    }

    /// Resolves a while after a stop was asked for: what is cut off in the middle comes twice.
    async fn stopped(&self) {
        self.stopping.cancelled().await;
        tokio::time::sleep(GRACE).await;
    }

    async fn flush(&self, output: &mut dyn Output, pending: &mut Pending) -> Result<(), Failure> {
        output.flush().await?;
        self.sync_letters(pending).await?;
        if let Some(entry) = pending.held {
            self.delivered(entry, pending);
        }
        Ok(())
    }

    /// Waits until the dead letters are durable: the cursor moves over what they are of.
    async fn sync_letters(&self, pending: &mut Pending) -> Result<(), Failure> {
        let Some(letter) = pending.letter else { return Ok(()) };
        if self.journal.settled() < letter {
            let journal = self.journal.clone();
            let waiting =
                tokio::task::spawn_blocking(move || journal.wait_durable(letter, SYNC_PATIENCE));
            if !matches!(waiting.await, Ok(Ok(true))) {
                return Err(Failure::Retry(anyhow::anyhow!("the journal is not synced")));
            }
        }
        pending.letter = None;
        Ok(())
    }

    /// Notes that everything up to `entry` is where it belongs.
    fn delivered(&self, entry: u64, pending: &mut Pending) {
        if pending.held.is_some_and(|held| held <= entry) {
            pending.held = None;
        }
        self.shared.reached.delivered.fetch_max(entry, Ordering::AcqRel);
        self.feeder.unpark();
    }

    /// Has the feeder go on behind what the output itself knows to be delivered, where the cursor
    /// had not got so far before the engine was killed. An entry the journal has lost says nothing:
    /// others will get its number.
    fn go_on(&self, resumes_at: Option<u64>, pending: &mut Pending) {
        let delivered = self.shared.reached.delivered.load(Ordering::Acquire);
        let end = self.journal.end().0;
        if let Some(entry) = resumes_at.filter(|entry| (delivered + 1..=end).contains(entry)) {
            self.shared.reached.delivered.store(entry, Ordering::Release);
            pending.held = Some(entry);
            self.go_back(pending);
        }
    }

    /// Has the feeder go back to where the output wants to, though more was delivered.
    fn return_to(&self, entry: Option<u64>, pending: &mut Pending) {
        let delivered = self.shared.reached.delivered.load(Ordering::Acquire);
        if let Some(entry) = entry.filter(|entry| *entry < delivered) {
            let output = &*self.context.name;
            tracing::info!(output, delivered, to = entry, "an output goes back");
            self.shared.reached.delivered.store(entry, Ordering::Release);
            pending.held = Some(entry);
            self.go_back(pending);
        }
    }

    fn succeeded(&self, backoff: &mut Backoff) {
        if backoff.tried() > 0 {
            tracing::info!(output = &*self.context.name, "an output works again");
            self.failures.is_back();
            backoff.reset();
        }
        self.shared.is_failing.store(false, Ordering::Release);
        self.counters.failing.set(0.0);
    }
}

fn left(failure: Failure) -> Left {
    match failure {
        Failure::Retry(error) | Failure::Reject(error) => Left::Failed(error),
        Failure::Stop(error) => Left::Hopeless(error),
    }
}

/// What the output says while it is given nothing.
async fn heard(output: &mut dyn Output, is_holding: bool) -> Turn {
    if is_holding { Turn::Settled(output.settled().await) } else { Turn::Idle(output.idle().await) }
}

/// The next parcel, but none before `pause` is over.
async fn next(
    parcels: &mut mpsc::Receiver<Parcel>,
    pause: Option<std::time::Instant>,
) -> Option<Parcel> {
    if let Some(until) = pause {
        tokio::time::sleep_until(until.into()).await;
    }
    parcels.recv().await
}

/// A ticker, unless the period is zero.
fn interval(period: Duration) -> Option<tokio::time::Interval> {
    (!period.is_zero()).then(|| {
        let mut interval = tokio::time::interval_at(Instant::now() + period, period);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        interval
    })
}

/// Resolves at the next tick; never without a ticker.
async fn due(interval: &mut Option<tokio::time::Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}
