//! A version that is tried beside the one that runs, on a thread of its own.
//!
//! It reads the same messages with a reader of its own, muted, and what it would have injected is
//! compared with what the other injects. It may be as slow as it is, loop or fail: that ends the
//! shadow and nothing else.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

use super::AnalysisThreads;
use super::Command;
use super::FilterPlan;
use super::aside::Aside;
use super::comparison::Comparison;
use super::comparison::Cost;
use super::comparison::Side;
use super::host::Compared;
use super::swap::Swapped;
use super::takeover::Wanted;
use crate::journal::Position;
use crate::pipeline::routing::Routing;
use crate::stdx::clock;
use crate::stdx::sync::Instant;

/// How long a shadow goes on before it looks whether it is to end.
const SLICE: Duration = Duration::from_millis(50);
/// How long it sleeps when there is nothing to read.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a shadow may take to end.
const ENDING: Duration = Duration::from_secs(10);

/// A version that is being tried.
pub(in crate::pipeline) struct Shadow {
    pub(in crate::pipeline) comparison: Arc<Comparison>,
    name: Arc<str>,
    is_ending: Arc<AtomicBool>,
    thread: JoinHandle<Option<Box<Aside>>>,
}

impl AnalysisThreads {
    /// Starts a version beside the one that runs; `own` has its matcher alone.
    ///
    /// # Errors
    /// When it does not start, or fails while it catches up.
    pub(in crate::pipeline) fn shadow(
        &self,
        plan: FilterPlan,
        own: &Arc<Routing>,
    ) -> anyhow::Result<Shadow> {
        let name = plan.name.clone();
        let home = self.home(&name).context("the filter does not run")?;
        let base = self.base(home, &plan)?.context("the filter is stopped")?;
        let (mut aside, _) = self.prepare(home, plan, own, base)?;
        let comparison = Arc::new(Comparison::default());
        let from = self.compare(home, &name, Some(comparison.clone()))?;
        // All that comes behind is compared.
        aside.host.compared =
            Some(Compared { comparison: comparison.clone(), side: Side::Shadow, from });
        let is_ending = Arc::new(AtomicBool::new(false));
        let (told, ending) = (comparison.clone(), is_ending.clone());
        let builder = std::thread::Builder::new().name("shadow".into()).stack_size(8 << 20);
        let thread = builder.spawn(move || run(aside, &told, &ending))?;
        Ok(Shadow { comparison, name, is_ending, thread })
    }

    /// Has a filter take down what it injects, or no more; tells from where on.
    fn compare(
        &self,
        home: usize,
        name: &Arc<str>,
        comparison: Option<Arc<Comparison>>,
    ) -> anyhow::Result<Position> {
        self.ask(home, |reply| Command::Compare(name.clone(), comparison, reply))?
    }

    /// Ends a shadow.
    pub(in crate::pipeline) fn discard(&self, shadow: Shadow) {
        if let Some(home) = self.home(&shadow.name) {
            let _ = self.compare(home, &shadow.name, None);
        }
        shadow.is_ending.store(true, Ordering::Release);
        shadow.thread.thread().unpark();
    }

    /// Has a shadow take over, with the state it has.
    ///
    /// # Errors
    /// When it has ended, or cannot take over; the running version goes on then.
    pub(in crate::pipeline) fn promote(
        &mut self,
        shadow: Shadow,
        routing: &Arc<Routing>,
    ) -> anyhow::Result<Swapped> {
        let name = shadow.name.clone();
        let home = self.home(&name).context("the filter does not run")?;
        self.compare(home, &name, None)?;
        shadow.is_ending.store(true, Ordering::Release);
        shadow.thread.thread().unpark();
        let until = Instant::now() + ENDING;
        while !shadow.thread.is_finished() {
            anyhow::ensure!(Instant::now() < until, "the shadow does not come to an end");
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let ended = shadow.thread.join().map_err(|_| anyhow::anyhow!("the shadow panicked"))?;
        let mut aside = ended.context("the shadow has ended by itself")?;
        aside.host.compared = None;
        let wanted = Wanted::Position;
        let place = self.ask(home, |reply| Command::Place(name.clone(), wanted, reply))??;
        // One that is behind catches up here, not where others wait for it.
        aside.host.filtering.as_mut().context("the shadow has ended")?.arrive();
        aside.run(place.position, Instant::now() + ENDING)?;
        let snapshot = aside.snapshot()?;
        self.hand_over(home, aside, routing, snapshot)
    }
}

/// Goes over the journal until it is to end or fails; gives itself back in the first case.
fn run(
    mut aside: Box<Aside>,
    comparison: &Comparison,
    is_ending: &AtomicBool,
) -> Option<Box<Aside>> {
    if let Some(filtering) = &mut aside.host.filtering {
        filtering.arrive();
        filtering.widen(1);
    }
    let before = clock::thread_cpu();
    while !is_ending.load(Ordering::Acquire) {
        let moved = aside.run(Position(u64::MAX), Instant::now() + SLICE);
        comparison.reached(Side::Shadow, aside.host.position.0, aside.host.time);
        let cpu = clock::thread_cpu().saturating_sub(before);
        comparison.cost(Cost {
            cpu_ns: u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX),
            memory_bytes: aside.host.filtering.as_mut().map_or(0, |it| it.usage().memory),
            failed: aside.host.set_aside,
            injected: 0,
        });
        match moved {
            Ok(_) if aside.is_at_end() => std::thread::park_timeout(PAUSE),
            Ok(_) => {}
            Err(error) => {
                comparison.end(format!("{error:#}"));
                return None;
            }
        }
    }
    Some(aside)
}
