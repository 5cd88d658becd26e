//! The group commit under every order of its threads: appenders, the writer, those who wait for what
//! is durable, readers at the tail, and who closes the journal.
//!
//! Time passes only while nobody can go on, so that whoever waits longer than the commit's pace waits
//! for a wake-up that was forgotten. `HEKA_ROUNDS` says how many orders are tried, `HEKA_SEED` which.

use super::power::folder;
use super::*;
use crate::journal::faults::power::Watched;
use crate::stdx::random::Random;
use crate::stdx::sync::Instant;
use crate::stdx::sync::model::Clock;
use crate::stdx::sync::model::check;
use crate::stdx::sync::thread;

/// Longer than any run.
const LONG: Duration = Duration::from_hours(10);
/// The pace of the commit, twice: a sync may just have begun.
const PACE: Duration = Duration::from_millis(10);

fn open_at(folder: &Path, tail_bytes: u64) -> Journal {
    let settings = Settings { max_bytes: Some(1 << 20), tail_bytes, ..Settings::default() };
    Journal::open(folder, &settings, Arc::new(Manual::at(1_000))).unwrap().0
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::Builder::new().name(name.to_owned()).spawn(run).unwrap()
}

/// The last entry that a power cut would leave now.
fn left_by_a_cut(disk: &Watched, seed: u64) -> Position {
    let left = folder();
    disk.cut(disk.changes(), &mut Random::seeded(seed), left.path());
    let mut last = Position(0);
    let Ok(mut journal) = open_read_only(&left.path().join("journal")) else { return last };
    while let Next::Entry(entry) = journal.next().unwrap() {
        last = entry.position;
    }
    last
}

/// Appends and waits; what is said to be durable outlives a power cut, and is said in time.
fn append(journal: &Journal, disk: &Watched, (seed, name): (u64, u64), patience: Option<Duration>) {
    for number in 0..2 {
        let source = format!("source {name}");
        let position = journal.append(batch(&source, number, &["text"])).unwrap();
        let begun = Instant::now();
        while !journal.wait_durable(position, LONG).unwrap() {}
        let took = begun.elapsed();
        assert!(patience.is_none_or(|most| took <= most), "{position} was durable after {took:?}");
        let left = left_by_a_cut(disk, seed);
        assert!(left >= position, "{position} was acknowledged, {left} is what is left");
    }
}

fn commit(seed: u64, failures: u32, patience: Option<Duration>) {
    let folder = folder();
    let disk = Watched::new(folder.path());
    let journal = open_at(folder.path(), 1 << 20);
    journal.shared.faults.syncs.store(failures, std::sync::atomic::Ordering::SeqCst);
    let appenders = (0..3).map(|name| {
        let (journal, disk) = (journal.clone(), disk.clone());
        spawn("appender", move || append(&journal, &disk, (seed, name), patience))
    });
    let appenders: Vec<_> = appenders.collect();
    appenders.into_iter().for_each(|appender| appender.join().unwrap());
    journal.close().unwrap();
    disk.end();
    assert_eq!(left_by_a_cut(&disk, seed), Position(6));
}

#[test]
fn model_what_is_acknowledged_is_synced_and_in_time() {
    check(200, Clock::Patient, |seed| commit(seed, 0, Some(PACE)));
}

#[test]
fn model_what_is_acknowledged_is_synced_however_slow_threads_are() {
    check(100, Clock::Hasty, |seed| commit(seed, 0, None));
}

#[test]
fn model_what_a_failed_sync_covered_is_acknowledged_after_another() {
    // The pause behind a failure, and the pace.
    let patience = Some(Duration::from_millis(200) + PACE);
    check(100, Clock::Patient, move |seed| commit(seed, 1, patience));
}

#[test]
fn model_readers_at_the_tail_are_woken() {
    const ENTRIES: u64 = 4;
    check(200, Clock::Patient, |_| {
        let folder = folder();
        let journal = open_at(folder.path(), 1 << 20);
        let readers = [Reads::Durable, Reads::Appended].map(|reads| {
            let own = journal.clone();
            spawn("reader", move || {
                let me = thread::current();
                own.subscribe(Arc::new(move || me.unpark()));
                let options = ReaderOptions { reads, start: Start::Oldest, ..Default::default() };
                let mut reader = own.reader(&format!("{reads:?}"), options).unwrap();
                let begun = Instant::now();
                while reader.position() < Position(ENTRIES) {
                    match reader.next().unwrap() {
                        Next::Entry(entry) if reads == Reads::Durable => {
                            assert!(entry.position <= own.durable());
                        }
                        Next::Entry(_) => {}
                        Next::Empty => thread::park_timeout(LONG),
                        missed @ Next::Missed { .. } => panic!("{missed:?}"),
                    }
                }
                begun.elapsed()
            })
        });
        for number in 0..ENTRIES {
            journal.append(batch("file", number, &["text"])).unwrap();
        }
        for reader in readers {
            let took = reader.join().unwrap();
            assert!(took <= PACE * ENTRIES as u32, "read after {took:?}");
        }
        journal.close().unwrap();
    });
}

#[test]
fn model_appenders_that_wait_for_a_sync_go_on_with_it() {
    check(100, Clock::Patient, |_| {
        let folder = folder();
        let journal = open_at(folder.path(), 64 << 10);
        let begun = Instant::now();
        let appenders = [(); 3].map(|()| {
            let journal = journal.clone();
            spawn("appender", move || {
                for number in 0..3 {
                    let text = "x".repeat(20_000);
                    let mut batch = Batch::new();
                    let mut message = batch.begin();
                    message.payload(text.as_bytes());
                    message.finish().unwrap();
                    batch.reach(&Source::from("file"), SourcePosition::at(number));
                    journal.append(batch).unwrap();
                }
            })
        });
        appenders.into_iter().for_each(|appender| appender.join().unwrap());
        // Each waits for a few syncs, not for the moment at which it would look again by itself.
        assert!(begun.elapsed() <= PACE * 9, "appended after {:?}", begun.elapsed());
        journal.close().unwrap();
    });
}

#[test]
fn model_who_closes_leaves_nobody_waiting() {
    check(200, Clock::Patient, |seed| {
        let folder = folder();
        let disk = Watched::new(folder.path());
        let journal = open_at(folder.path(), 1 << 20);
        let appenders = [(); 2].map(|()| {
            let journal = journal.clone();
            spawn("appender", move || {
                let mut last = Position(0);
                while let Ok(position) = journal.append(batch("file", 1, &["text"])) {
                    last = position;
                    let waited = journal.wait_durable(position, LONG);
                    assert!(matches!(waited, Ok(true) | Err(Error::Closing)), "{waited:?}");
                    if position > Position(20) {
                        break;
                    }
                }
                last
            })
        });
        let begun = Instant::now();
        thread::sleep(Duration::from_millis(seed % 12));
        journal.close().unwrap();
        let last = appenders.map(|appender| appender.join().unwrap()).into_iter().max();
        assert!(begun.elapsed() < Duration::from_millis(100), "closed after {:?}", begun.elapsed());
        disk.end();
        assert!(Some(left_by_a_cut(&disk, seed)) >= last, "what was appended is lost");
    });
}
