//! `heka journal check`: what is damaged in a journal.

use std::process::ExitCode;

use super::Which;
use super::code;
use super::report;

/// Reads all of a journal, with its snapshots and values, and names what is damaged.
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
            let (entries, places) = (survey.total.entries, survey.damages.len());
            let places = match places {
                0 => "nothing is damaged".to_owned(),
                1 => "one place is damaged".to_owned(),
                more => format!("{more} places are damaged"),
            };
            format!("{}{entries} entries are sound, {places}\n", report::remarks(&survey))
        };
        crate::cli::print(&text)?;
        Ok(code(&survey))
    }
}
