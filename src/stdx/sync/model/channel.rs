//! Bounded queues, as crossbeam's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use crossbeam_channel::RecvError;
use crossbeam_channel::RecvTimeoutError;
use crossbeam_channel::SendError;
use crossbeam_channel::SendTimeoutError;
use crossbeam_channel::TryRecvError;
use shuttle::sync::Mutex;
use shuttle::sync::MutexGuard;

use super::condition::Condvar;
use super::time::Instant;

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_hours(1000);

struct Queue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
}

struct Inner<T> {
    waiting: VecDeque<T>,
    most: usize,
    senders: usize,
    has_receiver: bool,
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that sends.
pub struct Sender<T>(Arc<Queue<T>>);

/// The end that receives.
pub struct Receiver<T>(Arc<Queue<T>>);

/// A queue of at most `most`.
pub fn bounded<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let inner = Inner { waiting: VecDeque::new(), most, senders: 1, has_receiver: true };
    let queue = Arc::new(Queue { inner: Mutex::new(inner), changed: Condvar::new() });
    (Sender(queue.clone()), Receiver(queue))
}

impl<T> Sender<T> {
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_timeout(value, FOR_EVER).map_err(|error| SendError(error.into_inner()))
    }

    pub fn send_timeout(&self, value: T, limit: Duration) -> Result<(), SendTimeoutError<T>> {
        let is_full =
            |inner: &mut Inner<T>| inner.has_receiver && inner.waiting.len() >= inner.most;
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), limit, is_full);
        let (mut inner, ended) = waited.unwrap_or_else(PoisonError::into_inner);
        if !inner.has_receiver {
            return Err(SendTimeoutError::Disconnected(value));
        }
        if ended.timed_out() {
            return Err(SendTimeoutError::Timeout(value));
        }
        inner.waiting.push_back(value);
        drop(inner);
        self.0.changed.notify_all();
        Ok(())
    }
}

impl<T> Receiver<T> {
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_timeout(FOR_EVER).map_err(|_| RecvError)
    }

    pub fn recv_timeout(&self, limit: Duration) -> Result<T, RecvTimeoutError> {
        let is_empty = |inner: &mut Inner<T>| inner.waiting.is_empty() && inner.senders > 0;
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), limit, is_empty);
        let (mut inner, ended) = waited.unwrap_or_else(PoisonError::into_inner);
        let value = inner.waiting.pop_front();
        drop(inner);
        self.0.changed.notify_all();
        value.ok_or(if ended.timed_out() {
            RecvTimeoutError::Timeout
        } else {
            RecvTimeoutError::Disconnected
        })
    }

    pub fn recv_deadline(&self, until: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_timeout(until.saturating_duration_since(Instant::now()))
    }

    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut inner = self.0.lock();
        let (value, senders) = (inner.waiting.pop_front(), inner.senders);
        drop(inner);
        self.0.changed.notify_all();
        value.ok_or(if senders > 0 { TryRecvError::Empty } else { TryRecvError::Disconnected })
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.0.lock().senders += 1;
        Sender(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().senders -= 1;
        self.0.changed.notify_all();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.has_receiver = false;
        let dropped = std::mem::take(&mut inner.waiting);
        drop(inner);
        drop(dropped);
        self.0.changed.notify_all();
    }
}
