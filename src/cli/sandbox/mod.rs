//! `heka sandbox`: the filters of a running engine.

mod control;
mod difference;
mod table;
mod wire;

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use self::wire::Wire;
use crate::pipeline::Outcome;
use crate::pipeline::Reply;
use crate::pipeline::Request;
use crate::pipeline::ScriptText;
use crate::stdx::host;

/// Shows and changes the filters of a running engine.
#[derive(Debug, clap::Args)]
#[command(after_help = "A changed script takes over by itself, with its state; one that does not \
    load leaves the old one running. These commands are for all else.\n\n\
    Exit codes: 0 done; 1 it could not be done, and nothing was changed; 2 a wrong name or a \
    mistake in what was given.")]
pub struct Command {
    #[command(subcommand)]
    action: Action,
    /// Folder with the state of the engine, as its `base_dir` says
    #[arg(long, global = true, value_name = "FOLDER")]
    base_dir: Option<PathBuf>,
    /// Writes the answer as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Shows the filters: version, state, cost and what each has done
    List {
        /// One filter, with the versions kept of it
        name: Option<String>,
    },
    /// Reads the files of a filter again; what they say takes over, whatever was said before
    Reload {
        /// The filter
        name: String,
    },
    /// Brings a version back; it stays until the files change
    Rollback {
        /// The filter
        name: String,
        /// The beginning of the version's hash [default: the version before]
        version: Option<String>,
    },
    /// Runs a filter that is not in the configuration, from now on and after every start
    ///
    /// Loaded again under the same name it takes the place of what runs, with its state.
    Load {
        /// The script
        script: PathBuf,
        /// A file with its section, in TOML; its `filename` is the script
        section: PathBuf,
        #[command(flatten)]
        wire: Box<Wire>,
    },
    /// Ends a filter that was loaded, and forgets its state; or drops a version that is tried
    Unload {
        /// The filter; with --signer its section, without the name of the manager
        name: String,
        #[command(flatten)]
        wire: Box<Wire>,
    },
    /// Tries a version beside the one that runs, muted; `diff` shows what only one of them makes
    Shadow {
        /// The filter
        name: String,
        /// Its script [default: what its files say now]
        script: Option<PathBuf>,
    },
    /// Shows what only one of two versions has made, and what each costs
    Diff {
        /// The filter [default: all that have a version tried beside them]
        name: Option<String>,
    },
    /// Has the version that is tried take over, with the state it has
    Promote {
        /// The filter
        name: String,
    },
}

impl Command {
    /// Asks the engine and shows what it answers.
    ///
    /// # Errors
    /// When no engine answers.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(sent) = self.send()? {
            super::print(&sent)?;
            return Ok(ExitCode::SUCCESS);
        }
        let folder = self.base_dir.clone().unwrap_or_else(host::state_folder);
        let request = match self.request() {
            Ok(request) => request,
            Err(error) => {
                eprintln!("heka: {error:#}");
                return Ok(ExitCode::from(2));
            }
        };
        let reply = control::ask(&folder, &request)?;
        self.show(&reply)
    }

    /// Sends a control message, where one is asked for; tells what was sent.
    fn send(&self) -> anyhow::Result<Option<String>> {
        match &self.action {
            Action::Load { script, section, wire } => {
                let Some(signer) = &wire.signer else { return Ok(None) };
                wire.load(signer, &read(section)?.text, &read(script)?.text).map(Some)
            }
            Action::Unload { name, wire } => {
                let Some(signer) = &wire.signer else { return Ok(None) };
                wire.unload(signer, name).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What the engine is asked.
    fn request(&self) -> anyhow::Result<Request> {
        Ok(match &self.action {
            Action::List { name } => Request::List { name: name.clone() },
            Action::Reload { name } => Request::Reload { name: name.clone() },
            Action::Rollback { name, version } => {
                Request::Rollback { name: name.clone(), version: version.clone() }
            }
            Action::Load { script, section, .. } => {
                Request::Load { section: read(section)?.text, script: read(script)? }
            }
            Action::Unload { name, .. } => Request::Unload { name: name.clone() },
            Action::Shadow { name, script } => Request::Shadow {
                name: name.clone(),
                script: script.as_deref().map(read).transpose()?,
            },
            Action::Diff { name } => Request::Diff { name: name.clone() },
            Action::Promote { name } => Request::Promote { name: name.clone() },
        })
    }

    fn show(&self, reply: &Reply) -> anyhow::Result<ExitCode> {
        let code = match reply.outcome {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::Failed => ExitCode::FAILURE,
            Outcome::Mistake => ExitCode::from(2),
        };
        if self.json {
            super::print(&(serde_json::to_string_pretty(reply)? + "\n"))?;
            return Ok(code);
        }
        if reply.outcome != Outcome::Done {
            eprintln!("heka: {}", reply.text.trim_end());
            return Ok(code);
        }
        super::print(&reply.text)?;
        match &self.action {
            Action::List { name } => {
                super::print(&table::of(&reply.sandboxes, name.is_some()))?;
            }
            Action::Diff { .. } => super::print(&difference::of(&reply.sandboxes))?,
            _ => {}
        }
        Ok(code)
    }
}

/// Reads a file that is sent along.
fn read(path: &Path) -> anyhow::Result<ScriptText> {
    let shown = || format!("cannot read {}", path.display());
    let text = std::fs::read_to_string(path).with_context(shown)?;
    let path = std::path::absolute(path).with_context(shown)?;
    Ok(ScriptText { path: path.display().to_string(), text })
}
