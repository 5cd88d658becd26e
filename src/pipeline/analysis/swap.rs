//! Puts a new version of a filter in the place of the one that runs.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use super::AnalysisThreads;
use super::Command;
use super::FilterPlan;
use super::aside::Aside;
use super::aside::Base;
use super::aside::Gone;
use super::state;
use super::takeover::Successor;
use super::takeover::Wanted;
use crate::journal::Keeps;
use crate::journal::Position;
use crate::journal::Snapshot;
use crate::pipeline::routing::Routing;
use crate::stdx::sync::channel;
use crate::stdx::sync::thread;

/// How long it may take to make a new version ready.
const PREPARATION: Duration = Duration::from_secs(90);
/// How long a takeover may take once the new version is ready.
const TAKEOVER: Duration = Duration::from_secs(30);

/// A version that has taken over.
pub(in crate::pipeline) struct Swapped {
    /// Where: what came before was done by another version.
    pub(in crate::pipeline) since: Position,
    /// Its state from shortly before, to be kept when it is written down which version runs.
    snapshot: Option<Snapshot>,
}

impl AnalysisThreads {
    /// Puts a new version in the place of a filter; `own` has its matcher alone.
    ///
    /// It is made ready aside. Where that cannot be, because the filter is stopped or the journal
    /// does not have what came since its last snapshot, it is filled where it runs.
    ///
    /// # Errors
    /// When it does not start or fails while it catches up; the old one goes on.
    pub(in crate::pipeline) fn swap(
        &mut self,
        plan: FilterPlan,
        own: &Arc<Routing>,
        routing: &Arc<Routing>,
    ) -> anyhow::Result<Swapped> {
        let nothing_kept = |since| Swapped { since, snapshot: None };
        let Some(home) = self.home(&plan.name) else {
            self.add(plan, routing)?;
            return Ok(nothing_kept(Position::default()));
        };
        let Some(base) = self.base(home, &plan)? else {
            return Ok(nothing_kept(self.swap_there(home, plan, routing)?));
        };
        let (aside, snapshot) = match self.prepare(home, plan.clone(), own, base) {
            Ok(prepared) => prepared,
            Err(error) if error.is::<Gone>() => {
                return Ok(nothing_kept(self.swap_there(home, plan, routing)?));
            }
            Err(error) => return Err(error),
        };
        self.hand_over(home, aside, routing, snapshot)
    }

    /// The thread that has a filter.
    pub(super) fn home(&self, name: &str) -> Option<usize> {
        self.residents.get(name).map(|resident| resident.home)
    }

    /// Fills a new version where it runs.
    fn swap_there(
        &mut self,
        home: usize,
        plan: FilterPlan,
        routing: &Arc<Routing>,
    ) -> anyhow::Result<Position> {
        let sent = Box::new(plan.clone());
        let line = &self.threads[home].line;
        let since = line.change(|reply| Command::Swap(sent, routing.clone(), reply))??;
        self.runs_as(plan);
        Ok(since)
    }

    fn runs_as(&mut self, plan: FilterPlan) {
        if let Some(resident) = self.residents.get_mut(&plan.name) {
            resident.plan = plan;
        }
    }

    /// What a new version starts from; none where it is to be filled where it runs.
    pub(super) fn base(&self, home: usize, plan: &FilterPlan) -> anyhow::Result<Option<Base>> {
        let name = &plan.name;
        let is_kept = plan.reader.keeps == Keeps::Snapshot && plan.plugin.keeps_state();
        let stored = if is_kept { self.journal.snapshot(name)? } else { None };
        let wanted = if is_kept { Wanted::SmallState } else { Wanted::State };
        let place = self.ask(home, |reply| Command::Place(name.clone(), wanted, reply))?;
        let Ok(place) = place else { return Ok(None) };
        // Before its first snapshot it starts where the old one began, as after a crash.
        let beginning = is_kept.then(|| (place.began, state::write(0, &[])));
        Ok(place.base.or(stored).or(beginning))
    }

    /// Makes a version ready on a thread of its own.
    pub(super) fn prepare(
        &self,
        home: usize,
        plan: FilterPlan,
        own: &Arc<Routing>,
        base: Base,
    ) -> anyhow::Result<(Box<Aside>, Option<Snapshot>)> {
        let name = plan.name.clone();
        let (own, journal, line) =
            (own.clone(), self.journal.clone(), self.threads[home].line.clone());
        let place = move || {
            let wanted = Wanted::Position;
            let place = line.ask(|reply| Command::Place(name.clone(), wanted, reply))?;
            place.map(|place| place.position)
        };
        let prepare = move || {
            let mut aside = Aside::start(plan, own, &journal, base)?;
            aside.follow(&place)?;
            let snapshot = aside.snapshot()?;
            aside.follow(&place)?;
            Ok((Box::new(aside), snapshot))
        };
        let (tx, rx) = channel::bounded(1);
        let builder = thread::Builder::new().name("swap".into()).stack_size(8 << 20);
        // One that is stuck has its thread for itself, and nobody waits for it.
        builder.spawn(move || {
            let _ = tx.send(prepare());
        })?;
        rx.recv_timeout(PREPARATION).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(anyhow::anyhow!("the new version does not get ready")),
            RecvTimeoutError::Disconnected => Err(anyhow::anyhow!("the new version panicked")),
        })
    }

    /// Has a version that is ready take over.
    pub(super) fn hand_over(
        &mut self,
        home: usize,
        aside: Box<Aside>,
        routing: &Arc<Routing>,
        snapshot: Option<Snapshot>,
    ) -> anyhow::Result<Swapped> {
        let plan = aside.host.plan.clone();
        let name = plan.name.clone();
        let taken = self.threads[home].line.change_within(TAKEOVER, |reply| {
            Command::Succeed(Box::new(Successor { aside, routing: routing.clone(), reply }))
        })??;
        self.runs_as(plan);
        let pause_us = u64::try_from(taken.pause.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(filter = &*name, position = taken.position.0, pause_us, "has taken over");
        let snapshot = snapshot.filter(|snapshot| snapshot.position >= taken.kept);
        Ok(Swapped { since: taken.position, snapshot })
    }

    /// Keeps the state that a version has taken over with.
    pub(in crate::pipeline) fn keep(&self, swapped: Swapped) {
        if let Some(snapshot) = swapped.snapshot {
            let durable = snapshot.position;
            self.keeper.keep(snapshot, durable);
        }
    }
}
