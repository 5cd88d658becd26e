//! The journal from outside: what is appended is read, whatever happens in between.

mod damage;
mod faults;
mod model;
mod power;
mod refused;
#[cfg(feature = "model")]
mod schedules;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::message::Marks;
use crate::stdx::clock::Manual;

fn batch(source: &str, offset: u64, texts: &[&str]) -> Batch {
    let mut batch = Batch::new();
    for text in texts {
        let mut encoded = vec![0x0a, 16];
        encoded.extend_from_slice(&[7; 16]);
        encoded.extend_from_slice(&[0x10, 5, 0x32, u8::try_from(text.len()).unwrap()]);
        encoded.extend_from_slice(text.as_bytes());
        batch.push_encoded(&encoded, Marks::default()).unwrap();
    }
    batch.reach(&Source::from(source), SourcePosition::at(offset));
    batch
}

/// One message from the source `file`, of any size.
fn large(text: &str, offset: u64) -> Batch {
    let mut batch = Batch::new();
    let mut message = batch.begin();
    message.payload(text.as_bytes());
    message.finish().unwrap();
    batch.reach(&Source::from("file"), SourcePosition::at(offset));
    batch
}

fn open_journal(folder: &Path) -> (Journal, Recovery) {
    let settings = Settings { max_bytes: Some(8 << 20), ..Settings::default() };
    Journal::open(folder, &settings, Arc::new(Manual::at(1_000))).unwrap()
}

fn payloads(entry: &Entry) -> Vec<String> {
    let batch = entry.batch().unwrap();
    batch.iter().map(|message| String::from_utf8(message.payload().to_vec()).unwrap()).collect()
}

fn take(reader: &mut Reader) -> Arc<Entry> {
    match reader.next().unwrap() {
        Next::Entry(entry) => entry,
        other => panic!("no entry but {other:?}"),
    }
}

#[test]
fn what_is_appended_is_read_at_the_tail_without_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, recovery) = open_journal(folder.path());
    assert!(recovery.is_new);
    let options = ReaderOptions { reads: Reads::Appended, ..ReaderOptions::default() };
    let mut one = journal.reader("one", options).unwrap();
    let mut two = journal.reader("two", options).unwrap();
    assert!(matches!(one.next().unwrap(), Next::Empty));
    assert_eq!(journal.append(batch("file", 10, &["a", "b"])).unwrap(), Position(1));
    let first = take(&mut one);
    assert_eq!(payloads(&first), ["a", "b"]);
    assert!(Arc::ptr_eq(&first, &take(&mut two)));
    assert_eq!(journal.last_position("file"), Some(SourcePosition::at(10)));
    journal.close().unwrap();
}

#[test]
fn everything_is_there_after_a_clean_end() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open_journal(folder.path());
    let id = journal.id();
    let mut reader = journal.reader("out", ReaderOptions::default()).unwrap();
    for number in 0..100 {
        journal.append(batch("file", number, &["x", "y"])).unwrap();
        journal.append_tick().unwrap();
    }
    assert!(journal.wait_durable(Position(200), Duration::from_secs(10)).unwrap());
    for _ in 0..50 {
        let entry = take(&mut reader);
        reader.commit(entry.position);
    }
    journal.close().unwrap();
    let (journal, recovery) = open_journal(folder.path());
    assert!(recovery.was_clean);
    assert_eq!((journal.id(), journal.end()), (id, Position(200)));
    assert_eq!(journal.last_position("file"), Some(SourcePosition::at(99)));
    let mut reader = journal.reader("out", ReaderOptions::default()).unwrap();
    assert_eq!(reader.lag().entries, 150);
    for number in 51..=200 {
        assert_eq!(take(&mut reader).position, Position(number));
    }
    assert!(matches!(reader.next().unwrap(), Next::Empty));
    assert_eq!(journal.append(batch("file", 100, &["z"])).unwrap(), Position(201));
    journal.close().unwrap();
}

#[test]
fn an_older_state_that_comes_late_is_not_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open_journal(folder.path());
    let options = ReaderOptions { keeps: Keeps::Snapshot, ..ReaderOptions::default() };
    let _reader = journal.reader("count", options).unwrap();
    for number in 0..3 {
        journal.append(batch("file", number, &["x"])).unwrap();
    }
    assert!(journal.wait_durable(Position(3), Duration::from_secs(10)).unwrap());
    for (position, state) in [(2, "two"), (1, "one")] {
        let state = Some(state.as_bytes().to_vec());
        let snapshot = Snapshot { reader: "count".into(), position: Position(position), state };
        journal.store_snapshots(&[snapshot]).unwrap();
    }
    assert_eq!(journal.snapshot("count").unwrap(), Some((Position(2), b"two".to_vec())));
    journal.close().unwrap();
}

#[test]
fn the_first_state_is_kept_though_its_reader_has_gone_back() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open_journal(folder.path());
    for number in 0..3 {
        journal.append(batch("file", number, &["x"])).unwrap();
    }
    assert!(journal.wait_durable(Position(3), Duration::from_mins(1)).unwrap());
    let options = ReaderOptions { keeps: Keeps::Snapshot, ..ReaderOptions::default() };
    let mut reader = journal.reader("count", options).unwrap();
    assert_eq!(reader.position(), Position(3));
    reader.seek(Position(1));
    let snapshot =
        Snapshot { reader: "count".into(), position: Position(1), state: Some(b"one".to_vec()) };
    journal.store_snapshots(&[snapshot]).unwrap();
    let kept = journal.snapshot("count").unwrap();
    assert_eq!(kept.map(|(_, state)| state), Some(b"one".to_vec()));
    drop(reader);
    journal.close().unwrap();
}

#[test]
fn no_more_history_goes_than_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        Settings { max_bytes: Some(8 << 20), retain_bytes: Some(8 << 20), ..Settings::default() };
    let (journal, _) =
        Journal::open(folder.path(), &settings, Arc::new(Manual::at(1_000))).unwrap();
    // Half as much again as there is room for.
    let text = "x".repeat(64 << 10);
    let entries = 12 << 4;
    for number in 1..=entries {
        let position = journal.append(large(&text, number)).unwrap();
        assert!(journal.wait_durable(position, Duration::from_mins(1)).unwrap());
        let kept = position.0 - journal.oldest().0;
        assert!(kept.saturating_add(1) >= number.min(5 << 4), "{kept} entries at {number}");
    }
    assert!(journal.oldest() > Position(1), "nothing has gone");
    journal.close().unwrap();
}
