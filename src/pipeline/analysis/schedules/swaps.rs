//! Analysis threads, the threads that make new versions ready, who swaps them and who appends: whatever
//! goes on when, each message and each timer is processed once, in order, by the version whose turn it
//! is, with the state that the one before has left.
//!
//! The filter is a plain one, all else is the engine's own. A version that fails, at the start, while
//! it takes the state over, or while it catches up, leaves the one that runs as it was. So does a swap
//! that takes longer than is waited for. At the end the threads are stopped, sometimes amid all this,
//! and start again as after a restart. One that is stuck is given up, and comes to life again later.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::journal::Journal;
use crate::journal::Keeps;
use crate::journal::Next;
use crate::journal::Position;
use crate::journal::ReaderOptions;
use crate::journal::Reads;
use crate::journal::Settings;
use crate::journal::Start;
use crate::matcher::Matcher;
use crate::message::Batch;
use crate::message::Source;
use crate::message::SourcePosition;
use crate::pipeline::analysis::AnalysisThreads;
use crate::pipeline::analysis::FilterPlan;
use crate::pipeline::analysis::Keeper;
use crate::pipeline::analysis::Silence;
use crate::pipeline::counters::FilterCounters;
use crate::pipeline::routing::Routing;
use crate::plugin::Engine;
use crate::plugin::Filter;
use crate::plugin::FilterCall;
use crate::plugin::FilterContext;
use crate::plugin::Filtering;
use crate::plugin::Stop;
use crate::stdx::clock::Manual;
use crate::stdx::random::Random;
use crate::stdx::sync::model::Clock;
use crate::stdx::sync::model::check;
use crate::stdx::sync::thread;

/// Messages that are appended.
const MESSAGES: u64 = 24;
/// Ticks that are appended; the first sets the timer.
const TICKS: u64 = 4;
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a filter is stuck.
const SLEEP: Duration = Duration::from_secs(20);
/// Longer than any run.
const LONG: Duration = Duration::from_hours(10);

/// When a version fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fails {
    Never,
    AtStart,
    AtRestore,
    AtSnapshot,
    /// At the first message that it is given before it has come to where it is to run.
    CatchingUp,
}

#[derive(Clone, Copy)]
struct Script {
    version: u64,
    fails: Fails,
}

impl Filter for Script {
    fn start(&self, cx: &FilterContext<'_>) -> anyhow::Result<Box<dyn Filtering>> {
        anyhow::ensure!(self.fails != Fails::AtStart, "it does not start");
        let engine = cx.engine.clone();
        Ok(Box::new(Counting { script: *self, engine, has_arrived: false, counts: [0; 2] }))
    }
}

/// Says of each message and each timer which it is and how many came before, as it remembers.
struct Counting {
    script: Script,
    engine: Engine,
    has_arrived: bool,
    /// Messages and timers.
    counts: [u64; 2],
}

impl Counting {
    fn say(&mut self, what: &str, number: u64, call: &mut FilterCall<'_>) {
        let said = format!("{what} {number} by {}", self.script.version);
        let mut message = call.begin("counting", "said", &self.engine);
        message.payload(said.as_bytes());
        message.finish().unwrap();
    }
}

impl Filtering for Counting {
    fn arrive(&mut self) {
        self.has_arrived = true;
    }

    fn process(
        &mut self,
        batch: &Batch,
        matched: &[u16],
        call: &mut FilterCall<'_>,
    ) -> Result<(), Stop> {
        if self.script.fails == Fails::CatchingUp && !self.has_arrived {
            return Err(Stop::Ended { reason: "it does not catch up".to_owned() });
        }
        for index in matched {
            self.counts[0] += 1;
            let payload = batch.message(usize::from(*index)).payload().to_vec();
            assert_eq!(String::from_utf8(payload).unwrap(), self.counts[0].to_string());
            self.say("message", self.counts[0], call);
        }
        Ok(())
    }

    fn timer(&mut self, call: &mut FilterCall<'_>) -> Result<(), Stop> {
        self.counts[1] += 1;
        self.say("timer", self.counts[1], call);
        Ok(())
    }

    fn snapshot(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        anyhow::ensure!(self.script.fails != Fails::AtSnapshot, "it keeps nothing");
        Ok(Some(self.counts.map(u64::to_le_bytes).concat()))
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<Vec<String>> {
        anyhow::ensure!(self.script.fails != Fails::AtRestore, "it does not take the state over");
        for (count, bytes) in self.counts.iter_mut().zip(state.chunks(8)) {
            *count = u64::from_le_bytes(bytes.try_into()?);
        }
        Ok(Vec::new())
    }
}

/// A filter that falls asleep at the message of this number.
struct Sleeper {
    is_asleep: Arc<AtomicBool>,
    at: u64,
}

struct Sleeping {
    is_asleep: Arc<AtomicBool>,
    at: u64,
    messages: u64,
}

impl Filter for Sleeper {
    fn start(&self, _: &FilterContext<'_>) -> anyhow::Result<Box<dyn Filtering>> {
        Ok(Box::new(Sleeping { is_asleep: self.is_asleep.clone(), at: self.at, messages: 0 }))
    }
}

impl Filtering for Sleeping {
    fn process(&mut self, _: &Batch, matched: &[u16], _: &mut FilterCall<'_>) -> Result<(), Stop> {
        self.messages += matched.len() as u64;
        if self.messages == self.at {
            self.is_asleep.store(true, Ordering::SeqCst);
            thread::sleep(SLEEP);
        }
        Ok(())
    }

    fn snapshot(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn restore(&mut self, _: &[u8]) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// Which version runs, and where it took over from which.
struct Run {
    journal: Journal,
    routing: Arc<Routing>,
    engine: Engine,
    /// The versions that took over, and where; with the first.
    versions: Vec<(u64, Position)>,
    /// One may have taken over though nobody waited for its answer to the end.
    is_uncertain: bool,
}

impl Run {
    fn begin(folder: &Path, time: &Arc<Manual>) -> Run {
        let settings = Settings { max_bytes: Some(1 << 20), ..Settings::default() };
        let (journal, _) = Journal::open(folder, &settings, time.clone()).unwrap();
        let matcher = Matcher::parse("Type == 'in'").unwrap();
        let row = |name: &str| (Arc::from(name), matcher.clone(), None);
        let routing = Arc::new(Routing::new(vec![row("counting"), row("sleeping")]));
        let versions = vec![(0, Position::default())];
        Run { journal, routing, engine: engine(), versions, is_uncertain: false }
    }

    fn plan(&self, script: Script, since: Position) -> FilterPlan {
        FilterPlan {
            name: Arc::from("counting"),
            plugin: Arc::new(script),
            engine: self.engine.clone(),
            ticker_interval: INTERVAL,
            reader: ReaderOptions {
                start: Start::Oldest,
                keeps: Keeps::Snapshot,
                reads: Reads::Appended,
                ..ReaderOptions::default()
            },
            retries: crate::config::Retries::default(),
            max_failures: 60,
            counters: Arc::new(FilterCounters::new(&self.engine.metrics, "counting")),
            version: script.version.to_string(),
            since,
        }
    }

    /// The threads, with the version that ran last.
    fn started(&self, keeper: &Arc<Keeper>) -> AnalysisThreads {
        let mut threads = AnalysisThreads::new(1, self.journal.clone(), keeper.clone());
        let (version, since) = *self.versions.last().unwrap();
        let plan = self.plan(Script { version, fails: Fails::Never }, since);
        // In haste nobody may have waited for it; then it is there, or is not to be.
        while threads.add(plan.clone(), &self.routing).is_err() {}
        threads
    }

    /// Swaps in another version; tells whether it took over.
    fn swap(&mut self, threads: &mut AnalysisThreads, script: Script) -> anyhow::Result<()> {
        let plan = self.plan(script, Position::default());
        let own = self.routing.clone();
        let swapped = threads.swap(plan, &own, &self.routing)?;
        // As the engine does: which version runs is written down when what the one before has
        // injected is durable.
        let end = self.journal.end();
        while !self.journal.wait_durable(end, LONG)? {}
        self.versions.push((script.version, swapped.since));
        threads.keep(swapped);
        Ok(())
    }

    /// Waits until all is processed.
    fn drain(&self, threads: &AnalysisThreads) {
        while threads.reached() < self.journal.end() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Everything was said once, in order, by the version whose turn it was.
    fn look(&self, messages: u64, timers: u64) {
        let options =
            ReaderOptions { start: Start::Oldest, keeps: Keeps::Nothing, ..Default::default() };
        let mut reader = self.journal.reader("", options).unwrap();
        let (mut said, mut at) = (Vec::new(), Vec::new());
        loop {
            match reader.next().unwrap() {
                Next::Entry(entry) => {
                    for message in entry.batch().into_iter().flat_map(Batch::iter) {
                        let text = String::from_utf8_lossy(message.payload()).into_owned();
                        match message.message_type() {
                            b"said" => said.push(text),
                            b"in" => at.push(entry.position),
                            other => panic!("{}: {text}", String::from_utf8_lossy(other)),
                        }
                    }
                }
                Next::Empty => break,
                missed @ Next::Missed { .. } => panic!("{missed:?}"),
            }
        }
        let by = |position: &Position| {
            let ran = self.versions.iter().rev().find(|(_, since)| since < position);
            ran.unwrap_or(&self.versions[0]).0
        };
        let what = |text: &str| text.split(" by").next().unwrap_or_default().to_owned();
        let known = |text: String| if self.is_uncertain { what(&text) } else { text };
        let (processed, ticked): (Vec<String>, Vec<String>) =
            said.into_iter().partition(|text| text.starts_with("message"));
        let expected = (1..=messages).zip(&at);
        let expected =
            expected.map(|(number, at)| known(format!("message {number} by {}", by(at))));
        assert_eq!(
            processed.into_iter().map(known).collect::<Vec<_>>(),
            expected.collect::<Vec<_>>()
        );
        let ticked: Vec<String> = ticked.iter().map(|text| what(text)).collect();
        let expected: Vec<String> = (1..=timers).map(|number| format!("timer {number}")).collect();
        assert_eq!(ticked, expected);
    }
}

fn input(number: u64) -> Batch {
    let mut batch = Batch::new();
    let mut message = batch.begin();
    message.message_type(b"in").payload(number.to_string().as_bytes());
    message.finish().unwrap();
    batch.reach(&Source::from("input"), SourcePosition::at(number));
    batch
}

/// Appends messages, and ticks among them.
fn append(journal: &Journal, clock: &Manual) {
    for number in 1..=MESSAGES {
        if number % (MESSAGES / TICKS) == 1 {
            clock.advance(INTERVAL);
            while journal.append_tick().unwrap().is_none() {}
        }
        journal.append(input(number)).unwrap();
        if number % 5 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn appender(journal: &Journal, time: &Arc<Manual>) -> thread::JoinHandle<()> {
    let (journal, time) = (journal.clone(), time.clone());
    thread::Builder::new().spawn(move || append(&journal, &time)).unwrap()
}

fn stuck(seed: u64) {
    let folder = folder();
    let time = Arc::new(Manual::at(1_000));
    let run = Run::begin(folder.path(), &time);
    let keeper = Keeper::start(run.journal.clone()).unwrap();
    let is_asleep = Arc::new(AtomicBool::new(false));
    let counting = run.plan(Script { version: 0, fails: Fails::Never }, Position::default());
    let sleeper = Arc::new(Sleeper { is_asleep: is_asleep.clone(), at: 1 + seed % MESSAGES });
    let sleeping = FilterPlan { name: Arc::from("sleeping"), plugin: sleeper, ..counting.clone() };
    let mut threads = AnalysisThreads::new(1, run.journal.clone(), keeper.clone());
    let plans = if seed % 2 == 0 { [counting, sleeping] } else { [sleeping, counting] };
    plans.into_iter().for_each(|plan| threads.add(plan, &run.routing).unwrap());
    let appender = appender(&run.journal, &time);
    while !is_asleep.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(1));
    }
    let mut relieved = Vec::new();
    while relieved.is_empty() {
        relieved = threads.relieve(Duration::ZERO, &run.routing);
    }
    assert_eq!(relieved[0].stuck.as_deref(), Some("sleeping"));
    assert!(relieved[0].failed.is_empty() && relieved[0].moved.len() == 1, "{relieved:?}");
    appender.join().unwrap();
    run.drain(&threads);
    if seed % 3 == 0 {
        // The thread that was given up comes to life while all runs.
        thread::sleep(2 * SLEEP);
    }
    threads.shut_down(Duration::from_mins(1));
    keeper.end();
    run.journal.wait_durable(run.journal.end(), LONG).unwrap();
    run.look(MESSAGES, TICKS - 1);
    run.journal.close().unwrap();
}

fn swaps(seed: u64, clock: Clock) {
    let mut random = Random::seeded(seed);
    let mut lot = |most: u64| random.next() % most;
    let folder = folder();
    let time = Arc::new(Manual::at(1_000));
    let mut run = Run::begin(folder.path(), &time);
    let journal = run.journal.clone();
    let mut keeper = Keeper::start(journal.clone()).unwrap();
    let mut threads = run.started(&keeper);
    let appender = appender(&journal, &time);
    for version in 1..=2 + lot(3) {
        use Fails::AtRestore;
        use Fails::AtSnapshot;
        use Fails::AtStart;
        use Fails::CatchingUp;
        use Fails::Never;
        let fails = [Never, Never, Never, AtStart, AtRestore, AtSnapshot, CatchingUp];
        let fails = fails[usize::try_from(lot(7)).unwrap()];
        let swapped = run.swap(&mut threads, Script { version, fails });
        let silence = swapped.as_ref().err().and_then(|error| error.downcast_ref::<Silence>());
        run.is_uncertain |= silence == Some(&Silence::Begun);
        // In haste one that is as good as it can be may come too late.
        let may_fail = fails != Never || clock == Clock::Hasty;
        assert!(swapped.is_ok() || may_fail, "{:#}", swapped.unwrap_err());
        let must_fail = [AtStart, AtRestore, AtSnapshot].contains(&fails);
        assert!(swapped.is_err() || !must_fail, "{fails:?}");
        if lot(4) == 0 && clock == Clock::Patient {
            // A stop, with what is not processed yet, and a start.
            threads.shut_down(Duration::ZERO);
            keeper.end();
            keeper = Keeper::start(journal.clone()).unwrap();
            threads = run.started(&keeper);
        }
    }
    appender.join().unwrap();
    run.drain(&threads);
    threads.shut_down(Duration::from_mins(1));
    keeper.end();
    journal.wait_durable(journal.end(), LONG).unwrap();
    run.look(MESSAGES, TICKS - 1);
    journal.close().unwrap();
}

fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let is_there = memory.is_dir();
    if is_there { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn engine() -> Engine {
    Engine {
        hostname: Arc::from("host"),
        pid: 1,
        base_dir: std::path::PathBuf::new(),
        share_dir: std::path::PathBuf::new(),
        max_message_size: 65536,
        max_message_loops: 4,
        max_process_inject: 10,
        max_timer_inject: 10,
        memory: Arc::default(),
        metrics: Arc::default(),
    }
}

#[test]
fn model_each_message_is_processed_once_whatever_is_swapped() {
    check(100, Clock::Patient, |seed| swaps(seed, Clock::Patient));
}

#[test]
fn model_swaps_that_come_too_late_change_nothing() {
    check(100, Clock::Hasty, |seed| swaps(seed, Clock::Hasty));
}

#[test]
fn model_filters_of_a_thread_that_is_stuck_go_on_in_another() {
    check(100, Clock::Patient, stuck);
}
