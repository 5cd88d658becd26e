//! Random appends, reads, commits, snapshots, crashes and restarts, played against a plain list.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::*;
use crate::journal::open;

/// What is done to a journal.
#[derive(Clone, Debug)]
enum Step {
    Append { source: u8, messages: Vec<u16> },
    Tick,
    Note(u16),
    Wait,
    Read { reader: u8, count: u8 },
    Commit(u8),
    Seek { reader: u8, back: u8 },
    Snapshot { reader: u8, is_changed: bool },
    FailSync,
    Restart,
    Kill,
    PowerCut { torn_at: u16, hole: Option<u16> },
}

fn step() -> impl Strategy<Value = Step> {
    let sizes = prop::collection::vec(prop_oneof![0..200_u16, 2000..6000_u16], 0..6);
    prop_oneof![
        20 => (0..3_u8, sizes).prop_map(|(source, messages)| Step::Append { source, messages }),
        4 => Just(Step::Tick),
        2 => (0..3000_u16).prop_map(Step::Note),
        3 => Just(Step::Wait),
        14 => (0..4_u8, 1..12_u8).prop_map(|(reader, count)| Step::Read { reader, count }),
        6 => (0..4_u8).prop_map(Step::Commit),
        1 => (0..4_u8, 1..20_u8).prop_map(|(reader, back)| Step::Seek { reader, back }),
        3 => (2..4_u8, any::<bool>())
            .prop_map(|(reader, is_changed)| Step::Snapshot { reader, is_changed }),
        1 => Just(Step::FailSync),
        2 => Just(Step::Restart),
        1 => Just(Step::Kill),
        2 => (any::<u16>(), prop::option::of(any::<u16>()))
            .prop_map(|(torn_at, hole)| Step::PowerCut { torn_at, hole }),
    ]
}

/// An entry as it must be read.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Batch { source: String, offset: u64, bytes: Vec<u8>, marks: Vec<Marks> },
    Tick,
    Note(Vec<u8>),
}

fn said(entry: &Entry) -> Said {
    match &entry.body {
        Body::Tick => Said::Tick,
        Body::Note(note) => Said::Note(note.body.clone()),
        Body::Batch(batch) => {
            let (source, position) = &batch.reached()[0];
            Said::Batch {
                source: source.to_string(),
                offset: position.offset,
                bytes: batch.bytes().to_vec(),
                marks: (0..batch.len()).map(|index| batch.marks(index)).collect(),
            }
        }
    }
}

/// A reader, and what the model knows of it.
struct Way {
    reader: Option<Reader>,
    at: Position,
    committed: Position,
    /// The position and contents of the newest snapshot, position moved without a new one included.
    snapshot: Option<(Position, Vec<u8>)>,
    /// What was certainly written down.
    stored: Position,
}

struct World {
    folder: tempfile::TempDir,
    settings: Settings,
    clock: Arc<Manual>,
    journal: Journal,
    entries: BTreeMap<Position, Said>,
    ways: Vec<Way>,
    next_offset: u64,
}

fn options(index: usize) -> ReaderOptions {
    ReaderOptions {
        start: Start::Oldest,
        keeps: if index < 2 { Keeps::Cursor } else { Keeps::Snapshot },
        reads: if index.is_multiple_of(2) { Reads::Durable } else { Reads::Appended },
        ..ReaderOptions::default()
    }
}

impl World {
    fn new(compression: Compression, tail_bytes: u64) -> World {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            max_bytes: Some(1 << 20),
            retain_bytes: Some(1 << 20),
            full_action: FullAction::DropOldest,
            compression,
            tail_bytes,
            ..Settings::default()
        };
        let clock = Arc::new(Manual::at(1_000_000));
        let (journal, _) = Journal::open(folder.path(), &settings, clock.clone()).unwrap();
        let ways = (0..4)
            .map(|index| Way {
                reader: Some(journal.reader(&format!("reader {index}"), options(index)).unwrap()),
                at: Position(0),
                committed: Position(0),
                snapshot: None,
                stored: Position(0),
            })
            .collect();
        World { folder, settings, clock, journal, entries: BTreeMap::new(), ways, next_offset: 1 }
    }

    fn play(&mut self, step: &Step) {
        self.clock.advance(Duration::from_millis(7));
        match step {
            Step::Append { source, messages } => self.append(*source, messages),
            Step::Tick => {
                if let Some(position) = self.journal.append_tick().unwrap() {
                    self.entries.insert(position, Said::Tick);
                }
            }
            Step::Note(bytes) => {
                let body = vec![3; usize::from(*bytes)];
                let note = Note { subject: Arc::from("filter"), body: body.clone() };
                let position = self.journal.append_note(note).unwrap();
                self.entries.insert(position, Said::Note(body));
            }
            Step::Wait => self.wait(),
            Step::Read { reader, count } => self.read(usize::from(*reader), *count),
            Step::Commit(index) => {
                let way = &mut self.ways[usize::from(*index)];
                way.reader.as_mut().unwrap().commit(way.at);
                way.committed = way.committed.max(way.at);
            }
            Step::Seek { reader, back } => {
                let way = &mut self.ways[usize::from(*reader)];
                way.at = Position(way.at.0.saturating_sub(u64::from(*back)));
                way.reader.as_mut().unwrap().seek(way.at);
            }
            Step::Snapshot { reader, is_changed } => {
                self.snapshot(usize::from(*reader), *is_changed);
            }
            Step::FailSync => {
                self.journal.shared.faults.syncs.store(1, Ordering::SeqCst);
            }
            Step::Restart => self.restart(),
            Step::Kill => self.crash(None),
            Step::PowerCut { torn_at, hole } => self.crash(Some((*torn_at, *hole))),
        }
    }

    fn append(&mut self, source: u8, messages: &[u16]) {
        let mut batch = Batch::new();
        for (index, size) in messages.iter().enumerate() {
            let mut encoded = vec![0x32];
            encoding::put_varint(&mut encoded, u64::from(*size));
            encoded.resize(encoded.len() + usize::from(*size), b'a' + source);
            let signer = if index == 1 { batch.signer_number("someone") } else { 0 };
            batch.push_encoded(&encoded, Marks { signer, loops: u8::from(index == 3) }).unwrap();
        }
        let source = format!("source {source}");
        let offset = self.next_offset;
        self.next_offset += 1;
        batch.reach(&Source::from(source.as_str()), SourcePosition::at(offset));
        let said = Said::Batch {
            source,
            offset,
            bytes: batch.bytes().to_vec(),
            marks: (0..batch.len()).map(|index| batch.marks(index)).collect(),
        };
        let position = self.journal.append(batch).unwrap();
        let last = self.entries.last_key_value().map_or(Position(0), |(last, _)| *last);
        assert!(position > last, "a position is used once");
        self.entries.insert(position, said);
    }

    fn wait(&self) {
        let end = self.journal.end();
        assert!(self.journal.wait_durable(end, Duration::from_secs(30)).unwrap());
    }

    /// What is read is what was appended, in order, or was given up to make room.
    fn read(&mut self, index: usize, count: u8) {
        let durable = options(index).reads == Reads::Durable;
        for _ in 0..count {
            let settled = self.journal.settled();
            let way = &mut self.ways[index];
            match way.reader.as_mut().unwrap().next().unwrap() {
                Next::Entry(entry) => {
                    let next = self.entries.range(way.at.next()..).next();
                    let (position, expected) = next.expect("only what was appended is read");
                    assert_eq!(entry.position, *position, "after {}", way.at);
                    assert_eq!(&said(&entry), expected);
                    assert!(!durable || entry.position <= self.journal.durable());
                    way.at = entry.position;
                }
                Next::Missed { first, last, why } => {
                    assert_eq!(first, way.at.next());
                    assert_ne!(why, Missing::Damaged, "{first} to {last}");
                    assert!(last < self.journal.oldest() || why == Missing::Dropped);
                    way.at = last;
                }
                Next::Empty => {
                    let limit = if durable { settled } else { self.journal.end() };
                    let left = self.entries.range(way.at.next()..).next();
                    assert!(left.is_none_or(|(position, _)| *position > limit));
                    way.at = way.reader.as_ref().unwrap().position();
                    return;
                }
            }
            assert_eq!(way.at, way.reader.as_ref().unwrap().position());
        }
    }

    fn snapshot(&mut self, index: usize, is_changed: bool) {
        let settled = self.journal.settled();
        let way = &mut self.ways[index];
        if way.snapshot.as_ref().is_some_and(|(position, _)| *position >= way.at) {
            return;
        }
        let state = is_changed.then(|| way.at.0.to_le_bytes().to_vec());
        if state.is_none() && way.snapshot.is_none() {
            return;
        }
        let reader = format!("reader {index}");
        let snapshot = Snapshot { reader, position: way.at, state: state.clone() };
        let stored = self.journal.store_snapshots(&[snapshot]);
        if way.at > settled {
            // It may have been synced meanwhile.
            if stored.is_err() {
                return;
            }
        }
        stored.unwrap();
        if let Some(state) = state {
            way.stored = way.at;
            way.snapshot = Some((way.at, state));
        } else if let Some((position, _)) = &mut way.snapshot {
            *position = way.at;
        }
    }

    fn restart(&mut self) {
        self.ways.iter_mut().for_each(|way| way.reader = None);
        self.journal.shared.faults.syncs.store(0, Ordering::SeqCst);
        self.journal.close().unwrap();
        let recovery = self.reopen();
        assert!(recovery.was_clean);
        assert_eq!(recovery.set_back, []);
        for (index, way) in self.ways.iter_mut().enumerate() {
            let expected = match &way.snapshot {
                Some((position, _)) => *position,
                None if options(index).keeps == Keeps::Snapshot => way.stored,
                None => way.committed,
            };
            let reader = way.reader.as_ref().unwrap();
            let at = reader.position();
            assert!(at >= expected, "a clean end keeps every cursor: {at} < {expected}");
            (way.at, way.committed, way.stored) = (at, at, at);
        }
        self.check_sources();
    }

    /// Ends the journal as a crash does. A power cut loses or spoils what was not synced, from some
    /// byte on and perhaps somewhere before.
    fn crash(&mut self, cut: Option<(u16, Option<u16>)>) {
        self.ways.iter_mut().for_each(|way| way.reader = None);
        self.journal.shared.faults.is_killed.store(true, Ordering::SeqCst);
        let _ = open::close(&self.journal.shared, &self.journal.keeper);
        let durable = self.journal.durable();
        let synced = self.journal.shared.faults.synced.lock().unwrap().clone();
        if let (Some((torn_at, hole)), Some((path, from))) = (cut, synced) {
            let file = OpenOptions::new().write(true).read(true).open(path).unwrap();
            let length = file.metadata().unwrap().len();
            // What was written and not synced: up to a tail's worth of bytes.
            let span = (length - from).clamp(1, 16 << 10);
            let torn_at = from + u64::from(torn_at) % span;
            let zeros = vec![0; usize::try_from(length - torn_at).unwrap()];
            file.write_all_at(&zeros, torn_at).unwrap();
            if let Some(hole) = hole {
                let at = from + u64::from(hole) % span;
                file.write_all_at(&[0x55; 24], at).unwrap();
            }
        }
        let recovery = self.reopen();
        assert!(!recovery.was_clean);
        assert_eq!((recovery.damages, recovery.set_back), (vec![], vec![]));
        assert!(recovery.end >= durable, "{} < {durable}", recovery.end);
        assert!(self.journal.end() > recovery.end);
        let lost = self.entries.split_off(&recovery.end.next());
        assert!(cut.is_some() || lost.keys().all(|position| *position > durable));
        for (index, way) in self.ways.iter_mut().enumerate() {
            let at = way.reader.as_ref().unwrap().position();
            assert!(at >= way.stored, "reader {index}: {at} < {}", way.stored);
            (way.at, way.committed, way.stored) = (at, at, at);
            let kept = self.journal.snapshot(&format!("reader {index}")).unwrap();
            let state = way.snapshot.as_ref().map(|(_, state)| state.clone());
            assert_eq!(kept.as_ref().map(|(_, state)| state.clone()), state);
            way.snapshot = kept;
        }
        self.check_sources();
    }

    fn reopen(&mut self) -> Recovery {
        let (journal, recovery) =
            Journal::open(self.folder.path(), &self.settings, self.clock.clone()).unwrap();
        self.journal = journal;
        for (index, way) in self.ways.iter_mut().enumerate() {
            let reader = self.journal.reader(&format!("reader {index}"), options(index)).unwrap();
            way.reader = Some(reader);
        }
        recovery
    }

    /// The journal knows of each source the position of its last entry.
    fn check_sources(&self) {
        let mut expected = BTreeMap::new();
        for said in self.entries.values() {
            if let Said::Batch { source, offset, .. } = said {
                expected.insert(source.clone(), *offset);
            }
        }
        let known = self.journal.last_positions("source ");
        let known: BTreeMap<String, u64> = known
            .into_iter()
            .map(|(source, position)| (source.to_string(), position.offset))
            .collect();
        assert_eq!(known, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn journal_does_what_a_plain_list_would(
        steps in prop::collection::vec(step(), 1..150),
        compression in prop_oneof![
            Just(Compression::None), Just(Compression::Lz4), Just(Compression::Zstd)
        ],
        tail_bytes in prop_oneof![Just(64_u64 << 10), Just(1 << 20)],
    ) {
        let mut world = World::new(compression, tail_bytes);
        for step in &steps {
            if std::env::var("SHOW").is_ok() {
                eprintln!("{step:?}");
            }
            world.play(step);
        }
        world.wait();
        for index in 0..world.ways.len() {
            world.read(index, u8::MAX);
        }
        world.restart();
    }
}
