//! The loop of an analysis thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;

use super::Command;
use super::FilterPlan;
use super::Progress;
use super::Told;
use super::comparison::Side;
use super::host::Host;
use super::host::Pace;
use super::keeper::Keeper;
use super::keeping;
use super::life::Life;
use super::outbox::Outbox;
use super::recovery;
use crate::journal::Entry;
use crate::journal::Journal;
use crate::journal::Keeps;
use crate::journal::Reader;
use crate::journal::ReaderOptions;
use crate::journal::Reads;
use crate::journal::Start;
use crate::pipeline::routing::Routing;
use crate::stdx::sync::Instant;
use crate::stdx::sync::channel::Receiver;
use crate::stdx::sync::thread;

/// The longest sleep, for what nobody wakes the thread for.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);
/// How long a clean stop waits for its snapshots.
const SETTLE: Duration = Duration::from_secs(10);
/// See the module.
pub(super) struct Thread {
    pub(super) journal: Journal,
    commands: Receiver<Command>,
    pub(super) routing: Arc<Routing>,
    pub(super) keeper: Arc<Keeper>,
    progress: Arc<Progress>,
    life: Arc<Life>,
    pub(super) hosts: Vec<Host>,
    pub(super) pass: Reader,
    pub(super) outbox: Outbox,
    pub(super) since_look: usize,
    /// Filters have moved since their progress was last told.
    pub(super) has_moved: bool,
    pub(super) last: Option<Arc<Entry>>,
}

impl Thread {
    pub(super) fn new(
        journal: Journal,
        commands: Receiver<Command>,
        routing: Arc<Routing>,
        keeper: Arc<Keeper>,
        (progress, life): (Arc<Progress>, Arc<Life>),
    ) -> anyhow::Result<Thread> {
        let options = ReaderOptions {
            start: Start::End,
            keeps: Keeps::Nothing,
            reads: Reads::Appended,
            full_action: None,
            max_bytes: None,
        };
        let pass = journal.reader("", options)?;
        let outbox = Outbox::new(journal.clone(), progress.is_abandoned.clone(), life.clone());
        Ok(Thread {
            journal,
            commands,
            routing,
            keeper,
            progress,
            life,
            hosts: Vec::new(),
            pass,
            outbox,
            since_look: 0,
            has_moved: true,
            last: None,
        })
    }

    pub(super) fn run(mut self) -> anyhow::Result<()> {
        self.life.begin();
        loop {
            if self.life.is_cut_off() {
                tracing::warn!("an analysis thread that was given up has come to an end");
                return Ok(());
            }
            while let Ok(command) = self.commands.try_recv() {
                if let Command::ShutDown(deadline, done) = command {
                    let _ = done.send(self.shut_down(deadline));
                    return Ok(());
                }
                self.obey(command);
            }
            let is_moving = self.pass_on() | self.catch_up() | self.bring_on_successors();
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
                if reply.begin() {
                    reply.send(self.add(*plan));
                }
            }
            Command::Swap(plan, routing, reply) => {
                // That may wait for room for longer than is waited for this.
                self.outbox.append();
                if !reply.begin() {
                    return;
                }
                let host = self.hosts.iter_mut().find(|host| host.plan.name == plan.name);
                let swapped = match host {
                    Some(host) => {
                        keeping::keep(host, &self.keeper, &self.outbox);
                        if host.pace == Pace::Level {
                            host.position = host.position.max(self.pass.position());
                        }
                        recovery::swap(host, *plan, &self.journal)
                    }
                    None => self.add(*plan).map(|()| self.pass.position()),
                };
                if swapped.is_ok() {
                    self.route(routing);
                }
                reply.send(swapped);
            }
            Command::Place(name, wanted, reply) => {
                let _ = reply.send(self.place(&name, wanted));
            }
            Command::Compare(name, comparison, reply) => {
                let _ = reply.send(self.compare(&name, comparison));
            }
            Command::Succeed(successor) => self.succeed(*successor),
            Command::Tell(reply) => {
                let _ = reply.send(self.tell());
            }
            Command::Remove(name, reply) => {
                self.remove(&name);
                let _ = reply.send(());
            }
            Command::Route(routing) => self.route(routing),
            Command::ShutDown(..) => {}
        }
    }

    fn tell(&self) -> Vec<Told> {
        let end = self.pass.position();
        let told = self.hosts.iter().map(|host| Told {
            name: host.plan.name.clone(),
            state: match host.pace {
                Pace::Level => "running",
                Pace::Behind => "catching up",
                Pace::Paused(_) | Pace::Ended => "stopped",
            },
            position: if host.pace == Pace::Level { end } else { host.position },
        });
        told.collect()
    }

    pub(super) fn route(&mut self, routing: Arc<Routing>) {
        if Arc::ptr_eq(&routing, &self.routing) {
            return;
        }
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
        let mut host = Host::new(plan, reader, &self.routing, self.life.clone());
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
        let kin = self.hosts.iter().rposition(|other| self.is_kin(other, &host));
        self.hosts.insert(kin.map_or(self.hosts.len(), |kin| kin + 1), host);
        Ok(())
    }

    /// Tells whether two filters have the same matcher. One of them runs after the other, while the
    /// messages are in the processor's cache.
    fn is_kin(&self, one: &Host, other: &Host) -> bool {
        let matcher = |host: &Host| host.row.map(|row| self.routing.matcher(row));
        matcher(one) == matcher(other)
    }

    fn remove(&mut self, name: &str) {
        self.outbox.append();
        let Some(index) = self.hosts.iter().position(|host| &*host.plan.name == name) else {
            return;
        };
        let mut host = self.hosts.remove(index);
        keeping::keep(&mut host, &self.keeper, &self.outbox);
        recovery::note(&host, &self.journal, "stop", &serde_json::Value::Null);
        drop(host);
        self.keeper.settle(SETTLE);
        self.journal.retire(name);
    }

    /// Takes the snapshots that are due and brings the numbers up to date.
    pub(super) fn look(&mut self) {
        let end = self.pass.position();
        for host in &mut self.hosts {
            if host.pace == Pace::Level {
                host.position = host.position.max(end);
            }
            host.count(self.journal.end());
            if keeping::is_due(host) {
                self.outbox.append();
                keeping::keep(host, &self.keeper, &self.outbox);
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
            if let Some(compared) = &host.compared {
                compared.comparison.reached(Side::Live, host.position.0, host.time);
            }
        }
        let life = self.life.clone();
        // What is done needs no journal in memory any more; on disk the snapshot counts.
        life.unless_cut_off(|| {
            self.hosts.iter_mut().for_each(|host| host.reader.commit(host.position));
        });
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
        thread::park_timeout(until.saturating_duration_since(now));
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
                    keeping::recover(host, trouble, &self.journal, &self.keeper, &mut self.outbox);
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
            keeping::keep(host, &self.keeper, &self.outbox);
        }
        self.keeper.settle(SETTLE);
        behind
    }
}
