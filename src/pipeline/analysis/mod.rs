//! Analysis threads: they own filters and run them over the journal.
//!
//! A thread goes over the journal in one **pass**: it reads an entry once, asks the index once, and
//! runs every filter that is level with the pass. A filter that is behind, because it replays from
//! its snapshot or has just been added, goes on alone in slices until it is level. Filters never
//! move between threads; what they inject goes into the journal through the thread's outbox.

mod host;
mod keeper;
mod outbox;
mod recovery;
mod state;
mod thread;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Sender;

pub(super) use self::keeper::Keeper;
use self::thread::Thread;
use super::counters::FilterCounters;
use super::routing::Routing;
use crate::journal::Journal;
use crate::journal::Position;
use crate::journal::ReaderOptions;
use crate::plugin::Engine;
use crate::plugin::Filter;

/// How many commands may wait for a thread.
const COMMANDS: usize = 1024;

/// A filter as a thread gets it.
pub(super) struct FilterPlan {
    pub(super) name: Arc<str>,
    pub(super) plugin: Arc<dyn Filter>,
    pub(super) engine: Engine,
    pub(super) ticker_interval: Duration,
    pub(super) reader: ReaderOptions,
    pub(super) retries: super::plan::Retries,
    pub(super) max_failures: u32,
    pub(super) counters: Arc<FilterCounters>,
    /// What it is made of: script, modules and section.
    pub(super) version: String,
}

/// What a thread is told.
pub(super) enum Command {
    /// Run one more filter; an answer when it has started, or why it has not.
    Add(Box<FilterPlan>, Arc<Routing>, Sender<anyhow::Result<()>>),
    /// Run a new version in place of the one of that name; the old one goes on if that fails.
    Swap(Box<FilterPlan>, Arc<Routing>, Sender<anyhow::Result<()>>),
    /// Run a filter no more.
    Remove(Arc<str>, Sender<()>),
    /// Ask other matchers.
    Route(Arc<Routing>),
    /// Run the last timers, keep all states and end.
    ShutDown(Sender<()>),
}

/// A thread, seen from outside.
struct Handle {
    commands: Sender<Command>,
    thread: std::thread::JoinHandle<()>,
    /// All entries up to here are processed, and what came of them is appended.
    reached: Arc<AtomicU64>,
    filters: usize,
}

/// All analysis threads.
pub(super) struct AnalysisThreads {
    threads: Vec<Handle>,
    /// Which thread has a filter.
    homes: hashbrown::HashMap<Arc<str>, usize>,
    most: usize,
    journal: Journal,
    keeper: Arc<Keeper>,
    is_abandoned: Arc<AtomicBool>,
}

impl AnalysisThreads {
    /// Has no thread yet; there will be at most `most`.
    pub(super) fn new(most: usize, journal: Journal, keeper: Arc<Keeper>) -> AnalysisThreads {
        AnalysisThreads {
            threads: Vec::new(),
            homes: hashbrown::HashMap::new(),
            most: most.max(1),
            journal,
            keeper,
            is_abandoned: Arc::default(),
        }
    }

    /// Starts a filter on the thread that has the fewest.
    pub(super) fn add(&mut self, plan: FilterPlan, routing: &Arc<Routing>) -> anyhow::Result<()> {
        if self.threads.len() < self.most && self.threads.iter().all(|one| one.filters > 0) {
            self.spawn(routing)?;
        }
        let fewest = (0..self.threads.len()).min_by_key(|index| self.threads[*index].filters);
        let index = fewest.unwrap_or(0);
        let name = plan.name.clone();
        self.ask(index, |reply| Command::Add(Box::new(plan), routing.clone(), reply))??;
        self.threads[index].filters += 1;
        self.homes.insert(name, index);
        Ok(())
    }

    /// Puts a new version in the place of a filter.
    pub(super) fn swap(&mut self, plan: FilterPlan, routing: &Arc<Routing>) -> anyhow::Result<()> {
        let Some(&home) = self.homes.get(&plan.name) else { return self.add(plan, routing) };
        self.ask(home, |reply| Command::Swap(Box::new(plan), routing.clone(), reply))?
    }

    /// Ends a filter.
    pub(super) fn remove(&mut self, name: &Arc<str>) -> anyhow::Result<()> {
        if let Some(home) = self.homes.remove(name) {
            self.threads[home].filters -= 1;
            self.ask(home, |reply| Command::Remove(name.clone(), reply))?;
        }
        Ok(())
    }

    /// Has all threads ask other matchers from their next entry on.
    pub(super) fn route(&self, routing: &Arc<Routing>) {
        for handle in &self.threads {
            let _ = handle.commands.send(Command::Route(routing.clone()));
            handle.thread.thread().unpark();
        }
    }

    /// The last entry that every filter is done with.
    pub(super) fn reached(&self) -> Position {
        let reached = self.threads.iter().map(|handle| handle.reached.load(Ordering::Acquire));
        reached.min().map_or(self.journal.end(), Position)
    }

    /// Ends all threads; each keeps the states of its filters before.
    pub(super) fn shut_down(self, deadline: std::time::Instant) {
        let (tx, rx) = crossbeam_channel::bounded(self.threads.len() + 1);
        for handle in &self.threads {
            let _ = handle.commands.send(Command::ShutDown(tx.clone()));
            handle.thread.thread().unpark();
        }
        drop(tx);
        let mut left = self.threads.len();
        while left > 0 && rx.recv_deadline(deadline).is_ok() {
            left -= 1;
        }
        if left > 0 {
            self.is_abandoned.store(true, Ordering::Release);
            tracing::error!(threads = left, "analysis threads did not end in time");
            return;
        }
        for handle in self.threads {
            if handle.thread.join().is_err() {
                tracing::error!("an analysis thread has panicked");
            }
        }
    }

    fn ask<T: Send + 'static>(
        &self,
        index: usize,
        command: impl FnOnce(Sender<T>) -> Command,
    ) -> anyhow::Result<T> {
        let (tx, rx) = crossbeam_channel::bounded(1);
        let handle = &self.threads[index];
        handle.commands.send(command(tx)).map_err(|_| anyhow::anyhow!("the thread has ended"))?;
        handle.thread.thread().unpark();
        rx.recv().map_err(|_| anyhow::anyhow!("the analysis thread has ended"))
    }

    fn spawn(&mut self, routing: &Arc<Routing>) -> anyhow::Result<()> {
        let (tx, rx) = crossbeam_channel::bounded(COMMANDS);
        let reached = Arc::new(AtomicU64::new(0));
        let (journal, routing, keeper) =
            (self.journal.clone(), routing.clone(), self.keeper.clone());
        let seen = reached.clone();
        let name = format!("analysis-{}", self.threads.len());
        let builder = std::thread::Builder::new().name(name).stack_size(8 << 20);
        let thread = builder.spawn(move || {
            let thread = Thread::new(journal, rx, routing, keeper, seen);
            if let Err(error) = thread.and_then(Thread::run) {
                tracing::error!(error = format!("{error:#}"), "an analysis thread has ended");
            }
        })?;
        let sleeper = thread.thread().clone();
        self.journal.subscribe(Arc::new(move || sleeper.unpark()));
        self.threads.push(Handle { commands: tx, thread, reached, filters: 0 });
        Ok(())
    }
}
