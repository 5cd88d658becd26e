//! `heka check`: all mistakes of a configuration and its scripts, or of scripts alone; starts
//! nothing.

mod script;

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

pub(super) use self::script::said_family;
use super::assignment::Assignment;
use super::configuration;
use super::configuration::Origin;
use crate::config::Problem;

/// What the command line may look like.
const EXAMPLES: &str = "\
Examples:
  heka check hekad.toml
  heka check filters/*.lua --config sec_per_row=60

Exit codes: 0 all is sound, 2 there are mistakes.";

/// Finds all mistakes of a configuration and its scripts, or of scripts alone. Starts nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Command {
    /// Configuration, a file or a folder of `*.toml`; or Lua scripts. Without it, the configuration
    /// in the program
    #[arg(value_name = "CONFIG|SCRIPT")]
    paths: Vec<PathBuf>,
    /// What scripts alone read with `read_config`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = Assignment::parse)]
    config: Vec<Assignment>,
    /// Where scripts alone and their modules are looked for before those in the program
    #[arg(long, value_name = "FOLDER", default_value = "/usr/share/heka")]
    share_dir: PathBuf,
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let scripts = self.paths.iter().filter(|path| is_script(path)).count();
        if scripts > 0 && scripts == self.paths.len() {
            return self.check_scripts();
        }
        if self.paths.len() > 1 {
            eprintln!("heka: one configuration or some scripts can be checked at a time");
            return Ok(ExitCode::from(2));
        }
        check_configuration(self.paths.first().map(PathBuf::as_path))
    }

    fn check_scripts(&self) -> anyhow::Result<ExitCode> {
        let config = Assignment::lines(&self.config);
        let mut problems = Vec::new();
        let mut sound = String::new();
        for path in &self.paths {
            match script::check(path, &config, &self.share_dir, &mut problems) {
                Ok(families) if families.is_empty() => {}
                Ok(families) => {
                    sound += &format!("{} is sound ({})\n", path.display(), families.join(", "));
                }
                Err(problem) => problems.push(problem),
            }
        }
        super::print(&sound)?;
        configuration::report(&problems);
        let has_errors = Problem::any_error(&problems);
        Ok(if has_errors { ExitCode::from(2) } else { ExitCode::SUCCESS })
    }
}

fn is_script(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "lua")
}

fn check_configuration(path: Option<&Path>) -> anyhow::Result<ExitCode> {
    let origin = Origin::of(path);
    let (config, mut problems) = configuration::load(&origin);
    let plan = config.map(|config| configuration::plan(config, &Arc::default(), &mut problems));
    if let Some(plan) = &plan {
        plan.try_scripts(&mut problems);
        for (path, role) in plan.scripts() {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            problems.extend(script::remarks(&path.display().to_string(), &text, role));
        }
    }
    configuration::report(&problems);
    if Problem::any_error(&problems) {
        return Ok(ExitCode::from(2));
    }
    let promises = plan.map(|plan| plan.promises()).unwrap_or_default();
    super::print(&format!("{origin} is sound\n\n{}\n", promises.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}
