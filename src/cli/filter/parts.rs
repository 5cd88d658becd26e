//! The plugins of one run, made of what the command line says instead of a section.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;

use super::Command;
use crate::catalog::CATALOG;
use crate::cli::assignment::Assignment;
use crate::metrics::Registry;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;
use crate::plugin::Engine;
use crate::plugin::Filter;
use crate::plugin::FilterContext;
use crate::plugin::Filtering;
use crate::plugin::Kind;
use crate::plugin::Splitting;
use crate::stdx::host;
use crate::stdx::nearest::nearest;

/// The largest message, in bytes.
pub(super) const MAX_MESSAGE_SIZE: usize = 4 << 20;
/// How deep decoders may use each other.
const MAX_DEPTH: usize = 16;

/// All that a run needs, ready to be started.
pub(super) struct Parts {
    pub(super) engine: Engine,
    pub(super) name: String,
    filter: Box<dyn Filter>,
    decoder: Option<(String, Box<dyn Decoder>)>,
    splitter: Option<(String, String)>,
    ticker_interval: Duration,
}

impl Parts {
    /// Reads what `command` asks for.
    ///
    /// # Errors
    /// When a kind is not there or an option of one is wrong.
    pub(super) fn new(command: &Command) -> anyhow::Result<Parts> {
        let decoder = match &command.decoder {
            None => None,
            Some(name) => {
                let settings = Assignment::lines(&command.set);
                Some((name.clone(), decoder(name, &settings)?))
            }
        };
        let splitter = match &command.splitter {
            None => None,
            Some(name) => {
                let settings = Assignment::lines(&command.splitter_set);
                read(CATALOG.splitters, "splitter", name, &settings)?;
                Some((name.clone(), settings))
            }
        };
        Ok(Parts {
            engine: engine(command.share_dir.clone()),
            name: name_of(&command.script),
            filter: filter(command)?,
            decoder,
            splitter,
            ticker_interval: command.ticker,
        })
    }

    /// Starts the filter.
    ///
    /// # Errors
    /// When the script does not load.
    pub(super) fn start_filter(&self) -> anyhow::Result<Box<dyn Filtering>> {
        self.filter.start(&FilterContext {
            name: &self.name,
            engine: &self.engine,
            ticker_interval: self.ticker_interval,
        })
    }

    /// Starts the decoder; that of framed messages where none is asked for and `is_framed`.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start_decoder(
        &self,
        is_framed: bool,
    ) -> anyhow::Result<Option<Box<dyn Decoding>>> {
        match &self.decoder {
            Some((name, plugin)) => self.start(name, &**plugin, 0).map(Some),
            None if is_framed => self.start_named("ProtobufDecoder", 0).map(Some),
            None => Ok(None),
        }
    }

    fn start(
        &self,
        name: &str,
        plugin: &dyn Decoder,
        depth: usize,
    ) -> anyhow::Result<Box<dyn Decoding>> {
        anyhow::ensure!(depth < MAX_DEPTH, "decoder {name} uses itself");
        let sub = |sub: &str| self.start_named(sub, depth + 1);
        plugin
            .start(&DecoderContext { name, engine: &self.engine, decoder: &sub })
            .with_context(|| format!("cannot start decoder {name}"))
    }

    fn start_named(&self, name: &str, depth: usize) -> anyhow::Result<Box<dyn Decoding>> {
        self.start(name, &*decoder(name, "")?, depth)
    }

    /// Starts a splitter for one stream: the one asked for, or the one that fits.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start_splitter(&self, is_framed: bool) -> anyhow::Result<Box<dyn Splitting>> {
        let fitting = if is_framed { "HekaFramingSplitter" } else { "TokenSplitter" };
        let (name, settings) = match &self.splitter {
            Some((name, settings)) => (name.as_str(), settings.as_str()),
            None => (fitting, ""),
        };
        read(CATALOG.splitters, "splitter", name, settings)?.start(&self.engine)
    }

    /// The files that scripts are made of.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = self.filter.files(&self.engine);
        if let Some((_, decoder)) = &self.decoder {
            files.extend(decoder.files(&self.engine));
        }
        files
    }

    /// Starts what shows messages that are no payloads.
    ///
    /// # Errors
    /// When there is no such encoder.
    pub(super) fn start_encoder(&self) -> anyhow::Result<Box<dyn Encoding>> {
        let name = "JsonEncoder";
        let plugin = read(CATALOG.encoders, "encoder", name, "")?;
        plugin.start(&EncoderContext { name, engine: &self.engine })
    }
}

/// The name of a plugin that runs this script: the file's, without its ending.
fn name_of(script: &Path) -> String {
    script.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn filter(command: &Command) -> anyhow::Result<Box<dyn Filter>> {
    let mut settings = format!("filename = {}\n", quoted(&command.script));
    if let Some(bytes) = command.memory_limit {
        settings += &format!("memory_limit = {bytes}\n");
    }
    if let Some(time) = command.cpu_limit {
        settings += &format!("cpu_limit = \"{}us\"\n", time.as_micros());
    }
    settings += "[config]\n";
    settings += &Assignment::lines(&command.config);
    read(CATALOG.filters, "filter", "SandboxFilter", &settings)
}

fn decoder(name: &str, settings: &str) -> anyhow::Result<Box<dyn Decoder>> {
    let is_script = Path::new(name).extension().is_some_and(|ending| ending == "lua");
    if !is_script {
        return read(CATALOG.decoders, "decoder", name, settings);
    }
    let settings = format!("filename = {}\n{settings}", quoted(Path::new(name)));
    read(CATALOG.decoders, "decoder", "SandboxDecoder", &settings)
}

fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}

/// Reads the settings of the kind `name`.
fn read<T: ?Sized>(
    kinds: &'static [Kind<T>],
    family: &str,
    name: &str,
    settings: &str,
) -> anyhow::Result<Box<T>> {
    let Some(kind) = kinds.iter().find(|kind| kind.name == name) else {
        let meant = nearest(name, kinds.iter().map(|kind| kind.name));
        let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        return Err(anyhow!("there is no {family} `{name}`{meant}"));
    };
    let told = |error: toml::de::Error| {
        anyhow!("{name}: {}; `heka plugins {name}` lists its options", error.message())
    };
    let settings = toml::Deserializer::parse(settings).map_err(told)?;
    (kind.read)(settings).map_err(told)
}

fn engine(share_dir: PathBuf) -> Engine {
    Engine {
        hostname: Arc::from(host::hostname()),
        pid: i32::try_from(std::process::id()).unwrap_or(0),
        base_dir: PathBuf::new(),
        share_dir,
        max_message_size: MAX_MESSAGE_SIZE,
        max_message_loops: 4,
        max_process_inject: 1,
        max_timer_inject: 10,
        metrics: Arc::new(Registry::default()),
    }
}
