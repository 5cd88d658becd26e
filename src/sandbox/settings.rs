//! The section of a sandbox in the configuration, the same for all families.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::time::Duration;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

use super::spec::Access;
use super::spec::ConfigValue;
use super::spec::Limits;
use super::spec::Modules;
use super::spec::Role;
use super::spec::Script;
use super::spec::Spec;
use crate::stdx::duration;
use crate::stdx::embedded;
use crate::stdx::embedded::Source;
use crate::stdx::size;

/// Why the files of a sandbox cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The script is nowhere.
    #[error("cannot find the script")]
    NotFound(#[from] embedded::NotFound),
    /// A file is there and cannot be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not text.
    #[error("{file} is not UTF-8 text")]
    NoText {
        /// The file.
        file: String,
    },
}

/// The options of a sandbox, whatever its family.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The language of the script; there is one.
    #[serde(default)]
    pub script_type: ScriptType,
    /// The script: a path, or a name below `share_dir` or in the program, such as
    /// `lua_filters/http_status.lua`.
    pub filename: PathBuf,
    /// Whether the state of a filter is kept over restarts.
    #[serde(default = "is_true")]
    pub preserve_data: bool,
    /// Bytes the script may hold, at least 2 MiB; 0 is no limit.
    #[serde(default = "memory_limit", deserialize_with = "size::bytes")]
    #[schemars(with = "size::Written")]
    pub memory_limit: u64,
    /// CPU time one call may take, 0 is no limit; 100 ms where left out. In milliseconds.
    #[serde(default, deserialize_with = "duration::optional_milliseconds")]
    #[schemars(with = "Option<duration::Written>")]
    pub cpu_limit: Option<Duration>,
    /// Heka's limit of time, read where `cpu_limit` is left out: 1 000 000 stands for 100 ms, 0 is
    /// no limit.
    pub instruction_limit: Option<u64>,
    /// Bytes one payload or message may have; 0 is no limit.
    #[serde(default = "output_limit", deserialize_with = "size::bytes")]
    #[schemars(with = "size::Written")]
    pub output_limit: u64,
    /// Folders with modules, with `;` between them; those of `share_dir` where left out.
    pub module_directory: Option<String>,
    /// Whether `timer_event` of a filter is called once more before it ends.
    #[serde(default)]
    pub timer_event_on_shutdown: bool,
    /// Whether a change to the files of a filter is tried beside the running version, muted, until
    /// `heka sandbox promote` has it take over.
    #[serde(default)]
    pub shadow: bool,
    /// Heka's wish to have every call timed, which always is so.
    #[serde(default)]
    pub profile: bool,
    /// Failed calls in a minute after which a filter is stopped for a while.
    #[serde(default = "max_failures")]
    pub max_failures: u32,
    /// What the script of an input or output may reach of the world outside; all where left out.
    /// Scripts of other families reach nothing.
    pub allow: Option<Vec<Allowed>>,
    /// Whether Logger, Hostname and Pid of what an input or output makes are those of its section, whatever
    /// the script says.
    #[serde(default)]
    pub restricted_headers: bool,
    /// What the script reads with `read_config`.
    #[serde(default)]
    pub config: BTreeMap<String, ConfigValue>,
    /// The script and its modules as they were when they were first read: whatever starts from these
    /// settings is of one version, also after the files have changed.
    #[serde(skip)]
    made_of: OnceLock<Made>,
}

/// What a sandbox is made of, read once.
#[derive(Clone, Debug)]
struct Made {
    script: Script,
    modules: Modules,
    /// The modules that are required by name, by their files.
    named: Vec<String>,
}

impl Made {
    /// All texts; they are kept once.
    fn sources(&self) -> Vec<Source> {
        let Script { path, text } = self.script.clone();
        let mut sources = vec![Source { module: String::new(), path, text }];
        let kept = self.modules.kept.lock().unwrap_or_else(PoisonError::into_inner);
        sources.extend(self.named.iter().filter_map(|module| {
            let (path, text) = kept.get(module)?.clone();
            Some(Source { module: module.clone(), path, text })
        }));
        sources
    }
}

/// A part of the world outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Allowed {
    /// Files and programs.
    Io,
    /// The network.
    Socket,
    /// The environment, programs and the names of files.
    Os,
}

/// The languages of scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ScriptType {
    /// Lua, as Luau has it.
    #[default]
    #[serde(rename = "lua")]
    Lua,
}

fn is_true() -> bool {
    true
}

fn memory_limit() -> u64 {
    8 << 20
}

fn output_limit() -> u64 {
    63 << 10
}

fn max_failures() -> u32 {
    60
}

impl Settings {
    /// The CPU time one call may take; zero is no limit.
    #[must_use]
    pub fn cpu_limit(&self) -> Duration {
        match (self.cpu_limit, self.instruction_limit) {
            (Some(limit), _) => limit,
            (None, Some(instructions)) => Limits::cpu_of_instructions(instructions),
            (None, None) => Limits::default().cpu,
        }
    }

    /// What the sandbox of a plugin called `name` is made from, its script read from disk or from
    /// the program. What the engine says (host, process, limits of injection) is left at its
    /// default.
    ///
    /// # Errors
    /// When the script is nowhere or cannot be read.
    pub fn spec(&self, name: &str, role: Role, share_dir: &Path) -> Result<Spec, SourceError> {
        let Made { script, modules, .. } = self.made_of(share_dir)?.clone();
        let limits = Limits {
            memory: saturated(self.memory_limit),
            cpu: self.cpu_limit(),
            output: match self.output_limit {
                0 => usize::MAX,
                limit => saturated(limit),
            },
            ..Limits::default()
        };
        let access = self.access();
        let config = self.config.clone();
        let restricts_headers = self.restricted_headers;
        let other = Spec::new(name, role, script);
        Ok(Spec { limits, config, modules, access, restricts_headers, ..other })
    }

    fn access(&self) -> Access {
        let may = |part| self.allow.as_ref().is_none_or(|allowed| allowed.contains(&part));
        Access { io: may(Allowed::Io), socket: may(Allowed::Socket), os: may(Allowed::Os) }
    }

    /// What the sandbox is made of, as it was when it was first asked for.
    fn made_of(&self, share_dir: &Path) -> Result<&Made, SourceError> {
        if let Some(made) = self.made_of.get() {
            return Ok(made);
        }
        let sources = self.sources_now(share_dir)?;
        Ok(self.made_of.get_or_init(|| self.made(sources, share_dir)))
    }

    fn made(&self, sources: Vec<Source>, share_dir: &Path) -> Made {
        let modules = Modules {
            folders: embedded::module_folders(self.module_directory.as_deref(), share_dir),
            built_in: Some(Arc::new(built_in)),
            ..Modules::default()
        };
        let mut script = Script::default();
        let mut named = Vec::new();
        let mut kept = modules.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for Source { module, path, text } in sources {
            if module.is_empty() {
                script = Script { path, text };
            } else {
                named.push(module.clone());
                kept.insert(module, (path, text));
            }
        }
        drop(kept);
        Made { script, modules, named }
    }

    /// The script and the modules it requires by name, as they were when they were first read.
    ///
    /// # Errors
    /// When the script is nowhere or cannot be read.
    pub fn sources(&self, share_dir: &Path) -> Result<Vec<Source>, SourceError> {
        Ok(self.made_of(share_dir)?.sources())
    }

    /// Has the sandbox made of these texts, whatever the files say; nothing may have been read yet.
    /// Modules that they require and that are not among them are read now.
    pub fn pin(&self, mut sources: Vec<Source>, share_dir: &Path) {
        let folders = embedded::module_folders(self.module_directory.as_deref(), share_dir);
        with_modules(&mut sources, &folders);
        let _ = self.made_of.set(self.made(sources, share_dir));
    }

    /// The script and the modules it requires by name, where they lie on disk: a change to one of
    /// them is a change of the plugin.
    #[must_use]
    pub fn files(&self, share_dir: &Path) -> Vec<PathBuf> {
        let sources = self.sources_now(share_dir).unwrap_or_default();
        let paths = sources.into_iter().map(|source| source.path);
        let mut files: Vec<_> = paths.filter(|path| path.is_file()).collect();
        if files.is_empty() && self.filename.is_absolute() {
            files.push(self.filename.clone());
        }
        files
    }

    /// All that the script and its modules say, each behind its name and length, as they were when
    /// they were first read.
    ///
    /// # Errors
    /// When the script is nowhere or cannot be read.
    pub fn version(&self, share_dir: &Path) -> Result<Vec<u8>, SourceError> {
        let mut version = Vec::new();
        for Source { path, text, .. } in self.made_of(share_dir)?.sources() {
            version.extend_from_slice(format!("{}\n{}\n", path.display(), text.len()).as_bytes());
            version.extend_from_slice(text.as_bytes());
        }
        Ok(version)
    }

    fn sources_now(&self, share_dir: &Path) -> Result<Vec<Source>, SourceError> {
        let script = embedded::find_script(&self.filename, share_dir)?;
        let (path, text) = (path_of(&script), read(&script)?);
        let mut sources = vec![Source { module: String::new(), path, text }];
        let folders = embedded::module_folders(self.module_directory.as_deref(), share_dir);
        with_modules(&mut sources, &folders);
        Ok(sources)
    }
}

/// The modules in `folders` that a script requires by name, also through others, where they lie on disk.
#[must_use]
pub fn required_files(script: &Path, folders: &[PathBuf]) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(script).unwrap_or_default();
    let mut sources = vec![Source { module: String::new(), path: script.to_owned(), text }];
    with_modules(&mut sources, folders);
    let modules = sources.into_iter().skip(1).map(|source| source.path);
    modules.filter(|path| path.is_file()).collect()
}

/// Adds what the texts require by name, also through others, in the order in which it is named.
fn with_modules(sources: &mut Vec<Source>, folders: &[PathBuf]) {
    let mut at = 0;
    while at < sources.len() && sources.len() < MAX_SOURCES {
        for name in required(&sources[at].text) {
            let Ok(found) = embedded::find_module(&name, folders) else { continue };
            let module = format!("{}.lua", name.replace('.', "/"));
            let path = path_of(&found);
            let is_known = |known: &Source| known.module == module || known.path == path;
            if !sources.iter().any(is_known)
                && let Ok(text) = read(&found)
            {
                sources.push(Source { module, path, text });
            }
        }
        at += 1;
    }
}

/// Where it lies, or its name in the program.
fn path_of(found: &embedded::Found) -> PathBuf {
    found.path().map_or_else(|| PathBuf::from(found.to_string()), Path::to_owned)
}

/// More files than any script is made of.
const MAX_SOURCES: usize = 256;

fn saturated(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn built_in(path: &str) -> Option<String> {
    let bytes = embedded::embedded(&format!("lua/{path}"))?;
    String::from_utf8(bytes.into_owned()).ok()
}

fn read(found: &embedded::Found) -> Result<String, SourceError> {
    let file = || found.to_string();
    let bytes = found.read().map_err(|source| SourceError::Unreadable { file: file(), source })?;
    String::from_utf8(bytes.into_owned()).map_err(|_| SourceError::NoText { file: file() })
}

/// The names in `require "name"` and `require("name")`; names put together are not found.
fn required(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, word) in text.match_indices("require") {
        let behind = text[at + word.len()..].trim_start().trim_start_matches('(').trim_start();
        let Some(quote) = behind.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else {
            continue;
        };
        if let Some((name, _)) = behind[1..].split_once(quote) {
            names.push(name.to_owned());
        }
    }
    names
}

impl<'de> Deserialize<'de> for ConfigValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<ConfigValue, D::Error> {
        from.deserialize_any(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = ConfigValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true or false, a list or a table")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Integer(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<ConfigValue, E> {
        i64::try_from(number).map(ConfigValue::Integer).map_err(E::custom)
    }

    fn visit_f64<E>(self, number: f64) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Double(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<ConfigValue, E> {
        Ok(ConfigValue::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ConfigValue, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(ConfigValue::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ConfigValue, A::Error> {
        let mut values = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            values.insert(name, value);
        }
        Ok(ConfigValue::Table(values))
    }
}

impl JsonSchema for ConfigValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ConfigValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean", "array", "object"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(&format!("filename = 'x.lua'\n{text}")).unwrap()
    }

    #[test]
    fn limits_have_defaults_and_heka_s_are_translated() {
        assert_eq!(settings("").cpu_limit(), Duration::from_millis(100));
        assert_eq!(settings("instruction_limit = 2_500_000").cpu_limit().as_millis(), 250);
        assert_eq!(settings("instruction_limit = 0").cpu_limit(), Duration::ZERO);
        let both = settings("instruction_limit = 0\ncpu_limit = '5ms'");
        assert_eq!(both.cpu_limit(), Duration::from_millis(5));
        assert_eq!(settings("cpu_limit = 7").cpu_limit(), Duration::from_millis(7));
    }

    #[test]
    fn a_specification_has_all_of_the_section() {
        let share = tempfile::tempdir().unwrap();
        std::fs::write(share.path().join("x.lua"), "-- text").unwrap();
        let read = settings(
            "memory_limit = '4MiB'\noutput_limit = 0\n[config]\na = 1\nb = ['x', true]\n\
             [config.c]\nd = 1.5",
        );
        let spec = read.spec("name", Role::Filter, share.path()).unwrap();
        assert_eq!(spec.script.text, "-- text");
        assert_eq!((spec.limits.memory, spec.limits.output), (4 << 20, usize::MAX));
        assert_eq!(spec.config["a"], ConfigValue::Integer(1));
        assert_eq!(
            spec.config["b"],
            ConfigValue::Array(vec![ConfigValue::String("x".to_owned()), ConfigValue::Bool(true)])
        );
        let table = BTreeMap::from([("d".to_owned(), ConfigValue::Double(1.5))]);
        assert_eq!(spec.config["c"], ConfigValue::Table(table));
    }

    #[test]
    fn a_change_to_a_module_is_a_change_of_the_plugin() {
        let share = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = share.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let script = write("x.lua", "require 'one'\nlocal t = require( \"no.such\" )");
        let one = write("lua_modules/one.lua", "local two = require(\"parts.two\")");
        let two = write("lua_modules/parts/two.lua", "require 'one'");
        assert_eq!(settings("").files(share.path()), [script, one, two]);
        let before = settings("").version(share.path()).unwrap();
        write("lua_modules/parts/two.lua", "require 'one' -- changed");
        assert_ne!(settings("").version(share.path()).unwrap(), before);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (text, expected) in [
            ("", "missing field `filename`"),
            ("filename = 'x'\nscript_type = 'js'", "unknown variant `js`"),
            ("filename = 'x'\nmemory_limi = 1", "unknown field `memory_limi`"),
            ("filename = 'x'\ncpu_limit = '1 parsec'", "`parsec` is no unit"),
        ] {
            let error = toml::from_str::<Settings>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let lost = settings("").spec("name", Role::Filter, Path::new("/no/such"));
        assert!(matches!(lost, Err(SourceError::NotFound(_))));
    }
}
