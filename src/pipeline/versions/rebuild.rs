//! From a version back to a filter that can be run.

use anyhow::Context;

use super::Version;
use crate::config;
use crate::config::Family;
use crate::config::Problem;
use crate::config::Section;
use crate::config::Surroundings;
use crate::pipeline::plan::Plan;
use crate::pipeline::plan::PlannedFilter;
use crate::plugin::Catalog;

impl Plan {
    /// The filter that a kept version is.
    ///
    /// # Errors
    /// When the section is none any more, after an upgrade of the engine say.
    pub(in crate::pipeline) fn of_version(
        &self,
        name: &str,
        version: &Version,
    ) -> anyhow::Result<PlannedFilter> {
        let (kind, settings) =
            version.text.split_once(' ').context("the kept section has no kind")?;
        let name = toml::Value::from(name);
        let rest = settings.trim_start().trim_start_matches('{').trim_start();
        let comma = if rest.starts_with('}') { "" } else { "," };
        let text = format!("{name} = {{ type = {}{comma} {rest}\n", toml::Value::from(kind));
        let planned = self.of_text(&text)?;
        planned.plugin.pin(version.sources(), &self.engine);
        Ok(planned)
    }

    /// The filter that a section of its own describes, as TOML.
    ///
    /// # Errors
    /// The mistakes in it.
    pub(in crate::pipeline) fn of_text(&self, text: &str) -> anyhow::Result<PlannedFilter> {
        self.of_section(section(&self.catalog, "the section", text)?)
    }

    /// The filter of a section, its files as they are now.
    ///
    /// # Errors
    /// The mistakes in it.
    pub(in crate::pipeline) fn of_section(
        &self,
        section: Section,
    ) -> anyhow::Result<PlannedFilter> {
        let mut config = self.config.clone();
        let name = section.name.clone();
        config.sections = vec![section];
        let mut problems = Vec::new();
        let mut plan = Plan::new(config, &self.catalog, self.metrics(), &mut problems);
        if Problem::any_error(&problems) {
            anyhow::bail!(config::render_all(&problems, false));
        }
        plan.filters.pop().with_context(|| format!("[{name}] is no filter"))
    }
}

/// Reads the one section of a text.
///
/// # Errors
/// The mistakes in it, and when there is none or more than one.
pub(in crate::pipeline) fn section(
    catalog: &Catalog,
    shown: &str,
    text: &str,
) -> anyhow::Result<Section> {
    let kinds = |family: Family| catalog.names(family.suffix());
    let surroundings = Surroundings { kinds: &kinds, variable: &|_| None };
    let (config, problems) = config::parse(shown, text, &surroundings);
    if Problem::any_error(&problems) {
        anyhow::bail!(config::render_all(&problems, false));
    }
    let mut sections = config.map(|config| config.sections).unwrap_or_default();
    anyhow::ensure!(sections.len() == 1, "{shown} has {} sections, not one", sections.len());
    Ok(sections.remove(0))
}
