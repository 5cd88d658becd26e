//! Filters that are loaded while the engine runs, and outlive it.
//!
//! Each is a section and a script of its own in `sandboxes/loaded` below `base_dir`, as
//! `<name>.toml` and `<name>.lua`. The section is written last and removed first: it is what makes
//! the filter.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::Refusal;
use super::Reply;
use super::ScriptText;
use crate::config::Section;
use crate::pipeline::Pipeline;
use crate::pipeline::plan::Plan;
use crate::pipeline::plan::PlannedFilter;
use crate::pipeline::routing_of;
use crate::pipeline::versions::encoded;
use crate::pipeline::versions::replace;
use crate::pipeline::versions::section;

/// The largest section that is read, in bytes.
const MAX_SECTION: u64 = 1 << 20;

/// A filter that is there besides the configuration.
#[derive(Clone, Debug)]
pub(in crate::pipeline) struct Loaded {
    pub(in crate::pipeline) section: Section,
    /// Its files without their endings.
    stem: PathBuf,
}

impl Loaded {
    pub(in crate::pipeline) fn name(&self) -> &str {
        &self.section.name
    }

    /// Reads all that is in a folder; what cannot be read is reported and left out.
    pub(in crate::pipeline) fn all(plan: &Plan, folder: &Path) -> Vec<Loaded> {
        let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
        let paths = files.flatten().map(|file| file.path());
        let mut sections: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
        sections.sort();
        let read = |path: PathBuf| {
            let stem = path.with_extension("");
            Loaded::read(plan, &stem).map_err(|error| {
                let error = format!("{error:#}");
                tracing::error!(file = %path.display(), error, "a loaded filter is left out");
            })
        };
        sections.into_iter().filter_map(|path| read(path).ok()).collect()
    }

    fn read(plan: &Plan, stem: &Path) -> anyhow::Result<Loaded> {
        let path = stem.with_extension("toml");
        let size = std::fs::metadata(&path)?.len();
        anyhow::ensure!(size <= MAX_SECTION, "{} is too large", path.display());
        let text = std::fs::read_to_string(&path)?;
        Loaded::new(plan, &text, stem.to_owned())
    }

    /// The filter of this section, its script beside it.
    pub(in crate::pipeline) fn new(
        plan: &Plan,
        text: &str,
        stem: PathBuf,
    ) -> anyhow::Result<Loaded> {
        let mut table: toml::Table =
            text.parse().map_err(|error| anyhow::anyhow!("the section is no TOML: {error}"))?;
        anyhow::ensure!(table.len() == 1, "one section is expected, there are {}", table.len());
        let settings = table.iter_mut().next().and_then(|(_, settings)| settings.as_table_mut());
        let settings = settings.context("the settings stand in no section")?;
        let script = stem.with_extension("lua").display().to_string();
        settings.insert("filename".to_owned(), toml::Value::from(script));
        settings.entry("type").or_insert_with(|| toml::Value::from("SandboxFilter"));
        let section = section(&plan.catalog, "the section", &toml::to_string(&table)?)?;
        anyhow::ensure!(section.kind == "SandboxFilter", "a SandboxFilter is expected");
        Ok(Loaded { section, stem })
    }

    /// Writes its files.
    pub(in crate::pipeline) fn write(&self, section: &str, script: &str) -> anyhow::Result<()> {
        replace(&self.stem.with_extension("lua"), script.as_bytes())?;
        replace(&self.stem.with_extension("toml"), section.as_bytes())
    }

    /// Removes its files.
    pub(in crate::pipeline) fn remove(&self) -> anyhow::Result<()> {
        for end in ["toml", "lua"] {
            let path = self.stem.with_extension(end);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Pipeline {
    /// The folder of what is loaded over the control socket.
    pub(in crate::pipeline) fn loaded_folder(&self) -> PathBuf {
        self.plan.engine.base_dir.join("sandboxes/loaded")
    }

    /// Adds what is loaded to the filters of the plan, besides what is configured.
    pub(in crate::pipeline) fn add_loaded_to(&self, filters: &mut Vec<PlannedFilter>) {
        for loaded in &self.loaded {
            let name = loaded.name();
            if self.plan.config.section(name).is_some() {
                tracing::warn!(filter = name, "is configured: what was loaded does not run");
                continue;
            }
            match self.plan.of_section(loaded.section.clone()) {
                Ok(planned) => filters.push(planned),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(filter = name, error, "a loaded filter is left out");
                }
            }
        }
    }

    pub(super) fn load(&mut self, text: &str, script: &ScriptText) -> Result<Reply, Refusal> {
        let folder = self.loaded_folder();
        let mistake = |error: anyhow::Error| Refusal::Mistake(format!("{error:#}"));
        // The name is in the section, and the files are named after it.
        let named = Loaded::new(&self.plan, text, folder.join("unnamed")).map_err(mistake)?;
        let stem = folder.join(encoded(named.name()));
        let loaded = Loaded::new(&self.plan, text, stem).map_err(mistake)?;
        let name = loaded.name().to_owned();
        if let Some(known) = self.loaded.iter().find(|known| known.name() == name) {
            if known.stem != loaded.stem {
                let text = format!("{name} belongs to a SandboxManagerFilter, which loads it");
                return Err(Refusal::Mistake(text));
            }
            return self.load_again(loaded, text, script);
        }
        let is_taken = self.plan.config.section(&name).is_some();
        if is_taken || self.plan.filters.iter().any(|filter| *filter.name == *name) {
            return Err(Refusal::Mistake(format!("{name} is configured, it cannot be loaded")));
        }
        self.load_new(loaded, text, script)?;
        Ok(Reply::done(format!(
            "{name}: {} runs; it is loaded at every start until `heka sandbox unload {name}`\n",
            self.running.get(name.as_str()).cloned().unwrap_or_default()
        )))
    }

    /// Runs a filter that was not there; on failure nothing of it is left.
    pub(in crate::pipeline) fn load_new(
        &mut self,
        loaded: Loaded,
        text: &str,
        script: &ScriptText,
    ) -> anyhow::Result<()> {
        let name: Arc<str> = Arc::from(loaded.name());
        // What an earlier filter of this name has left is not its own.
        self.journal.forget(&name);
        self.versions.forget(&name);
        loaded.write(text, &script.text)?;
        let added = self.plan.of_section(loaded.section.clone()).and_then(|planned| {
            self.plan.filters.push(planned);
            self.routing = Arc::new(routing_of(&self.plan));
            self.add_filter(self.plan.filters.len() - 1)
        });
        if let Err(error) = added {
            self.plan.filters.retain(|filter| filter.name != name);
            self.routing = Arc::new(routing_of(&self.plan));
            loaded.remove()?;
            return Err(error.context(format!("{name}: nothing was loaded")));
        }
        self.loaded.push(loaded);
        self.analysis.route(&self.routing);
        self.deliveries.route(&self.routing)
    }

    /// Puts another section or script in the place of what was loaded under the same name.
    pub(super) fn load_again(
        &mut self,
        loaded: Loaded,
        text: &str,
        script: &ScriptText,
    ) -> Result<Reply, Refusal> {
        let name: Arc<str> = Arc::from(loaded.name());
        let before: Vec<(PathBuf, String)> = ["lua", "toml"]
            .map(|end| loaded.stem.with_extension(end))
            .into_iter()
            .filter_map(|path| Some((path.clone(), std::fs::read_to_string(&path).ok()?)))
            .collect();
        loaded.write(text, &script.text)?;
        let old = self.loaded.iter_mut().find(|known| known.name() == &*name);
        let old = old.map(|known| std::mem::replace(known, loaded));
        let reloaded = self.reload_one(&name);
        if reloaded.is_err() {
            for (path, text) in before {
                replace(&path, text.as_bytes())?;
            }
            if let (Some(old), Some(known)) =
                (old, self.loaded.iter_mut().find(|known| known.name() == &*name))
            {
                *known = old;
            }
        }
        reloaded
    }

    pub(super) fn unload(&mut self, name: &str) -> Result<Reply, Refusal> {
        let name = self.filter(name)?.name.clone();
        if !self.loaded.iter().any(|loaded| loaded.name() == &*name) {
            if let Some(hash) = self.drop_shadow(&name) {
                return Ok(Reply::done(format!("{name}: {hash} is tried no more\n")));
            }
            return Err(Refusal::Mistake(format!(
                "{name} stands in the configuration: it ends when it is taken out there"
            )));
        }
        self.unload_one(&name)?;
        Ok(Reply::done(format!("{name}: unloaded, its state and its versions are gone\n")))
    }

    /// Ends a loaded filter for good.
    pub(in crate::pipeline) fn unload_one(&mut self, name: &Arc<str>) -> anyhow::Result<()> {
        let at = self.loaded.iter().position(|loaded| loaded.name() == &**name);
        let at = at.with_context(|| format!("{name} is not loaded"))?;
        self.drop_shadow(name);
        self.loaded[at].remove()?;
        self.loaded.remove(at);
        self.plan.filters.retain(|filter| filter.name != *name);
        self.drop_filter(name)?;
        self.versions.forget(name);
        self.journal.forget(name);
        self.routing = Arc::new(routing_of(&self.plan));
        self.analysis.route(&self.routing);
        self.deliveries.route(&self.routing)
    }
}
