//! `heka journal repair`: makes a damaged journal readable again.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use super::Which;
use crate::journal;

/// Makes a damaged journal readable again; only what is damaged is lost, and a copy of it is kept
/// in the folder `damaged`. Refuses while an engine runs.
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
        let Some(place) = self.which.find()? else { return Ok(ExitCode::from(2)) };
        let base_dir = place.base_dir.with_context(|| {
            let folder = place.folder.display();
            format!("whether an engine has {folder} cannot be told: name its configuration")
        })?;
        // Without a journal nothing is to be made.
        let looked = journal::open_read_only(&place.folder);
        looked.with_context(|| place.folder.display().to_string())?;
        let done = journal::repair(&base_dir, &place.folder)?;
        let text = if self.json {
            json!({ "done": done }).to_string() + "\n"
        } else if done.is_empty() {
            "nothing was damaged\n".to_owned()
        } else {
            let folder = place.folder.join("damaged");
            let kept = format!("what stood there is kept in {}\n", folder.display());
            done.iter().map(|line| line.clone() + "\n").collect::<String>() + &kept
        };
        crate::cli::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
