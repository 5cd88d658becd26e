//! The difference between two plans, applied while the engine runs.
//!
//! A plugin whose section, and whatever it is made of, has not changed is not touched: its socket
//! stays open and its state in memory. What cannot be started leaves the old one running.

use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use super::plan::Plan;
use super::plan::PlannedInput;
use super::plan::PlannedOutput;
use super::routing_of;
use crate::config::Config;

/// How long an input or output may take to end before its new version starts.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a reload has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Plugins started.
    pub added: Vec<String>,
    /// Plugins ended.
    pub removed: Vec<String>,
    /// Plugins started anew, or filters swapped.
    pub changed: Vec<String>,
    /// Filters whose new version is tried beside the old one.
    pub tried: Vec<String>,
    /// What could not be done; the old version goes on.
    pub failed: Vec<String>,
    /// Settings of the engine that count from the next start only.
    pub waits_for_restart: Vec<String>,
}

impl Reloaded {
    /// Tells whether nothing was different.
    pub fn is_empty(&self) -> bool {
        *self == Reloaded::default()
    }

    /// Tells whether anything is different now, or will be after a restart.
    pub fn has_changes(&self) -> bool {
        let rows =
            [&self.added, &self.removed, &self.changed, &self.tried, &self.waits_for_restart];
        rows.into_iter().any(|names| !names.is_empty())
    }
}

impl std::fmt::Display for Reloaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = [
            ("added", &self.added),
            ("removed", &self.removed),
            ("changed", &self.changed),
            ("tried", &self.tried),
            ("failed", &self.failed),
            ("waits for a restart", &self.waits_for_restart),
        ];
        if self.is_empty() {
            return f.write_str("nothing has changed\n");
        }
        for (what, names) in rows.into_iter().filter(|(_, names)| !names.is_empty()) {
            writeln!(f, "{what}: {}", names.join(", "))?;
        }
        Ok(())
    }
}

impl Pipeline {
    /// Goes over to `new`, touching only what is different.
    pub async fn reload(&mut self, mut new: Plan) -> Reloaded {
        new.engine.memory = self.plan.engine.memory.clone();
        let mut done = Reloaded {
            waits_for_restart: crate::config::difference(&self.plan.config, &new.config)
                .hekad_changed,
            ..Reloaded::default()
        };
        let old = std::mem::replace(&mut self.plan, new);
        let mut filters = std::mem::take(&mut self.plan.filters);
        self.add_loaded_to(&mut filters);
        self.plan.filters = filters;
        self.routing = Arc::new(routing_of(&self.plan));
        self.stop_gone_inputs(&old, &mut done).await;
        self.reload_outputs(&old, &mut done).await;
        tokio::task::block_in_place(|| self.reload_filters(&old, &mut done));
        self.analysis.route(&self.routing);
        if let Err(error) = self.deliveries.route(&self.routing) {
            done.failed.push(format!("{error:#}"));
        }
        self.reload_decoders(&mut done).await;
        self.start_new_inputs(&old, &mut done);
        done
    }

    async fn stop_gone_inputs(&mut self, old: &Plan, done: &mut Reloaded) {
        for input in &old.inputs {
            let name = &input.section.name;
            let at = self.plan.inputs.iter().position(|new| new.section.name == *name);
            let is_same = at.is_some_and(|at| {
                identity_of_input(&self.plan.inputs[at], &self.plan.config)
                    == identity_of_input(input, &old.config)
            });
            if is_same {
                continue;
            }
            if let Some(at) = at
                && let Err(error) = self.try_input(at)
            {
                done.failed.push(format!("{name}: {error:#}"));
                self.plan.inputs[at] = input.clone();
                continue;
            }
            if at.is_none() {
                done.removed.push(name.clone());
            }
            if let Some(index) = self.inputs.iter().position(|running| *running.name == **name) {
                self.inputs.swap_remove(index).stop(PATIENCE).await;
            }
            if at.is_none() {
                self.forget_metrics(name);
            }
        }
    }

    /// Shows no numbers any more of a plugin that is gone.
    pub(super) fn forget_metrics(&self, name: &str) {
        self.plan.engine.metrics.forget(("plugin", name));
    }

    fn start_new_inputs(&mut self, old: &Plan, done: &mut Reloaded) {
        for index in 0..self.plan.inputs.len() {
            let name = self.plan.inputs[index].section.name.clone();
            if self.inputs.iter().any(|running| *running.name == *name) {
                continue;
            }
            let was_there = old.inputs.iter().any(|input| input.section.name == name);
            self.start_input(index);
            if was_there { &mut done.changed } else { &mut done.added }.push(name);
        }
    }

    async fn reload_outputs(&mut self, old: &Plan, done: &mut Reloaded) {
        for output in &old.outputs {
            let name = &output.section.name;
            let new = self.plan.outputs.iter().position(|new| new.section.name == *name);
            let is_same = new.is_some_and(|new| {
                identity_of_output(&self.plan.outputs[new], &self.plan.config)
                    == identity_of_output(output, &old.config)
            });
            if is_same {
                if let Some(index) = new {
                    self.reload_encoder(index, done);
                }
                continue;
            }
            if let Some(index) = new
                && let Err(error) = self.try_output(index)
            {
                done.failed.push(format!("{name}: {error:#}"));
                self.plan.outputs[index] = output.clone();
                continue;
            }
            if let Err(error) = self.deliveries.remove(name, PATIENCE).await {
                done.failed.push(format!("{name}: {error:#}"));
            }
            match new {
                None => {
                    self.journal.retire(name);
                    self.output_counters.remove(name.as_str());
                    self.forget_metrics(name);
                    done.removed.push(name.clone());
                }
                Some(index) => {
                    let added = self.add_output(index);
                    note(name, added, &mut done.changed, &mut done.failed);
                }
            }
        }
        for index in 0..self.plan.outputs.len() {
            let name = self.plan.outputs[index].section.name.clone();
            if !old.outputs.iter().any(|output| output.section.name == name) {
                let added = self.add_output(index);
                note(&name, added, &mut done.added, &mut done.failed);
            }
        }
    }

    fn add_output(&mut self, index: usize) -> anyhow::Result<()> {
        let plan = self.output_plan(index);
        let routing = self.routing.clone();
        self.deliveries.add(plan, &routing)
    }
}

/// Files a plugin under what became of it.
pub(super) fn note(
    name: &str,
    result: anyhow::Result<()>,
    done: &mut Vec<String>,
    failed: &mut Vec<String>,
) {
    match result {
        Ok(()) => done.push(name.to_owned()),
        Err(error) => failed.push(format!("{name}: {error:#}")),
    }
}

/// What an input is made of besides its decoder, which is swapped while it goes on.
fn identity_of_input(input: &PlannedInput, config: &Config) -> String {
    let mut identity = input.section.text().to_owned();
    if let Some(section) = config.section(&input.splitter) {
        identity.push('\n');
        identity.push_str(section.text());
    }
    identity
}

/// What an output is made of besides its encoder, which is swapped while it goes on unless it is of
/// another kind.
fn identity_of_output(output: &PlannedOutput, config: &Config) -> String {
    let mut identity = output.section.text().to_owned();
    if let Some((name, _)) = &output.encoder {
        identity.push('\n');
        identity.push_str(config.section(name).map_or(name, |section| &section.kind));
    }
    identity
}
