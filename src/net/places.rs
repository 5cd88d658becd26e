//! The places of a listener: there are only so many connections at a time.
//!
//! Who comes when all places are taken waits for one. Connections on which nothing has moved for a
//! minute do not keep others out: the one that has been quiet for longest is asked to leave, be its
//! client gone without a word or only silent. Whoever is not read at the moment, because the engine has
//! no room for what it says, is not quiet.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a connection is to be quiet until it may be asked to leave.
const QUIET: Duration = Duration::from_mins(1);
/// How often is looked for one while somebody waits.
const LOOK: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub(super) struct Places {
    room: Arc<Semaphore>,
    began: Instant,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    pulses: HashMap<u64, Arc<Pulse>>,
}

/// When something last moved on a connection.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    /// In milliseconds since the listener began.
    moved: AtomicU64,
    /// The other side is listened to, and says nothing.
    waits: AtomicBool,
    leaving: CancellationToken,
}

/// A place that a connection has until this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    id: u64,
    pulse: Arc<Pulse>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(count: usize) -> Arc<Places> {
        let room = Arc::new(Semaphore::new(count.clamp(1, 1 << 20)));
        Arc::new(Places { room, began: Instant::now(), taken: Mutex::default() })
    }

    /// Waits for a place. Dropping the future takes none.
    pub(super) async fn take(self: &Arc<Places>, address: &super::Address) -> Place {
        loop {
            let coming = Arc::clone(&self.room).acquire_owned();
            match tokio::time::timeout(LOOK, coming).await {
                Ok(permit) => {
                    return self.give(permit.expect("the semaphore is never closed"));
                }
                Err(_) => self.ask_the_quietest(address),
            }
        }
    }

    fn give(self: &Arc<Places>, permit: OwnedSemaphorePermit) -> Place {
        let pulse = Arc::new(Pulse {
            began: self.began,
            moved: AtomicU64::default(),
            waits: AtomicBool::default(),
            leaving: CancellationToken::new(),
        });
        pulse.beat();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.next += 1;
        let id = taken.next;
        taken.pulses.insert(id, Arc::clone(&pulse));
        drop(taken);
        Place { places: Arc::clone(self), id, pulse, _permit: permit }
    }

    fn ask_the_quietest(&self, address: &super::Address) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let here = taken.pulses.values().filter(|pulse| !pulse.leaving.is_cancelled());
        let quiet = here.filter_map(|pulse| Some((pulse.quiet()?, pulse)));
        let Some((quiet, pulse)) = quiet.max_by_key(|(quiet, _)| *quiet) else { return };
        if quiet >= QUIET {
            tracing::warn!(%address, ?quiet, "all places are taken: a quiet connection is closed");
            pulse.leaving.cancel();
        }
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.room.available_permits()
    }
}

impl Pulse {
    /// Something has moved.
    pub(super) fn beat(&self) {
        self.waits.store(false, Ordering::Relaxed);
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    /// The other side is listened to, and says nothing.
    pub(super) fn wait(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }

    /// How long nothing has moved, where that is up to the other side.
    fn quiet(&self) -> Option<Duration> {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        let waits = self.waits.load(Ordering::Relaxed);
        waits.then(|| self.began.elapsed().saturating_sub(moved))
    }
}

impl Place {
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Resolves when the place is wanted by another connection and this one is quiet.
    pub async fn is_wanted(&self) {
        self.pulse.leaving.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.pulses.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Address;
    use crate::net::StreamNet;

    #[tokio::test(start_paused = true)]
    async fn the_quietest_makes_room() {
        let address = Address::stream(StreamNet::Tcp, "127.0.0.1:0").unwrap();
        let places = Places::new(3);
        let first = places.take(&address).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = places.take(&address).await;
        let held_up = places.take(&address).await;
        first.pulse.wait();
        second.pulse.wait();
        tokio::time::advance(Duration::from_secs(30)).await;
        // One that has said something since is not the quietest.
        first.pulse.beat();
        first.pulse.wait();
        let leave = async {
            second.is_wanted().await;
            drop(second);
        };
        let (fourth, ()) = tokio::join!(places.take(&address), leave);
        assert!(!first.pulse.leaving.is_cancelled());
        assert!(!held_up.pulse.leaving.is_cancelled());
        assert_eq!(places.taken.lock().unwrap().pulses.len(), 3);
        drop((first, held_up, fourth));
        assert_eq!(places.free(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_leaves_who_was_heard_lately_or_is_not_listened_to() {
        let address = Address::stream(StreamNet::Tcp, "127.0.0.1:0").unwrap();
        let places = Places::new(1);
        let busy = places.take(&address).await;
        let waits = tokio::time::timeout(Duration::from_mins(10), places.take(&address));
        assert!(waits.await.is_err());
        busy.pulse.beat();
        busy.pulse.wait();
        let waits = tokio::time::timeout(QUIET / 2, places.take(&address));
        assert!(waits.await.is_err());
    }
}
