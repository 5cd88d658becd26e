//! Outputs that fail at random, against a plain model: each record is delivered once and in order.

use std::collections::VecDeque;

use async_trait::async_trait;
use proptest::prelude::*;

use super::*;
use crate::config::Retries;
use crate::journal::Keeps;
use crate::journal::Reads;
use crate::journal::Settings;
use crate::journal::Start;
use crate::matcher::Matcher;
use crate::message::Batch;
use crate::plugin::Engine;
use crate::plugin::Failure;
use crate::plugin::Handover;
use crate::plugin::Sent;
use crate::stdx::clock::Manual;

/// Large enough for several loads.
const RECORD: usize = 40_000;
/// A test that waits longer than this has found a wedge.
const LONGEST: Duration = Duration::from_mins(1);

/// Where records go. What is held is lost with the output that held it.
#[derive(Debug, Default)]
struct World {
    /// What every next step does; all is well when none are left.
    choices: VecDeque<u8>,
    certain: Vec<u32>,
    rejected: Vec<u32>,
    held: Vec<(Vec<u32>, u64)>,
    /// The entry up to which all is certain, as the output itself knows.
    entry: u64,
}

impl World {
    /// What to do next: the smaller, the worse.
    fn choice(&mut self) -> u8 {
        self.choices.pop_front().unwrap_or(u8::MAX)
    }

    fn fails(&mut self) -> Result<(), Failure> {
        if self.choice() < 40 { Err(Failure::Retry(anyhow::anyhow!("as chosen"))) } else { Ok(()) }
    }

    fn settle(&mut self, loads: usize) {
        for (numbers, entry) in self.held.drain(..loads) {
            self.certain.extend(numbers);
            self.entry = entry;
        }
    }
}

struct Scripted(Arc<Mutex<World>>);

impl Scripted {
    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

#[async_trait]
impl Output for Scripted {
    async fn open(&mut self, _cx: &OutputContext) -> Result<(), Failure> {
        tokio::task::yield_now().await;
        let mut world = self.world();
        world.held.clear();
        world.fails()
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        tokio::task::yield_now().await;
        let mut world = self.world();
        let numbers: Vec<u32> = load.records().map(number_of).collect();
        let count = numbers.len();
        match world.choice() {
            0..30 => return Err(Failure::Retry(anyhow::anyhow!("nothing was written"))),
            30..50 => {
                world.held.push((numbers, 0));
                return Err(Failure::Retry(anyhow::anyhow!("it was written and is taken back")));
            }
            50..60 if !numbers.is_empty() => {
                world.rejected.push(numbers[0]);
                return Err(Failure::Reject(anyhow::anyhow!("not wanted")));
            }
            60..100 => {
                world.held.push((numbers, load.entry));
                world.fails()?;
                let all = world.held.len();
                world.settle(all);
                load.advance(count);
                return Ok(Sent::Done);
            }
            _ => world.held.push((numbers, load.entry)),
        }
        load.advance(count);
        Ok(Sent::Held)
    }

    async fn settled(&mut self) -> Result<u64, Failure> {
        loop {
            tokio::task::yield_now().await;
            let mut world = self.world();
            if !world.held.is_empty() && world.choice() < 128 {
                world.fails()?;
                let some = 1 + usize::from(world.choice()) % world.held.len();
                world.settle(some);
                return Ok(world.entry);
            }
            if world.choices.is_empty() {
                break;
            }
        }
        std::future::pending().await
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        tokio::task::yield_now().await;
        let mut world = self.world();
        world.fails()?;
        let all = world.held.len();
        world.settle(all);
        Ok(())
    }

    fn resumes_at(&self) -> Option<u64> {
        Some(self.world().entry).filter(|entry| *entry > 0)
    }

    async fn reopen(&mut self) -> Result<(), Failure> {
        self.flush().await
    }

    async fn close(&mut self) {
        self.world().held.clear();
    }
}

fn number_of(record: &[u8]) -> u32 {
    std::str::from_utf8(record).unwrap().trim().parse().unwrap()
}

fn plan(name: &str, world: &Arc<Mutex<World>>) -> OutputPlan {
    let engine = Engine {
        hostname: Arc::from("host"),
        pid: 1,
        base_dir: std::path::PathBuf::new(),
        share_dir: std::path::PathBuf::new(),
        max_message_size: 65536,
        max_message_loops: 4,
        max_process_inject: 1,
        max_timer_inject: 10,
        memory: Arc::default(),
        metrics: Arc::default(),
    };
    let world = world.clone();
    OutputPlan {
        counters: Arc::new(OutputCounters::new(&engine.metrics, name)),
        context: OutputContext {
            name: Arc::from(name),
            engine,
            is_framed: false,
            has_messages: false,
            journal: None,
            journal_id: [0; 16],
            runs: Arc::from([1]),
            reached: Arc::default(),
            handover: Handover::default(),
        },
        make: Arc::new(move || Ok(Box::new(Scripted(world.clone())))),
        encoder: None,
        reader: ReaderOptions {
            start: Start::Oldest,
            keeps: Keeps::Cursor,
            reads: Reads::Durable,
            full_action: None,
            max_bytes: None,
        },
        ticker_interval: Duration::ZERO,
        retries: Retries {
            max_jitter: Duration::ZERO,
            max_delay: Duration::ZERO,
            delay: Duration::ZERO,
            max_retries: None,
        },
        can_exit: false,
    }
}

/// A batch of messages with these numbers; every third is for nobody.
fn batch(numbers: std::ops::Range<u32>) -> Batch {
    let mut batch = Batch::new();
    for number in numbers {
        let kind: &[u8] = if is_wanted(number) { b"wanted" } else { b"other" };
        let payload = format!("{number:>RECORD$}\n");
        let mut message = batch.begin();
        message.uuid(&[7; 16]).timestamp(1).message_type(kind).payload(payload.as_bytes());
        message.finish().unwrap();
    }
    batch
}

fn is_wanted(number: u32) -> bool {
    number % 3 != 2
}

fn open(folder: &std::path::Path) -> Journal {
    let settings = Settings { max_bytes: Some(256 << 20), ..Settings::default() };
    Journal::open(folder, &settings, Arc::new(Manual::at(1_000))).unwrap().0
}

fn routing(names: &[&str]) -> Arc<Routing> {
    let matcher = Matcher::parse("Type == 'wanted'").unwrap();
    let readers = names.iter().map(|name| (Arc::from(*name), matcher.clone(), None));
    Arc::new(Routing::new(readers.collect()))
}

/// Waits until all is delivered.
async fn drain(journal: &Journal, deliveries: &Deliveries) {
    let end = journal.end();
    journal.want_durable(end);
    let began = Instant::now();
    while !deliveries.behind(end).is_empty() {
        assert!(began.elapsed() < LONGEST, "{:?} to {end:?}", deliveries.behind(end));
        deliveries.hurry();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Delivers what `steps` append, in which an output is ended in the middle and another goes on
/// with what the first one knows, though with no cursor: as after a kill.
async fn deliver(steps: &[(u8, u32)], middle: usize, world: &Arc<Mutex<World>>) -> u32 {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let routing = routing(&["one", "two"]);
    let mut next = 0;
    let append = |steps: &[(u8, u32)], mut next: u32, deliveries: &Deliveries| {
        for (kind, count) in steps {
            match kind {
                0 => drop(journal.append_tick().unwrap()),
                1 => deliveries.reopen(),
                2 => deliveries.hurry(),
                _ => {
                    journal.append(batch(next..next + count)).unwrap();
                    next += count;
                }
            }
        }
        next
    };
    for (name, steps) in [("one", &steps[..middle]), ("two", &steps[middle..])] {
        let mut deliveries = Deliveries::start(journal.clone(), routing.clone()).unwrap();
        deliveries.add(plan(name, world), &routing).unwrap();
        next = append(steps, next, &deliveries);
        if name == "two" {
            drain(&journal, &deliveries).await;
        }
        deliveries.shut_down(Instant::now() + LONGEST).await;
    }
    journal.close().unwrap();
    next
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_record_is_delivered_once_whatever_fails(
        steps in prop::collection::vec((0_u8..8, 1_u32..6), 1..40),
        choices in prop::collection::vec(any::<u8>(), 0..120),
        middle in any::<prop::sample::Index>(),
    ) {
        let world = Arc::new(Mutex::new(World { choices: choices.into(), ..World::default() }));
        let count = runtime().block_on(deliver(&steps, middle.index(steps.len()), &world));
        let world = world.lock().unwrap();
        let is_expected =
            |number: &u32| is_wanted(*number) && !world.rejected.contains(number);
        let expected: Vec<u32> = (0..count).filter(is_expected).collect();
        let certain: Vec<u32> =
            world.certain.iter().copied().filter(|it| !world.rejected.contains(it)).collect();
        prop_assert_eq!(certain, expected);
    }
}

#[test]
fn an_entry_that_the_journal_has_lost_is_not_gone_on_from() {
    let world = Arc::new(Mutex::new(World { entry: 1_000, ..World::default() }));
    let steps = [(7, 3), (7, 3)];
    runtime().block_on(deliver(&steps, 0, &world));
    assert_eq!(world.lock().unwrap().certain, [0, 1, 3, 4]);
}

#[test]
fn what_is_refused_becomes_a_dead_letter_and_no_more_than_one() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    // Both refuse the first record they get, one of them of the other's letters too.
    let refusing = || Arc::new(Mutex::new(World { choices: [200, 55].into(), ..World::default() }));
    let (one, two) = (refusing(), refusing());
    let matcher = Matcher::parse("TRUE").unwrap();
    let readers = ["one", "two"].map(|name| (Arc::from(name), matcher.clone(), None));
    let routing = Arc::new(Routing::new(readers.to_vec()));
    runtime().block_on(async {
        let mut deliveries = Deliveries::start(journal.clone(), routing.clone()).unwrap();
        deliveries.add(plan("one", &one), &routing).unwrap();
        deliveries.add(plan("two", &two), &routing).unwrap();
        journal.append(batch(0..1)).unwrap();
        let began = Instant::now();
        while journal.end() < Position(3) {
            assert!(began.elapsed() < LONGEST);
            journal.want_durable(journal.end());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drain(&journal, &deliveries).await;
        deliveries.shut_down(Instant::now() + LONGEST).await;
    });
    assert_eq!(journal.end(), Position(3));
    let options =
        ReaderOptions { start: Start::Oldest, keeps: Keeps::Nothing, ..Default::default() };
    let mut reader = journal.reader("look", options).unwrap();
    let mut letters = Vec::new();
    while let crate::journal::Next::Entry(entry) = reader.next().unwrap() {
        for message in entry.batch().unwrap().iter() {
            if message.message_type() == b"heka.dead-letter" {
                letters.push(String::from_utf8(message.logger().to_vec()).unwrap());
                assert_eq!(number_of(message.payload()), 0);
            }
        }
    }
    letters.sort();
    assert_eq!(letters, ["one", "two"]);
    // Each has been given the letter of the other, and not its own.
    assert_eq!(
        (one.lock().unwrap().certain.clone(), two.lock().unwrap().certain.clone()),
        (vec![0], vec![0])
    );
}
