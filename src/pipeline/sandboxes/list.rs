//! How each filter is, and the versions kept of it.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use super::Refusal;
use super::Reply;
use crate::pipeline::Pipeline;
use crate::pipeline::analysis::Difference;
use crate::pipeline::analysis::Told;
use crate::pipeline::plan::PlannedFilter;
use crate::pipeline::status::whole;

/// How a filter is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SandboxStatus {
    /// The name of its section.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The script; none where it is native.
    pub script: Option<String>,
    /// The hash of the version that runs.
    pub version: String,
    /// `running`, `shadowed`, `catching up`, `stopped`, or `stuck` when its thread does not answer.
    pub state: String,
    /// CPU time it has taken, in nanoseconds.
    pub cpu_ns: u64,
    /// Bytes of memory in use.
    pub memory_bytes: u64,
    /// Messages matched.
    pub matched: u64,
    /// Messages injected.
    pub injected: u64,
    /// Messages set aside.
    pub failed: u64,
    /// Entries behind the end.
    pub lag: u64,
    /// The versions that are kept, the last to take over last.
    pub versions: Vec<KeptVersion>,
    /// The version its files have, where that is another and does not take over by itself.
    pub set_aside: Option<String>,
    /// The version that is tried beside it.
    pub shadow: Option<String>,
    /// What only one of the two has made.
    pub difference: Option<Difference>,
    /// Whether it was loaded rather than configured.
    pub is_loaded: bool,
}

/// A version that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptVersion {
    /// What tells it from others.
    pub hash: String,
    /// When it first ran, in seconds since the epoch.
    pub at: i64,
}

impl Pipeline {
    pub(super) fn list(&self, name: Option<&str>) -> Result<Reply, Refusal> {
        let asked = match name {
            Some(name) => vec![&self.filter(name)?.name],
            None => self.plan.filters.iter().map(|filter| &filter.name).collect(),
        };
        Ok(self.list_of(&asked))
    }

    /// How these filters are.
    pub(super) fn list_of(&self, names: &[&Arc<str>]) -> Reply {
        let told = self.analysis.told();
        let asked = self.plan.filters.iter().filter(|filter| names.contains(&&filter.name));
        let sandboxes = asked.map(|filter| self.status_of(filter, &told)).collect();
        Reply { sandboxes, ..Reply::default() }
    }

    fn status_of(&self, filter: &PlannedFilter, told: &[Told]) -> SandboxStatus {
        let name = &*filter.name;
        let sources = filter.plugin.sources(&self.plan.engine).unwrap_or_default();
        let mut status = SandboxStatus {
            name: name.to_owned(),
            kind: filter.text.split(' ').next().unwrap_or_default().to_owned(),
            script: sources.first().map(|script| script.path.display().to_string()),
            version: self.running.get(name).cloned().unwrap_or_default(),
            state: "stuck".to_owned(),
            ..SandboxStatus::default()
        };
        if let Some(told) = told.iter().find(|told| &*told.name == name) {
            told.state.clone_into(&mut status.state);
            status.lag = self.journal.end().0.saturating_sub(told.position.0);
        }
        if let Some(counters) = self.filter_counters.get(name) {
            status.cpu_ns = counters.cpu.value();
            status.memory_bytes = whole(counters.memory.value());
            status.matched = counters.matched.value();
            status.injected = counters.injected.value();
            status.failed = counters.failures.value();
        }
        if let Some(known) = self.versions.known(name) {
            let kept = known.kept.iter();
            status.versions =
                kept.map(|(hash, at)| KeptVersion { hash: hash.clone(), at: *at }).collect();
            status.set_aside.clone_from(&known.set_aside);
        }
        if let Some((shadow, difference)) = self.tried(name) {
            status.shadow = Some(shadow);
            status.difference = Some(difference);
            if status.state == "running" {
                "shadowed".clone_into(&mut status.state);
            }
        }
        status.is_loaded = self.loaded.iter().any(|loaded| loaded.name() == name);
        status
    }
}
