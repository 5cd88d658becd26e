//! Power cuts, on a disk that loses, reorders and tears what was not synced.
//!
//! A journal is worked with while its disk is watched. Then the power is cut at random moments:
//! what is left is opened, and must hold all that was durable then, and nothing that was never
//! there. With one of them the work goes on, and is cut again. `HEKA_ROUNDS` says how many cuts
//! there are, `HEKA_SEED` which.
//!
//! The writer does only what the seed orders, so that a seed that fails fails again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use nix::errno::Errno;

use super::*;
use crate::journal::faults::power::Failing;
use crate::journal::faults::power::Watched;
use crate::journal::faults::power::below;
use crate::journal::faults::steps;
use crate::journal::faults::steps::Order;
use crate::journal::open;
use crate::stdx::random::Random;

/// Cuts of one run.
const CUTS: usize = 8;
/// Runs after another of one journal.
const RUNS: usize = 3;

/// What a disk is like, besides losing what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sound,
    /// It refuses some changes: has no room, fails, is read-only for a moment.
    Failing,
    /// It forgets what it is told to sync.
    Lying,
}

/// What was said at which moment, in changes of the disk.
#[derive(Clone, Debug)]
enum Promise {
    Durable(Position),
    Snapshot(Position),
    Value(u64),
}

#[derive(Clone, Debug, Default)]
struct Model {
    /// What was appended: source, offset and text; ticks have none.
    entries: BTreeMap<Position, Option<(String, u64, String)>>,
    promises: Vec<(usize, Promise)>,
    committed: Position,
    snapshots: Vec<Position>,
    values: Vec<u64>,
    next: u64,
}

fn settings() -> Settings {
    Settings {
        max_bytes: Some(1 << 20),
        retain_bytes: Some(100 << 10),
        full_action: FullAction::DropOldest,
        ..Settings::default()
    }
}

/// Opens it; what a disk that fails refuses is done again.
fn open_at(folder: &Path) -> (Journal, Recovery) {
    let open = || Journal::open(folder, &settings(), Arc::new(Manual::at(1_000_000)));
    (0..8).find_map(|_| open().ok()).expect("it opens once the disk works")
}

fn kill(journal: &Journal) {
    journal.shared.faults.is_killed.store(true, std::sync::atomic::Ordering::SeqCst);
    let _ = open::close(&journal.shared, &journal.keeper);
}

fn state_at(position: Position) -> Vec<u8> {
    position.0.to_le_bytes().repeat(50)
}

/// Works with the journal in `folder` for a while.
fn work(folder: &Path, disk: &Watched, kind: Kind, random: &mut Random, model: &mut Model) {
    let (mut journal, _) = open_at(folder);
    let (mut output, mut filter) = readers(&journal);
    model.committed = model.committed.max(output.position());
    for _ in 0..10 + below(random, 50) {
        if kind == Kind::Failing && below(random, 8) == 0 {
            let error = [Errno::ENOSPC, Errno::EIO, Errno::EROFS][below(random, 3)];
            let (after, times) = (below(random, 6), 1 + below(random, 2));
            disk.fail(Failing { after, times, error });
        }
        let promised = match below(random, 16) {
            0..6 => {
                say(&journal, random, model);
                None
            }
            6 => {
                let position = journal.append_tick().unwrap().unwrap();
                model.entries.insert(position, None);
                None
            }
            7..10 => {
                let end = journal.end();
                journal.shared.order(Order::Sync);
                let is_durable = journal.durable() >= end;
                assert!(is_durable || kind == Kind::Failing);
                is_durable.then_some(Promise::Durable(end))
            }
            10 | 11 => {
                while let Next::Entry(entry) = output.next().unwrap() {
                    output.commit(entry.position);
                    model.committed = entry.position;
                }
                None
            }
            12 | 13 => store_state(&journal, &mut filter, kind, model),
            14 => {
                model.next += 1;
                model.values.push(model.next);
                let is_put = journal.put("key", &model.next.to_le_bytes()).is_ok();
                assert!(is_put || kind == Kind::Failing);
                is_put.then_some(Promise::Value(model.next))
            }
            _ if below(random, 4) == 0 => {
                drop((output, filter));
                let durable;
                (journal, durable) = close_and_open(&journal, folder, kind, model);
                (output, filter) = readers(&journal);
                Some(Promise::Durable(durable))
            }
            _ => None,
        };
        model.promises.extend(promised.map(|promise| (disk.changes(), promise)));
        order(&journal, random);
        if kind == Kind::Failing {
            // Segments that were given up fill the budget: who is furthest behind is moved on.
            let output = journal.readers().into_iter().find(|reader| reader.name == "output");
            model.committed = model.committed.max(output.unwrap().committed);
        }
    }
    kill(&journal);
}

/// Appends a batch of some size, of one of a few sources.
fn say(journal: &Journal, random: &mut Random, model: &mut Model) {
    let length = [20, 3000, 30_000][below(random, 3)];
    let source = format!("source {}", below(random, 3));
    model.next += 1;
    let text = format!("{:07}", model.next).repeat(length / 7 + 1);
    let mut batch = Batch::new();
    let mut message = batch.begin();
    message.payload(text.as_bytes());
    message.finish().unwrap();
    batch.reach(&Source::from(source.as_str()), SourcePosition::at(model.next));
    let position = journal.append(batch).unwrap();
    let last = model.entries.last_key_value().map_or(Position(0), |(last, _)| *last);
    assert!(position > last, "a position is used once");
    model.entries.insert(position, Some((source, model.next, text)));
}

/// Reads on and stores the state there.
fn store_state(
    journal: &Journal,
    filter: &mut Reader,
    kind: Kind,
    model: &mut Model,
) -> Option<Promise> {
    while let Next::Entry(_) = filter.next().unwrap() {}
    let position = filter.position();
    model.snapshots.push(position);
    let state = Some(state_at(position));
    let stored = Snapshot { reader: "filter".into(), position, state };
    let is_stored = journal.store_snapshots(&[stored]).is_ok();
    assert!(is_stored || kind == Kind::Failing);
    is_stored.then_some(Promise::Snapshot(position))
}

/// Ends well and begins again; gives what was durable. Where the disk fails the end may be none.
fn close_and_open(
    journal: &Journal,
    folder: &Path,
    kind: Kind,
    model: &mut Model,
) -> (Journal, Position) {
    let is_closed = journal.close().is_ok();
    assert!(is_closed || kind == Kind::Failing);
    let durable = journal.durable();
    let (journal, _) = open_at(folder);
    if !is_closed {
        let there = positions(&journal);
        model.entries.retain(|at, _| *at <= durable || there.contains(at));
    }
    (journal, durable)
}

/// An output's reader, and a filter's.
fn readers(journal: &Journal) -> (Reader, Reader) {
    let snapshot = ReaderOptions { keeps: Keeps::Snapshot, ..ReaderOptions::default() };
    let output = journal.reader("output", ReaderOptions::default()).unwrap();
    (output, journal.reader("filter", snapshot).unwrap())
}

/// Waits until the writer has ended what it does, and may have it do more.
fn order(journal: &Journal, random: &mut Random) {
    let orders = [Order::Nothing, Order::Write, Order::Sync, Order::House, Order::Cursors];
    journal.shared.order(orders[below(random, 12).saturating_sub(7)]);
}

/// Opens what a cut has left; the model goes on with what is there.
fn look(folder: &Path, changes: usize, model: &Model) -> Model {
    let (journal, recovery) = open_at(folder);
    let mut left = model.clone();
    let told: Vec<&Promise> = model
        .promises
        .iter()
        .filter(|(at, _)| *at <= changes)
        .map(|(_, promise)| promise)
        .collect();
    let durable = told.iter().filter_map(|promise| match promise {
        Promise::Durable(position) => Some(*position),
        _ => None,
    });
    let durable = durable.max().unwrap_or_default();
    assert_eq!((&recovery.damages, &recovery.set_back), (&vec![], &vec![]), "{recovery:?}");
    assert_eq!(recovery.remarks, Vec::<String>::new());
    assert!(recovery.end >= durable, "{} < {durable}", recovery.end);
    left.entries.split_off(&recovery.end.next());
    check_entries(&journal, &left);
    check_rest(&journal, &told, &mut left);
    kill(&journal);
    left.promises = vec![(0, Promise::Durable(durable))];
    left
}

fn positions(journal: &Journal) -> BTreeSet<Position> {
    let options =
        ReaderOptions { start: Start::Oldest, keeps: Keeps::Nothing, ..Default::default() };
    let mut reader = journal.reader("positions", options).unwrap();
    let mut there = BTreeSet::new();
    while let Next::Entry(entry) = reader.next().unwrap() {
        there.insert(entry.position);
    }
    there
}

fn check_entries(journal: &Journal, left: &Model) {
    let options =
        ReaderOptions { start: Start::Oldest, keeps: Keeps::Nothing, ..Default::default() };
    let mut reader = journal.reader("look", options).unwrap();
    let mut expected = left.entries.range(journal.oldest()..);
    loop {
        match reader.next().unwrap() {
            Next::Entry(entry) => {
                let (position, said) = expected.next().expect("only what was appended is there");
                assert_eq!(entry.position, *position);
                let text = entry.batch().map(|batch| batch.message(0).payload().to_vec());
                let said = said.as_ref().map(|(_, _, text)| text.clone().into_bytes());
                assert!(text == said, "entry {position} is another");
            }
            Next::Empty => break,
            missed @ Next::Missed { .. } => panic!("{missed:?}"),
        }
    }
    assert_eq!(expected.next().map(|(position, _)| position), None, "durable, and not there");
    let sources: HashMap<_, _> =
        left.entries.values().flatten().map(|(source, at, _)| (source.as_str(), *at)).collect();
    for (source, at) in sources {
        let known = journal.last_position(source).map(|position| position.offset);
        assert_eq!(known, Some(at), "{source}");
    }
}

fn check_rest(journal: &Journal, told: &[&Promise], left: &mut Model) {
    let readers = journal.readers();
    if let Some(output) = readers.iter().find(|reader| reader.name == "output") {
        assert!(output.committed <= left.committed, "{} was not delivered", output.committed);
        left.committed = output.committed;
    }
    let promised = told.iter().filter_map(|promise| match promise {
        Promise::Snapshot(position) => Some(*position),
        _ => None,
    });
    let promised = promised.max();
    let snapshot = journal.snapshot("filter").unwrap();
    let state = snapshot.as_ref().map(|(_, state)| state.clone());
    let known = left.snapshots.iter().rev().find(|at| Some(state_at(**at)) == state);
    assert!(state.is_none() || known.is_some(), "a state that was never stored");
    assert!(known.copied() >= promised, "{known:?} < {promised:?}");
    left.snapshots = known.copied().into_iter().collect();
    let promised = told.iter().filter_map(|promise| match promise {
        Promise::Value(value) => Some(*value),
        _ => None,
    });
    let promised = promised.max();
    let value = journal.value("key").map(|value| u64::from_le_bytes(value.try_into().unwrap()));
    assert!(value.is_none_or(|value| left.values.contains(&value)));
    assert!(value >= promised, "{value:?} < {promised:?}");
    left.values = value.into_iter().collect();
}

/// One journal through some runs and many cuts; tells how many, and what was done.
fn round(seed: u64, kind: Kind) -> (usize, Vec<String>) {
    let _ordered = steps::ordered();
    let mut random = Random::seeded(seed);
    let mut folder = folder();
    let mut model = Model::default();
    let mut cuts = 0;
    let mut done = Vec::new();
    for _ in 0..RUNS {
        let disk = Watched::new(folder.path());
        model.promises.retain(|(at, _)| *at == 0);
        work(folder.path(), &disk, kind, &mut random, &mut model);
        disk.end();
        done.extend(disk.outline());
        if kind == Kind::Lying {
            disk.lie();
        }
        let mut next = None;
        for _ in 0..CUTS {
            let changes = below(&mut random, disk.changes() + 1);
            let left = self::folder();
            disk.cut(changes, &mut random, left.path());
            next = Some((look(left.path(), changes, &model), left));
            cuts += 1;
        }
        (model, folder) = next.unwrap();
    }
    (cuts, done)
}

/// A folder in memory, where there is one.
pub(super) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        return tempfile::tempdir_in(memory).unwrap();
    }
    tempfile::tempdir().unwrap()
}

/// A number from the environment.
pub(super) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

fn check(kind: Kind) {
    let first = number("HEKA_SEED").unwrap_or(1);
    let cuts = usize::try_from(number("HEKA_ROUNDS").unwrap_or(240)).unwrap();
    let mut done = 0;
    let mut seed = first;
    while done < cuts {
        let round = std::panic::catch_unwind(|| round(seed, kind));
        let Ok((round, _)) = round else { panic!("HEKA_SEED={seed} HEKA_ROUNDS=1 fails") };
        (done, seed) = (done + round, seed + 1);
    }
    println!("{done} power cuts, seeds {first} to {}", seed - 1);
}

#[test]
fn power_cuts_lose_nothing_that_was_durable() {
    check(Kind::Sound);
}

#[test]
fn power_cuts_of_a_disk_that_fails_lose_nothing_that_was_durable() {
    check(Kind::Failing);
}

#[test]
fn a_seed_is_played_again_change_by_change() {
    for seed in 1..4 {
        let (one, other) = (round(seed, Kind::Sound), round(seed, Kind::Sound));
        assert!(one.1.len() > 100, "{} changes", one.1.len());
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn a_file_is_used_again_once_its_old_name_is_gone_for_good() {
    let mut reused = 0;
    for seed in 1..20 {
        let mut renamed = Vec::new();
        for done in round(seed, Kind::Sound).1 {
            if let Some((from, to)) = done.split_once(".segment\", \"") {
                assert!(from.starts_with("Rename"), "{done}");
                renamed.extend(to.strip_suffix("\")").map(str::to_owned));
            } else if done == "SyncFolder(\"journal\")" {
                renamed.clear();
            } else if done.starts_with("write") {
                reused += usize::from(done.contains(".spare"));
                let is_named = renamed.iter().any(|name| done.contains(name.as_str()));
                assert!(!is_named, "seed {seed}: {done}");
            }
        }
    }
    assert!(reused > 0, "no file was used again");
}

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    let is_found =
        (1..50).any(|seed| std::panic::catch_unwind(|| round(seed, Kind::Lying)).is_err());
    assert!(is_found);
}
