//! Filters that come over the wire: what a SandboxManagerFilter has asked for.

use std::sync::Arc;

use super::Loaded;
use super::Refusal;
use super::ScriptText;
use crate::message::Batch;
use crate::pipeline::Pipeline;
use crate::pipeline::report;
use crate::pipeline::versions::encoded;
use crate::plugin::Wish;

impl Pipeline {
    /// Reads what the managers of the plan have loaded before.
    pub(in crate::pipeline) fn read_managed(&mut self) {
        for index in 0..self.plan.filters.len() {
            let filter = &self.plan.filters[index];
            let Some(folder) = filter.plugin.loads_from(&self.plan.engine) else { continue };
            let prefix = format!("{}-", filter.name);
            let all = Loaded::all(&self.plan, &folder).into_iter();
            self.loaded.extend(all.filter(|loaded| loaded.name().starts_with(&prefix)));
        }
    }

    /// Does what managers have asked for.
    pub(in crate::pipeline) fn obey_managers(&mut self) {
        while let Some(load) = self.wishes.next() {
            // A replay asks again for what was done before a crash.
            if load.at <= self.last_asked(&load.manager) {
                continue;
            }
            match self.obey_manager(&load) {
                Ok(text) => tracing::info!(manager = load.manager, "{text}"),
                Err(error) => {
                    let reason = format!("{error:#}");
                    tracing::error!(manager = load.manager, filter = load.name, reason, "refused");
                    self.say_terminated(&load.name, &reason);
                }
            }
            let mark = serde_json::to_vec(&load.at).unwrap_or_default();
            if let Err(error) = self.journal.put(&mark_name(&load.manager), &mark) {
                tracing::warn!(%error, "cannot note what a manager has asked for");
            }
        }
    }

    fn last_asked(&self, manager: &str) -> (u64, u64) {
        let mark = self.journal.value(&mark_name(manager)).unwrap_or_default();
        serde_json::from_slice(&mark).unwrap_or_default()
    }

    fn obey_manager(&mut self, load: &Wish) -> anyhow::Result<String> {
        let name: Arc<str> = Arc::from(load.name.as_str());
        let prefix = format!("{}-", load.manager);
        anyhow::ensure!(load.name.starts_with(&prefix), "it is not {}'s", load.manager);
        let is_loaded = self.loaded.iter().any(|loaded| *loaded.name() == *name);
        let Some((section, script)) = &load.filter else {
            anyhow::ensure!(is_loaded, "it is not loaded");
            self.unload_one(&name)?;
            return Ok(format!("{name}: unloaded"));
        };
        let stem = load.folder.join(encoded(&name));
        let loaded = Loaded::new(&self.plan, section, stem)?;
        let path = String::new();
        let script = ScriptText { path, text: script.clone() };
        if is_loaded {
            let reply = self.load_again(loaded, section, &script);
            return reply.map(|reply| reply.text).map_err(Refusal::into_error);
        }
        let is_taken = self.plan.filters.iter().any(|filter| filter.name == name);
        anyhow::ensure!(!is_taken, "a filter of this name is configured");
        let count = self.loaded.iter().filter(|it| it.name().starts_with(&prefix)).count();
        anyhow::ensure!(count < load.most, "{count} filters are loaded, as many as may be");
        self.load_new(loaded, section, &script)?;
        Ok(format!("{name}: loaded"))
    }

    /// Tells in a message that a filter does not run.
    pub(in crate::pipeline) fn say_terminated(&self, name: &str, reason: &str) {
        let mut batch = Batch::new();
        let wall = chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        let mut message = report::begin(&mut batch, wall, b"heka.sandbox-terminated");
        let engine = &self.plan.engine;
        message.payload(reason.as_bytes()).pid(engine.pid).hostname(engine.hostname.as_bytes());
        message.string("plugin", "", name.as_bytes());
        if message.finish().is_ok() {
            report::append(&self.journal, batch);
        }
    }
}

fn mark_name(manager: &str) -> String {
    format!("manager:{manager}")
}
