//! What time it is, passed in so that a test can say so.

use std::fmt::Debug;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use nix::time::ClockId;

/// Tells the time of day, which may step, and a time that only grows.
pub trait Clock: Debug + Send + Sync {
    /// Nanoseconds since the epoch, by the wall clock.
    fn wall(&self) -> i64;
    /// Nanoseconds since some moment before; never goes back.
    fn monotonic(&self) -> u64;
}

/// The clock of the machine.
#[derive(Debug)]
pub struct System {
    started: Instant,
}

impl System {
    /// Starts counting now.
    #[must_use]
    pub fn new() -> System {
        System { started: Instant::now() }
    }
}

impl Default for System {
    fn default() -> System {
        System::new()
    }
}

impl Clock for System {
    fn wall(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        }
    }

    fn monotonic(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// CPU time the calling thread has used.
#[must_use]
pub fn thread_cpu() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().map(Duration::from).unwrap_or_default()
}

/// A clock that moves when it is told to.
#[derive(Debug, Default)]
pub struct Manual {
    wall: AtomicI64,
    monotonic: AtomicU64,
}

impl Manual {
    /// A clock that shows `wall` nanoseconds since the epoch.
    #[must_use]
    pub fn at(wall: i64) -> Manual {
        Manual { wall: AtomicI64::new(wall), monotonic: AtomicU64::new(0) }
    }

    /// Lets time pass, on both hands.
    pub fn advance(&self, by: Duration) {
        let nanoseconds = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.monotonic.fetch_add(nanoseconds, Ordering::SeqCst);
        self.wall.fetch_add(i64::try_from(nanoseconds).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Steps the wall clock alone, as an administrator or NTP would.
    pub fn step_wall(&self, wall: i64) {
        self.wall.store(wall, Ordering::SeqCst);
    }
}

impl Clock for Manual {
    fn wall(&self) -> i64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> u64 {
        self.monotonic.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_clock_is_past_2020_and_never_goes_back() {
        let clock = System::new();
        assert!(clock.wall() > 1_577_836_800_000_000_000);
        let first = clock.monotonic();
        assert!(clock.monotonic() >= first);
    }

    #[test]
    fn manual_clock_steps_its_wall_alone() {
        let clock = Manual::at(1_000);
        clock.advance(Duration::from_nanos(5));
        clock.step_wall(10);
        assert_eq!((clock.wall(), clock.monotonic()), (10, 5));
    }
}
