//! The journal's files, damaged in any way, checksums made good or not: it always opens, what it
//! reads it has read whole, and it takes more.

#![no_main]

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use heka::journal;
use heka::journal::Journal;
use heka::journal::Keeps;
use heka::journal::Next;
use heka::journal::Position;
use heka::journal::ReaderOptions;
use heka::journal::Settings;
use heka::journal::Snapshot;
use heka::journal::Start;
use heka::message::Batch;
use heka::message::Source;
use heka::message::SourcePosition;
use heka::stdx::clock::Manual;
use libfuzzer_sys::arbitrary;
use libfuzzer_sys::arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

type Files = BTreeMap<PathBuf, Vec<u8>>;

static WHOLE: OnceLock<Files> = OnceLock::new();

#[derive(Arbitrary, Debug)]
struct Harm {
    file: u8,
    at: u16,
    what: What,
}

#[derive(Arbitrary, Debug)]
enum What {
    Put(u8),
    PutMany(Vec<u8>),
    CutOff,
    Insert(Vec<u8>),
    Remove(u8),
    Gone,
}

fuzz_target!(|input: (Vec<Harm>, bool, bool)| {
    let (harms, is_made_good, is_opened) = input;
    let mut files = WHOLE.get_or_init(whole).clone();
    for harm in harms.iter().take(8) {
        apply(&mut files, harm);
    }
    if is_made_good {
        for (path, bytes) in &mut files {
            make_good(path, bytes);
        }
    }
    let folder = heka_fuzz::folder();
    write(folder.path(), &files);
    look(&folder.path().join("journal"));
    if is_opened {
        open(folder.path());
    }
});

fn settings() -> Settings {
    Settings { max_bytes: Some(1 << 20), ..Settings::default() }
}

fn batch(offset: u64) -> Batch {
    let mut batch = Batch::new();
    for part in 0..3 {
        let mut message = batch.begin();
        message.uuid(&[7; 16]).payload(format!("entry {offset}, message {part}").as_bytes());
        message.finish().expect("it is small");
    }
    batch.reach(&Source::from("file"), SourcePosition::at(offset));
    batch
}

/// The files of a journal of two runs, with snapshots and values.
fn whole() -> Files {
    let folder = heka_fuzz::folder();
    let clock = || Arc::new(Manual::at(1_000));
    for run in 0..2_u64 {
        let (journal, _) = Journal::open(folder.path(), &settings(), clock()).expect("it opens");
        let keeps = ReaderOptions { keeps: Keeps::Snapshot, ..ReaderOptions::default() };
        let filter = journal.reader("filter", keeps).expect("it reads");
        let mut output = journal.reader("output", ReaderOptions::default()).expect("it reads");
        for entry in 1..=4 {
            journal.append(batch(run * 4 + entry)).expect("there is room");
            journal.append_tick().expect("there is room");
        }
        let end = journal.end();
        assert!(journal.wait_durable(end, Duration::from_secs(60)).expect("it syncs"));
        output.commit(end);
        let state = Some(vec![run as u8; 40]);
        let stored = Snapshot { reader: "filter".into(), position: end, state };
        journal.store_snapshots(&[stored]).expect("it is stored");
        journal.put("key", b"value").expect("it is stored");
        drop((output, filter));
        journal.close().expect("it ends");
    }
    let mut files = Files::new();
    read(folder.path(), folder.path(), &mut files);
    files
}

fn read(root: &Path, folder: &Path, files: &mut Files) {
    for file in folder.read_dir().expect("it is there") {
        let path = file.expect("it is there").path();
        if path.is_dir() {
            read(root, &path, files);
            continue;
        }
        let mut bytes = std::fs::read(&path).expect("it is there");
        // What is preallocated is zeros; a little of it will do.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate((used + 512).min(bytes.len()));
        files.insert(path.strip_prefix(root).expect("it is below").to_owned(), bytes);
    }
}

fn write(root: &Path, files: &Files) {
    for (path, bytes) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
        std::fs::write(path, bytes).expect("there is room");
    }
}

fn apply(files: &mut Files, harm: &Harm) {
    let Some(path) = files.keys().nth(usize::from(harm.file) % files.len().max(1)).cloned() else {
        return;
    };
    let Some(bytes) = files.get_mut(&path) else { return };
    let at = usize::from(harm.at) % (bytes.len() + 1);
    match &harm.what {
        What::Put(byte) => bytes.splice(at..(at + 1).min(bytes.len()), [*byte]).for_each(drop),
        What::PutMany(put) => {
            let end = (at + put.len()).min(bytes.len());
            bytes.splice(at..end, put.iter().copied()).for_each(drop);
        }
        What::CutOff => bytes.truncate(at),
        What::Insert(put) => bytes.splice(at..at, put.iter().copied()).for_each(drop),
        What::Remove(count) => {
            bytes.drain(at..(at + usize::from(*count)).min(bytes.len()));
        }
        What::Gone => {
            files.remove(&path);
        }
    }
}

/// Makes the checksums of a file right, so that what is behind them is read.
fn make_good(path: &Path, bytes: &mut [u8]) {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("snapshots") if bytes.len() >= 20 => {
            let length = number(bytes, 16).min(bytes.len() - 20);
            let sum = crc32fast::hash(&bytes[20..20 + length]);
            bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        }
        Some("value") if bytes.len() >= 4 => {
            let sum = crc32fast::hash(&bytes[4..]);
            bytes[..4].copy_from_slice(&sum.to_le_bytes());
        }
        _ => make_segment_good(bytes),
    }
}

fn make_segment_good(bytes: &mut [u8]) {
    if bytes.len() >= 4096 && bytes.starts_with(b"HEKAJRNL") {
        let length = number(bytes, 16).clamp(112, bytes.len());
        let mut sum = crc32fast::Hasher::new();
        sum.update(&bytes[..12]);
        sum.update(&bytes[16..length]);
        bytes[12..16].copy_from_slice(&sum.finalize().to_le_bytes());
    }
    for at in (0..bytes.len().saturating_sub(63)).step_by(8) {
        if !bytes[at..].starts_with(b"HkE1") {
            continue;
        }
        let length = number(bytes, at + 48).saturating_add(number(bytes, at + 52));
        let body = at + 64;
        if length <= bytes.len() - body {
            let sum = crc32fast::hash(&bytes[body..body + length]);
            bytes[at + 60..body].copy_from_slice(&sum.to_le_bytes());
        }
        let sum = crc32fast::hash(&bytes[at + 8..body]);
        bytes[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    let four = bytes[at..at + 4].try_into().expect("there are four");
    u32::from_le_bytes(four) as usize
}

/// Everything that reads without writing.
fn look(folder: &Path) {
    let _ = journal::survey(folder);
    for state in journal::kept_states(folder).into_iter().flatten() {
        let _ = state.read();
    }
    let Ok(mut reading) = journal::open_read_only(folder) else { return };
    let mut last = Position(0);
    for _ in 0..1000 {
        match reading.next() {
            Ok(Next::Entry(entry)) => {
                assert!(entry.position > last, "{} comes behind {last}", entry.position);
                last = entry.position;
                walk(entry.batch());
            }
            Ok(Next::Missed { first, last: end, .. }) => {
                assert!(first <= end && end >= last, "{first} to {end} are missed behind {last}");
                last = end;
            }
            Ok(Next::Empty) | Err(_) => return,
        }
    }
}

fn walk(batch: Option<&Batch>) {
    let Some(batch) = batch else { return };
    for message in batch.iter() {
        let _ = message.fields().count();
    }
}

/// Opens it for writing, reads it, appends, and opens it again.
fn open(folder: &Path) {
    let clock = || Arc::new(Manual::at(2_000));
    let Ok((journal, recovery)) = Journal::open(folder, &settings(), clock()) else { return };
    // Behind an end that was not clean positions jump.
    assert!(recovery.end <= journal.end(), "{} is behind {}", recovery.end, journal.end());
    let options =
        ReaderOptions { start: Start::Oldest, keeps: Keeps::Nothing, ..ReaderOptions::default() };
    let mut reader = journal.reader("look", options).expect("it reads");
    for _ in 0..1000 {
        match reader.next() {
            Ok(Next::Entry(entry)) => walk(entry.batch()),
            Ok(Next::Missed { .. }) => {}
            Ok(Next::Empty) | Err(_) => break,
        }
    }
    let _ = journal.snapshot("filter");
    let appended = journal.append(batch(100));
    if let Ok(position) = appended {
        assert!(position > recovery.end);
        assert!(journal.wait_durable(position, Duration::from_secs(60)).expect("it syncs"));
    }
    drop(reader);
    let closed = journal.close();
    drop(journal);
    if let (Ok(position), Ok(())) = (appended, closed) {
        let (journal, recovery) = Journal::open(folder, &settings(), clock()).expect("it opened");
        assert!(recovery.end >= position, "{} is lost behind {}", position, recovery.end);
        let _ = journal.close();
    }
}
