//! A new version of a filter, made ready on a thread of its own.
//!
//! It is compiled, filled from a snapshot, and goes over what came since, mute, up to where the one
//! that runs is. So the pause when it takes over does not grow with the state: what is left to do
//! then is the few entries that came meanwhile.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::FilterPlan;
use super::host::Host;
use super::host::Trouble;
use super::life::Life;
use super::outbox::Mark;
use super::outbox::Outbox;
use super::outbox::WHOLE_ENTRY;
use super::recovery;
use super::state;
use crate::journal::Body;
use crate::journal::Entry;
use crate::journal::Journal;
use crate::journal::Keeps;
use crate::journal::Next;
use crate::journal::Position;
use crate::journal::ReaderOptions;
use crate::journal::Reads;
use crate::journal::Snapshot;
use crate::journal::Start;
use crate::pipeline::routing::Routing;
use crate::stdx::sync::Instant;

/// So many entries may be left when it is handed over.
const NEAR: u64 = 32;
/// The longest that catching up may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a new version starts from: the last entry that has made the state what it is, and the state
/// with the timers that are due.
pub(super) type Base = (Position, Vec<u8>);

/// What came since the base is not in the journal any more.
#[derive(Debug, thiserror::Error)]
#[error("entries {first} to {last} are not there any more")]
pub(super) struct Gone {
    first: u64,
    last: u64,
}

/// A reader of entries for one filter alone, that counts for nobody.
pub(super) struct Aside {
    pub(super) host: Host,
    pub(super) routing: Arc<Routing>,
    /// What never is appended.
    outbox: Outbox,
    is_at_end: bool,
}

impl Aside {
    /// Starts `plan` from `base`; `routing` has its matcher alone.
    pub(super) fn start(
        plan: FilterPlan,
        routing: Arc<Routing>,
        journal: &Journal,
        base: Base,
    ) -> anyhow::Result<Aside> {
        let options = ReaderOptions {
            start: Start::End,
            keeps: Keeps::Nothing,
            reads: Reads::Appended,
            full_action: None,
            max_bytes: None,
        };
        let reader = journal.reader("", options)?;
        let life = Arc::<Life>::default();
        let mut host = Host::new(plan, reader, &routing, life.clone());
        let mut filtering = recovery::start_fresh(&host)?;
        let (position, kept) = base;
        recovery::restore(&mut host, filtering.as_mut(), &kept)
            .context("the new version cannot take over the state")?;
        filtering.widen(recovery::WIDER);
        host.filtering = Some(filtering);
        host.passed_over = recovery::passed_over(journal, &host.plan.name);
        host.muted_until = Mark { entry: u64::MAX, message: WHOLE_ENTRY };
        host.reader.seek(position);
        host.position = position;
        let outbox = Outbox::new(journal.clone(), Arc::default(), life);
        Ok(Aside { host, routing, outbox, is_at_end: false })
    }

    /// Goes on until `end`; tells whether it got there before `until`.
    ///
    /// # Errors
    /// When the version fails in a way that would have ended it, or entries are missing.
    pub(super) fn run(&mut self, end: Position, until: Instant) -> anyhow::Result<bool> {
        self.host.begin();
        let done = self.run_on(end, until);
        self.host.end();
        done
    }

    /// Tells whether it last stopped because there was nothing more to read.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    fn run_on(&mut self, end: Position, until: Instant) -> anyhow::Result<bool> {
        self.is_at_end = false;
        while self.host.position < end {
            if Instant::now() >= until {
                return Ok(false);
            }
            match self.host.reader.next()? {
                Next::Entry(entry) => self.over(&entry)?,
                Next::Missed { first, last, .. } => {
                    return Err(Gone { first: first.0, last: last.0 }.into());
                }
                Next::Empty => {
                    // Positions may have been left out, as after a crash.
                    let passed = self.host.reader.position();
                    if passed <= self.host.position {
                        self.is_at_end = true;
                        return Ok(false);
                    }
                    self.host.position = passed;
                }
            }
        }
        Ok(true)
    }

    /// Goes over one entry.
    fn over(&mut self, entry: &Arc<Entry>) -> anyhow::Result<()> {
        let matches = match &entry.body {
            Body::Batch(batch) => Some(self.routing.matches_aside(batch)),
            _ => None,
        };
        let matched = match (&matches, self.host.row) {
            (Some(matches), Some(row)) => matches.of(row),
            _ => &[],
        };
        let done = self.host.entry(entry, matched, &self.routing, &mut self.outbox);
        done.map_err(|trouble| {
            let number = entry.position.0;
            match trouble {
                Trouble::Limit { reason, .. } => {
                    anyhow::anyhow!("it reached a limit at entry {number}: {reason}")
                }
                Trouble::Ended { reason } => {
                    anyhow::anyhow!("it ended itself at entry {number}: {reason}")
                }
                Trouble::TooManyFailures => {
                    anyhow::anyhow!("it set aside more than max_failures messages in a minute")
                }
            }
        })
    }

    /// Follows the filter that runs, whose place `place` tells, until it is near.
    pub(super) fn follow(
        &mut self,
        place: &dyn Fn() -> anyhow::Result<Position>,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let end = place()?;
            let was_near = end.0.saturating_sub(self.host.position.0) <= NEAR;
            self.run(end, until)?;
            if was_near {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < until, "it does not catch up within a minute");
        }
    }

    /// Its state, as it is to be kept when it has taken over.
    pub(super) fn snapshot(&mut self) -> anyhow::Result<Option<Snapshot>> {
        let host = &mut self.host;
        let is_kept = host.plan.reader.keeps == Keeps::Snapshot;
        let Some(filtering) = host.filtering.as_mut().filter(|_| is_kept) else { return Ok(None) };
        let own = filtering.snapshot()?.unwrap_or_default();
        Ok(Some(Snapshot {
            reader: host.plan.name.to_string(),
            position: host.position,
            state: Some(state::write(host.next_due, &own)),
        }))
    }
}
