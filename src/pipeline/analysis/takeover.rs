//! A new version takes over from the one that runs, between two batches.
//!
//! What was made ready aside comes to the thread of the filter as its successor. It goes over what
//! is left, mute and in slices, and takes over at the position where the old one is: what came
//! before was the old one's to inject, what comes behind is the new one's.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::aside::Aside;
use super::aside::Base;
use super::comparison::Comparison;
use super::comparison::Side;
use super::host::Compared;
use super::host::Host;
use super::host::Keeping;
use super::host::Pace;
use super::outbox::Mark;
use super::outbox::WHOLE_ENTRY;
use super::recovery;
use super::reply::Reply;
use super::state;
use super::thread::Thread;
use crate::journal::Position;
use crate::pipeline::routing::Routing;
use crate::plugin::Filtering;
use crate::stdx::sync::Instant;

/// How long a successor goes on before the others have their turn.
const SLICE: Duration = Duration::from_millis(5);
/// A filter that holds no more is written down where it runs: that is shorter than any pause.
const SMALL: u64 = 512 << 10;

/// A version that is to take over.
pub(super) struct Successor {
    pub(super) aside: Box<Aside>,
    pub(super) routing: Arc<Routing>,
    pub(super) reply: Reply<anyhow::Result<TakenOver>>,
}

/// How a takeover went.
pub(super) struct TakenOver {
    /// Where: the old version has done all up to here.
    pub(super) position: Position,
    /// How long the filter has stood still for it in all.
    pub(super) pause: Duration,
    /// The last snapshot that was taken of the old version.
    pub(super) kept: Position,
    /// The old version, to be dropped where that holds nobody up.
    pub(super) _old: Option<Box<dyn Filtering>>,
}

/// What is to be told of where a filter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The position alone.
    Position,
    /// The state there too, if it is small.
    SmallState,
    /// The state there too.
    State,
}

/// Where a filter is.
pub(super) struct Place {
    pub(super) position: Position,
    /// Its state there, where it was asked for or is small.
    pub(super) base: Option<Base>,
    /// Where it began without any state, in this run of the engine.
    pub(super) began: Position,
}

impl Thread {
    /// Where a filter is, and its state if that is wanted.
    pub(super) fn place(&mut self, name: &str, wanted: Wanted) -> anyhow::Result<Place> {
        let begun = Instant::now();
        let end = self.pass.position();
        let host = self.hosts.iter_mut().find(|host| &*host.plan.name == name);
        let host = host.with_context(|| format!("there is no filter {name}"))?;
        if host.pace == Pace::Level {
            host.position = host.position.max(end);
        }
        let (position, began) = (host.position, host.base);
        let filtering = host.filtering.as_mut().context("it is stopped")?;
        let is_state_told = match wanted {
            Wanted::Position => false,
            Wanted::SmallState => filtering.usage().memory <= SMALL,
            Wanted::State => true,
        };
        if !is_state_told {
            return Ok(Place { position, base: None, began });
        }
        let inside = host.life.enter(host.mark);
        let own = if host.plan.plugin.keeps_state() { filtering.snapshot()? } else { None };
        drop(inside);
        let whole = state::write(host.next_due, &own.unwrap_or_default());
        host.stalled = begun.elapsed();
        Ok(Place { position, base: Some((position, whole)), began })
    }

    /// Has a filter take down what it injects from now on; tells where that is.
    pub(super) fn compare(
        &mut self,
        name: &str,
        comparison: Option<Arc<Comparison>>,
    ) -> anyhow::Result<Position> {
        let mut from = self.place(name, Wanted::Position)?.position;
        let host = self.hosts.iter_mut().find(|host| &*host.plan.name == name);
        if let Some(host) = host {
            // What it does mute it has injected before.
            from = from.max(Position(host.muted_until.entry));
            let compared = |comparison| Compared { comparison, side: Side::Live, from };
            host.compared = comparison.map(compared);
        }
        Ok(from)
    }

    /// Takes a successor in; the answer comes when it has taken over, or cannot.
    pub(super) fn succeed(&mut self, mut successor: Successor) {
        let name = successor.aside.host.plan.name.clone();
        match self.hosts.iter_mut().find(|host| host.plan.name == name) {
            Some(host) => {
                if let Some(filtering) = &mut successor.aside.host.filtering {
                    filtering.arrive();
                }
                host.successor = Some(successor);
            }
            None => {
                successor.reply.send(Err(anyhow::anyhow!("there is no filter {name}")));
            }
        }
        self.bring_on_successors();
    }

    /// Lets successors go on for a slice; tells whether there is one that is not level yet.
    pub(super) fn bring_on_successors(&mut self) -> bool {
        let mut is_moving = false;
        for index in 0..self.hosts.len() {
            let Some(mut successor) = self.hosts[index].successor.take() else { continue };
            is_moving = true;
            let host = &self.hosts[index];
            if host.filtering.is_none() {
                successor.reply.send(Err(anyhow::anyhow!("it has stopped meanwhile")));
                continue;
            }
            let at = match host.pace {
                Pace::Level => host.position.max(self.pass.position()),
                _ => host.position,
            };
            let begun = Instant::now();
            let ran = successor.aside.run(at, begun + SLICE);
            self.hosts[index].stalled += begun.elapsed();
            match ran {
                Ok(true) if successor.aside.host.position == at => {
                    self.succeed_now(index, at, successor);
                }
                // It is behind still, or the old one was set back and has to come after.
                Ok(_) => self.hosts[index].successor = Some(successor),
                Err(error) => {
                    successor.reply.send(Err(error));
                }
            }
        }
        is_moving
    }

    fn succeed_now(&mut self, index: usize, at: Position, successor: Successor) {
        let begun = Instant::now();
        let Successor { aside, routing, reply } = successor;
        // That may wait for room for longer than is waited for this.
        self.outbox.append();
        if !reply.begin() {
            // It took too long: who had it made goes on with the version that runs.
            return;
        }
        let Host { plan, filtering, next_due, .. } = aside.host;
        let host = &mut self.hosts[index];
        let is_timed_anew = plan.ticker_interval != host.plan.ticker_interval;
        host.plan = plan;
        host.next_due = if is_timed_anew { 0 } else { next_due };
        host.position = at;
        host.muted_until = host.muted_until.max(Mark { entry: at.0, message: WHOLE_ENTRY });
        host.backoff.reset();
        let kept = host.keeping.position;
        host.keeping = Keeping { position: kept, ..Keeping::new(at, host.cpu) };
        let old = std::mem::replace(&mut host.filtering, filtering);
        if let Some(filtering) = &mut host.filtering {
            filtering.widen(if host.pace == Pace::Level { 1 } else { recovery::WIDER });
        }
        let stalled = std::mem::take(&mut host.stalled);
        let counters = host.plan.counters.clone();
        self.route(routing);
        self.has_moved = true;
        let pause = stalled + begun.elapsed();
        counters.swap_pause.set(pause.as_secs_f64());
        reply.send(Ok(TakenOver { position: at, pause, kept, _old: old }));
        // Last, for it waits while the disk fails.
        recovery::note(&self.hosts[index], &self.journal, "change", &serde_json::Value::Null);
    }
}
