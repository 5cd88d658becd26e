//! Disks that fail, files that are damaged, budgets that are full.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nix::errno::Errno;

use super::*;
use crate::journal::faults::power::Failing;
use crate::journal::faults::power::Watched;
use crate::journal::faults::steps;
use crate::journal::faults::steps::Order;
use crate::journal::faults::wear_out;

/// A batch of one message of so many bytes.
fn large(source: &str, offset: u64, bytes: usize) -> Batch {
    let mut batch = Batch::new();
    let mut encoded = vec![0x32];
    encoding::put_varint(&mut encoded, bytes as u64);
    encoded.resize(encoded.len() + bytes, b'x');
    batch.push_encoded(&encoded, Marks::default()).unwrap();
    batch.reach(&Source::from(source), SourcePosition::at(offset));
    batch
}

fn open_with(folder: &Path, settings: &Settings) -> (Journal, Recovery) {
    Journal::open(folder, settings, Arc::new(Manual::at(1_000))).unwrap()
}

fn small(full_action: FullAction) -> Settings {
    Settings { max_bytes: Some(1 << 20), full_action, ..Settings::default() }
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "it does not come about");
        std::thread::yield_now();
    }
}

fn segment_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("journal"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "segment"));
    files.sort();
    files
}

/// Overwrites the body of the entry at `position`, or its header.
fn damage(folder: &Path, number: usize, position: u64, in_header: bool) {
    let path = &segment_files(folder)[number];
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let (head, _, _) = segment::read_head(&file).unwrap().unwrap();
    let mut walk = walk::Walk::new(Arc::new(file.try_clone().unwrap()), head.segment, head.length);
    walk.seek(Position(position)).unwrap();
    let at = walk.at() + if in_header { 20 } else { 70 };
    file.write_all_at(&[0xee; 4], at).unwrap();
}

#[test]
fn failed_sync_goes_into_a_new_segment() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open_journal(folder.path());
    let first = journal.append(batch("file", 1, &["before"])).unwrap();
    assert!(journal.wait_durable(first, Duration::from_secs(30)).unwrap());
    journal.shared.faults.syncs.store(2, Ordering::SeqCst);
    let second = journal.append(batch("file", 2, &["held"])).unwrap();
    assert!(journal.wait_durable(second, Duration::from_secs(30)).unwrap());
    assert_eq!(journal.status().failed_syncs, 2);
    // The second of them was never one, and what the first does not need is given back.
    let lengths =
        segment_files(folder.path()).into_iter().map(|path| path.metadata().unwrap().len());
    let lengths: Vec<u64> = lengths.collect();
    assert!(lengths.len() == 2 && lengths[0] < 16 << 10, "{lengths:?}");
    let used: u64 = journal.shared.lock().segments.iter().map(|segment| segment.used()).sum();
    assert_eq!(journal.status().bytes, used);
    let third = journal.append(batch("file", 3, &["after"])).unwrap();
    assert_eq!((second, third), (Position(2), Position(3)));
    journal.close().unwrap();
    let (journal, recovery) = open_journal(folder.path());
    assert_eq!((recovery.damages, recovery.end), (vec![], Position(3)));
    let options = ReaderOptions { start: Start::Oldest, ..ReaderOptions::default() };
    let mut reader = journal.reader("late", options).unwrap();
    let texts: Vec<_> = (0..3).map(|_| payloads(&take(&mut reader))).collect();
    assert_eq!(texts, [["before"], ["held"], ["after"]]);
}

#[test]
fn a_record_written_in_part_hides_nothing_behind_it() {
    let folder = power::folder();
    let settings = Settings { max_bytes: Some(64 << 20), ..Settings::default() };
    let _ordered = steps::ordered();
    let (journal, _) = open_with(folder.path(), &settings);
    journal.append(batch("file", 1, &["before"])).unwrap();
    journal.shared.order(Order::Sync);
    // The table of these readers is written in two pieces, of which the first fails once.
    let names: Vec<String> = (0..1200).map(|number| format!("{number:01000}")).collect();
    for name in &names {
        journal.reader(name, ReaderOptions::default()).unwrap();
    }
    let disk = Watched::new(folder.path());
    disk.fail(Failing { after: 0, times: 1, error: Errno::EIO });
    journal.append(batch("file", 2, &["behind"])).unwrap();
    journal.shared.order(Order::Sync);
    disk.end();
    assert!(journal.status().failure.is_some());
    names[3..].iter().for_each(|name| journal.forget(name));
    journal.shared.order(Order::Sync);
    assert_eq!(journal.durable(), journal.end());
    journal.shared.faults.is_killed.store(true, Ordering::SeqCst);
    let _ = open::close(&journal.shared, &journal.keeper);
    let (journal, recovery) = open_with(folder.path(), &settings);
    assert_eq!((recovery.damages, recovery.end), (vec![], Position(2)));
    assert_eq!(journal.readers().len(), 3);
    journal.close().unwrap();
}

#[test]
fn the_last_writes_are_tried_again_after_many_failures() {
    let folder = tempfile::tempdir().unwrap();
    let _ordered = steps::ordered();
    let (journal, _) = open_journal(folder.path());
    journal.append(batch("file", 1, &["held"])).unwrap();
    journal.shared.faults.syncs.store(7, Ordering::SeqCst);
    for _ in 0..5 {
        journal.shared.order(Order::Sync);
    }
    assert_eq!((journal.status().failed_syncs, journal.durable()), (5, Position(0)));
    journal.close().unwrap();
    let (journal, recovery) = open_journal(folder.path());
    assert!(recovery.was_clean);
    assert_eq!(recovery.end, Position(1));
    journal.close().unwrap();
}

#[test]
fn full_disk_holds_the_input_back_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { tail_bytes: 128 << 10, ..small(FullAction::Block) };
    let (journal, _) = open_with(folder.path(), &settings);
    journal.shared.faults.is_full.store(true, Ordering::SeqCst);
    let appender = {
        let journal = journal.clone();
        std::thread::spawn(move || {
            (0..8).map(|number| journal.append(large("file", number, 20_000)).unwrap()).max()
        })
    };
    wait_until(|| journal.status().failure.is_some());
    wait_until(|| journal.end() >= Position(3));
    assert!(journal.end() < Position(8) && journal.durable() == Position(0));
    journal.shared.faults.is_full.store(false, Ordering::SeqCst);
    assert_eq!(appender.join().unwrap(), Some(Position(8)));
    assert!(journal.wait_durable(Position(8), Duration::from_secs(30)).unwrap());
    wait_until(|| journal.status().failure.is_none());
    journal.close().unwrap();
}

#[test]
fn damaged_entries_are_named_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let settings = small(FullAction::Block);
    let (journal, _) = open_with(folder.path(), &settings);
    for number in 1..=20 {
        journal.append(large("file", number, 10_000)).unwrap();
        assert!(journal.wait_durable(Position(number), Duration::from_secs(30)).unwrap());
    }
    journal.close().unwrap();
    drop(journal);
    let newest = segment_files(folder.path()).len() - 1;
    assert!(newest >= 2);
    damage(folder.path(), 0, 3, false);
    damage(folder.path(), 0, 5, true);
    damage(folder.path(), newest, 20, false);
    let (journal, recovery) = open_with(folder.path(), &settings);
    let lost: Vec<_> = recovery.damages.iter().map(|it| (it.first, it.last)).collect();
    assert_eq!(lost, [(Position(20), Position(20))]);
    // What was not lost with an entry is where its source is.
    assert_eq!(journal.last_position("file"), Some(SourcePosition::at(19)));
    let beside = open_read_only(&folder.path().join("journal")).unwrap();
    let options = ReaderOptions { start: Start::Oldest, ..ReaderOptions::default() };
    let mut reader = journal.reader("late", options).unwrap();
    let mut read_only = beside;
    let expected: Vec<_> = (1..=20).map(|number| (number, [3, 5, 20].contains(&number))).collect();
    assert_eq!(drain(|| reader.next().unwrap()), expected);
    assert_eq!(drain(|| read_only.next().unwrap()), expected);
}

#[test]
fn a_place_that_cannot_be_read_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let settings = small(FullAction::Block);
    let (journal, _) = open_with(folder.path(), &settings);
    for number in 1..=20 {
        journal.append(large("file", number, 10_000)).unwrap();
    }
    journal.close().unwrap();
    let oldest = &segment_files(folder.path())[0];
    let (journal, _) = open_with(folder.path(), &settings);
    // In the middle of the third entry.
    let _worn = wear_out(oldest, 25_000..25_001);
    let options = ReaderOptions { start: Start::Oldest, ..ReaderOptions::default() };
    let mut reader = journal.reader("late", options).unwrap();
    let mut failures = 0;
    let found = drain(|| {
        loop {
            match reader.next() {
                Ok(next) => return next,
                Err(_) => failures += 1,
            }
        }
    });
    let expected: Vec<_> = (1..=20).map(|number| (number, number == 3)).collect();
    assert_eq!(found, expected);
    assert!(failures > 1, "{failures}");
    assert_eq!(journal.status().damaged_entries, 1);
    journal.close().unwrap();
}

/// All positions that come, and whether they were missed.
fn drain(mut next: impl FnMut() -> Next) -> Vec<(u64, bool)> {
    let mut out = Vec::new();
    loop {
        match next() {
            Next::Entry(entry) => out.push((entry.position.0, false)),
            Next::Missed { first, last, .. } => {
                out.extend((first.0..=last.0).map(|position| (position, true)));
            }
            Next::Empty => return out,
        }
    }
}

#[test]
fn damaged_head_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = small(FullAction::Block);
    let (journal, _) = open_with(folder.path(), &settings);
    for number in 1..=20 {
        journal.append(large("file", number, 10_000)).unwrap();
    }
    journal.close().unwrap();
    for path in segment_files(folder.path()).iter().rev().take(2) {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(&[0; 30], 50).unwrap();
    }
    let (journal, recovery) = open_with(folder.path(), &settings);
    assert_eq!((recovery.damages, recovery.remarks.len()), (vec![], 2));
    assert_eq!(journal.last_position("file"), Some(SourcePosition::at(20)));
    let options = ReaderOptions { start: Start::Oldest, ..ReaderOptions::default() };
    let mut reader = journal.reader("late", options).unwrap();
    assert_eq!(drain(|| reader.next().unwrap()).len(), 20);
}

/// Fills the journal past a reader that does not move, in a thread; ends with the first refusal.
fn fill(journal: &Journal, count: u64) -> std::thread::JoinHandle<Result<(), Error>> {
    let journal = journal.clone();
    std::thread::spawn(move || {
        (0..count).try_for_each(|number| journal.append(large("file", number, 10_000)).map(drop))
    })
}

fn check_full(settings: &Settings) -> (tempfile::TempDir, Journal, Reader) {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open_with(folder.path(), settings);
    let reader = journal.reader("stuck", ReaderOptions::default()).unwrap();
    (folder, journal, reader)
}

fn full_journal_holds_the_input_back(storage: StorageKind) {
    let settings = Settings { storage, ..small(FullAction::Block) };
    let (_folder, journal, mut reader) = check_full(&settings);
    let appender = fill(&journal, 200);
    wait_until(|| journal.status().is_blocked_by.is_some());
    let status = journal.status();
    assert_eq!(status.is_blocked_by.as_deref(), Some("stuck"));
    assert_eq!(status.is_filled_by.as_deref(), Some("stuck"));
    assert!(status.bytes <= status.max_bytes);
    // Ticks and filters have a part of their own.
    assert!(journal.append_tick().unwrap().is_some());
    journal.append_injected(large("filter", 1, 10_000)).unwrap();
    let refused =
        (0..200).find_map(|number| journal.append_injected(large("filter", number, 10_000)).err());
    assert!(matches!(refused, Some((Error::Full { reader: Some(name) }, _)) if name == "stuck"));
    let mut count = 0;
    while !appender.is_finished() {
        match reader.next().unwrap() {
            Next::Entry(entry) => {
                reader.commit(entry.position);
                count += 1;
            }
            Next::Empty => std::thread::yield_now(),
            missed @ Next::Missed { .. } => panic!("{missed:?}"),
        }
    }
    appender.join().unwrap().unwrap();
    assert!(count > 50);
    assert_eq!(journal.status().dropped_entries, 0);
    wait_until(|| journal.status().is_blocked_by.is_none());
    journal.close().unwrap();
}

#[test]
fn full_journal_on_disk_holds_the_input_back() {
    full_journal_holds_the_input_back(StorageKind::Disk);
}

#[test]
fn full_journal_in_memory_holds_the_input_back() {
    full_journal_holds_the_input_back(StorageKind::Memory);
}

fn drop_oldest_moves_the_reader_on(storage: StorageKind) {
    let settings = Settings { storage, ..small(FullAction::DropOldest) };
    let (_folder, journal, mut reader) = check_full(&settings);
    fill(&journal, 300).join().unwrap().unwrap();
    let status = journal.status();
    assert!(status.dropped_entries > 0 && status.bytes <= status.max_bytes, "{status:?}");
    let end = journal.end();
    let mut next = 1;
    let mut missed = 0;
    while next <= end.0 {
        match reader.next().unwrap() {
            Next::Entry(entry) => {
                assert_eq!(entry.position, Position(next));
                next += 1;
            }
            Next::Missed { first, last, why } => {
                assert_eq!((first, why), (Position(next), Missing::Dropped));
                missed += last.0 - first.0 + 1;
                next = last.0 + 1;
            }
            Next::Empty => std::thread::yield_now(),
        }
    }
    assert_eq!(missed, journal.readers()[0].dropped_entries);
    journal.close().unwrap();
}

#[test]
fn drop_oldest_on_disk_moves_the_reader_on() {
    drop_oldest_moves_the_reader_on(StorageKind::Disk);
}

#[test]
fn drop_oldest_in_memory_moves_the_reader_on() {
    drop_oldest_moves_the_reader_on(StorageKind::Memory);
}

#[test]
fn shutdown_refuses_the_input_and_says_so() {
    let (_folder, journal, _reader) = check_full(&small(FullAction::Shutdown));
    let refused = fill(&journal, 300).join().unwrap();
    assert!(matches!(refused, Err(Error::Full { .. })));
    assert!(journal.status().must_shut_down);
    journal.close().unwrap();
}

#[test]
fn released_appenders_are_sent_away() {
    let (_folder, journal, _reader) = check_full(&small(FullAction::Block));
    let appender = fill(&journal, 300);
    wait_until(|| journal.status().is_blocked_by.is_some());
    journal.release_appenders();
    assert!(matches!(appender.join().unwrap(), Err(Error::Closing)));
    // Filters still finish what they have.
    journal.append_injected(large("filter", 1, 100)).unwrap();
    journal.close().unwrap();
    assert!(matches!(journal.append_tick(), Err(Error::Closing)));
}

#[test]
fn retired_reader_holds_nothing_back() {
    let (_folder, journal, _reader) = check_full(&small(FullAction::Block));
    journal.retire("stuck");
    fill(&journal, 300).join().unwrap().unwrap();
    let mut reader = journal.reader("stuck", ReaderOptions::default()).unwrap();
    assert!(matches!(
        reader.next().unwrap(),
        Next::Missed { first: Position(1), why: Missing::Trimmed, .. }
    ));
    journal.close().unwrap();
}

#[test]
fn limit_of_a_reader_counts_for_it_alone() {
    let (_folder, journal, _reader) = check_full(&small(FullAction::Block));
    let options = ReaderOptions {
        full_action: Some(FullAction::DropOldest),
        max_bytes: Some(200_000),
        ..ReaderOptions::default()
    };
    let _limited = journal.reader("limited", options).unwrap();
    fill(&journal, 60).join().unwrap().unwrap();
    wait_until(|| journal.readers()[1].dropped_entries > 0);
    assert_eq!(journal.readers()[0].dropped_entries, 0);
    journal.close().unwrap();
}

#[test]
fn reader_at_its_own_limit_holds_the_input_back() {
    let (_folder, journal, _reader) = check_full(&small(FullAction::Block));
    let options = ReaderOptions { max_bytes: Some(200_000), ..ReaderOptions::default() };
    let mut limited = journal.reader("limited", options).unwrap();
    let appender = fill(&journal, 60);
    wait_until(|| journal.status().is_blocked_by.as_deref() == Some("limited"));
    assert!(journal.end() < Position(60));
    while !appender.is_finished() {
        match limited.next().unwrap() {
            Next::Entry(entry) => limited.commit(entry.position),
            _ => std::thread::yield_now(),
        }
    }
    appender.join().unwrap().unwrap();
    journal.close().unwrap();
}

#[test]
fn filter_that_holds_its_own_room_is_moved_on() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open_with(folder.path(), &small(FullAction::Block));
    let options = ReaderOptions { keeps: Keeps::Snapshot, ..ReaderOptions::default() };
    let _filter = journal.reader("filter", options).unwrap();
    let appender = fill(&journal, 200);
    wait_until(|| journal.status().is_blocked_by.as_deref() == Some("filter"));
    let injects = || journal.append_injected(large("filter", 1, 10_000)).is_ok();
    wait_until(|| !injects());
    wait_until(injects);
    assert!(journal.status().dropped_entries > 0);
    journal.release_appenders();
    let _ = appender.join().unwrap();
    journal.close().unwrap();
}

#[test]
fn what_is_long_gone_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Manual::at(0));
    let settings = small(FullAction::Block);
    let journal = Journal::open(folder.path(), &settings, clock.clone()).unwrap().0;
    drop(journal.reader("gone", ReaderOptions::default()).unwrap());
    drop(journal.reader("stays", ReaderOptions::default()).unwrap());
    journal.retire("gone");
    journal.append(batch("old", 1, &["a"])).unwrap();
    clock.advance(Duration::from_hours(100 * 24));
    journal.append(batch("new", 1, &["a"])).unwrap();
    fill(&journal, 20).join().unwrap().unwrap();
    assert!(journal.wait_durable(journal.end(), Duration::from_secs(30)).unwrap());
    let look = || {
        journal.shared.lock().wants_room = true;
        journal.shared.work.notify_one();
        journal.readers().len()
    };
    wait_until(|| look() == 1);
    assert_eq!(journal.readers()[0].name, "stays");
    // A new segment has been begun, and its table leaves the old source out.
    assert_eq!((journal.last_position("old"), journal.last_positions("new").len()), (None, 1));
    journal.close().unwrap();
}

#[test]
fn entry_too_large_is_refused() {
    let (_folder, journal, _reader) = check_full(&small(FullAction::Block));
    assert_eq!(journal.largest_entry(), 512 << 10);
    let refused = journal.append(large("file", 1, 600_000));
    assert!(matches!(refused, Err(Error::TooLarge { .. })));
    // One that is larger than a segment is held alone.
    journal.append(large("file", 1, 300_000)).unwrap();
    assert!(journal.wait_durable(Position(1), Duration::from_secs(30)).unwrap());
    journal.close().unwrap();
}

#[test]
fn folder_is_for_one_engine() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open_journal(folder.path());
    let second = Journal::open(folder.path(), &Settings::default(), Arc::new(Manual::at(0)));
    let pid = std::process::id().to_string();
    assert!(matches!(second, Err(Error::Locked { pid: other, .. }) if other == pid));
    journal.close().unwrap();
    open_journal(folder.path());
}

#[test]
fn memory_remembers_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { storage: StorageKind::Memory, ..small(FullAction::Block) };
    let (journal, _) = open_with(folder.path(), &settings);
    let id = journal.id();
    let mut output = journal.reader("output", ReaderOptions::default()).unwrap();
    let options = ReaderOptions { keeps: Keeps::Snapshot, ..ReaderOptions::default() };
    let mut filter = journal.reader("filter", options).unwrap();
    for number in 1..=4 {
        journal.append(batch("file", number, &["a"])).unwrap();
    }
    assert_eq!((journal.settled(), journal.durable()), (Position(4), Position(0)));
    for _ in 0..3 {
        let position = take(&mut output).position;
        output.commit(position);
    }
    filter.commit(Position(2));
    assert!(journal.wait_durable(Position(2), Duration::from_secs(30)).unwrap());
    assert_eq!(journal.durable(), Position(2));
    let state = Snapshot { reader: "filter".into(), position: Position(2), state: Some(vec![7]) };
    journal.store_snapshots(&[state]).unwrap();
    journal.close().unwrap();
    drop((output, filter));
    let (journal, recovery) = open_with(folder.path(), &settings);
    assert!(recovery.was_clean);
    assert_eq!((journal.id(), journal.end()), (id, Position(4)));
    assert_eq!(journal.last_position("file"), Some(SourcePosition::at(2)));
    assert_eq!(journal.snapshot("filter").unwrap(), Some((Position(2), vec![7])));
    let mut output = journal.reader("output", ReaderOptions::default()).unwrap();
    assert!(matches!(output.next().unwrap(), Next::Empty));
    journal.append(batch("file", 3, &["c"])).unwrap();
    assert_eq!(take(&mut output).position, Position(5));
    // Killed, it goes on behind everything that may have been used.
    journal.shared.faults.is_killed.store(true, Ordering::SeqCst);
    let _ = open::close(&journal.shared, &journal.keeper);
    let (journal, recovery) = open_with(folder.path(), &settings);
    assert!(!recovery.was_clean);
    assert!(journal.end() > Position(1_000));
}

#[test]
fn values_and_hourly_snapshots_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Manual::at(0));
    let open = || Journal::open(folder.path(), &Settings::default(), clock.clone()).unwrap().0;
    let journal = open();
    journal.put("key", b"value").unwrap();
    journal.put("gone", b"value").unwrap();
    journal.put("gone", b"").unwrap();
    let options = ReaderOptions { keeps: Keeps::Snapshot, ..ReaderOptions::default() };
    let _reader = journal.reader("filter", options).unwrap();
    for number in 1..=9_u8 {
        journal.append(batch("file", number.into(), &["a"])).unwrap();
        let position = Position(number.into());
        assert!(journal.wait_durable(position, Duration::from_secs(30)).unwrap());
        let state = Some(vec![number; 100]);
        journal.store_snapshots(&[Snapshot { reader: "filter".into(), position, state }]).unwrap();
        clock.advance(Duration::from_mins(20));
    }
    let ahead = Snapshot { reader: "filter".into(), position: Position(10), state: None };
    assert!(matches!(journal.store_snapshots(&[ahead]), Err(Error::Ahead { .. })));
    journal.close().unwrap();
    let journal = open();
    assert_eq!((journal.value("key"), journal.value("gone")), (Some(b"value".to_vec()), None));
    assert_eq!(journal.snapshot("filter").unwrap(), Some((Position(9), vec![9; 100])));
    let kept = journal.snapshot_before("filter", Position(6)).unwrap();
    assert_eq!(kept.map(|(position, _)| position), Some(Position(4)));
    journal.close().unwrap();
}
