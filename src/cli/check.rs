//! `heka check`: all mistakes of a configuration and its scripts; starts nothing.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::configuration;
use super::configuration::Origin;
use crate::catalog::CATALOG;
use crate::config::Problem;
use crate::pipeline::Plan;

/// Finds all mistakes of a configuration and its scripts. Starts nothing.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// Configuration: a file or a folder of `*.toml`. Without it, the one in the program.
    config: Option<PathBuf>,
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let origin = Origin::of(self.config.as_deref());
        let (config, mut problems) = configuration::load(&origin);
        let plan = config.map(|config| Plan::new(config, &CATALOG, Arc::default(), &mut problems));
        if let Some(plan) = &plan {
            plan.try_scripts(&mut problems);
        }
        configuration::report(&problems);
        if Problem::any_error(&problems) {
            return Ok(ExitCode::from(2));
        }
        let promises = plan.map(|plan| plan.promises()).unwrap_or_default();
        super::print(&format!("{origin} is sound\n\n{promises}"))?;
        Ok(ExitCode::SUCCESS)
    }
}
