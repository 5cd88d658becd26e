//! Ends calls that take too much CPU time.
//!
//! One thread looks at all threads that run scripts, every [`TICK`]. Each of those counts its calls
//! up when they begin and when they end, which is all that a call pays. A call that is seen at two
//! ticks is measured by the CPU time of its thread, so that a busy machine harms no innocent
//! script; past its limit the interrupt of the state is set. While no script runs the thread
//! sleeps.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::Thread;
use std::time::Duration;

use nix::time::ClockId;

use super::raw::Interrupt;

/// How often the running calls are looked at; a call goes over its limit by two ticks at most.
const TICK: Duration = Duration::from_millis(5);

/// After so many ticks without a running call the watchdog sleeps until there is one.
const IDLE_TICKS: u32 = 40;

/// The calls of one thread, counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Goes up when a call begins and when it ends, so it is odd while one runs.
    pub(super) serial: AtomicU64,
    /// The call that was found over its time.
    pub(super) expired: AtomicU64,
}

impl Counters {
    /// Ends the call that is running, if one is.
    pub(super) fn expire(&self) {
        self.expired.store(self.serial.load(Ordering::Relaxed), Ordering::Release);
    }

    /// A call begins or ends; only the thread that makes the calls counts.
    pub(super) fn turn(&self) {
        turn(&self.serial);
    }
}

/// A call begins or ends, which the watchdog reads off its thread's `serial`.
pub(super) fn turn(serial: &AtomicU64) {
    serial.store(serial.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// What the watchdog knows of one thread.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) counters: Arc<Counters>,
    clock: ClockId,
    running: Mutex<Option<Running>>,
}

/// The state whose calls are running, and what each may take.
#[derive(Debug)]
struct Running {
    interrupt: Interrupt,
    limit: Duration,
}

/// Calls are watched as long as this lives.
#[derive(Debug)]
pub(super) struct Watched {
    watch: Arc<Watch>,
}

impl Watch {
    /// The watch of the thread that asks.
    pub(super) fn of_this_thread() -> Arc<Watch> {
        thread_local! {
            static WATCH: OnceCell<Arc<Watch>> = const { OnceCell::new() };
        }
        WATCH.with(|cell| cell.get_or_init(Watch::enter).clone())
    }

    fn enter() -> Arc<Watch> {
        // The clock of a thread is its id, inverted, above three bits that say "one thread, time
        // scheduled": what `pthread_getcpuclockid` makes of it.
        let thread = nix::unistd::gettid().as_raw();
        let watch = Arc::new(Watch {
            counters: Arc::default(),
            clock: ClockId::from_raw(!thread << 3 | 6),
            running: Mutex::new(None),
        });
        let dog = dog();
        lock(&dog.watches).push(Arc::downgrade(&watch));
        watch
    }

    /// CPU time the thread has used; `None` when it has ended.
    fn cpu(&self) -> Option<Duration> {
        self.clock.now().ok().map(Duration::from)
    }

    /// Watches the calls of a state, each of which may take `limit`; zero is no limit.
    pub(super) fn watch(self: &Arc<Watch>, interrupt: Interrupt, limit: Duration) -> Watched {
        if !limit.is_zero() {
            *lock(&self.running) = Some(Running { interrupt, limit });
            let dog = dog();
            if dog.is_asleep.load(Ordering::SeqCst) {
                dog.thread.unpark();
            }
        }
        Watched { watch: self.clone() }
    }

    /// Looks at the thread; `seen` is the call seen last, and the CPU time at that moment.
    fn look(&self, seen: &mut (u64, Duration)) -> bool {
        let call = self.counters.serial.load(Ordering::Relaxed);
        let running = lock(&self.running);
        let Some(running) = running.as_ref() else { return false };
        if call.is_multiple_of(2) {
            return true;
        }
        let Some(cpu) = self.cpu() else { return false };
        if seen.0 != call {
            *seen = (call, cpu);
        } else if cpu.saturating_sub(seen.1) >= running.limit {
            self.counters.expired.store(call, Ordering::Release);
            running.interrupt.set();
        }
        true
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        *lock(&self.watch.running) = None;
    }
}

struct Dog {
    thread: Thread,
    watches: Mutex<Vec<Weak<Watch>>>,
    is_asleep: AtomicBool,
}

fn dog() -> &'static Dog {
    static DOG: OnceLock<Dog> = OnceLock::new();
    DOG.get_or_init(|| {
        let handle = thread::Builder::new()
            .name("sandbox-watchdog".to_owned())
            .stack_size(128 * 1024)
            .spawn(run)
            .expect("a process that runs scripts can start a thread");
        Dog {
            thread: handle.thread().clone(),
            watches: Mutex::default(),
            is_asleep: AtomicBool::new(false),
        }
    })
}

fn run() {
    let dog = dog();
    let mut seen: Vec<(Weak<Watch>, (u64, Duration))> = Vec::new();
    let mut idle_ticks = 0;
    loop {
        for watch in lock(&dog.watches).drain(..) {
            seen.push((watch, (0, Duration::ZERO)));
        }
        let mut is_idle = true;
        seen.retain_mut(|(watch, seen)| {
            let Some(watch) = watch.upgrade() else { return false };
            if watch.look(seen) {
                is_idle = false;
            }
            true
        });
        idle_ticks = if is_idle { idle_ticks + 1 } else { 0 };
        if idle_ticks > IDLE_TICKS {
            dog.is_asleep.store(true, Ordering::SeqCst);
            // Who began to run before the flag was set did not wake us.
            let is_needed =
                seen.iter().any(|(watch, _)| watch.upgrade().is_some_and(|w| w.is_running()));
            if !is_needed && lock(&dog.watches).is_empty() {
                thread::park();
            }
            dog.is_asleep.store(false, Ordering::SeqCst);
            idle_ticks = 0;
        }
        thread::sleep(TICK);
    }
}

impl Watch {
    fn is_running(&self) -> bool {
        lock(&self.running).is_some()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
