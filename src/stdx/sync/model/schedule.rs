//! Who goes on, step by step, as a seed has it.

use std::panic;
use std::panic::AssertUnwindSafe;

use shuttle::Config;
use shuttle::FailurePersistence;
use shuttle::Runner;
use shuttle::scheduler::Schedule;
use shuttle::scheduler::Scheduler;
use shuttle::scheduler::Task;
use shuttle::scheduler::TaskId;

use super::thread;
use super::time;
use crate::stdx::random::Random;

/// The test's own thread is the first, the clock the second.
const CLOCK: usize = 1;
/// Stacks are of so many bytes.
const STACK: usize = 1 << 20;
/// So often of 256 steps the thread at work goes on, by the seed: some lots are cut into many pieces.
const STAYS: [u64; 4] = [0, 128, 224, 250];
/// In haste time passes at one of so many steps.
const HASTE: u64 = 64;

/// When time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// While nobody can go on.
    Patient,
    /// At any moment.
    Hasty,
}

/// Runs `body` once for each seed from `HEKA_SEED` on, `HEKA_ROUNDS` of them or `rounds`.
pub(crate) fn check(rounds: u64, clock: Clock, body: impl Fn(u64) + Send + Sync + Clone + 'static) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let first: u64 = number("HEKA_SEED").unwrap_or(1);
    for seed in first..first + number("HEKA_ROUNDS").unwrap_or(rounds) {
        let body = body.clone();
        let scheduler = Seeded { random: Random::seeded(seed), seed, clock, is_begun: false };
        let mut config = Config::new();
        config.stack_size = STACK;
        config.failure_persistence = FailurePersistence::None;
        config.silence_warnings = true;
        let run = AssertUnwindSafe(|| {
            Runner::new(scheduler, config).run(move || {
                time::begin();
                thread::begin();
                let clock = shuttle::thread::spawn(time::run_clock);
                body(seed);
                time::end();
                clock.join().unwrap();
            });
        });
        if panic::catch_unwind(run).is_err() {
            panic!("HEKA_SEED={seed} HEKA_ROUNDS=1 fails");
        }
    }
}

struct Seeded {
    random: Random,
    seed: u64,
    clock: Clock,
    is_begun: bool,
}

impl Scheduler for Seeded {
    fn new_execution(&mut self) -> Option<Schedule> {
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        is_first.then(|| Schedule::new(self.seed))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let is_clock = |task: &&&Task| usize::from(task.id()) == CLOCK;
        let clock = runnable.iter().find(is_clock).map(|task| task.id());
        let others: Vec<TaskId> =
            runnable.iter().filter(|task| !is_clock(task)).map(|task| task.id()).collect();
        let lot = self.random.next();
        if others.is_empty() || (self.clock == Clock::Hasty && lot % HASTE == 0) {
            time::choose(others.is_empty());
            return clock.or(others.first().copied());
        }
        let stays = STAYS[usize::try_from(self.seed % 4).unwrap()];
        match current.filter(|current| others.contains(current)) {
            Some(current) if !is_yielding && (lot >> 8) % 256 < stays => Some(current),
            _ => others.get(usize::try_from((lot >> 16) % others.len() as u64).unwrap()).copied(),
        }
    }

    fn next_u64(&mut self) -> u64 {
        self.random.next()
    }
}
