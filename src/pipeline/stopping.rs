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

/// Why the engine ended by itself, or was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything there was has been read.
    Done,
    /// Somebody asked for it.
    Asked,
    /// A plugin has ended that must not, by name.
    Failed(Arc<str>),
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

    /// Ends everything within `timeout`; names the outputs that have not delivered all there is.
    ///
    /// What they have not delivered stays in the journal.
    pub async fn stop(mut self, timeout: Duration) -> Vec<Arc<str>> {
        let deadline = Instant::now() + timeout;
        self.stop_inputs(deadline).await;
        self.ticking.abort();
        self.drain_filters(deadline).await;
        let Pipeline { analysis, deliveries, journal, keeper, mode, .. } = self;
        let shut_down = tokio::task::spawn_blocking(move || analysis.shut_down(deadline));
        let _ = shut_down.await;
        let end = journal.end();
        journal.want_durable(end);
        let mut progress = (deliveries.progress(), Instant::now());
        let undelivered = loop {
            let behind = deliveries.behind(end);
            if behind.is_empty() {
                break behind;
            }
            let now = Instant::now();
            if deliveries.progress() != progress.0 {
                progress = (deliveries.progress(), now);
            }
            let stands_still = now - progress.1;
            let all_fail = behind.iter().all(|(_, is_failing)| *is_failing);
            let is_over = if mode.until_done {
                stands_still >= timeout
            } else {
                now >= deadline || (all_fail && stands_still >= FAILING_PATIENCE)
            };
            if is_over {
                break behind;
            }
            tokio::time::sleep(LOOK).await;
        };
        let grace = deadline.max(Instant::now() + Duration::from_secs(2));
        deliveries.shut_down(grace).await;
        let closed = tokio::task::spawn_blocking(move || {
            keeper.end();
            journal.close()
        });
        if let Ok(Err(error)) = closed.await {
            tracing::error!(%error, "cannot close the journal");
        }
        undelivered.into_iter().map(|(name, _)| name).collect()
    }

    /// Ends the inputs and the decode threads behind them.
    async fn stop_inputs(&mut self, deadline: Instant) {
        for input in &self.inputs {
            input.ask_to_stop();
        }
        for input in self.inputs.drain(..) {
            input.stop(deadline.saturating_duration_since(Instant::now())).await;
        }
        let journal = self.journal.clone();
        let fresh = super::DecodeThreads::none();
        let Ok(threads) = Arc::try_unwrap(std::mem::replace(&mut self.decoding, Arc::new(fresh)))
        else {
            tracing::warn!("a stream is still open: its last bytes may be read again");
            return;
        };
        let joined = tokio::task::spawn_blocking(move || threads.join());
        let left = deadline.saturating_duration_since(Instant::now());
        tokio::pin!(joined);
        if tokio::time::timeout(left, &mut joined).await.is_err() {
            journal.release_appenders();
            let _ = joined.await;
        }
    }

    /// Waits until every filter is done with what there is.
    async fn drain_filters(&self, deadline: Instant) {
        while self.analysis.reached() < self.journal.end() {
            if Instant::now() >= deadline && !self.mode.until_done {
                tracing::warn!(
                    "filters are behind: they go on from their snapshots at the next start"
                );
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
