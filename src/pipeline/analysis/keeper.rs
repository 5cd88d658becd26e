//! Stores snapshots when the journal has been synced up to them.
//!
//! One thread for the engine: what the analysis threads hand over waits here for its sync, and is
//! stored together with what others have handed over meanwhile. Only the newest snapshot of a
//! filter is kept waiting.

use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use crate::journal::Journal;
use crate::journal::Position;
use crate::journal::Snapshot;
use crate::stdx::sync::Condvar;
use crate::stdx::sync::Mutex;
use crate::stdx::sync::MutexGuard;
use crate::stdx::sync::thread;

/// How long to wait for a sync before saying so.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before trying to store again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Waiting {
    snapshots: Vec<Snapshot>,
    /// The journal has to be synced up to here first.
    durable: Position,
    is_storing: bool,
    is_ended: bool,
}

/// See the module.
pub(in crate::pipeline) struct Keeper {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Keeper {
    /// Starts the thread.
    pub(in crate::pipeline) fn start(journal: Journal) -> std::io::Result<Arc<Keeper>> {
        let keeper = Arc::new(Keeper {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            thread: Mutex::new(None),
        });
        let own = keeper.clone();
        let builder = thread::Builder::new().name("snapshots".into());
        let thread = builder.spawn(move || own.run(&journal))?;
        *keeper.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(keeper)
    }

    /// Hands a snapshot over, to be stored when the journal is synced up to `durable`.
    pub(super) fn keep(&self, snapshot: Snapshot, durable: Position) {
        let mut waiting = self.lock();
        waiting.durable = waiting.durable.max(durable).max(snapshot.position);
        match waiting.snapshots.iter_mut().find(|known| known.reader == snapshot.reader) {
            None => waiting.snapshots.push(snapshot),
            Some(known) if known.position > snapshot.position => {}
            Some(known) => {
                known.position = snapshot.position;
                if snapshot.state.is_some() {
                    known.state = snapshot.state;
                }
            }
        }
        drop(waiting);
        self.changed.notify_all();
    }

    /// Waits until all that was handed over is stored, at most `patience`.
    pub(super) fn settle(&self, patience: Duration) {
        let is_busy = |waiting: &mut Waiting| waiting.is_storing || !waiting.snapshots.is_empty();
        let waited = self.changed.wait_timeout_while(self.lock(), patience, is_busy);
        if waited.is_ok_and(|(_, timeout)| timeout.timed_out()) {
            tracing::warn!("snapshots are not stored in time: filters will replay more");
        }
    }

    /// Stores what waits and ends the thread.
    pub(in crate::pipeline) fn end(&self) {
        self.lock().is_ended = true;
        self.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that stores snapshots has panicked");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, journal: &Journal) {
        loop {
            let idle = |waiting: &mut Waiting| waiting.snapshots.is_empty() && !waiting.is_ended;
            let waited = self.changed.wait_while(self.lock(), idle);
            let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
            if waiting.snapshots.is_empty() {
                return;
            }
            let snapshots = std::mem::take(&mut waiting.snapshots);
            let durable = waiting.durable;
            waiting.is_storing = true;
            let is_ended = waiting.is_ended;
            drop(waiting);
            let is_stored = store(journal, &snapshots, durable);
            let is_tried_again = !is_stored && !is_ended;
            let mut waiting = self.lock();
            waiting.is_storing = false;
            if is_tried_again {
                // Under the same lock: whoever looks in between would take them for stored.
                waiting.put_back(snapshots);
            }
            drop(waiting);
            self.changed.notify_all();
            if is_tried_again {
                thread::sleep(PAUSE);
            }
        }
    }
}

impl Waiting {
    /// Has what could not be stored wait again, unless something newer waits already.
    fn put_back(&mut self, snapshots: Vec<Snapshot>) {
        for snapshot in snapshots {
            match self.snapshots.iter_mut().find(|known| known.reader == snapshot.reader) {
                None => self.snapshots.push(snapshot),
                Some(newer) if newer.state.is_none() => newer.state = snapshot.state,
                Some(_) => {}
            }
        }
    }
}

/// Tells whether the snapshots are stored.
fn store(journal: &Journal, snapshots: &[Snapshot], durable: Position) -> bool {
    let is_settled = journal.settled() >= durable;
    let waited = if is_settled { Ok(true) } else { journal.wait_durable(durable, PATIENCE) };
    match waited {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!(
                position = durable.0,
                "the journal is not synced: no snapshot is stored"
            );
            return false;
        }
        Err(error) => {
            tracing::error!(%error, "the journal cannot be synced: no snapshot is stored");
            return false;
        }
    }
    let stored = journal.store_snapshots(snapshots);
    if let Err(error) = &stored {
        tracing::error!(%error, "cannot store snapshots");
    }
    stored.is_ok()
}
