//! Whether an analysis thread lives: what it is at, as others see it, and how it is cut off.
//!
//! A script is stopped by its limits, but no limit stops what stands still inside the host: a module
//! or a database of addresses on a share that does not answer, say. A thread that is in the same call
//! for long, and does nothing in it, is taken for stuck. It cannot be ended, so it is cut off: what it
//! appends, keeps and commits goes through here, and is dropped from then on, should it ever come to
//! life again.

use std::fs;
use std::hash::BuildHasher;
use std::sync::PoisonError;
use std::sync::TryLockError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use foldhash::quality::FixedState;

use crate::stdx::sync::Instant;
use crate::stdx::sync::Mutex;
use crate::stdx::sync::atomic::AtomicI32;
use crate::stdx::sync::atomic::AtomicU64;

/// Time between two looks counts for so much at most: where the whole process was stopped, nobody
/// was stuck.
const LONGEST_LOOK: Duration = Duration::from_secs(2);
/// One that is busy all the time may take so many times as long: its limits are on the way.
const BUSY: u32 = 20;

/// What a thread is at.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// The kernel's number of the thread, 0 before it runs.
    thread: AtomicI32,
    /// The mark of the filter whose code runs, 0 while none does.
    inside: AtomicU64,
    /// How many calls there were.
    calls: AtomicU64,
    is_cut_off: Mutex<bool>,
}

/// The sign that a filter's code runs; until it is dropped.
pub(super) struct Inside<'a>(&'a Life);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.store(0, Ordering::Release);
    }
}

impl Life {
    /// The calling thread is meant.
    pub(super) fn begin(&self) {
        self.thread.store(nix::unistd::gettid().as_raw(), Ordering::Release);
    }

    /// The code of the filter with this mark runs now.
    pub(super) fn enter(&self, mark: u64) -> Inside<'_> {
        let calls = self.calls.load(Ordering::Relaxed);
        self.calls.store(calls.wrapping_add(1), Ordering::Relaxed);
        self.inside.store(mark, Ordering::Release);
        Inside(self)
    }

    /// Does what others see, unless the thread was cut off.
    pub(super) fn unless_cut_off<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        let is_cut_off = self.is_cut_off.lock().unwrap_or_else(PoisonError::into_inner);
        (!*is_cut_off).then(act)
    }

    pub(super) fn is_cut_off(&self) -> bool {
        *self.is_cut_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the thread off, unless it is at something that others see: then it is not stuck.
    pub(super) fn cut_off(&self) -> bool {
        match self.is_cut_off.try_lock() {
            Ok(mut is_cut_off) => *is_cut_off = true,
            Err(TryLockError::Poisoned(poisoned)) => *poisoned.into_inner() = true,
            Err(TryLockError::WouldBlock) => return false,
        }
        true
    }

    /// Whether the thread sleeps, and the CPU time it has used, in the kernel's ticks.
    fn kernel_view(&self) -> Option<(bool, u64)> {
        let thread = self.thread.load(Ordering::Acquire);
        parse(&fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?)
    }
}

/// Reads `stat` of a thread, as proc(5) has it.
fn parse(stat: &str) -> Option<(bool, u64)> {
    // The name may hold anything, parentheses too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let mut times = fields.skip(10).take(2).map(str::parse::<u64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((matches!(state, "S" | "D"), user + system))
}

/// What a filter is marked with; never 0.
pub(super) fn mark_of(name: &str) -> u64 {
    FixedState::with_seed(5).hash_one(name) | 1
}

/// Looks at a thread from time to time.
#[derive(Debug)]
pub(super) struct Watch {
    looked: Instant,
    calls: u64,
    /// For how long it has been in the same call.
    still: Duration,
    /// CPU time at the first look.
    cpu: Option<u64>,
}

impl Watch {
    pub(super) fn new() -> Watch {
        Watch { looked: Instant::now(), calls: 0, still: Duration::ZERO, cpu: None }
    }

    /// The mark of the filter that a thread is stuck in, if it is: for `patience` without doing
    /// anything, or for many times as long at work.
    pub(super) fn look(&mut self, life: &Life, patience: Duration) -> Option<u64> {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.looked).min(LONGEST_LOOK);
        self.looked = now;
        let (inside, calls) =
            (life.inside.load(Ordering::Acquire), life.calls.load(Ordering::Relaxed));
        if inside == 0 || calls != self.calls {
            self.calls = calls;
            self.still = Duration::ZERO;
            self.cpu = None;
            return None;
        }
        let view = life.kernel_view();
        let cpu = view.map(|(_, cpu)| cpu);
        if self.still.is_zero() {
            self.cpu = cpu;
        }
        self.still += passed;
        let is_idle = view.is_some_and(|(sleeps, _)| sleeps) && cpu == self.cpu;
        let patience = if is_idle { patience } else { patience.saturating_mul(BUSY) };
        (self.still >= patience).then_some(inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_view_is_read_whatever_the_thread_is_called() {
        let check = |stat: &str, expected: Option<(bool, u64)>| {
            assert_eq!(parse(stat), expected, "{stat}");
        };
        let behind = "1 1 1 0 -1 4194368 5 0 0 0 17 4 0 0 20 0";
        check(&format!("7 (analysis-0) S {behind}"), Some((true, 21)));
        check(&format!("7 (a) b) R) D {behind}"), Some((true, 21)));
        check(&format!("7 (analysis-0) R {behind}"), Some((false, 21)));
        check("7 (analysis-0) R 1", None);
        check("", None);
        let own = Life::default();
        own.begin();
        assert!(own.kernel_view().is_some_and(|(sleeps, _)| !sleeps));
    }

    #[test]
    fn only_who_stands_still_in_one_call_is_stuck() {
        let life = Life::default();
        let mut watch = Watch::new();
        // A thread that does nothing is in no call.
        assert_eq!(watch.look(&life, Duration::ZERO), None);
        let inside = life.enter(mark_of("a"));
        assert_eq!(watch.look(&life, Duration::ZERO), None, "the first look only remembers");
        assert_eq!(watch.look(&life, Duration::ZERO), Some(mark_of("a")));
        assert_eq!(watch.look(&life, Duration::from_hours(1)), None);
        drop(inside);
        assert_eq!(watch.look(&life, Duration::ZERO), None);
        let _inside = life.enter(mark_of("a"));
        assert_eq!(watch.look(&life, Duration::ZERO), None, "that is another call");
    }

    #[test]
    fn who_is_cut_off_does_nothing_more_that_others_see() {
        let life = Life::default();
        assert_eq!(life.unless_cut_off(|| 1), Some(1));
        // Not while it is at something that others see.
        assert_eq!(life.unless_cut_off(|| life.cut_off()), Some(false));
        assert!(!life.is_cut_off() && life.cut_off());
        assert_eq!(life.unless_cut_off(|| 1), None);
    }
}
