//! What a filter does: batches and ticks.

use super::Sandbox;
use super::failure::Failure;
use super::failure::Processed;
use super::failure::Stop;
use super::failure::Trouble;
use super::raw::Entry;
use super::raw::Loans;
use super::raw::Raised;
use super::raw::Returned;
use super::raw::Round;
use super::raw::State;
use super::raw::With;
use super::spec::EntryTime;
use super::spec::Portion;
use crate::message::Batch;

/// Kibibytes of garbage the collector works off between two batches, at most.
const COLLECT_KIB: i32 = 8;

impl Sandbox {
    /// Calls `process_message` for the messages of `batch` that matched, as
    /// [`Sandbox::process_portions`].
    pub fn process(
        &mut self,
        batch: &Batch,
        matched: &[u16],
        now: EntryTime,
        out: &mut Batch,
        on_failure: &mut dyn FnMut(Failure),
    ) -> Processed {
        self.process_portions(&[Portion { now, batch, matched }], out, on_failure)
    }

    /// Calls `process_message` for the messages of one portion after the other, in order.
    ///
    /// What they inject is appended to `out`; a call that fails injects nothing, is handed to
    /// `on_failure`, and the next message follows. A limit or a status above zero ends the pass. So
    /// does the end of a portion in which something was injected or has failed.
    pub fn process_portions(
        &mut self,
        portions: &[Portion<'_>],
        out: &mut Batch,
        on_failure: &mut dyn FnMut(Failure),
    ) -> Processed {
        let max_inject = self.limits.max_process_inject;
        let _watched = self.watch_call();
        let mut processed = Processed::default();
        let loans = Loans { out: Some(out), ..Loans::default() };
        self.state.lend(loans, |state| {
            let mut round = Round::new(portions, max_inject);
            while let Some(ended) = state.call_each(&mut round) {
                let (message, kept) = (round.message(), round.kept());
                match settle(state, ended, Entry::ProcessMessage, message, kept) {
                    Ok(()) => {}
                    Err(Trouble::Failed(failure)) => {
                        round.disturb();
                        on_failure(failure);
                    }
                    Err(Trouble::Stopped(stop)) => {
                        processed.stop = Some(stop);
                        break;
                    }
                }
            }
            state.cx().usage.calls += round.calls() as u64;
            processed.begun = round.begun();
            processed.done = round.calls() - usize::from(processed.stop.is_some());
        });
        processed
    }

    /// Calls `timer_event(ns, is_shutdown)`; nothing happens when the script has none.
    ///
    /// # Errors
    /// When the call failed, with nothing injected, or exceeded a limit.
    pub fn timer(
        &mut self,
        ns: i64,
        now: EntryTime,
        is_shutdown: bool,
        out: &mut Batch,
    ) -> Result<(), Trouble> {
        if !self.has_timer {
            return Ok(());
        }
        let max_inject = self.limits.max_timer_inject;
        let _watched = self.watch_call();
        self.state.cx().now = now;
        let loans = Loans { out: Some(out), ..Loans::default() };
        let result = self.state.lend(loans, |state| {
            state.cx().begin_call(u32::MAX, 0, max_inject);
            call(state, Entry::TimerEvent, With::Time(ns, is_shutdown), None)
        });
        self.state.cx().usage.timer_calls += 1;
        self.state.step_collector(COLLECT_KIB);
        result
    }
}

/// Calls a function of the script and judges how it ended; takes back what a call that failed has
/// injected.
pub(super) fn call(
    state: &mut State,
    entry: Entry,
    with: With,
    index: Option<u16>,
) -> Result<(), Trouble> {
    let kept = state.cx().loan.out().map_or(0, |out| out.len());
    let ended = state.call(entry, with);
    settle(state, ended, entry, index, kept)
}

/// Judges how a call ended; takes back what it has injected, behind `kept`, when it failed.
fn settle(
    state: &mut State,
    ended: Result<Returned, Raised>,
    entry: Entry,
    index: Option<u16>,
    kept: usize,
) -> Result<(), Trouble> {
    let trouble = match ended {
        Ok(returned) => match judge(returned, entry, index) {
            Ok(()) => return Ok(()),
            Err(trouble) => trouble,
        },
        Err(raised) => of_error(state, raised, index),
    };
    state.cx().usage.failed += 1;
    let is_status = matches!(&trouble, Trouble::Failed(failure) if failure.status.is_some());
    let takes_back = !is_status && !matches!(trouble, Trouble::Stopped(Stop::Terminated { .. }));
    if takes_back && let Some(out) = state.cx().loan.out() {
        out.truncate(kept);
    }
    Err(trouble)
}

fn judge(returned: Returned, entry: Entry, index: Option<u16>) -> Result<(), Trouble> {
    let failure = |message: &str| {
        let message = message.to_owned();
        Err(Trouble::Failed(Failure { index, message, ..Failure::default() }))
    };
    match returned {
        Returned::NoFunction if entry == Entry::ProcessMessage => {
            failure("process_message() function was not found")
        }
        _ if entry == Entry::TimerEvent => Ok(()),
        Returned::Status(0.0, _) => Ok(()),
        Returned::Status(status, text) if status > 0.0 => {
            let reason = text.unwrap_or_default();
            Err(Trouble::Stopped(Stop::Terminated { index, reason }))
        }
        Returned::Status(status, text) => {
            #[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
            let status = Some(status as i64);
            let message = text.unwrap_or_default();
            Err(Trouble::Failed(Failure { index, status, message, traceback: String::new() }))
        }
        Returned::NoText => failure("process_message() must return a nil or string error message"),
        Returned::NoStatus | Returned::NoFunction => {
            failure("process_message() must return a numeric status code")
        }
    }
}

fn of_error(state: &mut State, raised: Raised, index: Option<u16>) -> Trouble {
    let traceback = state.cx().traceback().clone();
    let message = raised.text;
    match raised.limit {
        Some(which) => Trouble::Stopped(Stop::Limit { index, which, message, traceback }),
        None => Trouble::Failed(Failure { index, status: None, message, traceback }),
    }
}
