//! A filter that is stuck where no limit ends it, and those it has held up.

use std::sync::Arc;

use super::Pipeline;

impl Pipeline {
    /// Gives up the analysis threads that are stuck. Their filters go on in new ones, all but the one
    /// that is stuck: it is reported as one that was terminated, and starts again when it is
    /// reloaded, or with the engine.
    pub(super) fn relieve_stuck(&mut self) {
        let patience = self.plan.config.hekad.stuck_timeout;
        if patience.is_zero() {
            return;
        }
        let routing = self.routing.clone();
        for relieved in self.analysis.relieve(patience, &routing) {
            if let Some(name) = &relieved.stuck {
                tracing::error!(
                    filter = &**name,
                    "a filter is stuck where no limit ends it: it is stopped, and its thread given up"
                );
                self.say_terminated(name, "it was stuck in a call that no limit ends");
                self.forget_running(name);
            }
            for (name, error) in &relieved.failed {
                let error = format!("{error:#}");
                tracing::error!(filter = &**name, error, "a filter does not go on in a new thread");
                self.say_terminated(name, &error);
                self.forget_running(name);
            }
            let moved: Vec<&str> = relieved.moved.iter().map(|name| &**name).collect();
            tracing::warn!(filters = ?moved, "filters go on in a new thread, from their snapshots");
            self.try_again(&relieved.moved);
        }
    }

    /// It may be started again as it is.
    fn forget_running(&mut self, name: &Arc<str>) {
        self.drop_shadow(name);
        self.running.remove(name);
    }
}
