//! `heka journal`: what is in a journal, who reads it, what is damaged, and mending that.
//!
//! `stat`, `check` and `export` read, beside an engine that runs too. `repair` wants the journal for
//! itself. `forget` asks the engine where one runs.

mod check;
mod export;
mod forget;
mod place;
mod repair;
mod report;
mod stat;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

pub(super) use self::forget::forget;
use self::place::Place;
use crate::journal;
use crate::journal::Survey;

/// The exit code when damage was found.
const DAMAGE: u8 = 3;

/// Looks into journals and mends them.
#[derive(Debug, clap::Args)]
pub struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Stat(stat::Command),
    Check(check::Command),
    Repair(repair::Command),
    Export(export::Command),
    Forget(forget::Command),
}

/// Which journal.
#[derive(Debug, clap::Args)]
struct Which {
    /// The folder of a journal or of an engine's state, or the configuration of an engine
    #[arg(value_name = "PATH|CONFIG")]
    path: PathBuf,
}

impl Command {
    /// Does what was asked for.
    ///
    /// # Errors
    /// When there is no journal, or it cannot be read or written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Stat(command) => command.run(),
            What::Check(command) => command.run(),
            What::Repair(command) => command.run(),
            What::Export(command) => command.run(),
            What::Forget(command) => command.run(),
        }
    }
}

impl Which {
    /// Finds it; nothing when the configuration that should say where has mistakes.
    fn find(&self) -> anyhow::Result<Option<Place>> {
        place::find(&self.path)
    }

    /// Looks through it; nothing as with [`Which::find`].
    fn survey(&self) -> anyhow::Result<Option<(Place, Survey)>> {
        let Some(place) = self.find()? else { return Ok(None) };
        let survey = journal::survey(&place.folder);
        let survey = survey.with_context(|| place.folder.display().to_string())?;
        Ok(Some((place, survey)))
    }
}

/// 3 where there is damage.
fn code(survey: &Survey) -> ExitCode {
    if survey.damages.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGE) }
}
