//! Threads that are stuck are given up, and their filters go on in others.

use std::sync::Arc;
use std::time::Duration;

use super::AnalysisThreads;
use super::Resident;
use super::life;
use crate::journal::Note;
use crate::pipeline::routing::Routing;

/// As many threads are given up; each that is leaves its stack and its scripts behind.
const MAX_GIVEN_UP: usize = 16;

/// What became of the filters of a thread that was given up.
#[derive(Debug)]
pub(in crate::pipeline) struct Relieved {
    /// The filter it was stuck in. It does not go on: it would be stuck again.
    pub(in crate::pipeline) stuck: Option<Arc<str>>,
    /// Those that have started again from their snapshots.
    pub(in crate::pipeline) moved: Vec<Arc<str>>,
    /// Those that have not, and why.
    pub(in crate::pipeline) failed: Vec<(Arc<str>, anyhow::Error)>,
}

impl AnalysisThreads {
    /// Gives up the threads that are stuck in a filter for `patience`.
    pub(in crate::pipeline) fn relieve(
        &mut self,
        patience: Duration,
        routing: &Arc<Routing>,
    ) -> Vec<Relieved> {
        let mut relieved = Vec::new();
        for index in 0..self.threads.len() {
            let handle = &mut self.threads[index];
            let Some(mark) = handle.watch.look(&handle.life, patience) else { continue };
            if self.given_up >= MAX_GIVEN_UP {
                continue;
            }
            match self.replace(index, mark, routing) {
                Ok(replaced) => relieved.extend(replaced),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, "a stuck analysis thread cannot be replaced");
                }
            }
        }
        relieved
    }

    /// Has a new thread go on with the filters of one that is stuck in the filter with this mark;
    /// nothing where it is not stuck after all.
    fn replace(
        &mut self,
        index: usize,
        mark: u64,
        routing: &Arc<Routing>,
    ) -> anyhow::Result<Option<Relieved>> {
        let fresh = self.started(index, routing)?;
        if !self.threads[index].life.cut_off() {
            return Ok(None);
        }
        self.given_up += 1;
        // Nobody waits for its end any more.
        drop(std::mem::replace(&mut self.threads[index], fresh));
        let homeless = self.residents.extract_if(|_, resident| resident.home == index);
        let mut homeless: Vec<Resident> = homeless.map(|(_, resident)| resident).collect();
        homeless.sort_by(|one, other| one.plan.name.cmp(&other.plan.name));
        let mut relieved = Relieved { stuck: None, moved: Vec::new(), failed: Vec::new() };
        for Resident { plan, .. } in homeless {
            let name = plan.name.clone();
            if life::mark_of(&name) == mark {
                plan.counters.failing.set(1.0);
                let body = serde_json::json!({
                    "what": "stop", "version": plan.version, "detail": { "reason": "stuck" },
                });
                let body = body.to_string().into_bytes();
                let _ = self.journal.append_note(Note { subject: name.clone(), body });
                self.journal.retire(&name);
                relieved.stuck = Some(name);
                continue;
            }
            match self.add_to(index, plan, routing) {
                Ok(()) => relieved.moved.push(name),
                Err(error) => relieved.failed.push((name, error)),
            }
        }
        Ok(Some(relieved))
    }
}
