//! What goes wrong with a script, and what is reported of it.

use std::path::PathBuf;

/// Why a script cannot be loaded.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{}{}: {message}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct Error {
    /// The script, or the module it requires.
    pub file: PathBuf,
    /// The line, counted from one, where it is known.
    pub line: Option<u32>,
    /// What is wrong.
    pub message: String,
}

/// The limit that ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// `memory_limit`.
    Memory,
    /// `cpu_limit` or `instruction_limit`.
    Cpu,
}

impl Which {
    /// The text of the error the script sees.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Which::Memory => "memory_limit exceeded",
            Which::Cpu => "cpu_limit exceeded",
        }
    }
}

/// A call that failed and leaves the script able to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// Which message of the batch it was about; `None` for `timer_event`.
    pub index: Option<u16>,
    /// What the script returned, when it failed by a status below zero.
    pub status: Option<i64>,
    /// The error, or the text returned with the status; may be empty.
    pub message: String,
    /// Where the error came from, one call a line; empty for a status.
    pub traceback: String,
}

/// Why a script may not be called again as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A call exceeded a limit; the state may be half changed and wants to be restored.
    Limit {
        /// Which message of the batch it was about; `None` for `timer_event`.
        index: Option<u16>,
        /// The limit.
        which: Which,
        /// The error as the script saw it.
        message: String,
        /// Where the call was, one call a line.
        traceback: String,
    },
    /// The script returned a status above zero.
    Terminated {
        /// Which message of the batch it was about; `None` for `timer_event`.
        index: Option<u16>,
        /// What it returned with the status.
        reason: String,
    },
}

/// How a call ended that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The call failed, the script goes on.
    Failed(Failure),
    /// The script may not be called again as it is.
    Stopped(Stop),
}

/// How far batches were processed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processed {
    /// How many of the portions were begun.
    pub begun: usize,
    /// How many of the matched messages were completed, failures included.
    pub done: usize,
    /// Why the rest was not.
    pub stop: Option<Stop>,
}

/// What a sandbox has used since it was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes held now, native objects included.
    pub memory: usize,
    /// The most bytes held at a time.
    pub max_memory: usize,
    /// Calls of `process_message`.
    pub calls: u64,
    /// Calls of `timer_event`.
    pub timer_calls: u64,
    /// Messages injected.
    pub injected: u64,
    /// Calls that failed.
    pub failed: u64,
    /// The largest payload or message made, in bytes.
    pub max_output: usize,
}
