//! Builds, runs, reloads and stops what a configuration describes.
//!
//! | part | what it does |
//! | --- | --- |
//! | `plan`, `checks` | from a configuration to what is to run, checked as a whole |
//! | `inputs`, `decode` | inputs are tasks; decode threads split, decode and append |
//! | `analysis` | analysis threads run filters over the journal |
//! | `delivery` | a delivery thread encodes for the outputs, which are tasks |
//! | `footprint` | where plugins are going to listen, and the folders of the engine |
//! | `memory` | the budget of memory |
//! | `runs` | this run of the engine, and those before |
//! | `routing` | the index of all matchers |
//! | `reload`, `coding` | the difference between two plans, applied |
//! | `swapping`, `versions` | a filter's next version in the place of the one that runs, and those kept |
//! | `sandboxes` | what a person asks of the filters of a running engine |
//! | `relieving` | what a stuck filter has held up goes on without it |
//! | `stopping` | inputs first, outputs last, and nothing lost |
//! | `status`, `report` | what is flowing, in numbers and in messages |

mod analysis;
mod checks;
mod coding;
mod counters;
mod decode;
mod delivery;
mod failures;
mod footprint;
mod inputs;
mod memory;
mod parts;
mod plan;
mod progress;
mod promises;
mod relieving;
mod reload;
mod report;
mod routing;
mod runs;
mod sandboxes;
mod status;
mod stopping;
mod swapping;
mod versions;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use tokio::sync::Notify;

use self::analysis::AnalysisThreads;
pub use self::analysis::Cost;
pub use self::analysis::Difference;
use self::analysis::Keeper;
pub use self::analysis::Only;
pub(crate) use self::analysis::read_state;
use self::counters::FilterCounters;
use self::counters::JournalGauges;
use self::counters::OutputCounters;
use self::decode::DecodeThreads;
use self::delivery::Deliveries;
use self::delivery::OutputPlan;
use self::inputs::InputPlan;
use self::inputs::RunningInput;
pub use self::plan::Plan;
use self::plan::PlannedInput;
use self::plan::PlannedOutput;
use self::progress::Progress;
pub use self::reload::Reloaded;
use self::routing::Routing;
pub use self::sandboxes::KeptVersion;
use self::sandboxes::Loaded;
pub use self::sandboxes::Outcome;
pub use self::sandboxes::Reply;
pub use self::sandboxes::Request;
pub use self::sandboxes::SandboxStatus;
pub use self::sandboxes::ScriptText;
use self::sandboxes::Tried;
pub use self::status::Status;
pub use self::status::Tally;
pub use self::stopping::Ending;
use self::versions::Versions;
use crate::config::Section;
use crate::journal::Journal;
use crate::journal::Recovery;
use crate::journal::StorageKind;
use crate::plugin::Handover;
use crate::plugin::Kind;
use crate::plugin::OutputContext;
use crate::plugin::Reached;
use crate::plugin::Wishes;
use crate::stdx::clock::Clock;

/// Time between two ticks.
const TICK: Duration = Duration::from_secs(1);
/// At most so many decode threads.
const MAX_DECODE_THREADS: usize = 8;

/// How a pipeline is to run.
#[derive(Clone, Debug, Default)]
pub struct Mode {
    /// Inputs of files end at the end of the last file, and the engine when all is delivered.
    pub until_done: bool,
    /// With it: inputs that never end are given up when nothing came for so long.
    pub idle: Option<Duration>,
}

/// A running engine.
pub struct Pipeline {
    plan: Plan,
    mode: Mode,
    journal: Journal,
    progress: Progress,
    keeper: Arc<Keeper>,
    routing: Arc<Routing>,
    decoding: Arc<DecodeThreads>,
    analysis: AnalysisThreads,
    deliveries: Deliveries,
    inputs: Vec<RunningInput>,
    /// Told when an input has ended.
    changed: Arc<Notify>,
    ticking: tokio::task::JoinHandle<()>,
    measuring: tokio::task::JoinHandle<()>,
    filter_counters: hashbrown::HashMap<Arc<str>, Arc<FilterCounters>>,
    output_counters: hashbrown::HashMap<Arc<str>, Arc<OutputCounters>>,
    journal_gauges: JournalGauges,
    /// How many messages the inputs had given when that last changed, and when it did.
    heard: Mutex<(u64, Instant)>,
    /// What each running filter is made of, by its hash.
    running: hashbrown::HashMap<Arc<str>, String>,
    versions: Versions,
    /// Filters whose files have changed while no engine ran: the new version takes over when the
    /// old one is level.
    waiting: Vec<Arc<str>>,
    /// Versions that are tried beside the filters that run.
    shadows: hashbrown::HashMap<Arc<str>, Tried>,
    /// Filters that are there besides the configuration.
    loaded: Vec<Loaded>,
    /// What filters want of the engine.
    wishes: Arc<Wishes>,
    /// What the decoder of each running input and the encoder of each output is made of.
    coded: hashbrown::HashMap<String, Option<u64>>,
    /// The number of this run, and those of the runs before.
    runs: Arc<[u64]>,
}

impl Pipeline {
    /// Opens the journal and starts everything, outputs first and inputs last.
    ///
    /// # Errors
    /// When the journal cannot be opened or a plugin does not start; nothing runs then.
    pub async fn start(plan: Plan, mode: Mode, clock: Arc<dyn Clock>) -> anyhow::Result<Pipeline> {
        let base_dir = &plan.engine.base_dir;
        std::fs::create_dir_all(base_dir)
            .with_context(|| format!("cannot make the folder {}", base_dir.display()))?;
        let settings = memory::within(&plan.journal, &plan.engine.memory);
        let (journal, recovery) = Journal::open(base_dir, &settings, clock.clone())
            .with_context(|| format!("cannot open the journal in {}", base_dir.display()))?;
        report(&recovery);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = plan.config.hekad.analysis_threads.map_or(cores, std::num::NonZero::get);
        let progress = Progress::follow(&journal);
        let keeper = Keeper::start(journal.clone())?;
        let routing = Arc::new(routing_of(&plan));
        let decoding = DecodeThreads::start(cores.min(MAX_DECODE_THREADS), &journal, &clock)?;
        let mut pipeline = Pipeline {
            mode,
            progress,
            analysis: AnalysisThreads::new(threads, journal.clone(), keeper.clone()),
            deliveries: Deliveries::start(journal.clone(), routing.clone())?,
            keeper,
            decoding: Arc::new(decoding),
            inputs: Vec::new(),
            changed: Arc::new(Notify::new()),
            ticking: tokio::spawn(std::future::ready(())),
            measuring: memory::watch(
                plan.engine.memory.clone(),
                journal.clone(),
                &plan.engine.metrics,
            ),
            filter_counters: hashbrown::HashMap::new(),
            output_counters: hashbrown::HashMap::new(),
            journal_gauges: JournalGauges::new(&plan.engine.metrics),
            heard: Mutex::new((0, Instant::now())),
            running: hashbrown::HashMap::new(),
            versions: Versions::open(base_dir, journal.id(), plan.config.hekad.kept_versions),
            waiting: Vec::new(),
            shadows: hashbrown::HashMap::new(),
            loaded: Vec::new(),
            wishes: Arc::default(),
            coded: hashbrown::HashMap::new(),
            runs: runs::begin(base_dir),
            routing,
            journal,
            plan,
        };
        if let Err(error) = pipeline.start_all() {
            pipeline.stop(Duration::from_secs(5)).await;
            return Err(error);
        }
        Ok(pipeline)
    }

    fn start_all(&mut self) -> anyhow::Result<()> {
        self.loaded = Loaded::all(&self.plan, &self.loaded_folder());
        self.read_managed();
        self.go_on_with_versions();
        self.retire_unknown();
        for index in 0..self.plan.outputs.len() {
            let output = self.output_plan(index);
            let name = output.context.name.clone();
            let routing = self.routing.clone();
            self.deliveries
                .add(output, &routing)
                .with_context(|| format!("cannot start {name}"))?;
        }
        for index in 0..self.plan.filters.len() {
            let name = self.plan.filters[index].name.clone();
            self.add_filter(index).with_context(|| format!("cannot start {name}"))?;
        }
        self.resume_shadows();
        self.ticking = tick(self.journal.clone());
        for index in 0..self.plan.inputs.len() {
            self.start_input(index);
        }
        Ok(())
    }

    /// Lets go of what readers need that are no longer configured.
    fn retire_unknown(&self) {
        for reader in self.journal.readers() {
            let name = &*reader.name;
            let is_known = self.plan.filters.iter().any(|filter| &*filter.name == name)
                || self.plan.outputs.iter().any(|output| output.section.name == name);
            if !is_known {
                self.journal.retire(name);
            }
        }
    }

    fn start_input(&mut self, index: usize) {
        self.note_decoder(index);
        let plan = self.input_plan(&self.plan.inputs[index]);
        self.inputs.push(RunningInput::start(
            plan,
            &self.decoding,
            &self.journal,
            &self.progress,
            &self.changed,
        ));
    }

    fn input_plan(&self, planned: &PlannedInput) -> InputPlan {
        let (kind, section) = (planned.kind, planned.section.clone());
        InputPlan {
            name: Arc::from(&*planned.section.name),
            engine: self.plan.engine.clone(),
            make: Arc::new(move || make(kind, &section)),
            parts: self.plan.parts.clone(),
            splitter: planned.splitter.clone(),
            decoder: planned.decoder.clone(),
            failures: planned.failures,
            ticker_interval: planned.ticker_interval,
            retries: planned.retries.clone(),
            can_exit: planned.can_exit,
            until_done: self.mode.until_done,
        }
    }

    fn output_plan(&mut self, index: usize) -> OutputPlan {
        self.note_encoder(index);
        let planned: &PlannedOutput = &self.plan.outputs[index];
        let engine = &self.plan.engine;
        let is_kept = self.plan.journal.storage == StorageKind::Disk;
        let (kind, section) = (planned.kind, planned.section.clone());
        let name: Arc<str> = Arc::from(&*planned.section.name);
        let fresh = || Arc::new(OutputCounters::new(&engine.metrics, &name));
        let counters = self.output_counters.entry(name.clone()).or_insert_with(fresh).clone();
        let has_messages =
            planned.encoder.as_ref().is_some_and(|(_, encoder)| encoder.gives_messages());
        OutputPlan {
            context: OutputContext {
                name,
                engine: engine.clone(),
                is_framed: planned.use_framing.unwrap_or(has_messages),
                has_messages,
                journal: is_kept.then(|| self.journal.id()),
                journal_id: self.journal.id(),
                runs: self.runs.clone(),
                reached: Arc::new(Reached {
                    claimed: self.journal.end().0.into(),
                    ..Reached::default()
                }),
                handover: Handover::default(),
            },
            make: Arc::new(move || make(kind, &section)),
            encoder: planned.encoder.clone(),
            reader: planned.reading.reader,
            ticker_interval: planned.reading.ticker_interval,
            retries: planned.reading.retries.clone(),
            can_exit: planned.reading.can_exit,
            counters,
        }
    }

    /// The journal of the engine.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The files that scripts are made of.
    pub fn watched_files(&self) -> Vec<std::path::PathBuf> {
        self.plan.watched_files()
    }

    /// The plan that is being run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Has every output open anew what someone else may have moved away.
    pub fn reopen(&self) {
        self.deliveries.reopen();
    }
}

/// Makes a plugin of this kind anew from its section.
fn make<T: ?Sized>(kind: &Kind<T>, section: &Section) -> anyhow::Result<Box<T>> {
    let read = section.settings.read(|table| (kind.read)(table));
    read.map_err(|problems| anyhow::anyhow!(crate::config::render_all(&problems, false)))
}

/// Logs what was found when the journal was opened.
fn report(recovery: &Recovery) {
    if !recovery.is_new {
        tracing::info!(
            was_clean = recovery.was_clean,
            oldest = recovery.oldest.0,
            end = recovery.end.0,
            segments = recovery.segments,
            "the journal was opened"
        );
    }
    if recovery.cut > 0 {
        tracing::warn!(bytes = recovery.cut, "a torn end of the journal was cut off");
    }
    for damage in &recovery.damages {
        tracing::error!(?damage, "entries of the journal are damaged and are skipped");
    }
    for (reader, from, to) in &recovery.set_back {
        tracing::warn!(reader, from = from.0, to = to.0, "a reader was set back");
    }
    for remark in &recovery.remarks {
        tracing::warn!("{remark}");
    }
}

/// The index of all matchers of a plan.
fn routing_of(plan: &Plan) -> Routing {
    let mut readers = Vec::new();
    for filter in &plan.filters {
        let reading = &filter.reading;
        readers.push((filter.name.clone(), reading.matcher.clone(), reading.signer.clone()));
    }
    for output in &plan.outputs {
        let reading = &output.reading;
        let name = Arc::from(&*output.section.name);
        readers.push((name, reading.matcher.clone(), reading.signer.clone()));
    }
    Routing::new(readers)
}

/// Appends a tick every second.
fn tick(journal: Journal) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut is_paused = false;
        loop {
            interval.tick().await;
            match journal.append_tick() {
                Ok(Some(_)) => is_paused = false,
                Ok(None) if !is_paused => {
                    is_paused = true;
                    tracing::error!("the journal is full: ticks pause");
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "cannot append a tick"),
            }
        }
    })
}
