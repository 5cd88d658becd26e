//! What a script runs as: a section of a configuration, or what the command line says.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use serde::Deserialize;

use crate::cli::assignment::Assignment;
use crate::cli::configuration;
use crate::cli::configuration::Origin;
use crate::config::Common;
use crate::config::Config;
use crate::config::Family;
use crate::config::Problem;
use crate::matcher::Matcher;
use crate::plugin::Engine;

/// What `--config` is given.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// A configuration.
    File(PathBuf),
    /// An option of the script.
    Option(Assignment),
}

impl Given {
    /// Tells a file from `KEY=VALUE`; for clap.
    pub(super) fn parse(text: &str) -> Result<Given, String> {
        let path = Path::new(text);
        if !text.contains('=') || path.exists() {
            return Ok(Given::File(path.to_owned()));
        }
        Assignment::parse(text).map(Given::Option)
    }

    /// The option, where it is one.
    pub(super) fn option(&self) -> Option<&Assignment> {
        match self {
            Given::Option(option) => Some(option),
            Given::File(_) => None,
        }
    }
}

/// The section of a filter.
#[derive(Default)]
pub(super) struct FilterSection {
    pub(super) name: Option<String>,
    /// The settings of the kind.
    pub(super) settings: toml::Table,
    pub(super) matcher: Option<Matcher>,
    pub(super) ticker_interval: Option<Duration>,
}

/// Finds the section of a filter that runs one of `scripts`, or the one called `wanted`, and lets the
/// configuration say what it says of the engine.
///
/// # Errors
/// When the configuration has mistakes, which are told, or no such section.
pub(super) fn find(
    file: &Path,
    wanted: Option<&str>,
    scripts: &[&Path],
    engine: &mut Engine,
) -> anyhow::Result<FilterSection> {
    let (config, problems) = configuration::load(&Origin::Path(file.to_owned()));
    if Problem::any_error(&problems) {
        configuration::report(&problems);
        return Err(anyhow!("{} has mistakes", file.display()));
    }
    let config = config.ok_or_else(|| anyhow!("{} cannot be read", file.display()))?;
    engine.max_process_inject = config.hekad.max_process_inject;
    engine.max_timer_inject = config.hekad.max_timer_inject;
    engine.hostname = config.hekad.hostname.as_str().into();
    engine.share_dir.clone_from(&config.hekad.share_dir);
    choose(&config, wanted, scripts).map_err(|error| anyhow!("{}: {error}", file.display()))
}

fn choose(
    config: &Config,
    wanted: Option<&str>,
    scripts: &[&Path],
) -> anyhow::Result<FilterSection> {
    let mut filters = Vec::new();
    for section in config.of_family(Family::Filter).filter(|it| it.kind == "SandboxFilter") {
        let settings = section.settings.read(|table| toml::Table::deserialize(table));
        let settings = settings.map_err(|_| anyhow!("[{}] has mistakes", section.name))?;
        filters.push((section, settings));
    }
    let names: Vec<&str> = filters.iter().map(|(section, _)| section.name.as_str()).collect();
    let names = names.join(", ");
    let is_of = |settings: &toml::Table| {
        let own = settings.get("filename").and_then(toml::Value::as_str).map(Path::new);
        scripts.iter().any(|script| own.and_then(Path::file_name) == script.file_name())
    };
    let found = match wanted {
        Some(name) => filters.iter().position(|(section, _)| section.name == name),
        None if filters.len() == 1 => Some(0),
        None => filters.iter().position(|(_, settings)| is_of(settings)),
    };
    let Some(found) = found else {
        return Err(match wanted {
            _ if filters.is_empty() => anyhow!("there is no SandboxFilter"),
            Some(name) => anyhow!("there is no SandboxFilter [{name}]; there are {names}"),
            None => anyhow!("which filter is meant? `--section` says so; there are {names}"),
        });
    };
    let (section, settings) = filters.swap_remove(found);
    let Common::Filter(common) = &section.common else {
        return Err(anyhow!("[{}] is no filter", section.name));
    };
    Ok(FilterSection {
        name: Some(section.name.clone()),
        settings,
        matcher: common.message_matcher.clone(),
        ticker_interval: common.ticker_interval,
    })
}
