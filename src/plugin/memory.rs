//! One budget of bytes for the whole process.
//!
//! What is on its way in (bodies of requests, bytes that wait for a decode thread, records whose end
//! has not come) is claimed before it is held. Everything else (the tail of the journal, states of
//! filters, loads of outputs, what the allocator keeps) is not counted piece by piece but measured:
//! it is what the process has resident. A claim is granted while both together stay below seven
//! eighths of the budget; what of a claim is resident already counts twice, which errs on the safe
//! side. A claim given back counts until the next measurement, since what it was for lives on, as
//! entries of the journal. The last eighth is for what else comes to be between two measurements.
//!
//! One part in sixteen may be claimed between two measurements whatever is resident, and a single
//! claim alone always, so that nothing ever stands still for good. While the budget is short, the tail
//! of the journal is cut, so that readers fall back to the disk, and outputs hold one load at a time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::Notify;

/// Who waits looks again after this time, whatever he is told.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How long bytes wait while records without an end take half of the budget.
const PATIENCE: Duration = Duration::from_secs(30);

/// The budget, and what is used of it. Without a limit it grants everything.
#[derive(Debug, Default)]
pub struct Memory {
    limit: Option<u64>,
    resident: AtomicU64,
    /// What was given back since that was measured.
    released: AtomicU64,
    claimed: AtomicU64,
    /// What of it is the beginning of records whose end has not come.
    unfinished: AtomicU64,
    is_short: AtomicBool,
    measured: Notify,
}

/// Why a claim is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memory budget is used up by records whose end has not come")]
pub struct Unfinished;

impl Memory {
    /// A budget of so many bytes.
    pub fn new(limit: u64) -> Memory {
        Memory { limit: Some(limit), ..Memory::default() }
    }

    /// The budget, in bytes, if there is one.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Bytes that the process had resident when that was last measured.
    pub fn resident(&self) -> u64 {
        self.resident.load(Ordering::Relaxed)
    }

    /// Bytes that are claimed.
    pub fn claimed(&self) -> u64 {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Whether everybody is to hold less.
    pub fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// Notes what the process has resident, in bytes; tells whether [`Memory::is_short`] has changed.
    pub fn measure(&self, resident: u64) -> bool {
        let Some(limit) = self.limit else { return false };
        self.resident.store(resident, Ordering::Relaxed);
        self.released.store(0, Ordering::Relaxed);
        let was_short = self.is_short();
        let used = resident.saturating_add(self.claimed());
        let is_short = used > if was_short { limit / 4 * 3 } else { limit / 16 * 13 };
        self.is_short.store(is_short, Ordering::Relaxed);
        self.measured.notify_waiters();
        was_short != is_short
    }

    /// Waits until there is room for so many bytes, and holds it.
    ///
    /// # Errors
    /// When records whose end has not come take half of the budget, and none ends.
    pub async fn claim(self: &Arc<Memory>, bytes: usize) -> Result<Claim, Unfinished> {
        self.claim_within(bytes as u64, PATIENCE).await
    }

    async fn claim_within(
        self: &Arc<Memory>,
        bytes: u64,
        patience: Duration,
    ) -> Result<Claim, Unfinished> {
        let mut began = None;
        loop {
            let measured = self.measured.notified();
            tokio::pin!(measured);
            measured.as_mut().enable();
            if self.take(bytes) {
                return Ok(Claim { memory: self.clone(), bytes, is_unfinished: false });
            }
            let waited = began.get_or_insert_with(Instant::now).elapsed();
            let unfinished = self.unfinished.load(Ordering::Relaxed);
            if waited >= patience && unfinished > self.limit.unwrap_or(u64::MAX) / 2 {
                return Err(Unfinished);
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, measured).await;
        }
    }

    /// Holds so many bytes if there is room for them now.
    pub fn try_claim(self: &Arc<Memory>, bytes: usize) -> Option<Claim> {
        let bytes = bytes as u64;
        let is_taken = self.take(bytes);
        is_taken.then(|| Claim { memory: self.clone(), bytes, is_unfinished: false })
    }

    /// A claim for the beginning of a record, at first of nothing.
    pub fn unfinished(self: &Arc<Memory>) -> Claim {
        Claim { memory: self.clone(), bytes: 0, is_unfinished: true }
    }

    /// Claims so many bytes if there is room.
    fn take(&self, bytes: u64) -> bool {
        let Some(limit) = self.limit else {
            self.claimed.fetch_add(bytes, Ordering::Relaxed);
            return true;
        };
        let (resident, released) = (self.resident(), self.released.load(Ordering::Relaxed));
        let claim = |claimed: u64| {
            let after = claimed.saturating_add(bytes);
            let counted = after.saturating_add(released);
            let has_room = counted == bytes
                || counted <= limit / 16
                || counted.saturating_add(resident) <= limit / 8 * 7;
            has_room.then_some(after)
        };
        self.claimed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).is_ok()
    }
}

/// Bytes of the budget that somebody holds; given back when it is dropped.
#[derive(Debug)]
pub struct Claim {
    memory: Arc<Memory>,
    bytes: u64,
    is_unfinished: bool,
}

impl Claim {
    /// Makes it a claim of so many bytes, whether there is room or not.
    pub fn resize(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes == self.bytes {
            return;
        }
        let change = |counted: &AtomicU64| {
            if bytes > self.bytes {
                counted.fetch_add(bytes - self.bytes, Ordering::Relaxed);
            } else {
                counted.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            }
        };
        // First, so that it never seems to be gone.
        self.memory.released.fetch_add(self.bytes.saturating_sub(bytes), Ordering::Relaxed);
        change(&self.memory.claimed);
        if self.is_unfinished {
            change(&self.memory.unfinished);
        }
        self.bytes = bytes;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    fn memory(resident: usize) -> Arc<Memory> {
        let memory = Arc::new(Memory::new(LIMIT as u64));
        memory.measure(resident as u64);
        memory
    }

    #[tokio::test]
    async fn claims_and_what_is_resident_share_the_budget() {
        let memory = memory(LIMIT / 2);
        let first = memory.claim(LIMIT / 4).await.unwrap();
        assert!(!memory.take(LIMIT as u64 / 4));
        drop(first);
        assert!(!memory.take(LIMIT as u64 / 4));
        memory.measure(LIMIT as u64 / 2);
        assert!(memory.take(LIMIT as u64 / 4));
    }

    #[tokio::test]
    async fn who_waits_is_told_of_room() {
        let memory = memory(LIMIT / 2);
        let first = memory.claim(LIMIT / 4).await.unwrap();
        let other = memory.clone();
        let waiting = tokio::spawn(async move { other.claim(LIMIT / 4).await.is_ok() });
        tokio::task::yield_now().await;
        drop(first);
        memory.measure(0);
        assert!(waiting.await.unwrap());
    }

    #[test]
    fn a_little_and_one_alone_always_find_room() {
        let memory = memory(2 * LIMIT);
        assert!(memory.take(4 * LIMIT as u64));
        assert!(!memory.take(1));
        memory.claimed.store(0, Ordering::Relaxed);
        memory.released.store(1, Ordering::Relaxed);
        assert!(!memory.take(LIMIT as u64));
        assert!(memory.take(1000));
        assert!(memory.take(1000));
        assert!(!memory.take(LIMIT as u64 / 16));
    }

    #[test]
    fn what_is_short_stays_so_until_there_is_room_again() {
        let memory = memory(LIMIT / 8 * 7);
        assert!(memory.is_short());
        assert!(!memory.measure(LIMIT as u64 / 5 * 4));
        assert!(memory.measure(LIMIT as u64 / 2));
        assert!(!memory.is_short());
    }

    #[tokio::test]
    async fn records_without_an_end_do_not_hold_everything_for_ever() {
        let memory = memory(LIMIT);
        let mut record = memory.unfinished();
        record.resize(LIMIT / 8 * 5);
        assert_eq!(memory.claim_within(1, Duration::ZERO).await.unwrap_err(), Unfinished);
        record.resize(0);
        memory.measure(LIMIT as u64);
        assert!(memory.claim_within(1, Duration::ZERO).await.is_ok());
        assert_eq!((memory.claimed(), memory.unfinished.load(Ordering::Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn without_a_limit_everything_is_granted() {
        let memory = Arc::new(Memory::default());
        memory.measure(u64::MAX);
        assert!(memory.claim(usize::MAX / 2).await.is_ok() && !memory.is_short());
    }
}
