//! A version that is tried beside the one that runs, until a person has it take over or drops it.
//!
//! The difference is told by `heka sandbox diff`, and in messages of Type `heka.shadow-report` and
//! Logger `hekad`, so that a filter can match them. Their payload is the difference in JSON; their
//! fields are `filter`, `version`, `shadow`, and the numbers `same`, `only_live`, `only_shadow`,
//! `alerts_only_live`, `alerts_only_shadow`, `live_cpu`, `shadow_cpu` (ns) and `shadow_failed`. One
//! comes when there is something new to say, at most every [`REPORT`], and one at the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;

use super::Refusal;
use super::Reply;
use super::ScriptText;
use super::rollback::failed;
use crate::message::Batch;
use crate::pipeline::Pipeline;
use crate::pipeline::analysis::Difference;
use crate::pipeline::analysis::Shadow;
use crate::pipeline::plan::PlannedFilter;
use crate::pipeline::report;
use crate::pipeline::routing_of;
use crate::pipeline::status::whole;
use crate::pipeline::swapping::routing_of_one;
use crate::pipeline::versions::Version;
use crate::stdx::embedded::Source;

/// Time between two reports.
const REPORT: Duration = Duration::from_secs(10);
/// As many versions are tried at the same time.
const MAX_SHADOWS: usize = 16;

/// A version that is being tried.
pub(in crate::pipeline) struct Tried {
    shadow: Shadow,
    planned: PlannedFilter,
    version: Version,
    /// CPU time and failures of the running version when the trial began.
    before: (u64, u64),
    reported: Option<(Instant, Difference)>,
}

impl Pipeline {
    /// Starts a version beside the one that runs, in the place of one that was tried before.
    pub(in crate::pipeline) fn try_beside(
        &mut self,
        planned: PlannedFilter,
    ) -> anyhow::Result<String> {
        let name = planned.name.clone();
        let is_more = !self.shadows.contains_key(&name);
        anyhow::ensure!(
            !is_more || self.shadows.len() < MAX_SHADOWS,
            "{MAX_SHADOWS} versions are tried already"
        );
        let (plan, version) = self.filter_plan(&planned)?;
        let before = (plan.counters.cpu.value(), plan.counters.failures.value());
        let own = Arc::new(routing_of_one(&planned));
        let shadow = self.analysis.shadow(plan, &own)?;
        if let Some(other) = self.shadows.remove(&name) {
            self.analysis.discard(other.shadow);
        }
        self.versions.shadows(&name, Some(&version))?;
        let hash = version.hash.clone();
        let tried = Tried { shadow, planned, version, before, reported: None };
        self.shadows.insert(name, tried);
        Ok(hash)
    }

    /// Ends a trial, with a last report.
    pub(in crate::pipeline) fn drop_shadow(&mut self, name: &str) -> Option<String> {
        let tried = self.shadows.remove(name)?;
        self.say_difference(name, &tried);
        self.analysis.discard(tried.shadow);
        if let Err(error) = self.versions.shadows(name, None) {
            tracing::warn!(filter = name, error = format!("{error:#}"), "cannot forget a trial");
        }
        Some(tried.version.hash)
    }

    /// Ends all trials when the engine stops; they go on at its next start.
    pub(in crate::pipeline) fn pause_shadows(&mut self) {
        for (_, tried) in self.shadows.drain() {
            self.analysis.discard(tried.shadow);
        }
    }

    /// Begins the trials of these filters anew: the filters have started again elsewhere.
    pub(in crate::pipeline) fn try_again(&mut self, names: &[Arc<str>]) {
        let tried: Vec<Tried> = names.iter().filter_map(|name| self.shadows.remove(name)).collect();
        if tried.is_empty() {
            return;
        }
        for Tried { shadow, .. } in tried {
            self.analysis.discard(shadow);
        }
        self.resume_shadows();
    }

    /// Goes on with the trials that were under way when the engine stopped.
    pub(in crate::pipeline) fn resume_shadows(&mut self) {
        let names: Vec<Arc<str>> = self.plan.filters.iter().map(|it| it.name.clone()).collect();
        for name in names {
            if self.shadows.contains_key(&name) {
                continue;
            }
            let Some(hash) = self.versions.known(&name).and_then(|known| known.shadow.clone())
            else {
                continue;
            };
            let resumed = self
                .versions
                .load(&name, &hash)
                .and_then(|version| self.plan.of_version(&name, &version))
                .and_then(|planned| self.try_beside(planned));
            if let Err(error) = resumed {
                let error = format!("{error:#}");
                tracing::error!(filter = &*name, error, "a trial does not go on");
            }
        }
    }

    pub(super) fn shadow(
        &mut self,
        name: &str,
        script: Option<ScriptText>,
    ) -> Result<Reply, Refusal> {
        let name = self.filter(name)?.name.clone();
        let planned = self.written(&name)?;
        if let Some(ScriptText { path, text }) = script {
            let source = Source { module: String::new(), path: PathBuf::from(path), text };
            planned.plugin.pin(vec![source], &self.plan.engine);
        }
        let version = Version::of(&planned, &self.plan.engine)?;
        let running = self.running.get(&name).cloned().unwrap_or_default();
        if version.hash == running {
            return Err(Refusal::Mistake(format!("{name}: that is {running}, which runs")));
        }
        let written = self.written(&name).ok();
        let written = written.and_then(|planned| Version::of(&planned, &self.plan.engine).ok());
        let hash = self.try_beside(planned).with_context(|| failed(&name, &running))?;
        // What the files say is not to take over while it is tried.
        let is_written = written.is_some_and(|written| written.hash == hash);
        if is_written {
            self.waiting.retain(|waiting| *waiting != name);
            self.versions.set_aside(&name, Some(hash.clone()))?;
        }
        Ok(Reply::done(format!(
            "{name}: {hash} is tried beside {running}; `heka sandbox diff {name}` shows the \
             difference, `promote` has it take over, `rollback` drops it\n"
        )))
    }

    pub(super) fn promote(&mut self, name: &str) -> Result<Reply, Refusal> {
        let name = self.filter(name)?.name.clone();
        let running = self.running.get(&name).cloned().unwrap_or_default();
        let Some(tried) = self.shadows.get(&name) else {
            return Err(Refusal::Mistake(format!("{name}: no version is tried beside {running}")));
        };
        if let Some(reason) = tried.shadow.comparison.difference().ended {
            let text = format!("{name}: {} has ended by itself: {reason}", tried.version.hash);
            return Err(Refusal::Failed(anyhow::anyhow!(text)));
        }
        let tried = self.shadows.remove(&name).context("it is there")?;
        self.say_difference(&name, &tried);
        let Tried { shadow, planned, version, .. } = tried;
        let written = self.written(&name).ok();
        let written = written.and_then(|planned| Version::of(&planned, &self.plan.engine).ok());
        let index = self.plan.filters.iter().position(|filter| filter.name == name);
        let index = index.context("it is there")?;
        let before = std::mem::replace(&mut self.plan.filters[index], planned);
        let routing = Arc::new(routing_of(&self.plan));
        let swapped = match self.analysis.promote(shadow, &routing) {
            Ok(swapped) => swapped,
            Err(error) => {
                self.plan.filters[index] = before;
                self.versions.shadows(&name, None)?;
                return Err(error.context(failed(&name, &running)).into());
            }
        };
        // It runs: what cannot be written down of it must not keep the engine from knowing that.
        let unnoted = self.versions.set_aside(&name, None);
        self.took_over(&name, &version, swapped, routing)?;
        unnoted?;
        self.versions.shadows(&name, None)?;
        let other = written.map(|written| written.hash).filter(|hash| *hash != version.hash);
        self.versions.set_aside(&name, other)?;
        Ok(Reply::done(format!("{name}: {} runs in the place of {running}\n", version.hash)))
    }

    pub(super) fn diff(&self, name: Option<&str>) -> Result<Reply, Refusal> {
        let name = name.map(|name| self.filter(name)).transpose()?.map(|it| it.name.clone());
        let names: Vec<&Arc<str>> = match &name {
            Some(name) => vec![name],
            None => self.shadows.keys().collect(),
        };
        let mut reply = self.list_of(&names);
        reply.sandboxes.retain(|sandbox| sandbox.shadow.is_some());
        if reply.sandboxes.is_empty() {
            "no version is tried beside another\n".clone_into(&mut reply.text);
        }
        Ok(reply)
    }

    /// The version that is tried beside a filter, and the difference so far.
    pub(super) fn tried(&self, name: &str) -> Option<(String, Difference)> {
        let tried = self.shadows.get(name)?;
        Some((tried.version.hash.clone(), self.difference(name, tried)))
    }

    fn difference(&self, name: &str, tried: &Tried) -> Difference {
        let mut difference = tried.shadow.comparison.difference();
        if let Some(counters) = self.filter_counters.get(name) {
            let live = &mut difference.live;
            live.cpu_ns = counters.cpu.value().saturating_sub(tried.before.0);
            live.failed = counters.failures.value().saturating_sub(tried.before.1);
            live.memory_bytes = whole(counters.memory.value());
        }
        difference
    }

    /// Reports the differences that there is something new to say of.
    pub(in crate::pipeline) fn report_shadows(&mut self) {
        let mut shadows = std::mem::take(&mut self.shadows);
        for (name, tried) in &mut shadows {
            let difference = self.difference(name, tried);
            let is_new = match &tried.reported {
                None => !difference.is_empty(),
                Some((at, reported)) => {
                    at.elapsed() >= REPORT && !reported.says_the_same(&difference)
                }
            };
            if is_new {
                self.say_difference(name, tried);
                tried.reported = Some((Instant::now(), difference));
            }
        }
        self.shadows = shadows;
    }

    fn say_difference(&self, name: &str, tried: &Tried) {
        let difference = self.difference(name, tried);
        let running = self.running.get(name).cloned().unwrap_or_default();
        let payload = serde_json::to_string(&difference).unwrap_or_default();
        let mut batch = Batch::new();
        let wall = chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        let mut message = report::begin(&mut batch, wall, b"heka.shadow-report");
        let engine = &self.plan.engine;
        message.payload(payload.as_bytes()).pid(engine.pid).hostname(engine.hostname.as_bytes());
        message.string("filter", "", name.as_bytes());
        message.string("version", "", running.as_bytes());
        message.string("shadow", "", tried.version.hash.as_bytes());
        let numbers = [
            ("same", "count", difference.same),
            ("only_live", "count", difference.only_live.messages),
            ("only_shadow", "count", difference.only_shadow.messages),
            ("alerts_only_live", "count", difference.only_live.alerts),
            ("alerts_only_shadow", "count", difference.only_shadow.alerts),
            ("live_cpu", "ns", difference.live.cpu_ns),
            ("shadow_cpu", "ns", difference.shadow.cpu_ns),
            ("shadow_failed", "count", difference.shadow.failed),
        ];
        for (field, unit, number) in numbers {
            message.integer(field, unit, i64::try_from(number).unwrap_or(i64::MAX));
        }
        if message.finish().is_ok() {
            report::append(&self.journal, batch);
        }
    }
}
