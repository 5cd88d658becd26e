//! Plugins without an engine, made of what the command line says instead of a section.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;

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
use crate::plugin::Kind;
use crate::plugin::Splitting;
use crate::stdx::duration;
use crate::stdx::host;
use crate::stdx::nearest::nearest;
use crate::stdx::size;

/// The largest message, in bytes.
pub(in crate::cli) const MAX_MESSAGE_SIZE: usize = 4 << 20;
/// How deep decoders may use each other.
const MAX_DEPTH: usize = 16;

/// What makes messages of bytes, as the command line has it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Reading {
    /// What makes messages of records: a kind (`heka plugins decoders`) or a Lua script
    #[arg(long, value_name = "NAME")]
    decoder: Option<String>,
    /// An option of the decoder, as its section would have it; may be repeated
    #[arg(long, value_name = "KEY=VALUE", requires = "decoder", value_parser = Assignment::parse)]
    set: Vec<Assignment>,
    /// What cuts records (`heka plugins splitters`); lines or frames by what the file begins with
    #[arg(long, value_name = "NAME")]
    splitter: Option<String>,
    /// An option of the splitter; may be repeated
    #[arg(long, value_name = "KEY=VALUE", requires = "splitter", value_parser = Assignment::parse)]
    splitter_set: Vec<Assignment>,
    /// Where scripts and modules are looked for before those in the program
    #[arg(long, value_name = "FOLDER", default_value = "/usr/share/heka")]
    pub(in crate::cli) share_dir: PathBuf,
}

/// What limits a script, as the command line has it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ScriptLimits {
    /// Bytes the script may hold, such as `8MiB`; 0 is no limit
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    memory_limit: Option<u64>,
    /// CPU time one call may take, such as `100ms`; 0 is no limit
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    cpu_limit: Option<Duration>,
}

fn milliseconds(text: &str) -> Result<Duration, duration::Error> {
    duration::parse(text, Duration::from_millis(1))
}

/// Reads a number of seconds, or a time with a unit; for clap.
///
/// # Errors
/// When it is neither.
pub(in crate::cli) fn seconds(text: &str) -> Result<Duration, duration::Error> {
    duration::parse(text, Duration::from_secs(1))
}

/// What makes messages, ready to be started.
pub(in crate::cli) struct Parts {
    pub(in crate::cli) engine: Engine,
    decoder: Option<(String, Box<dyn Decoder>)>,
    splitter: Option<(String, String)>,
}

impl Parts {
    /// Reads what is asked for.
    ///
    /// # Errors
    /// When a kind is not there or an option of one is wrong.
    pub(in crate::cli) fn new(reading: &Reading) -> anyhow::Result<Parts> {
        let decoder = match &reading.decoder {
            None => None,
            Some(name) => {
                let settings = Assignment::lines(&reading.set);
                Some((name.clone(), decoder(name, &settings)?))
            }
        };
        let splitter = match &reading.splitter {
            None => None,
            Some(name) => {
                let settings = Assignment::lines(&reading.splitter_set);
                read(CATALOG.splitters, "splitter", name, &settings)?;
                Some((name.clone(), settings))
            }
        };
        Ok(Parts { engine: engine(reading.share_dir.clone()), decoder, splitter })
    }

    /// With a decoder and its settings, in TOML, alone.
    ///
    /// # Errors
    /// When there is no such decoder or an option of it is wrong.
    pub(in crate::cli) fn of(
        name: Option<&str>,
        settings: &str,
        share_dir: PathBuf,
    ) -> anyhow::Result<Parts> {
        let decoder = match name {
            None => None,
            Some(name) => Some((name.to_owned(), decoder(name, settings)?)),
        };
        Ok(Parts { engine: engine(share_dir), decoder, splitter: None })
    }

    /// Starts the decoder; that of framed messages where none is asked for and `is_framed`.
    ///
    /// # Errors
    /// When it does not start.
    pub(in crate::cli) fn start_decoder(
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
    pub(in crate::cli) fn start_splitter(
        &self,
        is_framed: bool,
    ) -> anyhow::Result<Box<dyn Splitting>> {
        let fitting = if is_framed { "HekaFramingSplitter" } else { "TokenSplitter" };
        let (name, settings) = match &self.splitter {
            Some((name, settings)) => (name.as_str(), settings.as_str()),
            None => (fitting, ""),
        };
        read(CATALOG.splitters, "splitter", name, settings)?.start(&self.engine)
    }

    /// The files that the decoder is made of.
    pub(in crate::cli) fn files(&self) -> Vec<PathBuf> {
        let decoder = self.decoder.as_ref();
        decoder.map(|(_, decoder)| decoder.files(&self.engine)).unwrap_or_default()
    }

    /// Starts what shows messages that are no payloads.
    ///
    /// # Errors
    /// When there is no such encoder.
    pub(in crate::cli) fn start_encoder(&self) -> anyhow::Result<Box<dyn Encoding>> {
        let name = "JsonEncoder";
        let plugin = read(CATALOG.encoders, "encoder", name, "")?;
        plugin.start(&EncoderContext { name, engine: &self.engine })
    }
}

/// The name of a plugin that runs this script: the file's, without its ending.
pub(in crate::cli) fn name_of(script: &Path) -> String {
    script.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// A filter that runs `script`, with the settings of `section` where neither the limits nor `config`
/// say otherwise.
///
/// # Errors
/// When a setting is wrong.
pub(in crate::cli) fn script_filter(
    script: &Path,
    mut section: toml::Table,
    limits: &ScriptLimits,
    config: &[Assignment],
) -> anyhow::Result<Box<dyn Filter>> {
    section.insert("filename".to_owned(), script.to_string_lossy().into_owned().into());
    if let Some(bytes) = limits.memory_limit {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        section.insert("memory_limit".to_owned(), bytes.into());
    }
    if let Some(time) = limits.cpu_limit {
        section.insert("cpu_limit".to_owned(), format!("{}us", time.as_micros()).into());
    }
    let options: toml::Table = toml::from_str(&Assignment::lines(config))
        .map_err(|error| anyhow!("an option is given twice: {}", error.message()))?;
    let own = section.entry("config").or_insert_with(|| toml::Table::new().into());
    if let Some(own) = own.as_table_mut() {
        own.extend(options);
    }
    read(CATALOG.filters, "filter", "SandboxFilter", &section.to_string())
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
        memory: Arc::default(),
        metrics: Arc::new(Registry::default()),
    }
}
