//! The loop of an analysis thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use crossbeam_channel::Receiver;

use super::Command;
use super::FilterPlan;
use super::Progress;
use super::host::Host;
use super::host::Pace;
use super::host::Trouble;
use super::keeper::Keeper;
use super::outbox::Outbox;
use super::recovery;
use super::state;
use crate::journal::Body;
use crate::journal::Entry;
use crate::journal::Journal;
use crate::journal::Keeps;
use crate::journal::Missing;
use crate::journal::Next;
use crate::journal::Position;
use crate::journal::Reader;
use crate::journal::ReaderOptions;
use crate::journal::Reads;
use crate::journal::Snapshot;
use crate::journal::Start;
use crate::matcher::Matches;
use crate::pipeline::routing::Routing;

/// How long a filter that is behind goes on before the others have their turn.
const SLICE: Duration = Duration::from_millis(5);
/// The longest sleep, for what nobody wakes the thread for.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);
/// A replay longer than this is not wanted: a snapshot comes before, by the filter's CPU time.
const MAX_REPLAY: Duration = Duration::from_secs(1);
/// A snapshot is at most this old.
const MAX_AGE: Duration = Duration::from_mins(1);
/// A snapshot may take one part in so many of the time.
const MAX_SHARE: u32 = 50;
/// How long a clean stop waits for its snapshots.
const SETTLE: Duration = Duration::from_secs(10);
/// The pass looks for due snapshots every so many entries.
const ENTRIES_BETWEEN_LOOKS: usize = 64;

/// At most so many entries are read before the filters run over them.
const STRIDE: usize = 16;

/// An entry, and what the matchers say of it.
type Read = (Arc<Entry>, Option<Arc<Matches>>);

/// See the module.
pub(super) struct Thread {
    journal: Journal,
    commands: Receiver<Command>,
    routing: Arc<Routing>,
    keeper: Arc<Keeper>,
    progress: Arc<Progress>,
    hosts: Vec<Host>,
    pass: Reader,
    outbox: Outbox,
    since_look: usize,
    /// Filters have moved since their progress was last told.
    has_moved: bool,
    last: Option<Arc<Entry>>,
}

impl Thread {
    pub(super) fn new(
        journal: Journal,
        commands: Receiver<Command>,
        routing: Arc<Routing>,
        keeper: Arc<Keeper>,
        progress: Arc<Progress>,
    ) -> anyhow::Result<Thread> {
        let options = ReaderOptions {
            start: Start::End,
            keeps: Keeps::Nothing,
            reads: Reads::Appended,
            full_action: None,
            max_bytes: None,
        };
        let pass = journal.reader("", options)?;
        let outbox = Outbox::new(journal.clone(), progress.is_abandoned.clone());
        Ok(Thread {
            journal,
            commands,
            routing,
            keeper,
            progress,
            hosts: Vec::new(),
            pass,
            outbox,
            since_look: 0,
            has_moved: true,
            last: None,
        })
    }

    pub(super) fn run(mut self) -> anyhow::Result<()> {
        loop {
            while let Ok(command) = self.commands.try_recv() {
                if let Command::ShutDown(deadline, done) = command {
                    let _ = done.send(self.shut_down(deadline));
                    return Ok(());
                }
                self.obey(command);
            }
            let is_moving = self.pass_on() | self.catch_up();
            self.outbox.append_if_due();
            if !is_moving {
                self.outbox.append();
                self.has_moved = true;
            }
            if self.has_moved && self.outbox.is_empty() {
                self.report_progress();
            }
            if !is_moving {
                self.sleep();
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Add(plan, routing, reply) => {
                self.route(routing);
                let _ = reply.send(self.add(*plan));
            }
            Command::Swap(plan, routing, reply) => {
                self.outbox.append();
                let host = self.hosts.iter_mut().find(|host| host.plan.name == plan.name);
                let swapped = match host {
                    Some(host) => {
                        keep(host, &self.keeper, &self.outbox);
                        recovery::swap(host, *plan, &self.journal)
                    }
                    None => self.add(*plan),
                };
                if swapped.is_ok() {
                    self.route(routing);
                }
                let _ = reply.send(swapped);
            }
            Command::Remove(name, reply) => {
                self.remove(&name);
                let _ = reply.send(());
            }
            Command::Route(routing) => self.route(routing),
            Command::ShutDown(..) => {}
        }
    }

    fn route(&mut self, routing: Arc<Routing>) {
        for host in &mut self.hosts {
            host.row = routing.row(&host.plan.name);
        }
        self.routing = routing;
    }

    fn add(&mut self, plan: FilterPlan) -> anyhow::Result<()> {
        // One whose start was not waited for to its end may be there.
        self.remove(&plan.name.clone());
        let reader = self
            .journal
            .reader(&plan.name, plan.reader)
            .with_context(|| format!("cannot open a reader for {}", plan.name))?;
        let mut host = Host::new(plan, reader, &self.routing);
        if let Err(error) = recovery::start(&mut host, &self.journal) {
            self.journal.retire(&host.plan.name);
            return Err(error);
        }
        tracing::debug!(
            filter = &*host.plan.name,
            position = host.position.0,
            muted_until = host.muted_until.entry,
            "a filter has started"
        );
        recovery::note(&host, &self.journal, "start", &serde_json::Value::Null);
        self.hosts.push(host);
        Ok(())
    }

    fn remove(&mut self, name: &str) {
        self.outbox.append();
        let Some(index) = self.hosts.iter().position(|host| &*host.plan.name == name) else {
            return;
        };
        let mut host = self.hosts.swap_remove(index);
        keep(&mut host, &self.keeper, &self.outbox);
        recovery::note(&host, &self.journal, "stop", &serde_json::Value::Null);
        drop(host);
        self.keeper.settle(SETTLE);
        self.journal.retire(name);
    }

    /// Takes all filters that are level over the next entries; tells whether there was one.
    ///
    /// One filter goes over all of them before the next: with many filters each state is fetched
    /// into the processor's cache once in a stride rather than once an entry.
    fn pass_on(&mut self) -> bool {
        let stride = self.stride();
        for host in &mut self.hosts {
            for (entry, matches) in &stride {
                if host.pace != Pace::Level {
                    break;
                }
                if entry.position <= host.position {
                    continue;
                }
                let matched = match (matches, host.row) {
                    (Some(matches), Some(row)) => matches.of(row),
                    _ => &[],
                };
                if let Err(trouble) = host.entry(entry, matched, &self.routing, &mut self.outbox) {
                    recover(host, trouble, &self.journal, &self.keeper, &mut self.outbox);
                }
                self.outbox.append_if_full();
            }
        }
        let is_tick = |(entry, _): &Read| matches!(entry.body, Body::Tick);
        let has_tick = stride.iter().any(is_tick);
        self.since_look += stride.len();
        if has_tick || self.since_look >= ENTRIES_BETWEEN_LOOKS {
            self.since_look = 0;
            self.look();
        }
        let is_moving = !stride.is_empty();
        if let Some((last, _)) = stride.into_iter().next_back() {
            self.last = Some(last);
        }
        is_moving
    }

    /// Reads what there is, at most [`STRIDE`] entries, and asks the matchers.
    fn stride(&mut self) -> Vec<Read> {
        let mut stride = Vec::new();
        while stride.len() < STRIDE {
            match self.pass.next() {
                Ok(Next::Entry(entry)) => {
                    let matches = match &entry.body {
                        Body::Batch(batch) => Some(self.routing.matches(batch)),
                        Body::Tick | Body::Note(_) => None,
                    };
                    stride.push((entry, matches));
                }
                Ok(Next::Empty) => break,
                Ok(Next::Missed { first, last, why }) => {
                    for host in self.hosts.iter().filter(|host| host.pace == Pace::Level) {
                        let first = first.max(host.position.next());
                        report_missed(&host.plan.name, first, last, why);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "cannot read the journal");
                    break;
                }
            }
        }
        stride
    }

    /// Lets each filter that is behind go on for a slice; tells whether one moved.
    fn catch_up(&mut self) -> bool {
        let mut is_moving = false;
        for index in 0..self.hosts.len() {
            match self.hosts[index].pace {
                Pace::Behind => is_moving |= self.slice(index),
                Pace::Paused(until) if Instant::now() >= until => {
                    let host = &mut self.hosts[index];
                    if let Err(error) = recovery::resume(host, &self.journal) {
                        let reason = format!("{error:#}");
                        recovery::pause(host, &reason, &self.journal, &mut self.outbox);
                    }
                    is_moving = true;
                }
                _ => {}
            }
        }
        is_moving
    }

    fn slice(&mut self, index: usize) -> bool {
        let until = Instant::now() + SLICE;
        let host = &mut self.hosts[index];
        let mut is_moving = false;
        while Instant::now() < until {
            if host.position >= self.pass.position() {
                host.pace = Pace::Level;
                if let Some(filtering) = &mut host.filtering {
                    filtering.widen(1);
                }
                return true;
            }
            let entry = match host.reader.next() {
                Ok(Next::Entry(entry)) => entry,
                Ok(Next::Missed { first, last, why }) => {
                    report_missed(&host.plan.name, first, last, why);
                    host.position = last;
                    continue;
                }
                Ok(Next::Empty) => {
                    // Positions may have been left out, as after a crash.
                    let passed = host.reader.position();
                    is_moving |= passed > host.position;
                    host.position = host.position.max(passed);
                    break;
                }
                Err(error) => {
                    tracing::error!(filter = &*host.plan.name, %error, "cannot read the journal");
                    break;
                }
            };
            is_moving = true;
            let matches = match &entry.body {
                Body::Batch(batch) => Some(self.routing.matches(batch)),
                Body::Tick | Body::Note(_) => None,
            };
            let matched = match (&matches, host.row) {
                (Some(matches), Some(row)) => matches.of(row),
                _ => &[],
            };
            if let Err(trouble) = host.entry(&entry, matched, &self.routing, &mut self.outbox) {
                recover(host, trouble, &self.journal, &self.keeper, &mut self.outbox);
                break;
            }
        }
        self.has_moved |= is_moving;
        is_moving
    }

    /// Takes the snapshots that are due and brings the numbers up to date.
    fn look(&mut self) {
        let end = self.pass.position();
        for host in &mut self.hosts {
            if host.pace == Pace::Level {
                host.position = host.position.max(end);
            }
            let Some(cpu) = host.count(self.journal.end()) else { continue };
            if is_due(host, cpu) {
                self.outbox.append();
                keep(host, &self.keeper, &self.outbox);
            }
        }
        self.has_moved = true;
    }

    /// Tells how far the filters are; all that they have injected is appended.
    fn report_progress(&mut self) {
        self.has_moved = false;
        let end = self.pass.position();
        let (mut reached, mut paused) = (end, end);
        for host in &mut self.hosts {
            match host.pace {
                Pace::Level => host.position = host.position.max(end),
                Pace::Behind => reached = reached.min(host.position),
                Pace::Paused(_) => paused = paused.min(host.position),
                Pace::Ended => {}
            }
            // What is done needs no journal in memory any more; on disk the snapshot counts.
            host.reader.commit(host.position);
        }
        self.progress.reached.store(reached.0, Ordering::Release);
        self.progress.with_paused.store(reached.min(paused).0, Ordering::Release);
    }

    fn sleep(&self) {
        let now = Instant::now();
        let mut until = now + LONGEST_SLEEP;
        for host in &self.hosts {
            if let Pace::Paused(resume) = host.pace {
                until = until.min(resume);
            }
        }
        std::thread::park_timeout(until.saturating_duration_since(now));
    }

    /// Runs the last timers and keeps all states; names the filters that are not done with all
    /// there is.
    fn shut_down(&mut self, deadline: Instant) -> Vec<Arc<str>> {
        while Instant::now() < deadline && (self.pass_on() | self.catch_up()) {
            self.outbox.append_if_due();
        }
        if let Some(entry) = self.last.clone() {
            // The others are not where the entry is, and what they inject would seem to be of there.
            for host in self.hosts.iter_mut().filter(|host| host.pace == Pace::Level) {
                if let Err(trouble) = host.shut_down(&entry, &self.routing, &mut self.outbox) {
                    recover(host, trouble, &self.journal, &self.keeper, &mut self.outbox);
                }
            }
        }
        self.outbox.append();
        let is_behind = |host: &&Host| matches!(host.pace, Pace::Behind | Pace::Paused(_));
        let behind = self.hosts.iter().filter(is_behind).map(|host| host.plan.name.clone());
        let behind = behind.collect();
        let end = self.pass.position();
        for host in &mut self.hosts {
            if host.pace == Pace::Level {
                host.position = host.position.max(end);
            }
            keep(host, &self.keeper, &self.outbox);
        }
        self.keeper.settle(SETTLE);
        behind
    }
}

/// Does what the trouble of a filter asks for. One that merely failed too often goes on, when it
/// starts again, from where it is now: it would fail the same way otherwise.
fn recover(
    host: &mut Host,
    trouble: Trouble,
    journal: &Journal,
    keeper: &Keeper,
    outbox: &mut Outbox,
) {
    if matches!(trouble, Trouble::TooManyFailures) {
        outbox.append();
        keep(host, keeper, outbox);
    }
    recovery::recover(host, trouble, journal, outbox);
}

/// Tells whether a snapshot of a filter should be taken now.
fn is_due(host: &Host, cpu: u64) -> bool {
    let keeping = &host.keeping;
    if host.position <= keeping.position {
        return false;
    }
    let age = keeping.at.elapsed();
    let replay = Duration::from_nanos(cpu.saturating_sub(keeping.cpu));
    let is_wanted = replay > MAX_REPLAY || age > MAX_AGE;
    is_wanted && age > keeping.cost * MAX_SHARE
}

/// Takes a snapshot and hands it over to be stored.
fn keep(host: &mut Host, keeper: &Keeper, outbox: &Outbox) {
    let Some(filtering) = &mut host.filtering else { return };
    if host.plan.reader.keeps != Keeps::Snapshot || outbox.is_broken() {
        return;
    }
    let begun = Instant::now();
    let own = match filtering.snapshot() {
        Ok(own) => own.unwrap_or_default(),
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(filter = &*host.plan.name, error, "cannot take a snapshot");
            return;
        }
    };
    let whole = state::write(host.next_due, &own);
    let hash = hash_of(&whole);
    let is_changed = host.keeping.hash != Some(hash);
    host.plan.counters.state.set(whole.len() as f64);
    let snapshot = Snapshot {
        reader: host.plan.name.to_string(),
        position: host.position,
        state: is_changed.then_some(whole),
    };
    keeper.keep(snapshot, outbox.appended());
    host.keeping = super::host::Keeping {
        at: Instant::now(),
        position: host.position,
        cpu: filtering.usage().cpu,
        cost: begun.elapsed(),
        hash: Some(hash),
    };
}

fn hash_of(bytes: &[u8]) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::with_seed(0).hash_one(bytes)
}

fn report_missed(reader: &str, first: Position, last: Position, why: Missing) {
    tracing::error!(reader, first = first.0, last = last.0, ?why, "entries were missed");
}
