//! Analysis threads: they own filters and run them over the journal.
//!
//! A thread goes over the journal in one **pass**: it reads an entry once, asks the index once, and
//! runs every filter that is level with the pass. A filter that is behind, because it replays from
//! its snapshot, has just been added or takes more than its share, goes on alone in slices until it
//! is level. Filters never move between threads; what they inject goes into the journal through the
//! thread's outbox.

mod aside;
mod comparison;
mod convoy;
mod host;
mod keeper;
mod keeping;
mod life;
mod line;
mod outbox;
mod pass;
mod portions;
mod recovery;
mod relief;
mod reply;
#[cfg(all(test, feature = "model"))]
mod schedules;
mod shadow;
mod state;
mod swap;
mod takeover;
mod thread;
mod work;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) use self::comparison::Comparison;
pub use self::comparison::Cost;
pub use self::comparison::Difference;
pub use self::comparison::Only;
pub(super) use self::keeper::Keeper;
use self::life::Life;
use self::life::Watch;
use self::line::Line;
use self::reply::Reply;
use self::reply::Silence;
pub(super) use self::shadow::Shadow;
pub(crate) use self::state::read as read_state;
pub(super) use self::swap::Swapped;
use self::takeover::Place;
use self::takeover::Successor;
use self::takeover::Wanted;
use self::thread::Thread;
use super::counters::FilterCounters;
use super::routing::Routing;
use crate::journal::Journal;
use crate::journal::Position;
use crate::journal::ReaderOptions;
use crate::matcher::Matcher;
use crate::plugin::Engine;
use crate::plugin::Filter;
use crate::stdx::sync::Instant;
use crate::stdx::sync::atomic::AtomicBool;
use crate::stdx::sync::atomic::AtomicU64;
use crate::stdx::sync::channel;
use crate::stdx::sync::channel::Sender;
use crate::stdx::sync::thread::Builder;
use crate::stdx::sync::thread::JoinHandle;

/// How many commands may wait for a thread.
const COMMANDS: usize = 1024;
/// How long threads may take to keep their states once they were to end.
const LAST_PATIENCE: Duration = Duration::from_secs(12);
/// A thread may have one filter more than another for every so many there are, if that keeps those
/// with the same matcher together.
const FILTERS_PER_SPARE: usize = 16;

/// A filter as a thread gets it.
#[derive(Clone)]
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
    /// Up to here it injects nothing: another version did.
    pub(super) since: Position,
}

/// How a filter is.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) name: Arc<str>,
    /// `running`, `catching up` or `stopped`.
    pub(super) state: &'static str,
    /// The last entry it is done with.
    pub(super) position: Position,
}

/// What a thread is told.
enum Command {
    /// Run one more filter; an answer when it has started, or why it has not.
    Add(Box<FilterPlan>, Arc<Routing>, Reply<anyhow::Result<()>>),
    /// Run a new version in place of the one of that name; the old one goes on if that fails. The
    /// answer is where it took over.
    Swap(Box<FilterPlan>, Arc<Routing>, Reply<anyhow::Result<Position>>),
    /// Tell where a filter is.
    Place(Arc<str>, Wanted, Sender<anyhow::Result<Place>>),
    /// Have a filter take down what it injects, or no more; tell from where on.
    Compare(Arc<str>, Option<Arc<Comparison>>, Sender<anyhow::Result<Position>>),
    /// Have a version take over that was made ready aside.
    Succeed(Box<Successor>),
    /// Tell how the filters are.
    Tell(Sender<Vec<Told>>),
    /// Run a filter no more.
    Remove(Arc<str>, Sender<()>),
    /// Ask other matchers.
    Route(Arc<Routing>),
    /// Run the last timers, keep all states and end; the answer names filters that were not done.
    ShutDown(Instant, Sender<Vec<Arc<str>>>),
}

/// How far a thread is, as it tells.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// All entries up to here are processed, and what came of them is appended.
    reached: AtomicU64,
    /// The same, with the filters that are paused.
    with_paused: AtomicU64,
    /// Injections for which the journal has no room are to be given up.
    is_abandoned: Arc<AtomicBool>,
}

/// A thread, seen from outside.
struct Handle {
    line: Line,
    thread: JoinHandle<()>,
    progress: Arc<Progress>,
    life: Arc<Life>,
    watch: Watch,
    filters: usize,
}

/// A filter, seen from outside.
struct Resident {
    /// The thread that has it.
    home: usize,
    /// What it runs as.
    plan: FilterPlan,
}

/// All analysis threads.
pub(super) struct AnalysisThreads {
    threads: Vec<Handle>,
    residents: hashbrown::HashMap<Arc<str>, Resident>,
    /// Which thread was last given a filter with this matcher.
    kin: hashbrown::HashMap<Matcher, usize>,
    most: usize,
    /// How many threads were given up.
    given_up: usize,
    journal: Journal,
    keeper: Arc<Keeper>,
}

impl AnalysisThreads {
    /// Has no thread yet; there will be at most `most`.
    pub(super) fn new(most: usize, journal: Journal, keeper: Arc<Keeper>) -> AnalysisThreads {
        AnalysisThreads {
            threads: Vec::new(),
            residents: hashbrown::HashMap::new(),
            kin: hashbrown::HashMap::new(),
            most: most.max(1),
            given_up: 0,
            journal,
            keeper,
        }
    }

    /// Starts a filter on the thread that has the fewest, or on one with few more that has filters
    /// with the same matcher: they read the same messages, which are in that processor's cache then.
    pub(super) fn add(&mut self, plan: FilterPlan, routing: &Arc<Routing>) -> anyhow::Result<()> {
        if self.threads.len() < self.most && self.threads.iter().all(|one| one.filters > 0) {
            let handle = self.started(self.threads.len(), routing)?;
            self.threads.push(handle);
        }
        let name = plan.name.clone();
        let matcher = routing.row(&name).map(|row| routing.matcher(row).clone());
        let index = self.home_for(matcher.as_ref());
        self.add_to(index, plan, routing)?;
        self.kin.extend(matcher.map(|matcher| (matcher, index)));
        Ok(())
    }

    /// Starts a filter on a thread.
    fn add_to(
        &mut self,
        index: usize,
        plan: FilterPlan,
        routing: &Arc<Routing>,
    ) -> anyhow::Result<()> {
        let (sent, name) = (Box::new(plan.clone()), plan.name.clone());
        let line = &self.threads[index].line;
        let added = line.change(|reply| Command::Add(sent, routing.clone(), reply));
        // One whose start does not come to an end is where it has the thread stuck.
        if matches!(added, Ok(Ok(())) | Err(Silence::Begun)) {
            self.threads[index].filters += 1;
            self.residents.insert(name, Resident { home: index, plan });
        }
        added?
    }

    /// The thread for one more filter.
    fn home_for(&self, matcher: Option<&Matcher>) -> usize {
        let fewest = (0..self.threads.len()).min_by_key(|index| self.threads[*index].filters);
        let fewest = fewest.unwrap_or(0);
        let has_room = |index: &usize| {
            let most = self.threads[fewest].filters + 1 + self.residents.len() / FILTERS_PER_SPARE;
            self.threads[*index].filters < most
        };
        let kin = matcher.and_then(|matcher| self.kin.get(matcher)).copied();
        kin.filter(has_room).unwrap_or(fewest)
    }

    /// Ends a filter.
    pub(super) fn remove(&mut self, name: &Arc<str>) -> anyhow::Result<()> {
        if let Some(Resident { home, .. }) = self.residents.remove(name) {
            self.threads[home].filters -= 1;
            if self.kin.len() > 2 * self.residents.len() {
                self.kin.clear();
            }
            self.ask(home, |reply| Command::Remove(name.clone(), reply))?;
        }
        Ok(())
    }

    /// How all filters are; those of a thread that does not answer are left out.
    pub(super) fn told(&self) -> Vec<Told> {
        let told = (0..self.threads.len()).filter_map(|index| self.ask(index, Command::Tell).ok());
        told.flatten().collect()
    }

    /// Has all threads ask other matchers from their next entry on.
    pub(super) fn route(&self, routing: &Arc<Routing>) {
        for handle in &self.threads {
            if let Err(error) = handle.line.send(Command::Route(routing.clone())) {
                let error = format!("{error:#}");
                tracing::error!(error, "an analysis thread does not get the new matchers");
            }
        }
    }

    /// The last entry that every filter is done with, apart from those that are paused.
    pub(super) fn reached(&self) -> Position {
        self.least(|progress| &progress.reached)
    }

    /// The last entry that every filter is done with, those that are paused included.
    pub(super) fn reached_with_paused(&self) -> Position {
        self.least(|progress| &progress.with_paused)
    }

    fn least(&self, of: impl Fn(&Progress) -> &AtomicU64) -> Position {
        let reached = self.threads.iter().map(|one| of(&one.progress).load(Ordering::Acquire));
        reached.min().map_or(self.journal.end(), Position)
    }

    /// The sum of how far all threads are, to see whether they move.
    pub(super) fn moved(&self) -> u64 {
        let reached = self.threads.iter().map(|one| one.progress.reached.load(Ordering::Acquire));
        reached.fold(0, u64::wrapping_add)
    }

    /// Has filters no longer wait for room in the journal; what they inject comes again in a replay.
    pub(super) fn abandon(&self) {
        for handle in &self.threads {
            handle.progress.is_abandoned.store(true, Ordering::Release);
            handle.thread.thread().unpark();
        }
    }

    /// Ends all threads; each keeps the states of its filters before, and may go on for so long.
    /// Names the filters that were not done with all there is.
    pub(super) fn shut_down(self, patience: Duration) -> Vec<Arc<str>> {
        let deadline = Instant::now() + patience;
        let (tx, rx) = channel::bounded(self.threads.len() + 1);
        for handle in &self.threads {
            let _ = handle.line.send(Command::ShutDown(deadline, tx.clone()));
        }
        drop(tx);
        let deadline = deadline.max(Instant::now()) + LAST_PATIENCE;
        let mut behind = Vec::new();
        let mut left = self.threads.len();
        while let (true, Ok(names)) = (left > 0, rx.recv_deadline(deadline)) {
            behind.extend(names);
            left -= 1;
        }
        if left > 0 {
            tracing::error!(threads = left, "analysis threads did not end in time");
            return behind;
        }
        for handle in self.threads {
            if handle.thread.join().is_err() {
                tracing::error!("an analysis thread has panicked");
            }
        }
        behind
    }

    fn ask<T>(
        &self,
        index: usize,
        command: impl FnOnce(Sender<T>) -> Command,
    ) -> anyhow::Result<T> {
        self.threads[index].line.ask(command)
    }

    fn started(&self, number: usize, routing: &Arc<Routing>) -> anyhow::Result<Handle> {
        let (tx, rx) = channel::bounded(COMMANDS);
        let (progress, life) = (Arc::<Progress>::default(), Arc::<Life>::default());
        let (journal, routing, keeper) =
            (self.journal.clone(), routing.clone(), self.keeper.clone());
        let told = (progress.clone(), life.clone());
        let builder = Builder::new().name(format!("analysis-{number}"));
        let thread = builder.stack_size(8 << 20).spawn(move || {
            let thread = Thread::new(journal, rx, routing, keeper, told);
            if let Err(error) = thread.and_then(Thread::run) {
                tracing::error!(error = format!("{error:#}"), "an analysis thread has ended");
            }
        })?;
        let sleeper = thread.thread().clone();
        self.journal.subscribe(Arc::new(move || sleeper.unpark()));
        let line = Line::new(tx, thread.thread().clone());
        Ok(Handle { line, thread, progress, life, watch: Watch::new(), filters: 0 })
    }
}
