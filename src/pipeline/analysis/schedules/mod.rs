//! Swaps and what they rest on, under every order of threads: who waits for the new version and who
//! has it take over agree on whether it did, a state that is said to be kept is, and each message is
//! processed once ([`swaps`]).

mod swaps;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Keeper;
use super::reply;
use super::reply::Silence;
use crate::journal::Journal;
use crate::journal::Keeps;
use crate::journal::Position;
use crate::journal::ReaderOptions;
use crate::journal::Settings;
use crate::journal::Snapshot;
use crate::stdx::clock::Manual;
use crate::stdx::sync::Instant;
use crate::stdx::sync::model::Clock;
use crate::stdx::sync::model::check;
use crate::stdx::sync::thread;

/// How long the thread may take to begin.
const PATIENCE: Duration = Duration::from_millis(5);

#[test]
fn model_a_version_takes_over_only_while_somebody_waits_for_it() {
    check(500, Clock::Hasty, |_| {
        let (reply, awaited) = reply::pair::<u32>();
        let has_taken_over = Arc::new(AtomicBool::new(false));
        let told = has_taken_over.clone();
        let filter = thread::Builder::new().spawn(move || {
            // It catches up for about as long as is waited for it.
            thread::sleep(PATIENCE);
            if reply.begin() {
                told.store(true, Ordering::SeqCst);
                thread::sleep(PATIENCE);
                reply.send(7);
            }
        });
        let answer = awaited.wait(PATIENCE);
        filter.unwrap().join().unwrap();
        let expected =
            if has_taken_over.load(Ordering::SeqCst) { Ok(7) } else { Err(Silence::NotBegun) };
        // A thread that had not begun may also be gone by then.
        let is_gone = answer == Err(Silence::Ended) && expected == Err(Silence::NotBegun);
        assert!(answer == expected || is_gone, "{answer:?} is not {expected:?}");
    });
}

#[test]
fn model_a_state_that_is_said_to_be_kept_is() {
    check(200, Clock::Patient, |seed| {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { max_bytes: Some(1 << 20), ..Settings::default() };
        let clock = Arc::new(Manual::at(1_000));
        let (journal, _) = Journal::open(folder.path(), &settings, clock).unwrap();
        let options = ReaderOptions { keeps: Keeps::Snapshot, ..ReaderOptions::default() };
        let _filter = journal.reader("filter", options).unwrap();
        let keeper = Keeper::start(journal.clone()).unwrap();
        let mut last = Position(0);
        let states = folder.path().join("journal/snapshots");
        for round in 0..3_u64 {
            last = journal.append_tick().unwrap().unwrap();
            assert!(journal.wait_durable(last, Duration::from_secs(60)).unwrap());
            let state = Some(round.to_le_bytes().to_vec());
            // Once the disk refuses: a file stands where the folder is to be.
            let (states, aside) = (states.clone(), folder.path().join("aside"));
            let is_refused = round == seed % 3;
            if is_refused {
                let _ = std::fs::rename(&states, &aside);
                std::fs::write(&states, b"").unwrap();
            }
            let mender = thread::Builder::new().spawn(move || {
                thread::sleep(Duration::from_millis(20));
                if is_refused {
                    std::fs::remove_file(&states).unwrap();
                    let _ = std::fs::rename(&aside, &states);
                }
            });
            keeper.keep(Snapshot { reader: "filter".into(), position: last, state }, last);
            // Sooner or later after it was handed over.
            for _ in 0..seed / 3 % 40 {
                let _ = journal.settled();
            }
            let begun = Instant::now();
            keeper.settle(Duration::from_secs(60));
            assert!(begun.elapsed() < Duration::from_secs(10), "kept after {:?}", begun.elapsed());
            let kept = journal.snapshot("filter").unwrap().map(|(position, _)| position);
            assert_eq!(kept, Some(last), "round {round}");
            mender.unwrap().join().unwrap();
        }
        keeper.end();
        journal.close().unwrap();
        assert!(last > Position(0));
    });
}
