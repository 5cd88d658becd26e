//! What a person asks of the filters of a running engine, and what is answered.
//!
//! | part | what it does |
//! | --- | --- |
//! | `list` | how each filter is, and the versions kept of it |
//! | `load` | filters that are loaded while the engine runs, and outlive it |
//! | `managed` | those that come over the wire, by a SandboxManagerFilter |
//! | `shadow` | a version that is tried beside the one that runs |
//! | `rollback` | another version in the place of the one that runs |

mod list;
mod load;
mod managed;
mod rollback;
mod shadow;

use serde::Deserialize;
use serde::Serialize;

pub use self::list::KeptVersion;
pub use self::list::SandboxStatus;
pub(super) use self::load::Loaded;
pub(super) use self::shadow::Tried;
use super::Pipeline;
use super::plan::PlannedFilter;
use crate::stdx::nearest::nearest;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// How the filters are, or one of them.
    List {
        /// The one, or all.
        name: Option<String>,
    },
    /// Reads the files of a filter again; what they say takes over, whatever was said before.
    Reload {
        /// The filter.
        name: String,
    },
    /// Brings a version back.
    Rollback {
        /// The filter.
        name: String,
        /// The beginning of a version's hash; the one before where left out.
        version: Option<String>,
    },
    /// Runs a filter that is not in the configuration, from now on and after every start.
    Load {
        /// Its section, in TOML.
        section: String,
        /// Its script.
        script: ScriptText,
    },
    /// Ends a filter that was loaded, or a trial.
    Unload {
        /// The filter.
        name: String,
    },
    /// Tries a version beside the one that runs, muted.
    Shadow {
        /// The filter.
        name: String,
        /// The script of that version; what the files say where left out.
        script: Option<ScriptText>,
    },
    /// Has the version that is tried take over.
    Promote {
        /// The filter.
        name: String,
    },
    /// What only one of two versions has made.
    Diff {
        /// The filter, or all that have a version tried beside them.
        name: Option<String>,
    },
}

/// A script as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptText {
    /// Where it was read.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is done.
    #[default]
    Done,
    /// It could not be done.
    Failed,
    /// What was asked for makes no sense: a name that is none, say.
    Mistake,
}

/// What is answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reply {
    /// How it went.
    pub outcome: Outcome,
    /// What happened, in words.
    pub text: String,
    /// The filters that were asked about.
    #[serde(default)]
    pub sandboxes: Vec<SandboxStatus>,
}

/// Why something is not done.
enum Refusal {
    Mistake(String),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Refusal {
        Refusal::Failed(error)
    }
}

impl Refusal {
    fn into_error(self) -> anyhow::Error {
        match self {
            Refusal::Mistake(text) => anyhow::Error::msg(text),
            Refusal::Failed(error) => error,
        }
    }
}

impl Pipeline {
    /// Does what is asked.
    pub fn ask(&mut self, request: Request) -> Reply {
        let done = tokio::task::block_in_place(|| match request {
            Request::List { name } => self.list(name.as_deref()),
            Request::Reload { name } => self.reload_one(&name),
            Request::Rollback { name, version } => self.roll_back(&name, version.as_deref()),
            Request::Load { section, script } => self.load(&section, &script),
            Request::Unload { name } => self.unload(&name),
            Request::Shadow { name, script } => self.shadow(&name, script),
            Request::Promote { name } => self.promote(&name),
            Request::Diff { name } => self.diff(name.as_deref()),
        });
        match done {
            Ok(reply) => {
                if !reply.text.is_empty() {
                    tracing::info!("{}", reply.text.trim_end());
                }
                reply
            }
            Err(Refusal::Mistake(text)) => Reply::of(Outcome::Mistake, text),
            Err(Refusal::Failed(error)) => {
                let text = format!("{error:#}");
                tracing::error!("{text}");
                Reply::of(Outcome::Failed, text)
            }
        }
    }

    /// The filter of this name, as it runs.
    fn filter(&self, name: &str) -> Result<&PlannedFilter, Refusal> {
        let filters = &self.plan.filters;
        filters.iter().find(|filter| &*filter.name == name).ok_or_else(|| {
            let names = filters.iter().map(|filter| &*filter.name);
            Refusal::Mistake(match nearest(name, names) {
                Some(nearest) => format!("there is no filter {name}; did you mean {nearest}?"),
                None => format!("there is no filter {name}"),
            })
        })
    }
}

impl Reply {
    fn of(outcome: Outcome, text: String) -> Reply {
        Reply { outcome, text, sandboxes: Vec::new() }
    }

    fn done(text: String) -> Reply {
        Reply::of(Outcome::Done, text)
    }
}
