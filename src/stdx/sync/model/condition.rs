//! Conditions whose waits have limits.

use std::sync::Arc;
use std::sync::LockResult;
use std::sync::PoisonError;
use std::time::Duration;

use shuttle::sync::MutexGuard;

use super::time;

/// A condition, as the standard library's.
#[derive(Debug, Default)]
pub struct Condvar {
    inner: Arc<shuttle::sync::Condvar>,
}

/// Whether a wait has ended by its limit.
#[derive(Clone, Copy, Debug)]
pub struct TimedOut(bool);

impl TimedOut {
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub fn new() -> Condvar {
        Condvar::default()
    }

    pub fn notify_one(&self) {
        self.inner.notify_one();
    }

    pub fn notify_all(&self) {
        self.inner.notify_all();
    }

    pub fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        self.inner.wait_while(guard, condition)
    }

    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, TimedOut)> {
        let alarm = time::set(&self.inner, limit);
        let guard = self.inner.wait(guard).unwrap_or_else(PoisonError::into_inner);
        Ok((guard, TimedOut(alarm.has_rung())))
    }

    pub fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, TimedOut)> {
        let alarm = time::set(&self.inner, limit);
        while condition(&mut guard) {
            if alarm.has_rung() {
                return Ok((guard, TimedOut(true)));
            }
            guard = self.inner.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        Ok((guard, TimedOut(false)))
    }
}
