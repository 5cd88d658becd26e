//! From a configuration to what the pipeline runs.
//!
//! Everything is read and checked here, all mistakes at once, before anything starts. A plan can be
//! thrown away: nothing is opened for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::checks;
use super::memory;
use super::parts::Parts;
use super::parts::SplitterPart;
use crate::config::BUILT_IN;
use crate::config::Common;
use crate::config::Config;
use crate::config::Family;
use crate::config::FullAction;
use crate::config::Problem;
use crate::config::ReaderCommon;
use crate::config::Section;
use crate::config::SplitterCommon;
use crate::journal;
use crate::journal::Keeps;
use crate::journal::ReaderOptions;
use crate::journal::Reads;
use crate::matcher::Matcher;
use crate::metrics::Registry;
use crate::plugin::Catalog;
use crate::plugin::Encoder;
use crate::plugin::Engine;
use crate::plugin::Filter;
use crate::plugin::Input;
use crate::plugin::Kind;
use crate::plugin::Memory;
use crate::plugin::Output;
use crate::sandbox::Role;

pub(super) use crate::config::Retries;

/// How many messages a filter may set aside in a minute, unless it says otherwise.
const MAX_FAILURES: u32 = 60;

/// What a filter or an output reads.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) matcher: Matcher,
    pub(super) signer: Option<String>,
    pub(super) reader: ReaderOptions,
    pub(super) ticker_interval: Duration,
    pub(super) can_exit: bool,
    pub(super) retries: Retries,
}

/// An input to run.
#[derive(Clone)]
pub(super) struct PlannedInput {
    pub(super) section: Section,
    pub(super) kind: &'static Kind<dyn Input>,
    pub(super) splitter: String,
    pub(super) decoder: Option<String>,
    pub(super) failures: super::decode::DecodeFailures,
    pub(super) ticker_interval: Duration,
    pub(super) can_exit: bool,
    pub(super) retries: Retries,
    pub(super) ends: bool,
    pub(super) promise: &'static str,
}

/// A filter to run.
#[derive(Clone)]
pub(super) struct PlannedFilter {
    pub(super) name: Arc<str>,
    pub(super) text: String,
    pub(super) plugin: Arc<dyn Filter>,
    pub(super) reading: Reading,
    pub(super) max_failures: u32,
}

/// An output to run.
#[derive(Clone)]
pub(super) struct PlannedOutput {
    pub(super) section: Section,
    pub(super) kind: &'static Kind<dyn Output>,
    pub(super) encoder: Option<(String, Arc<dyn Encoder>)>,
    pub(super) use_framing: Option<bool>,
    pub(super) promise: &'static str,
    pub(super) reading: Reading,
}

/// Everything a configuration asks for.
pub struct Plan {
    pub(super) config: Config,
    pub(super) catalog: Catalog,
    pub(super) engine: Engine,
    pub(super) journal: journal::Settings,
    pub(super) parts: Arc<Parts>,
    pub(super) inputs: Vec<PlannedInput>,
    pub(super) filters: Vec<PlannedFilter>,
    pub(super) outputs: Vec<PlannedOutput>,
}

impl Plan {
    /// Reads all settings of `config`; mistakes and warnings go to `problems`.
    ///
    /// The plan is there even with mistakes, for a check of the rest; it is not to be run then.
    pub fn new(
        config: Config,
        catalog: &Catalog,
        metrics: Arc<Registry>,
        problems: &mut Vec<Problem>,
    ) -> Plan {
        let engine = engine(&config, metrics);
        let journal = read_or(
            problems,
            config
                .journal
                .read(|table| <journal::Settings as serde::Deserialize>::deserialize(table)),
        )
        .unwrap_or_default();
        checks::sizes(&config, &journal, &engine, problems);
        let mut draft = Draft {
            catalog,
            problems,
            parts: Parts::default(),
            inputs: Vec::new(),
            filters: Vec::new(),
            outputs: Vec::new(),
        };
        for name in BUILT_IN {
            draft.built_in(name);
        }
        for section in &config.sections {
            draft.part(section);
        }
        for section in &config.sections {
            draft.plugin(section);
        }
        let Draft { parts, inputs, filters, outputs, .. } = draft;
        checks::decoders(&parts, &config, problems);
        checks::managers(&filters, &config, problems);
        checks::accumulators(&config, problems);
        memory::check(&config, (&engine, &journal), (&filters, &outputs), problems);
        let (catalog, parts) = (*catalog, Arc::new(parts));
        Plan { config, catalog, engine, journal, parts, inputs, filters, outputs }
    }

    /// The engine's folder.
    pub fn base_dir(&self) -> &std::path::Path {
        &self.engine.base_dir
    }

    /// All numbers of the engine.
    pub fn metrics(&self) -> Arc<Registry> {
        self.engine.metrics.clone()
    }

    /// What is promised of messages and states, by fault and by plugin.
    pub fn promises(&self) -> String {
        super::promises::text(self)
    }

    /// The configuration behind the plan.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The inputs that never end by themselves, by name.
    pub fn endless_inputs(&self) -> Vec<String> {
        let endless = self.inputs.iter().filter(|input| !input.ends);
        endless.map(|input| input.section.name.clone()).collect()
    }

    /// The files that scripts are made of.
    pub fn watched_files(&self) -> Vec<PathBuf> {
        self.files().into_iter().map(|(file, _)| file).collect()
    }

    /// Every file that a script is made of, once, and the family it is used in.
    pub fn scripts(&self) -> Vec<(PathBuf, Role)> {
        let filters = self.filters.iter().flat_map(|filter| filter.plugin.files(&self.engine));
        let decoders = self.parts.decoders.values().flat_map(|it| it.files(&self.engine));
        let encoders = self.parts.encoders.values().flat_map(|it| it.files(&self.engine));
        let mut scripts: Vec<(PathBuf, Role)> = filters.map(|file| (file, Role::Filter)).collect();
        scripts.extend(decoders.map(|file| (file, Role::Decoder)));
        scripts.extend(encoders.map(|file| (file, Role::Encoder)));
        scripts.sort_by(|(one, _), (other, _)| one.cmp(other));
        scripts.dedup_by(|(one, _), (other, _)| one == other);
        scripts
    }

    /// All files that scripts are made of, and the plugin that each belongs to.
    pub(super) fn files(&self) -> Vec<(PathBuf, String)> {
        let mut files = Vec::new();
        for filter in &self.filters {
            for file in filter.plugin.files(&self.engine) {
                files.push((file, filter.name.to_string()));
            }
        }
        for (name, decoder) in &self.parts.decoders {
            let own = decoder.files(&self.engine).into_iter();
            files.extend(own.map(|file| (file, name.clone())));
        }
        for (name, encoder) in &self.parts.encoders {
            let own = encoder.files(&self.engine).into_iter();
            files.extend(own.map(|file| (file, name.clone())));
        }
        files.sort();
        files
    }

    /// Starts everything that is made of a script, once and aside, to find its mistakes.
    pub fn try_scripts(&self, problems: &mut Vec<Problem>) {
        for filter in &self.filters {
            let context = crate::plugin::FilterContext {
                name: &filter.name,
                engine: &self.engine,
                ticker_interval: filter.reading.ticker_interval,
            };
            self.report(&filter.name, filter.plugin.start(&context).err(), problems);
        }
        for name in self.parts.decoders.keys() {
            let error = self.parts.start_decoder(name, &self.engine).err();
            self.report(name, error, problems);
        }
        for (name, encoder) in &self.parts.encoders {
            let context = crate::plugin::EncoderContext { name, engine: &self.engine };
            self.report(name, encoder.start(&context).err(), problems);
        }
    }

    fn report(&self, name: &str, error: Option<anyhow::Error>, problems: &mut Vec<Problem>) {
        let Some(error) = error else { return };
        let problem = Problem::error(format!("{name} does not start: {error:#}"));
        problems.push(match self.config.section(name) {
            Some(section) => {
                let script = section.settings.place_of_key("filename");
                problem.at(&script.unwrap_or_else(|| section.place.clone()))
            }
            None => problem,
        });
    }
}

/// A plan on its way.
struct Draft<'a> {
    catalog: &'a Catalog,
    problems: &'a mut Vec<Problem>,
    parts: Parts,
    inputs: Vec<PlannedInput>,
    filters: Vec<PlannedFilter>,
    outputs: Vec<PlannedOutput>,
}

impl Draft<'_> {
    /// Makes a plugin that is there without a section.
    fn built_in(&mut self, name: &str) {
        let empty = || toml::Deserializer::parse("").ok();
        if let Some(kind) = find(self.catalog.splitters, name)
            && let Some(plugin) = empty().and_then(|settings| (kind.read)(settings).ok())
        {
            self.add_splitter(name, plugin, &SplitterCommon::default());
        }
        if let Some(kind) = find(self.catalog.decoders, name)
            && let Some(plugin) = empty().and_then(|settings| (kind.read)(settings).ok())
        {
            self.parts.decoders.insert(name.to_owned(), Arc::from(plugin));
        }
        if let Some(kind) = find(self.catalog.encoders, name)
            && let Some(plugin) = empty().and_then(|settings| (kind.read)(settings).ok())
        {
            self.parts.encoders.insert(name.to_owned(), Arc::from(plugin));
        }
    }

    fn add_splitter(
        &mut self,
        name: &str,
        plugin: Box<dyn crate::plugin::Splitter>,
        common: &SplitterCommon,
    ) {
        let part = SplitterPart {
            plugin,
            keep_truncated: common.keep_truncated,
            use_message_bytes: common.use_message_bytes,
            deliver_incomplete_final: common.deliver_incomplete_final.unwrap_or(false),
        };
        self.parts.splitters.insert(name.to_owned(), Arc::new(part));
    }

    /// Reads a splitter, decoder or encoder.
    fn part(&mut self, section: &Section) {
        let name = &section.name;
        match (&section.common, section.family) {
            (Common::Splitter(common), _) => {
                if let Some(plugin) =
                    self.read(find(self.catalog.splitters, &section.kind), section)
                {
                    self.add_splitter(name, plugin, common);
                }
            }
            (_, Family::Decoder) => {
                if let Some(plugin) = self.read(find(self.catalog.decoders, &section.kind), section)
                {
                    self.parts.decoders.insert(name.clone(), Arc::from(plugin));
                }
            }
            (_, Family::Encoder) => {
                if let Some(plugin) = self.read(find(self.catalog.encoders, &section.kind), section)
                {
                    self.parts.encoders.insert(name.clone(), Arc::from(plugin));
                }
            }
            _ => {}
        }
    }

    /// Reads an input, filter or output.
    fn plugin(&mut self, section: &Section) {
        match &section.common {
            Common::Input(common) => self.input(section, common),
            Common::Filter(common) => {
                let Some(kind) = find(self.catalog.filters, &section.kind) else { return };
                let Some(plugin) = self.read(Some(kind), section) else { return };
                let keeps = Keeps::Snapshot;
                let Some(reading) = self.reading(section, common, &kind.defaults, keeps) else {
                    return;
                };
                self.filters.push(PlannedFilter {
                    name: Arc::from(&*section.name),
                    text: section.text().to_owned(),
                    max_failures: plugin.max_failures().unwrap_or(MAX_FAILURES),
                    plugin: Arc::from(plugin),
                    reading,
                });
            }
            Common::Output(common, writing) => {
                let Some(kind) = find(self.catalog.outputs, &section.kind) else { return };
                let Some(plugin) = self.read(Some(kind), section) else { return };
                let keeps = Keeps::Cursor;
                let Some(reading) = self.reading(section, common, &kind.defaults, keeps) else {
                    return;
                };
                let named = writing.encoder.as_ref().map(|name| name.get_ref().as_str());
                let encoder = named.or(kind.defaults.encoder).and_then(|name| {
                    Some((name.to_owned(), self.parts.encoders.get(name)?.clone()))
                });
                self.outputs.push(PlannedOutput {
                    section: section.clone(),
                    kind,
                    encoder,
                    use_framing: writing.use_framing,
                    promise: plugin.promise(),
                    reading,
                });
            }
            _ => {}
        }
    }

    fn input(&mut self, section: &Section, common: &crate::config::InputCommon) {
        let Some(kind) = find(self.catalog.inputs, &section.kind) else { return };
        let Some(plugin) = self.read(Some(kind), section) else { return };
        let ticker_interval =
            common.ticker_interval.unwrap_or(Duration::from_secs(kind.defaults.ticker_interval));
        checks::ticks(section, ticker_interval, &kind.defaults, self.problems);
        if let Some((matcher, filter)) = plugin.as_filter() {
            let matcher = match Matcher::parse(&matcher) {
                Ok(matcher) => matcher,
                Err(error) => {
                    self.problems.push(Problem::error(error.to_string()).at(&section.place));
                    return;
                }
            };
            self.filters.push(PlannedFilter {
                name: Arc::from(&*section.name),
                text: section.text().to_owned(),
                max_failures: filter.max_failures().unwrap_or(MAX_FAILURES),
                plugin: Arc::from(filter),
                reading: Reading {
                    matcher,
                    signer: None,
                    reader: reader_options(&ReaderCommon::default(), Keeps::Snapshot),
                    ticker_interval,
                    can_exit: true,
                    retries: common.retries.clone(),
                },
            });
            return;
        }
        let named =
            |name: &Option<toml::Spanned<String>>| name.as_ref().map(|name| name.get_ref().clone());
        let splitter = named(&common.splitter)
            .unwrap_or_else(|| kind.defaults.splitter.unwrap_or("NullSplitter").to_owned());
        let decoder =
            named(&common.decoder).or_else(|| kind.defaults.decoder.map(ToOwned::to_owned));
        let decoder = decoder.filter(|name| !name.is_empty());
        let ends = plugin.ends();
        self.inputs.push(PlannedInput {
            section: section.clone(),
            kind,
            splitter,
            decoder,
            failures: super::decode::DecodeFailures {
                send: common.send_decode_failures,
                log: common.log_decode_failures,
            },
            ticker_interval,
            can_exit: common.can_exit.unwrap_or(ends || is_sandbox(section)),
            retries: common.retries.clone(),
            ends,
            promise: plugin.promise(),
        });
    }

    fn reading(
        &mut self,
        section: &Section,
        common: &ReaderCommon,
        defaults: &crate::plugin::Defaults,
        keeps: Keeps,
    ) -> Option<Reading> {
        let default = || Matcher::parse(defaults.message_matcher?).ok();
        let Some(matcher) = common.message_matcher.clone().or_else(default) else {
            let problem = Problem::error(format!(
                "{} says nothing of which messages it gets: `message_matcher` is missing",
                section.name
            ));
            let help = "`message_matcher = \"TRUE\"` is every message, \
                        `message_matcher = \"Type == 'logfile'\"` those of one type";
            self.problems.push(problem.at(&section.place).help(help));
            return None;
        };
        Some(Reading {
            matcher,
            signer: common.message_signer.clone().filter(|signer| !signer.is_empty()),
            reader: reader_options(common, keeps),
            ticker_interval: common
                .ticker_interval
                .unwrap_or(Duration::from_secs(defaults.ticker_interval)),
            can_exit: common.can_exit.unwrap_or(is_sandbox(section)),
            retries: common.retries.clone(),
        })
    }

    fn read<T: ?Sized>(&mut self, kind: Option<&Kind<T>>, section: &Section) -> Option<Box<T>> {
        let kind = kind?;
        read_or(self.problems, section.settings.read(|table| (kind.read)(table)))
    }
}

fn read_or<T>(problems: &mut Vec<Problem>, read: Result<T, Vec<Problem>>) -> Option<T> {
    read.map_err(|mistakes| problems.extend(mistakes)).ok()
}

fn find<T: ?Sized>(kinds: &'static [Kind<T>], name: &str) -> Option<&'static Kind<T>> {
    kinds.iter().find(|kind| kind.name == name)
}

/// Tells whether it is a script, which may end without the engine, as in Heka.
fn is_sandbox(section: &Section) -> bool {
    matches!(section.kind.as_str(), "SandboxInput" | "SandboxFilter" | "SandboxOutput")
}

fn reader_options(common: &ReaderCommon, keeps: Keeps) -> ReaderOptions {
    let is_kept = common.use_buffering != Some(false);
    ReaderOptions {
        start: match common.start {
            crate::config::Start::Oldest => journal::Start::Oldest,
            crate::config::Start::End => journal::Start::End,
        },
        reads: if keeps == Keeps::Cursor { Reads::Durable } else { Reads::Appended },
        keeps: if is_kept { keeps } else { Keeps::Nothing },
        full_action: common.buffering.full_action.map(|action| match action {
            FullAction::Block => journal::FullAction::Block,
            FullAction::DropOldest => journal::FullAction::DropOldest,
            FullAction::Shutdown => journal::FullAction::Shutdown,
        }),
        max_bytes: Some(common.buffering.max_buffer_size).filter(|bytes| *bytes > 0),
    }
}

fn engine(config: &Config, metrics: Arc<Registry>) -> Engine {
    let hekad = &config.hekad;
    Engine {
        hostname: Arc::from(&*hekad.hostname),
        pid: i32::try_from(std::process::id()).unwrap_or(0),
        base_dir: hekad.base_dir.clone(),
        share_dir: hekad.share_dir.clone(),
        max_message_size: usize::try_from(hekad.max_message_size).unwrap_or(usize::MAX),
        max_message_loops: u8::try_from(hekad.max_message_loops).unwrap_or(u8::MAX),
        max_process_inject: hekad.max_process_inject,
        max_timer_inject: hekad.max_timer_inject,
        memory: Arc::new(hekad.memory_budget().map_or_else(Memory::default, Memory::new)),
        metrics,
    }
}
