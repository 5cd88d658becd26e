//! Time in a model: it moves from one limit to the next.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Add;
use std::ops::AddAssign;
use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shuttle::sync::Condvar;

/// What a run begins with: there is time before it.
const BEGINNING: Duration = Duration::from_hours(1);

thread_local! {
    /// All threads of a run are on one of the system's.
    static TIME: RefCell<Time> = RefCell::default();
}

#[derive(Default)]
struct Time {
    now: Duration,
    due: BTreeMap<(Duration, u64), Arc<Alarm>>,
    alarms: u64,
    is_over: bool,
    /// Nobody but the clock can go on.
    is_alone: bool,
}

/// What is woken when its time has come.
pub(super) struct Alarm {
    condition: Arc<Condvar>,
    has_rung: AtomicBool,
}

/// An alarm that is set, until it is dropped.
pub(super) struct Set {
    key: (Duration, u64),
    alarm: Arc<Alarm>,
}

impl Set {
    /// Tells whether its time has come.
    pub(super) fn has_rung(&self) -> bool {
        self.alarm.has_rung.load(Ordering::SeqCst)
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        TIME.with_borrow_mut(|time| time.due.remove(&self.key));
    }
}

/// Has `condition` woken after `limit`.
pub(super) fn set(condition: &Arc<Condvar>, limit: Duration) -> Set {
    let alarm = Arc::new(Alarm { condition: condition.clone(), has_rung: AtomicBool::new(false) });
    TIME.with_borrow_mut(|time| {
        time.alarms += 1;
        let key = (time.now.saturating_add(limit), time.alarms);
        time.due.insert(key, alarm.clone());
        Set { key, alarm }
    })
}

/// Begins a run.
pub(super) fn begin() {
    TIME.set(Time { now: BEGINNING, ..Time::default() });
}

/// The clock's thread may end.
pub(super) fn end() {
    TIME.with_borrow_mut(|time| time.is_over = true);
}

/// It is the clock's turn.
pub(super) fn choose(is_alone: bool) {
    TIME.with_borrow_mut(|time| time.is_alone = is_alone);
}

/// What the clock does: it rings the next alarm whenever it is its turn.
pub(super) fn run_clock() {
    loop {
        shuttle::thread::yield_now();
        let next = TIME.with_borrow_mut(|time| {
            if let Some((key, alarm)) = time.due.pop_first() {
                time.now = time.now.max(key.0);
                return Some(alarm);
            }
            assert!(time.is_over || !time.is_alone, "nobody will ever be woken");
            None
        });
        if let Some(alarm) = next {
            alarm.has_rung.store(true, Ordering::SeqCst);
            alarm.condition.notify_all();
        } else if TIME.with_borrow(|time| time.is_over) {
            return;
        }
    }
}

/// A moment, as the standard library's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    pub fn now() -> Instant {
        Instant(TIME.with_borrow(|time| time.now))
    }

    pub fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(*self)
    }

    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub fn checked_add(&self, more: Duration) -> Option<Instant> {
        self.0.checked_add(more).map(Instant)
    }

    pub fn checked_sub(&self, less: Duration) -> Option<Instant> {
        self.0.checked_sub(less).map(Instant)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, more: Duration) -> Instant {
        Instant(self.0 + more)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, more: Duration) {
        self.0 += more;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, less: Duration) -> Instant {
        Instant(self.0 - less)
    }
}
