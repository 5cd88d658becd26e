//! Every write, sync and change of a name refused, one after the other: with no room, with an error
//! of the disk, read-only.
//!
//! `HEKA_ROUNDS` says how many places of a session are tried, `HEKA_SEED` which; by default some.

use nix::errno::Errno;

use super::power::folder;
use super::power::number;
use super::*;
use crate::journal::faults::power::Failing;
use crate::journal::faults::power::Watched;
use crate::journal::faults::power::below;
use crate::stdx::random::Random;

/// A session in `folder`: appends, snapshots and values over several segments. What is refused is
/// done again.
fn session(folder: &Path, failures_left: &dyn Fn() -> usize) {
    let settings = Settings { max_bytes: Some(1 << 20), ..Settings::default() };
    let open = || Journal::open(folder, &settings, Arc::new(Manual::at(1_000)));
    // What fails while it is opened is told, and nothing is harmed.
    let journal = (0..=4).find_map(|_| open().ok()).expect("it opens once the disk works").0;
    let snapshot = ReaderOptions { keeps: Keeps::Snapshot, ..ReaderOptions::default() };
    let mut output = journal.reader("output", ReaderOptions::default()).unwrap();
    let _filter = journal.reader("filter", snapshot).unwrap();
    for number in 1..=8_u64 {
        let text = number.to_string().repeat(20_000);
        let position = journal.append(large(&text, number)).unwrap();
        assert!(journal.wait_durable(position, Duration::from_mins(2)).unwrap());
        assert_eq!(take(&mut output).position, position);
        output.commit(position);
        let state = Some(number.to_le_bytes().to_vec());
        let stored = Snapshot { reader: "filter".into(), position, state };
        again(failures_left, || journal.store_snapshots(std::slice::from_ref(&stored)));
        again(failures_left, || journal.put("key", &number.to_le_bytes()));
    }
    journal.close().unwrap();
}

/// Does it until it is done; each failure is one that was injected.
fn again(failures_left: &dyn Fn() -> usize, mut act: impl FnMut() -> Result<(), Error>) {
    loop {
        let before = failures_left();
        match act() {
            Ok(()) => return,
            Err(error) => assert!(failures_left() < before, "{error}"),
        }
    }
}

fn check(after: usize, times: usize, error: Errno) {
    let folder = folder();
    let disk = Watched::new(folder.path());
    disk.fail(Failing { after, times, error });
    session(folder.path(), &|| disk.failures_left());
    disk.end();
    let looked = survey(&folder.path().join("journal")).unwrap();
    assert_eq!(looked.damages, vec![], "change {after} refused with {error}");
    assert_eq!(looked.sources[0].1.offset, 8);
    let (journal, recovery) = open_journal(folder.path());
    assert!(recovery.was_clean && recovery.remarks.is_empty(), "{recovery:?}");
    let options =
        ReaderOptions { start: Start::Oldest, keeps: Keeps::Nothing, ..Default::default() };
    let mut reader = journal.reader("look", options).unwrap();
    // What every reader has passed may have been given up for room.
    let oldest = journal.oldest().0;
    assert!(oldest == 1 || (error == Errno::ENOSPC && oldest <= 8), "{oldest}");
    for number in oldest..=8 {
        let texts = payloads(&take(&mut reader));
        let is_there = texts == [number.to_string().repeat(20_000)];
        assert!(is_there, "change {after} refused {times} times with {error}: entry {number}");
    }
    let snapshot = journal.snapshot("filter").unwrap().map(|(_, state)| state);
    assert_eq!(snapshot, Some(8_u64.to_le_bytes().to_vec()));
    assert_eq!(journal.value("key"), Some(8_u64.to_le_bytes().to_vec()));
    journal.close().unwrap();
}

#[test]
fn refused_changes_lose_nothing() {
    let folder = folder();
    let disk = Watched::new(folder.path());
    session(folder.path(), &|| 0);
    disk.end();
    let changes = disk.changes();
    assert!(changes > 100, "{changes}");
    let errors = [Errno::ENOSPC, Errno::EIO, Errno::EROFS];
    let rounds = number("HEKA_ROUNDS").unwrap_or(24);
    let mut random = Random::seeded(number("HEKA_SEED").unwrap_or(1));
    if rounds >= u64::try_from(changes * 6).unwrap() {
        for after in 0..changes {
            for error in errors {
                check(after, 1, error);
                check(after, 3, error);
            }
        }
        return;
    }
    for _ in 0..rounds {
        let (after, times) = (below(&mut random, changes), 1 + below(&mut random, 3));
        check(after, times, errors[below(&mut random, 3)]);
    }
}
