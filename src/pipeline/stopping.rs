//! When the engine ends, and how: inputs first, outputs last, and nothing lost.

use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use super::Pipeline;

/// How often a stop looks whether all is delivered.
const LOOK: Duration = Duration::from_millis(2);
/// How long outputs that fail are waited for, in a stop that is not `--until-done`.
const FAILING_PATIENCE: Duration = Duration::from_secs(1);
/// How long inputs are held by a full journal when nothing moves that could make room.
const BLOCKED_PATIENCE: Duration = Duration::from_secs(2);
/// How long the last timers of filters may take when the time of a stop is over.
const LAST_TIMERS: Duration = Duration::from_secs(5);
/// How long outputs may take to end when the time of a stop is over.
const OUTPUT_GRACE: Duration = Duration::from_secs(3);

/// Why the engine ended by itself, or was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything there was has been read.
    Done,
    /// Somebody asked for it.
    Asked,
    /// A plugin has ended that must not, by name.
    Failed(Arc<str>),
    /// The journal is full, and the reader of this name says that the engine stops then.
    Full(Arc<str>),
}

impl Pipeline {
    /// Resolves when the engine should end by itself.
    pub async fn ending(&self) -> Ending {
        let changed = self.changed.clone();
        let ended = self.deliveries.ended();
        let mut look = tokio::time::interval(Duration::from_millis(100));
        loop {
            if let Some(failed) = self.inputs.iter().find(|input| input.has_failed()) {
                return Ending::Failed(failed.name.clone());
            }
            if let Some(reader) = self.decoding.halted() {
                return Ending::Full(reader);
            }
            if let Some(failed) = self.deliveries.ended_for_good() {
                return Ending::Failed(failed);
            }
            if self.mode.until_done {
                let is_idle = self.mode.idle.is_some_and(|idle| self.silence() >= idle);
                let is_done = |input: &super::RunningInput| input.has_ended();
                if self.inputs.iter().all(is_done) || is_idle {
                    return Ending::Done;
                }
            }
            tokio::select! {
                () = changed.notified() => {}
                () = ended.notified() => {}
                _ = look.tick() => {}
            }
        }
    }

    /// For how long no input has given a message. Kept over calls: whoever waits for the ending may
    /// give up and ask again.
    fn silence(&self) -> Duration {
        let messages = self.messages_in();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if messages != heard.0 {
            *heard = (messages, Instant::now());
        }
        heard.1.elapsed()
    }

    /// Ends everything within `timeout`; names the outputs and filters that are not done with all
    /// there is.
    ///
    /// What they have not done stays in the journal. Under `--until-done` there is no such bound as
    /// long as something moves.
    pub async fn stop(mut self, timeout: Duration) -> Vec<Arc<str>> {
        let deadline = Instant::now() + timeout;
        self.pause_shadows();
        self.stop_inputs(timeout).await;
        self.ticking.abort();
        self.measuring.abort();
        if !self.drain_filters(deadline, timeout).await {
            tracing::warn!("filters are behind: they go on from their snapshots at the next start");
            self.analysis.abandon();
        }
        // Those who asked are past the messages that had them ask, and will not ask again.
        tokio::task::block_in_place(|| self.obey_managers());
        let Pipeline { analysis, deliveries, journal, keeper, mode, .. } = self;
        let last =
            if mode.until_done { deadline.max(Instant::now() + LAST_TIMERS) } else { deadline };
        let patience = last.saturating_duration_since(Instant::now());
        let shut_down = tokio::task::spawn_blocking(move || analysis.shut_down(patience));
        let mut undone = shut_down.await.unwrap_or_default();
        let end = journal.end();
        journal.want_durable(end);
        let mut stillness = Stillness::new(deliveries.progress());
        loop {
            let behind = deliveries.behind(end);
            let still_for = stillness.seen(deliveries.progress());
            let all_fail = behind.iter().all(|(_, is_failing)| *is_failing);
            let is_over = if mode.until_done {
                still_for >= timeout
            } else {
                Instant::now() >= deadline || (all_fail && still_for >= FAILING_PATIENCE)
            };
            if behind.is_empty() || is_over || deliveries.have_ended(&behind) {
                undone.extend(behind.into_iter().map(|(name, _)| name));
                break;
            }
            deliveries.hurry();
            tokio::time::sleep(LOOK).await;
        }
        let grace = deadline.max(Instant::now() + OUTPUT_GRACE);
        deliveries.shut_down(grace).await;
        let closed = tokio::task::spawn_blocking(move || {
            keeper.end();
            journal.close()
        });
        if let Ok(Err(error)) = closed.await {
            tracing::error!(%error, "cannot close the journal");
        }
        undone
    }

    /// Ends the inputs and the decode threads behind them.
    ///
    /// Where the journal is full they wait in it. They are sent away when half of the time is gone,
    /// or when nothing moves that could make room: what they have not appended is not acknowledged.
    async fn stop_inputs(&mut self, timeout: Duration) {
        for input in &self.inputs {
            input.ask_to_stop();
        }
        let begun = Instant::now();
        let patience = if self.mode.until_done { Duration::MAX } else { timeout / 2 };
        let inputs = std::mem::take(&mut self.inputs);
        let decoding = self.decoding.clone();
        let ending = async move {
            for input in inputs {
                input.stop((timeout / 2).saturating_sub(begun.elapsed())).await;
            }
            let _ = tokio::task::spawn_blocking(move || decoding.join()).await;
        };
        tokio::pin!(ending);
        let moved = || self.deliveries.progress().wrapping_add(self.analysis.moved());
        let mut stillness = Stillness::new(moved());
        while tokio::time::timeout(LOOK, &mut ending).await.is_err() {
            let still_for = stillness.seen(moved());
            let is_blocked = self.journal.status().is_blocked_by.is_some();
            let hopeless = if self.mode.until_done { timeout } else { BLOCKED_PATIENCE };
            if begun.elapsed() >= patience || (is_blocked && still_for >= hopeless) {
                self.journal.release_appenders();
            }
        }
    }

    /// Waits until every filter is done with what there is; tells whether all are. Those that are
    /// paused are waited for under `--until-done` alone.
    async fn drain_filters(&self, deadline: Instant, timeout: Duration) -> bool {
        let moved = || self.deliveries.progress().wrapping_add(self.analysis.moved());
        let mut stillness = Stillness::new(moved());
        loop {
            let end = self.journal.end();
            let is_level = self.analysis.reached() >= end;
            let are_all = is_level && self.analysis.reached_with_paused() >= end;
            if are_all || (is_level && !self.mode.until_done) {
                return true;
            }
            let still_for = stillness.seen(moved());
            let is_over = if self.mode.until_done {
                still_for >= timeout
            } else {
                Instant::now() >= deadline
            };
            if is_over {
                return is_level;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// For how long a number has been the same.
struct Stillness {
    number: u64,
    since: Instant,
}

impl Stillness {
    fn new(number: u64) -> Stillness {
        Stillness { number, since: Instant::now() }
    }

    /// The number is this now.
    fn seen(&mut self, number: u64) -> Duration {
        if number != self.number {
            *self = Stillness::new(number);
        }
        self.since.elapsed()
    }
}
