//! What is known of all agents of an input: who they are, when they were heard, who serves them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use hashbrown::HashMap;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::reports;
use super::reports::Report;
use crate::message::Source;
use crate::metrics::Counter;
use crate::metrics::Gauge;
use crate::metrics::Registry;
use crate::plugin::InputContext;

/// How many agents are known at most.
const MAX_AGENTS: usize = 65_536;
/// How many runs of an agent are known at most.
const MAX_RUNS: usize = 16;
/// How long a connection waits until the one before has let go of its agent.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the module.
pub(super) struct Agents {
    known: Mutex<HashMap<Source, Agent>>,
    pub(super) numbers: Numbers,
}

/// What is counted of the agents of an input.
pub(super) struct Numbers {
    connected: Arc<Gauge>,
    silent: Arc<Gauge>,
    /// Batches taken.
    pub(super) batches: Arc<Counter>,
    /// Batches that were known already.
    pub(super) repeats: Arc<Counter>,
    /// Gaps found.
    pub(super) gaps: Arc<Counter>,
    /// Entries that are missing.
    pub(super) missing: Arc<Counter>,
}

impl Numbers {
    fn new(registry: &Registry, plugin: &str) -> Numbers {
        let labels = [("plugin", plugin)];
        let counter = |name, help| registry.counter(name, help, &labels);
        Numbers {
            connected: registry.gauge("heka_agents_connected", "Agents that are served.", &labels),
            silent: registry.gauge("heka_agents_silent", "Agents that are not heard of.", &labels),
            batches: counter("heka_agent_batches_total", "Batches taken from agents."),
            repeats: counter("heka_agent_repeats_total", "Batches of agents that had come before."),
            gaps: counter("heka_agent_gaps_total", "Gaps in what came from agents."),
            missing: counter(
                "heka_agent_missing_entries_total",
                "Entries of agents' journals that did not come and will not.",
            ),
        }
    }
}

/// One agent, or rather one output of it.
struct Agent {
    heard: Instant,
    is_silent: bool,
    is_connected: bool,
    /// Held by the connection that serves it.
    seat: Arc<tokio::sync::Mutex<()>>,
    /// Asks that connection to let go.
    leaving: CancellationToken,
    /// Its runs, as far as they have come here, the last one at the end.
    runs: VecDeque<u64>,
}

/// The right to serve an agent.
pub(super) struct Seat {
    agents: Arc<Agents>,
    source: Source,
    /// Says when to let go.
    pub(super) leaving: CancellationToken,
    _guard: OwnedMutexGuard<()>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut known = self.agents.lock();
        if let Some(agent) = known.get_mut(&self.source) {
            agent.is_connected = false;
            agent.heard = Instant::now();
        }
        self.agents.count(&known);
    }
}

impl Agents {
    /// The agents that the journal knows.
    pub(super) fn known(cx: &InputContext) -> Agents {
        let sources =
            cx.last_positions().into_iter().filter(|(source, _)| reports::is_agent(source));
        let known = sources.take(MAX_AGENTS).map(|(source, _)| (source, Agent::new())).collect();
        Agents { known: Mutex::new(known), numbers: Numbers::new(&cx.engine.metrics, &cx.name) }
    }

    /// Notes the run of an agent that has come; tells whether that is of another machine, which has
    /// the same name and the same journal: it had come before, and a later one since.
    pub(super) fn note_run(&self, source: &Source, run: u64) -> bool {
        let mut known = self.lock();
        let Some(agent) = known.get_mut(source).filter(|_| run != 0) else { return false };
        if agent.runs.contains(&run) {
            return agent.runs.back() != Some(&run);
        }
        if agent.runs.len() == MAX_RUNS {
            agent.runs.pop_front();
        }
        agent.runs.push_back(run);
        false
    }

    /// Tells whether an agent is known.
    pub(super) fn knows(&self, source: &Source) -> bool {
        self.lock().contains_key(source)
    }

    /// Takes the agent over from whoever serves it: a connection that is half open may have been
    /// left behind.
    ///
    /// # Errors
    /// When there are too many agents, or the other connection does not let go.
    pub(super) async fn sit(self: &Arc<Agents>, source: &Source) -> anyhow::Result<Seat> {
        let leaving = CancellationToken::new();
        let seat = {
            let mut known = self.lock();
            if !known.contains_key(source) {
                // Its journal was made anew: what it was before will not be heard of again.
                known.retain(|old, agent| agent.is_served() || !reports::is_renewed(old, source));
            }
            if known.len() >= MAX_AGENTS && !known.contains_key(source) {
                forget_one(&mut known);
            }
            let is_room = known.len() < MAX_AGENTS || known.contains_key(source);
            anyhow::ensure!(is_room, "there are {MAX_AGENTS} agents already");
            let agent = known.entry(source.clone()).or_insert_with(Agent::new);
            std::mem::replace(&mut agent.leaving, leaving.clone()).cancel();
            agent.seat.clone()
        };
        let guard = tokio::time::timeout(PATIENCE, seat.lock_owned()).await;
        let guard = guard.context("another connection of this agent does not end")?;
        let mut known = self.lock();
        if let Some(agent) = known.get_mut(source) {
            agent.is_connected = true;
        }
        self.count(&known);
        drop(known);
        Ok(Seat { agents: self.clone(), source: source.clone(), leaving, _guard: guard })
    }

    /// Notes that an agent was heard of; tells whether it was silent before.
    pub(super) fn hear(&self, source: &Source) -> bool {
        let mut known = self.lock();
        let Some(agent) = known.get_mut(source) else { return false };
        agent.heard = Instant::now();
        let was_silent = std::mem::take(&mut agent.is_silent);
        if was_silent {
            self.count(&known);
        }
        was_silent
    }

    /// Reports agents that are silent for too long, until the input stops.
    ///
    /// # Errors
    /// When a report cannot be appended.
    pub(super) async fn watch(
        self: Arc<Agents>,
        silent_after: Duration,
        cx: InputContext,
    ) -> anyhow::Result<()> {
        if silent_after.is_zero() {
            std::future::pending::<()>().await;
        }
        let look = (silent_after / 4).clamp(Duration::from_millis(50), Duration::from_secs(15));
        loop {
            tokio::time::sleep(look).await;
            for source in self.fall_silent(silent_after) {
                tracing::warn!(input = &*cx.name, agent = &*source, "an agent is silent");
                reports::inject(&cx, &source, Report::Silent { after: silent_after }).await?;
            }
        }
    }

    fn fall_silent(&self, silent_after: Duration) -> Vec<Source> {
        let mut known = self.lock();
        let mut silent = Vec::new();
        for (source, agent) in known.iter_mut() {
            if !agent.is_silent && agent.heard.elapsed() >= silent_after {
                agent.is_silent = true;
                silent.push(source.clone());
            }
        }
        self.count(&known);
        silent
    }

    fn count(&self, known: &HashMap<Source, Agent>) {
        let number =
            |is: fn(&Agent) -> bool| known.values().filter(|agent| is(agent)).count() as f64;
        self.numbers.connected.set(number(|agent| agent.is_connected));
        self.numbers.silent.set(number(|agent| agent.is_silent));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Source, Agent>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room: forgets who was not heard of for longest and is not served.
fn forget_one(known: &mut HashMap<Source, Agent>) {
    let gone = known.iter().filter(|(_, agent)| !agent.is_served());
    let oldest = gone.min_by_key(|(_, agent)| agent.heard).map(|(source, _)| source.clone());
    if let Some(source) = oldest {
        known.remove(&source);
    }
}

impl Agent {
    /// Whether a connection has its seat, or waits for it.
    fn is_served(&self) -> bool {
        Arc::strong_count(&self.seat) > 1
    }

    fn new() -> Agent {
        Agent {
            heard: Instant::now(),
            is_silent: false,
            is_connected: false,
            seat: Arc::default(),
            leaving: CancellationToken::new(),
            runs: VecDeque::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::testing::Desk;

    fn source(cx: &InputContext, name: &str, journal: u16) -> Source {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&journal.to_be_bytes());
        reports::source(cx, name, "send", id)
    }

    #[tokio::test]
    async fn an_agent_whose_journal_was_made_anew_is_not_missed() {
        let cx = Desk::new("take").context();
        let agents = Arc::new(Agents::known(&cx));
        let (old, other) = (source(&cx, "shop-1", 1), source(&cx, "shop-2", 1));
        let kept = agents.sit(&other).await.unwrap();
        drop(agents.sit(&old).await.unwrap());
        let new = source(&cx, "shop-1", 2);
        let seat = agents.sit(&new).await.unwrap();
        let mut known: Vec<Source> = agents.lock().keys().cloned().collect();
        known.sort();
        assert_eq!(known, [new, other]);
        // One that is served is another of the same name.
        let third = agents.sit(&source(&cx, "shop-1", 3)).await.unwrap();
        assert_eq!(agents.lock().len(), 3);
        drop((kept, seat, third));
    }

    #[tokio::test]
    async fn a_run_that_comes_again_after_another_is_a_second_machine() {
        let cx = Desk::new("take").context();
        let agents = Arc::new(Agents::known(&cx));
        let agent = source(&cx, "shop-1", 1);
        let check = |run, expected| {
            assert_eq!(agents.note_run(&agent, run), expected, "{run}");
        };
        // Nobody has come yet.
        check(1, false);
        check(1, false);
        let seat = agents.sit(&agent).await.unwrap();
        for (run, expected) in [(1, false), (1, false), (2, false), (1, true), (2, false)] {
            check(run, expected);
        }
        check(0, false);
        for run in 3..20 {
            check(run, false);
        }
        check(5, true);
        drop(seat);
    }

    #[tokio::test]
    async fn names_nobody_uses_make_room_for_others() {
        let cx = Desk::new("take").context();
        let agents = Arc::new(Agents::known(&cx));
        let first = source(&cx, "first", 1);
        drop(agents.sit(&first).await.unwrap());
        for number in 1..MAX_AGENTS {
            let named = Source::from(format!("take:agent/{number}/send/1").as_str());
            agents.lock().insert(named, Agent::new());
        }
        let seat = agents.sit(&source(&cx, "late", 1)).await.unwrap();
        assert_eq!(agents.lock().len(), MAX_AGENTS);
        assert!(!agents.lock().contains_key(&first));
        drop(seat);
    }
}
