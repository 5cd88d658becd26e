//! What inputs and outputs do.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use super::Sandbox;
use super::failure::Trouble;
use super::feed::Checkpoint;
use super::feed::Feed;
use super::feed::Settled;
use super::process::call;
use super::raw::Entry;
use super::raw::Interrupt;
use super::raw::Loans;
use super::raw::With;
use super::watchdog::Counters;
use crate::message::Message;

/// What the script of an output made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent (0).
    Sent,
    /// It is not wanted (-2).
    Skipped,
    /// It is to come again (-3).
    Retry,
    /// It is gathered with others, to be sent together (-4).
    Gathered,
    /// It is under way (-5).
    UnderWay,
}

impl Sandbox {
    /// Calls `process_message(checkpoint)` of an input; what it injects goes to `feed`.
    ///
    /// # Errors
    /// When the call failed; what it had injected is handed over all the same.
    pub fn receive(
        &mut self,
        checkpoint: Option<&Checkpoint>,
        feed: &mut (dyn Feed + 'static),
    ) -> Result<(), Trouble> {
        let watch = self.watch.clone();
        let _watched = watch.watch(self.state.interrupt(), self.limits.cpu);
        let loans = Loans { feed: Some(feed), ..Loans::default() };
        let result = self.state.lend(loans, |state| {
            state.cx().begin_call(0, 0, u32::MAX);
            let kept = state.keep(checkpoint);
            let result = call(state, Entry::ProcessMessage, With::Kept(kept), None);
            state.drop_kept(kept);
            state.cx().hand_over();
            result
        });
        self.state.cx().usage.calls += 1;
        result
    }

    /// Calls `process_message(sequence, msg)` of an output.
    ///
    /// # Errors
    /// When the script could not send the message, or exceeded a limit.
    pub fn send(&mut self, message: &Message<'_>, sequence: u64) -> Result<Verdict, Trouble> {
        let watch = self.watch.clone();
        let _watched = watch.watch(self.state.interrupt(), self.limits.cpu);
        let loans = Loans { message: Some(message), ..Loans::default() };
        let result = self.state.lend(loans, |state| {
            state.cx().begin_call(0, 0, 0);
            call(state, Entry::ProcessMessage, With::Sequence(sequence), None)
        });
        let usage = &mut self.state.cx().usage;
        usage.calls += 1;
        let Err(Trouble::Failed(failure)) = &result else {
            return result.map(|()| Verdict::Sent);
        };
        let verdict = match failure.status {
            Some(-2) => Verdict::Skipped,
            Some(-3) => Verdict::Retry,
            Some(-4) => Verdict::Gathered,
            Some(-5) => Verdict::UnderWay,
            _ => return result.map(|()| Verdict::Sent),
        };
        usage.failed -= 1;
        Ok(verdict)
    }

    /// Calls `timer_event(ns, is_shutdown)` of an output; nothing happens when the script has none.
    ///
    /// # Errors
    /// When the call failed or exceeded a limit.
    pub fn tick(&mut self, ns: i64, is_shutdown: bool) -> Result<(), Trouble> {
        if !self.has_timer {
            return Ok(());
        }
        let watch = self.watch.clone();
        let _watched = watch.watch(self.state.interrupt(), self.limits.cpu);
        let result = self.state.lend(Loans::default(), |state| {
            state.cx().begin_call(u32::MAX, 0, 0);
            call(state, Entry::TimerEvent, With::Time(ns, is_shutdown), None)
        });
        self.state.cx().usage.timer_calls += 1;
        result
    }

    /// What the script of an output has said since it was last asked.
    pub fn settled(&mut self) -> Settled {
        std::mem::take(&mut self.state.cx().settled)
    }

    /// What ends a call of this script from another thread.
    #[must_use]
    pub fn ender(&self) -> Ender {
        Ender {
            counters: self.watch.counters.clone(),
            interrupt: self.ending.get_or_init(|| Ending::new(self.state.interrupt())).shared(),
        }
    }
}

/// Holds the interrupt of a state for others, as long as the state is there.
#[derive(Debug)]
pub(super) struct Ending(Arc<Mutex<Option<Interrupt>>>);

impl Ending {
    fn new(interrupt: Interrupt) -> Ending {
        Ending(Arc::new(Mutex::new(Some(interrupt))))
    }

    fn shared(&self) -> Arc<Mutex<Option<Interrupt>>> {
        self.0.clone()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Ends the running call of a script from another thread.
#[derive(Clone, Debug)]
pub struct Ender {
    counters: Arc<Counters>,
    interrupt: Arc<Mutex<Option<Interrupt>>>,
}

impl Ender {
    /// Ends the call that is running, as if it had used up its time.
    pub fn end(&self) {
        let interrupt = self.interrupt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(interrupt) = interrupt.as_ref() {
            self.counters.expire();
            interrupt.set();
        }
    }
}
