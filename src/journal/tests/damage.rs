//! Every byte of a small journal turned over, and every file cut off anywhere.
//!
//! The engine starts whatever is damaged; it is named; and only what is damaged is lost.
//! `HEKA_ROUNDS` says how many places are tried, `HEKA_SEED` which; more than there are means all.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::power::folder;
use super::power::number;
use super::*;
use crate::journal::faults::power::below;
use crate::stdx::random::Random;

/// Entries of the small journal.
const ENTRIES: u64 = 12;

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// All bits of a byte turned over.
    Flip(usize),
    /// Everything from a byte on gone.
    CutOff(usize),
}

fn settings() -> Settings {
    Settings { max_bytes: Some(1 << 20), ..Settings::default() }
}

/// The files of a journal of two segments, three snapshots and two values, ended in good order.
fn small() -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = folder();
    let snapshot = ReaderOptions { keeps: Keeps::Snapshot, ..ReaderOptions::default() };
    for run in 0..2 {
        let (journal, _) =
            Journal::open(folder.path(), &settings(), Arc::new(Manual::at(1_000))).unwrap();
        let mut output = journal.reader("output", ReaderOptions::default()).unwrap();
        let _filter = journal.reader("filter", snapshot).unwrap();
        for entry in 1..=ENTRIES / 2 {
            let offset = run * ENTRIES / 2 + entry;
            journal.append(batch("file", offset, &[&format!("entry {offset}")])).unwrap();
        }
        let end = journal.end();
        assert!(journal.wait_durable(end, Duration::from_mins(1)).unwrap());
        let position = take(&mut output).position;
        output.commit(position);
        let state = Some(vec![u8::try_from(run).unwrap(); 40]);
        let stored = Snapshot { reader: "filter".into(), position, state };
        journal.store_snapshots(&[stored]).unwrap();
        journal.put(&format!("key {run}"), b"value").unwrap();
        if run == 0 {
            // A failed sync begins a segment.
            journal.shared.faults.syncs.store(1, std::sync::atomic::Ordering::SeqCst);
            journal.append(batch("file", 100, &["more"])).unwrap();
            assert!(journal.wait_durable(journal.end(), Duration::from_mins(1)).unwrap());
        }
        journal.close().unwrap();
    }
    let mut files = BTreeMap::new();
    for folder_name in ["journal", "journal/snapshots", "journal/values"] {
        for file in std::fs::read_dir(folder.path().join(folder_name)).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                files.insert(path.strip_prefix(folder.path()).unwrap().to_owned(), bytes);
            }
        }
    }
    files
}

/// Where entries stand in a segment, and up to where it is in use.
fn entries_of(path: &Path, bytes: &[u8]) -> (BTreeMap<Position, std::ops::Range<usize>>, usize) {
    let number = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let (head, ..) = table::Head::read(&bytes[..4096]).unwrap();
    let mut at = usize::try_from(head.length).unwrap();
    let mut entries = BTreeMap::new();
    while let Some(header) = layout::RecordHeader::read(&bytes[at..], number) {
        let end = at + usize::try_from(header.span()).unwrap();
        if header.kind.is_entry() {
            entries.insert(header.position, at..end);
        }
        at = end;
    }
    (entries, at)
}

fn write(files: &BTreeMap<PathBuf, Vec<u8>>, harmed: &Path, harm: Harm) -> tempfile::TempDir {
    let folder = folder();
    for (path, bytes) in files {
        let full = folder.path().join(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        let mut bytes = bytes.clone();
        if path == harmed {
            match harm {
                Harm::Flip(at) => bytes[at] ^= 0xff,
                Harm::CutOff(at) => bytes.truncate(at),
            }
        }
        std::fs::write(full, bytes).unwrap();
    }
    folder
}

fn check(files: &BTreeMap<PathBuf, Vec<u8>>, path: &Path, harm: Harm) {
    let folder = write(files, path, harm);
    let is_segment = path.extension().is_some_and(|it| it == "segment");
    let what = || format!("{} {harm:?}", path.display());
    let looked = survey(&folder.path().join("journal")).unwrap();
    let mut intact = BTreeMap::new();
    let mut may_be_silent = true;
    for (name, bytes) in
        files.iter().filter(|(name, _)| name.extension().is_some_and(|it| it == "segment"))
    {
        let (entries, _) = entries_of(name, bytes);
        // What a later segment holds too is void here.
        let later =
            files.range(name.clone()..).skip(1).find(|(it, _)| it.extension() == name.extension());
        let until = later.map(|(name, bytes)| entries_of(name, bytes).0);
        let until = until.and_then(|entries| entries.into_keys().next());
        let counts = |position: &Position| until.is_none_or(|until| *position < until);
        let counting = entries.iter().filter(|(position, _)| counts(position));
        let last_end = counting.map(|(_, place)| place.end).max().unwrap_or(0);
        for (position, place) in entries {
            let is_hit = name == path
                && match harm {
                    Harm::Flip(at) => place.contains(&at),
                    Harm::CutOff(at) => at < place.end,
                };
            intact.insert(position, !is_hit);
        }
        if name == path {
            // Behind the last entry, and between records, nothing is said; an end that is cut off looks
            // as after a crash.
            let is_newest =
                Some(name) == files.keys().rfind(|it| it.extension() == name.extension());
            may_be_silent = match harm {
                Harm::Flip(at) => at >= last_end || bytes[at] == 0,
                // An entry ends with zeros, up to a multiple of 8.
                Harm::CutOff(at) => {
                    is_newest || at >= last_end || bytes[at..last_end].iter().all(|it| *it == 0)
                }
            };
        }
    }
    if is_segment && !may_be_silent {
        assert!(!looked.damages.is_empty(), "{}: {looked:?}", what());
    }
    if !is_segment {
        assert_eq!(looked.damages.len(), 1, "{}: {looked:?}", what());
        assert_eq!(looked.damages[0].path, folder.path().join(path));
    }
    check_start(folder.path(), &intact, &what());
}

/// The engine starts, and what was not harmed is read.
fn check_start(folder: &Path, intact: &BTreeMap<Position, bool>, what: &str) {
    let opened = Journal::open(folder, &settings(), Arc::new(Manual::at(1_000)));
    let (journal, _) = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
    let options =
        ReaderOptions { start: Start::Oldest, keeps: Keeps::Nothing, ..Default::default() };
    let mut reader = journal.reader("look", options).unwrap();
    let mut read = BTreeMap::new();
    loop {
        match reader.next().unwrap() {
            Next::Entry(entry) => {
                let (_, position) = &entry.batch().unwrap().reached()[0];
                let offset = position.offset;
                let expected =
                    if offset == 100 { "more".into() } else { format!("entry {offset}") };
                assert_eq!(payloads(&entry), [expected], "{what}");
                read.insert(entry.position, offset);
            }
            Next::Missed { .. } => {}
            Next::Empty => break,
        }
    }
    for (position, is_intact) in intact {
        assert!(!is_intact || read.contains_key(position), "{what}: entry {position} is lost");
    }
    // A damaged state says so, or the one before it is there; it does not stop anything.
    let _ = journal.snapshot("filter");
    journal.append(batch("file", 1000, &["goes on"])).unwrap();
    assert!(journal.wait_durable(journal.end(), Duration::from_mins(1)).unwrap());
    journal.close().unwrap();
}

#[test]
fn damage_loses_only_what_is_damaged() {
    let files = small();
    let mut harms = Vec::new();
    for (path, bytes) in &files {
        // Of what is preallocated and not in use, the first bytes stand for all.
        let is_segment = path.extension().is_some_and(|it| it == "segment");
        let length = if is_segment { entries_of(path, bytes).1 + 100 } else { bytes.len() };
        if path.extension().is_none_or(|it| it == "spare") {
            continue;
        }
        for at in 0..length.min(bytes.len()) {
            harms.push((path, Harm::Flip(at)));
            harms.push((path, Harm::CutOff(at)));
        }
    }
    let rounds = usize::try_from(number("HEKA_ROUNDS").unwrap_or(300)).unwrap();
    let mut random = Random::seeded(number("HEKA_SEED").unwrap_or(1));
    let total = harms.len();
    while harms.len() > rounds {
        harms.swap_remove(below(&mut random, harms.len()));
    }
    for (path, harm) in &harms {
        check(&files, path, *harm);
    }
    println!("{} of {total} places harmed", harms.len());
}

#[test]
fn harmed_file_of_a_journal_in_memory_is_named() {
    let folder = folder();
    let settings = Settings { storage: StorageKind::Memory, ..settings() };
    let open = || Journal::open(folder.path(), &settings, Arc::new(Manual::at(1_000)));
    let (journal, _) = open().unwrap();
    journal.append(batch("file", 1, &["a"])).unwrap();
    journal.close().unwrap();
    let path = folder.path().join("journal/memory");
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        for harm in [Harm::Flip(at), Harm::CutOff(at)] {
            let mut harmed = bytes.clone();
            match harm {
                Harm::Flip(at) => harmed[at] ^= 0xff,
                Harm::CutOff(at) => harmed.truncate(at),
            }
            std::fs::write(&path, harmed).unwrap();
            let (journal, recovery) = open().unwrap();
            assert_eq!(recovery.remarks.len(), 1, "{harm:?}");
            journal.close().unwrap();
        }
    }
}
