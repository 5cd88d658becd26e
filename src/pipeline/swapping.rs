//! The filters of a plan, and a new version in the place of one that runs.
//!
//! Which version of a filter runs is not for its files alone to say. A person may have gone back
//! behind what they say, or be trying it first; and what was changed while no engine ran takes over
//! only when the version that ran has replayed what is its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::Pipeline;
use super::analysis::FilterPlan;
use super::analysis::Swapped;
use super::counters::FilterCounters;
use super::plan::Plan;
use super::plan::PlannedFilter;
use super::reload::Reloaded;
use super::reload::note;
use super::routing::Routing;
use super::routing_of;
use super::versions::Version;
use crate::journal::Position;

/// How long a version that has taken over waits for a sync to be noted.
const PATIENCE: Duration = Duration::from_secs(20);

impl Pipeline {
    /// Puts the versions that ran last in the place of what the files say, where that is another.
    pub(super) fn go_on_with_versions(&mut self) {
        let mut filters = std::mem::take(&mut self.plan.filters);
        self.add_loaded_to(&mut filters);
        self.plan.filters = filters;
        for index in 0..self.plan.filters.len() {
            let planned = &self.plan.filters[index];
            let name = planned.name.clone();
            let Some(known) = self.versions.known(&name).filter(|it| !it.running.is_empty()) else {
                continue;
            };
            let written = Version::of(planned, &self.plan.engine);
            let hash = written.as_ref().ok().map(|version| &version.hash);
            if hash == Some(&known.running) {
                continue;
            }
            let kept = self.versions.load(&name, &known.running);
            match kept.and_then(|version| self.plan.of_version(&name, &version)) {
                Ok(before) => {
                    if hash.is_none() || hash != known.set_aside.as_ref() {
                        self.waiting.push(name.clone());
                    }
                    tracing::info!(filter = &*name, version = known.running, "goes on as it was");
                    self.plan.filters[index] = before;
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(filter = &*name, error, "the version that ran is lost");
                }
            }
        }
        self.routing = Arc::new(routing_of(&self.plan));
    }

    /// Starts a filter of the plan, and notes what it is.
    pub(super) fn add_filter(&mut self, index: usize) -> anyhow::Result<()> {
        let planned = self.plan.filters[index].clone();
        let (plan, version) = self.filter_plan(&planned)?;
        let since = plan.since;
        let routing = self.routing.clone();
        self.analysis.add(plan, &routing)?;
        self.note_version(&planned.name, &version, since);
        Ok(())
    }

    /// Notes which version runs since when.
    fn note_version(&mut self, name: &Arc<str>, version: &Version, since: Position) {
        self.running.insert(name.clone(), version.hash.clone());
        let known = self.versions.known(name);
        let is_known =
            known.is_some_and(|known| known.running == version.hash && known.since == since.0);
        if !is_known && let Err(error) = self.versions.runs(name, version, since.0) {
            let error = format!("{error:#}");
            tracing::error!(filter = &**name, error, "after a crash another version will run");
        }
    }

    /// A filter as a thread gets it, and its version.
    pub(super) fn filter_plan(
        &mut self,
        planned: &PlannedFilter,
    ) -> anyhow::Result<(FilterPlan, Version)> {
        let engine = &self.plan.engine;
        planned.plugin.lend(&self.wishes);
        let version = Version::of(planned, engine)?;
        let fresh = || Arc::new(FilterCounters::new(&engine.metrics, &planned.name));
        let counters =
            self.filter_counters.entry(planned.name.clone()).or_insert_with(fresh).clone();
        let known = self.versions.known(&planned.name);
        let since = known.filter(|known| known.running == version.hash).map_or(0, |it| it.since);
        let plan = FilterPlan {
            name: planned.name.clone(),
            version: version.hash.clone(),
            since: Position(since),
            plugin: planned.plugin.clone(),
            engine: engine.clone(),
            ticker_interval: planned.reading.ticker_interval,
            reader: planned.reading.reader,
            retries: planned.reading.retries.clone(),
            max_failures: planned.max_failures,
            counters,
        };
        Ok((plan, version))
    }

    /// Puts another version in the place of a filter of the plan; the old one goes on if that fails.
    pub(super) fn swap_to(&mut self, planned: PlannedFilter) -> anyhow::Result<Version> {
        let name = planned.name.clone();
        let index = self.plan.filters.iter().position(|filter| filter.name == name);
        let index = index.with_context(|| format!("there is no filter {name}"))?;
        let (plan, version) = self.filter_plan(&planned)?;
        let own = Arc::new(routing_of_one(&planned));
        let before = std::mem::replace(&mut self.plan.filters[index], planned);
        let routing = Arc::new(routing_of(&self.plan));
        match self.analysis.swap(plan, &own, &routing) {
            Ok(swapped) => {
                self.took_over(&name, &version, swapped, routing)?;
                // What is tried was to be compared with the version before.
                self.drop_shadow(&name);
                Ok(version)
            }
            Err(error) => {
                self.plan.filters[index] = before;
                Err(error)
            }
        }
    }

    /// Goes on with a version that has taken over.
    pub(super) fn took_over(
        &mut self,
        name: &Arc<str>,
        version: &Version,
        swapped: Swapped,
        routing: Arc<Routing>,
    ) -> anyhow::Result<()> {
        self.routing = routing;
        // Were it noted before that is durable, a crash could lose what the version before injected up
        // to there, and a replay would not inject it again.
        if self.is_durable() {
            self.note_version(name, version, swapped.since);
            self.analysis.keep(swapped);
        } else {
            self.running.insert(name.clone(), version.hash.clone());
            let error = "the journal is not synced";
            tracing::error!(filter = &**name, error, "after a crash another version will run");
        }
        self.analysis.route(&self.routing);
        self.deliveries.route(&self.routing)
    }

    /// Waits until all that is in the journal is durable; tells whether it is.
    fn is_durable(&self) -> bool {
        let end = self.journal.end();
        self.journal.settled() >= end
            || self.journal.wait_durable(end, PATIENCE).is_ok_and(|durable| durable)
    }

    /// Has the filters of the plan run in the place of those of `old`.
    pub(super) fn reload_filters(&mut self, old: &Plan, done: &mut Reloaded) {
        for filter in &old.filters {
            if !self.plan.filters.iter().any(|new| new.name == filter.name) {
                let removed = self.drop_filter(&filter.name);
                note(&filter.name, removed, &mut done.removed, &mut done.failed);
            }
        }
        for index in 0..self.plan.filters.len() {
            let name = self.plan.filters[index].name.clone();
            match old.filters.iter().find(|filter| filter.name == name) {
                None => {
                    let added = self.add_filter(index);
                    note(&name, added, &mut done.added, &mut done.failed);
                }
                Some(before) => self.reload_filter(index, before, done),
            }
        }
        if !done.failed.is_empty() {
            self.routing = Arc::new(routing_of(&self.plan));
        }
    }

    /// Has the filter at `index` run in the place of `before`, unless a person has said otherwise.
    fn reload_filter(&mut self, index: usize, before: &PlannedFilter, done: &mut Reloaded) {
        let planned = std::mem::replace(&mut self.plan.filters[index], before.clone());
        let name = planned.name.clone();
        let written = match Version::of(&planned, &self.plan.engine) {
            Ok(version) => version.hash,
            Err(error) => {
                done.failed.push(format!("{name}: {error:#}"));
                return;
            }
        };
        if self.running.get(&name) == Some(&written) {
            self.plan.filters[index] = planned;
            return;
        }
        let known = self.versions.known(&name);
        if known.is_some_and(|known| known.set_aside.as_ref() == Some(&written)) {
            return;
        }
        match self.follow_written(planned) {
            Ok(Followed::Tried) => done.tried.push(name.to_string()),
            Ok(Followed::Taken) => done.changed.push(name.to_string()),
            Err(error) => done.failed.push(format!("{name}: {error:#}")),
        }
    }

    /// Goes over to the version the files of a filter have, or tries it where the section says so.
    fn follow_written(&mut self, planned: PlannedFilter) -> anyhow::Result<Followed> {
        if !planned.plugin.is_shadowed() {
            self.take_written(planned)?;
            return Ok(Followed::Taken);
        }
        let name = planned.name.clone();
        let hash = self.try_beside(planned)?;
        self.versions.set_aside(&name, Some(hash))?;
        Ok(Followed::Tried)
    }

    /// Goes over to the version the files of a filter have.
    pub(super) fn take_written(&mut self, planned: PlannedFilter) -> anyhow::Result<Version> {
        let name = planned.name.clone();
        self.waiting.retain(|waiting| *waiting != name);
        let set_aside = self.versions.known(&name).and_then(|known| known.set_aside.clone());
        self.versions.set_aside(&name, None)?;
        let swapped = self.swap_to(planned);
        if swapped.is_err() {
            self.versions.set_aside(&name, set_aside)?;
        }
        swapped
    }

    /// Does what was put off: versions that were changed while no engine ran take over when those
    /// that ran are level.
    pub fn tend(&mut self) {
        tokio::task::block_in_place(|| self.relieve_stuck());
        self.report_shadows();
        tokio::task::block_in_place(|| self.obey_managers());
        if self.waiting.is_empty() {
            return;
        }
        for told in tokio::task::block_in_place(|| self.analysis.told()) {
            if told.state != "running" || !self.waiting.contains(&told.name) {
                continue;
            }
            let name = told.name;
            self.waiting.retain(|waiting| *waiting != name);
            let written = self.written(&name);
            let followed =
                tokio::task::block_in_place(|| written.and_then(|it| self.follow_written(it)));
            match followed {
                Ok(Followed::Taken) => tracing::info!(changed = ?[&*name], "reloaded"),
                Ok(Followed::Tried) => tracing::info!(tried = ?[&*name], "reloaded"),
                Err(error) => {
                    let failure = format!("{name}: {error:#}");
                    tracing::error!(failure, "not reloaded: the old version goes on");
                }
            }
        }
    }

    /// The filter as its section and its files are written now.
    pub(super) fn written(&self, name: &str) -> anyhow::Result<PlannedFilter> {
        let loaded = self.loaded.iter().find(|loaded| loaded.name() == name);
        let section = self.plan.config.section(name).or(loaded.map(|loaded| &loaded.section));
        let section = section.with_context(|| format!("{name} has no section"))?;
        self.plan.of_section(section.clone())
    }

    /// Ends a filter that is no longer in the plan.
    pub(super) fn drop_filter(&mut self, name: &Arc<str>) -> anyhow::Result<()> {
        self.drop_shadow(name);
        let removed = self.analysis.remove(name);
        self.filter_counters.remove(name);
        self.forget_metrics(name);
        self.running.remove(name);
        removed
    }
}

/// What became of the version the files have.
enum Followed {
    /// It runs.
    Taken,
    /// It is tried beside the one that runs.
    Tried,
}

/// The matcher of a filter alone.
pub(super) fn routing_of_one(planned: &PlannedFilter) -> Routing {
    let reading = &planned.reading;
    Routing::new(vec![(planned.name.clone(), reading.matcher.clone(), reading.signer.clone())])
}
