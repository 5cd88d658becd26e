//! Threads of a model.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use shuttle::sync::Mutex;

use super::condition::Condvar;

thread_local! {
    static PARKED: RefCell<HashMap<usize, Thread>> = RefCell::default();
}

/// Forgets the threads of the last run.
pub(super) fn begin() {
    PARKED.take();
}

/// Where a thread waits for itself to be woken.
#[derive(Clone, Debug, Default)]
pub struct Thread {
    parking: Arc<(Mutex<bool>, Condvar)>,
}

impl Thread {
    pub fn unpark(&self) {
        *self.parking.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.parking.1.notify_all();
    }

    fn park_timeout(&self, limit: Duration) {
        let is_asleep = |token: &mut bool| !std::mem::take(token);
        let token = self.parking.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.parking.1.wait_timeout_while(token, limit, is_asleep));
    }
}

/// The thread that asks.
pub fn current() -> Thread {
    let id = usize::from(shuttle::thread::current().id());
    PARKED.with_borrow_mut(|parked| parked.entry(id).or_default().clone())
}

pub fn park_timeout(limit: Duration) {
    current().park_timeout(limit);
}

pub fn sleep(time: Duration) {
    Thread::default().park_timeout(time);
}

/// As the standard library's.
#[derive(Debug, Default)]
pub struct Builder {
    inner: shuttle::thread::Builder,
}

impl Builder {
    pub fn new() -> Builder {
        Builder::default()
    }

    pub fn name(self, name: String) -> Builder {
        Builder { inner: self.inner.name(name) }
    }

    /// The models say how large stacks are.
    pub fn stack_size(self, _: usize) -> Builder {
        self
    }

    pub fn spawn<T: Send + 'static>(
        self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let inner = self.inner.spawn(run)?;
        let id = usize::from(inner.thread().id());
        let thread = PARKED.with_borrow_mut(|parked| parked.entry(id).or_default().clone());
        Ok(JoinHandle { inner, thread })
    }
}

/// As the standard library's.
#[derive(Debug)]
pub struct JoinHandle<T> {
    inner: shuttle::thread::JoinHandle<T>,
    thread: Thread,
}

impl<T> JoinHandle<T> {
    pub fn join(self) -> std::thread::Result<T> {
        self.inner.join()
    }

    pub fn thread(&self) -> &Thread {
        &self.thread
    }
}
