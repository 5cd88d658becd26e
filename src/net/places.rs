//! The places of a listener: there are only so many connections at a time.
//!
//! Who comes when all places are taken waits for one. Connections on which nothing has moved for a
//! minute do not keep others out: the one that has been quiet for longest is asked to leave, be its
//! client gone without a word or only silent. Whoever is not read at the moment, because the engine has
//! no room for what it says, is not quiet.
//!
//! Where the process is about to have no descriptors left, no more connections are taken either: the
//! engine's own files need some, and a journal that cannot be written would hold everybody.

use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hashbrown::HashMap;
use nix::sys::resource::Resource;
use nix::sys::resource::getrlimit;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a connection is to be quiet until it may be asked to leave.
const QUIET: Duration = Duration::from_mins(1);
/// How often is looked for one while somebody waits.
const LOOK: Duration = Duration::from_millis(500);
/// How often is looked for descriptors while there are none.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// How often is told that there are none.
const TOLD: Duration = Duration::from_mins(1);
/// The most descriptors that are kept from connections; a quarter of them where there are few.
const MOST_KEPT: u64 = 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Places {
    room: Arc<Semaphore>,
    began: Instant,
    taken: Mutex<Taken>,
    /// When it was told that there are no descriptors.
    told: Mutex<Option<Instant>>,
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
        Arc::new(Places {
            room,
            began: Instant::now(),
            taken: Mutex::default(),
            told: Mutex::default(),
        })
    }

    /// Waits for a place, and until there are descriptors beside `socket` and those the engine
    /// needs. Dropping the future takes none.
    pub(super) async fn take(
        self: &Arc<Places>,
        address: &super::Address,
        socket: BorrowedFd<'_>,
    ) -> Place {
        while are_scarce(socket) {
            self.wait_for_descriptors(address).await;
        }
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

    /// Has a quiet connection go, and waits a moment.
    pub(super) async fn wait_for_descriptors(&self, address: &super::Address) {
        self.tell_of_descriptors(address);
        self.ask_the_quietest(address);
        tokio::time::sleep(EXHAUSTED).await;
    }

    fn tell_of_descriptors(&self, address: &super::Address) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TOLD) {
            *told = Some(Instant::now());
            tracing::warn!(
                %address,
                "too many files are open, connections wait: raise the limit, with `ulimit -n` or \
                 LimitNOFILE in the unit"
            );
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
            tracing::warn!(%address, ?quiet, "there is no place left: a quiet connection is closed");
            pulse.leaving.cancel();
        }
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.room.available_permits()
    }
}

/// Tells whether connections have all descriptors that are not kept from them: the number of the next
/// one says how many there are.
fn are_scarce(socket: BorrowedFd<'_>) -> bool {
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return false };
    let most = limit - (limit / 4).min(MOST_KEPT);
    let next = rustix::io::dup(socket).map(|copy| copy.as_raw_fd());
    next.map_or(true, |number| u64::try_from(number).is_ok_and(|number| number >= most))
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
    use std::os::fd::AsFd;

    use super::*;
    use crate::net::Address;
    use crate::net::StreamNet;

    async fn take(places: &Arc<Places>, address: &Address) -> Place {
        places.take(address, std::io::stderr().as_fd()).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_quietest_makes_room() {
        let address = Address::stream(StreamNet::Tcp, "127.0.0.1:0").unwrap();
        let places = Places::new(3);
        let first = take(&places, &address).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = take(&places, &address).await;
        let held_up = take(&places, &address).await;
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
        let (fourth, ()) = tokio::join!(take(&places, &address), leave);
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
        let busy = take(&places, &address).await;
        let waits = tokio::time::timeout(Duration::from_mins(10), take(&places, &address));
        assert!(waits.await.is_err());
        busy.pulse.beat();
        busy.pulse.wait();
        let waits = tokio::time::timeout(QUIET / 2, take(&places, &address));
        assert!(waits.await.is_err());
    }
}
