//! A writer that does what it is told and nothing else, so that a test can be played again.
//!
//! Whoever gives an order waits until it is carried out. Only room is made without one: whoever
//! appends waits for that.

use std::cell::Cell;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::journal::state::Shared;
use crate::journal::state::State;
use crate::journal::writer::Job;
use crate::stdx::sync::Mutex;
use crate::stdx::sync::MutexGuard;

/// How long nothing is said to whoever waits; it is only there so that nobody waits for ever.
const PATIENCE: Duration = Duration::from_secs(1);

thread_local! {
    /// Journals that this thread opens take orders.
    static ARE_ORDERED: Cell<bool> = const { Cell::new(false) };
}

/// Has the journals that this thread opens take orders until what it gives is dropped.
pub(in crate::journal) fn ordered() -> impl Drop {
    struct Ordered;
    impl Drop for Ordered {
        fn drop(&mut self) {
            ARE_ORDERED.set(false);
        }
    }
    ARE_ORDERED.set(true);
    Ordered
}

/// What the writer may be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) enum Order {
    /// To end what it does.
    Nothing,
    Write,
    Sync,
    House,
    /// To sync, and to write down where readers are, as it does from time to time.
    Cursors,
}

/// Where an order is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Idle,
    Given(Order),
    Begun,
}

/// See the module.
#[derive(Debug)]
pub(in crate::journal) struct Steps {
    pub(in crate::journal) are_ordered: bool,
    step: Mutex<Step>,
    are_cursors_due: AtomicBool,
}

impl Default for Steps {
    fn default() -> Steps {
        Steps {
            are_ordered: ARE_ORDERED.get(),
            step: Mutex::default(),
            are_cursors_due: AtomicBool::new(false),
        }
    }
}

impl Steps {
    /// Tells whether cursors are due, where the clock says `is_time`.
    pub(in crate::journal) fn is_time(&self, is_time: bool) -> bool {
        if self.are_ordered { self.are_cursors_due.swap(false, Ordering::SeqCst) } else { is_time }
    }

    fn step(&self) -> MutexGuard<'_, Step> {
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Has the writer carry out `order`, and waits until it has.
    pub(in crate::journal) fn order(&self, order: Order) {
        let mut state = self.lock();
        *self.faults.steps.step() = Step::Given(order);
        self.work.notify_all();
        while !state.is_closed && *self.faults.steps.step() != Step::Idle {
            state = Shared::wait(&self.changed, state, PATIENCE);
        }
    }

    /// Waits for what the writer is to do next.
    pub(in crate::journal) fn ordered_job(&self, mut state: MutexGuard<'_, State>) -> Job {
        loop {
            if state.is_stopping {
                return Job::Stop;
            }
            let mut step = self.faults.steps.step();
            match *step {
                Step::Begun | Step::Given(Order::Nothing) => {
                    *step = Step::Idle;
                    drop(step);
                    self.changed.notify_all();
                    continue;
                }
                Step::Given(order) => {
                    *step = Step::Begun;
                    self.faults
                        .steps
                        .are_cursors_due
                        .store(order == Order::Cursors, Ordering::SeqCst);
                    return match order {
                        Order::Write => Job::Write,
                        Order::House => Job::House,
                        Order::Sync | Order::Cursors | Order::Nothing => Job::Sync,
                    };
                }
                Step::Idle => drop(step),
            }
            if state.wants_room {
                return Job::House;
            }
            state.writer_waits = true;
            state = Shared::wait(&self.work, state, PATIENCE);
            state.writer_waits = false;
        }
    }
}
