//! `heka journal stat`: what is in a journal, who reads it and how far behind they are.

use std::process::ExitCode;

use super::Which;
use super::code;
use super::report;

/// Tells what is in a journal, who reads it and how far behind each is.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    which: Which,
    /// Writes an object of JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Some((place, survey)) = self.which.survey()? else { return Ok(ExitCode::from(2)) };
        let text = if self.json {
            report::as_json(&place.folder, &survey).to_string() + "\n"
        } else {
            report::contents(&place.folder, &survey)
        };
        crate::cli::print(&text)?;
        Ok(code(&survey))
    }
}
