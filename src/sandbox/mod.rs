//! One Lua state: its limits, its API, snapshots and reload.
//!
//! A [`Sandbox`] is made from a [`Spec`] on the thread that will use it. A filter is given batches
//! ([`Sandbox::process`], [`Sandbox::process_portions`]) and ticks ([`Sandbox::timer`]), a decoder drafts, an encoder messages;
//! each call may use what [`Limits`] says and no more, whatever the script does. What a filter is
//! can be taken out ([`Sandbox::snapshot`]) and put into another sandbox ([`Sandbox::restore`]).
//!
//! In reading order: `spec`, `failure`, `load`, `process`; `context`, which host functions work
//! on; `api`, one file for each part of what scripts can call; `watchdog`, which holds the limit of
//! time; `raw`, the Lua C API behind a safe face.

mod api;
mod arguments;
mod context;
mod encode;
mod failure;
mod feed;
mod files;
mod json;
mod lint;
mod load;
mod message_table;
mod pattern;
mod process;
mod raw;
mod reading;
mod resolving;
mod selecting;
mod selector;
mod settings;
mod snapshot;
mod sockets;
mod spec;
mod time;
mod transfer;
mod vararg;
mod waiting;
mod watchdog;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use failure::Error;
pub use failure::Failure;
pub use failure::Processed;
pub use failure::Stop;
pub use failure::Trouble;
pub use failure::Usage;
pub use failure::Which;
pub use feed::Checkpoint;
pub use feed::Feed;
pub use feed::Settled;
pub use lint::Names;
pub use lint::Remark;
pub use lint::lint;
pub use lint::mistakes;
pub use raw::CoveredLine;
pub use settings::Allowed;
pub use settings::ScriptType;
pub use settings::Settings;
pub use settings::SourceError;
pub use settings::required_files;
pub use snapshot::Restored;
pub use spec::Access;
pub use spec::ConfigValue;
pub use spec::EntryTime;
pub use spec::Limits;
pub use spec::ModuleLookup;
pub use spec::Modules;
pub use spec::OwnMatcher;
pub use spec::Portion;
pub use spec::Role;
pub use spec::Script;
pub use spec::Spec;
pub use transfer::Ender;
pub use transfer::Verdict;

/// A script in a Lua state of its own.
#[derive(Debug)]
pub struct Sandbox {
    /// Kept over many calls that come one after the other. Dropped before the state, which the
    /// watchdog may interrupt until then.
    watched: Option<watchdog::Watched>,
    /// Made when somebody wants to end calls from another thread; dropped before the state is.
    ending: OnceCell<transfer::Ending>,
    state: raw::State,
    watch: Arc<watchdog::Watch>,
    limits: Limits,
    has_timer: bool,
    file: PathBuf,
    version: snapshot::Version,
    /// What the script's variables were when it had been loaded.
    baseline: raw::Baseline,
}

impl Sandbox {
    /// Tells whether the script has a `timer_event`.
    #[must_use]
    pub fn has_timer(&self) -> bool {
        self.has_timer
    }

    /// What the sandbox has used so far.
    pub fn usage(&mut self) -> Usage {
        let (memory, max_memory) = (self.state.memory().total(), self.state.memory().peak());
        Usage { memory, max_memory, ..self.state.cx().usage }
    }

    /// Has calls watched until [`Sandbox::end_calls`], rather than each for itself. No other state
    /// is called on this thread meanwhile.
    pub fn begin_calls(&mut self) {
        // One that ends takes the watch away, so it ends first.
        self.watched = None;
        self.watched = Some(self.watch.watch(self.state.interrupt(), self.limits.cpu));
    }

    /// Ends what [`Sandbox::begin_calls`] has begun.
    pub fn end_calls(&mut self) {
        self.watched = None;
    }

    /// Goes on on this thread; it was made, or worked before, on another.
    pub fn arrive(&mut self) {
        self.watched = None;
        self.watch = watchdog::Watch::of_this_thread();
        self.state.watch_by(self.watch.counters.clone());
    }

    /// Watches one call, unless calls are watched already.
    fn watch_call(&self) -> Option<watchdog::Watched> {
        let is_watched = self.watched.is_some();
        (!is_watched).then(|| self.watch.watch(self.state.interrupt(), self.limits.cpu))
    }

    /// Allows each call this much CPU time from now on; zero is no limit.
    pub fn limit_cpu(&mut self, limit: Duration) {
        self.limits.cpu = limit;
        if self.watched.is_some() {
            self.begin_calls();
        }
    }

    /// The lines of the script and its modules that have code, each once, in order; none where
    /// [`Spec::is_covered`] was not asked for.
    pub fn coverage(&mut self) -> Vec<CoveredLine> {
        let mut lines = self.state.coverage();
        lines.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        lines.dedup_by(|next, kept| {
            let is_same = next.line == kept.line && next.file == kept.file;
            kept.has_run |= is_same && next.has_run;
            is_same
        });
        lines
    }

    /// Collects all garbage, which takes time that grows with the state.
    pub fn collect(&mut self) {
        self.state.collect();
    }

    /// Does a part of the work of collecting garbage; for when there is nothing else to do.
    pub fn collect_some(&mut self) {
        self.state.step_collector(64);
    }
}
