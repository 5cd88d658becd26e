//! The section `[hekad]`: what concerns the engine as a whole.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::Gid;
use rustix::thread::CapabilitySet;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de;
use serde::de::IgnoredAny;
use toml::de::DeTable;
use toml::de::DeValue;

use super::Place;
use super::Problem;
use super::Settings;
use super::section::Draft;
use super::wording::sort_of;
use crate::stdx::account;
use crate::stdx::account::Account;
use crate::stdx::capability;
use crate::stdx::duration;
use crate::stdx::host;
use crate::stdx::secret::Secret;
use crate::stdx::size;

/// The settings of `[hekad]`, all with defaults.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hekad {
    /// The name of this machine in messages; the system's by default.
    #[schemars(extend("default" = "the system's"))]
    pub hostname: String,
    /// Where journal, snapshots and the control socket are; `/var/cache/hekad` for root, else
    /// `$XDG_STATE_HOME/heka`.
    #[schemars(extend("default" = "/var/cache/hekad for root, else $XDG_STATE_HOME/heka"))]
    pub base_dir: PathBuf,
    /// Where scripts and modules are looked for before those in the program itself.
    pub share_dir: PathBuf,
    /// Longest message, in bytes, above 1024.
    #[serde(deserialize_with = "message_size")]
    #[schemars(with = "size::Written")]
    pub max_message_size: u64,
    /// How much memory the process may use, in bytes, at least 48 MiB: inputs wait and readers fall back
    /// to the disk while it is used up. Left out: a quarter of what the machine or the cgroup has.
    #[serde(deserialize_with = "memory_bytes")]
    #[schemars(with = "Option<size::Written>")]
    pub max_memory_bytes: Option<u64>,
    /// How often a message may bring forth another by injection; 0 counts as 1.
    #[serde(deserialize_with = "loops")]
    pub max_message_loops: u32,
    /// Messages a filter may inject in one call of `process_message`.
    pub max_process_inject: u32,
    /// Messages a filter may inject in one call of `timer_event`.
    pub max_timer_inject: u32,
    /// The user that root becomes before anything runs, once the sockets are bound that only root may
    /// bind. Nobody if empty.
    #[serde(deserialize_with = "account::user")]
    #[schemars(with = "String")]
    pub user: Option<Account>,
    /// The group that goes with `user`; that of the user if empty. Its supplementary groups come too.
    #[serde(deserialize_with = "account::group")]
    #[schemars(with = "String")]
    pub group: Option<Gid>,
    /// What `user` may do of what is only root's: `net_bind_service`, to bind ports below 1024 that
    /// a reload brings; `dac_read_search`, to read logs and keys of others; any other of Linux.
    #[serde(deserialize_with = "capability::set")]
    #[schemars(with = "Vec<String>")]
    pub keep_capabilities: CapabilitySet,
    /// File that holds the process id while the engine runs; none if empty.
    #[serde(deserialize_with = "path_unless_empty")]
    pub pid_file: Option<PathBuf>,
    /// Longest time a stop may take, in seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub shutdown_timeout: Duration,
    /// Seconds between two reports of the engine on itself (`heka.all-report`, `heka.memstat`); 0 is
    /// never, but for SIGUSR1. Under `--until-done` there are none.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub report_interval: Duration,
    /// Threads for filters; as many as needed by default, at most one a core.
    pub analysis_threads: Option<NonZeroUsize>,
    /// A filter that stands still in one call for so long, or is at work in it for twenty times as
    /// long, is stopped, and the other filters of its thread go on in a new one; 0 waits for ever.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub stuck_timeout: Duration,
    /// Versions of each filter that are kept, to be brought back by `heka sandbox rollback`.
    pub kept_versions: usize,
    /// After this many seconds without a word a source's last position is forgotten.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub source_expiry: Duration,
    /// The least weighty line that is logged.
    pub log_level: LogLevel,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// The admin port.
    pub admin: Admin,
    /// The journal.
    #[schemars(schema_with = "a_table")]
    journal: IgnoredAny,
}

impl Hekad {
    /// The smallest budget of memory, in bytes: what the program itself takes, and a little.
    pub const SMALLEST_MEMORY: u64 = 48 << 20;

    /// The budget of memory, in bytes: what is written, or a quarter of what there is.
    pub fn memory_budget(&self) -> Option<u64> {
        let quarter = || host::memory().map(|bytes| (bytes / 4).max(Hekad::SMALLEST_MEMORY));
        self.max_memory_bytes.or_else(quarter)
    }
}

impl Default for Hekad {
    fn default() -> Self {
        Self {
            hostname: host::hostname(),
            base_dir: host::state_folder(),
            share_dir: PathBuf::from("/usr/share/heka"),
            max_message_size: 64 * 1024,
            max_memory_bytes: None,
            max_message_loops: 4,
            max_process_inject: 1,
            max_timer_inject: 10,
            user: None,
            group: None,
            keep_capabilities: CapabilitySet::empty(),
            pid_file: None,
            shutdown_timeout: Duration::from_secs(30),
            report_interval: Duration::from_mins(1),
            analysis_threads: None,
            stuck_timeout: Duration::from_secs(30),
            kept_versions: 5,
            source_expiry: Duration::from_hours(30 * 24),
            log_level: LogLevel::default(),
            log_format: LogFormat::default(),
            admin: Admin::default(),
            journal: IgnoredAny,
        }
    }
}

/// The least weighty line that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Data was lost or a person is needed.
    Error,
    /// Something failed and was recovered from.
    Warn,
    /// Start, stop, reload.
    #[default]
    Info,
    /// What helps to find a mistake.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// Returns the word it is written as.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// An object of JSON a line.
    Json,
    /// Straight to the journal of systemd.
    Journald,
}

/// The admin port: metrics, health, reports.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Where it listens; nowhere if empty.
    #[serde(deserialize_with = "address_unless_empty")]
    #[schemars(with = "String")]
    pub address: Option<SocketAddr>,
    /// What a request that changes something has to show; without it the port only reads.
    pub token: Option<Secret>,
    /// Certificates, for HTTPS.
    #[schemars(schema_with = "a_table")]
    tls: IgnoredAny,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 4352))),
            token: None,
            tls: IgnoredAny,
        }
    }
}

/// `[hekad]` as read, and the parts of it that others read.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) hekad: Hekad,
    pub(super) journal: Settings,
    pub(super) admin_tls: Option<Settings>,
    /// Each key and its value, for the difference between two loads.
    pub(super) texts: Vec<(String, String)>,
}

/// Reads the section; what cannot be read is reported and has its default.
pub(super) fn read(draft: &Draft<'_>, problems: &mut Vec<Problem>) -> Parts {
    let mut table = draft.table.clone();
    warn_of_go_keys(draft, &mut table, problems);
    let journal = take(&mut table, "journal", draft, problems);
    let admin = table.get_mut("admin").map(toml::Spanned::get_mut);
    let admin_tls = match admin {
        Some(DeValue::Table(admin)) => take(admin, "tls", draft, problems),
        _ => None,
    };
    let hekad = Settings::new(&table, &draft.place, "[hekad]", None)
        .map_err(|problem| vec![problem])
        .and_then(|settings| settings.read(|table| Hekad::deserialize(table)));
    let hekad = hekad.unwrap_or_else(|mistakes| {
        problems.extend(mistakes);
        Hekad::default()
    });
    let texts = draft.table.iter().filter_map(|(key, value)| {
        let mut one = DeTable::new();
        one.insert(key.clone(), value.clone());
        let text = Settings::new(&one, &draft.place, "", None).ok()?.text().to_owned();
        Some((key.get_ref().to_string(), text))
    });
    let texts = texts.collect();
    let nothing = || Settings::empty(&draft.place, "[hekad.journal]");
    Parts { hekad, journal: journal.unwrap_or_else(nothing), admin_tls, texts }
}

/// Takes a table out of another, for somebody else to read.
fn take(
    table: &mut DeTable<'_>,
    key: &str,
    draft: &Draft<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Settings> {
    let (_, value) = table.remove_entry(key)?;
    let place = Place::new(draft.place.file(), value.span());
    let settings = match value.get_ref() {
        DeValue::Table(inner) => Settings::new(inner, &place, &format!("`{key}`"), None),
        other => {
            let message = format!("`{key}` is a table, not {}", sort_of(other));
            Err(Problem::error(message).at(&place))
        }
    };
    settings.map_err(|problem| problems.push(problem)).ok()
}

/// Warns of keys that steered the Go program, and takes them out.
fn warn_of_go_keys(draft: &Draft<'_>, table: &mut DeTable<'_>, problems: &mut Vec<Problem>) {
    for (key, help) in GO_KEYS {
        if let Some((key_place, _)) = table.remove_entry(*key) {
            let place = Place::new(draft.place.file(), key_place.span());
            problems
                .push(Problem::warning(format!("`{key}` has no effect")).at(&place).help(*help));
        }
    }
}

const GO_KEYS: &[(&str, &str)] = &[
    ("maxprocs", "threads are made as needed; `analysis_threads` bounds those of filters"),
    ("poolsize", "there is no pool; [hekad.journal] `tail_bytes` bounds what is held in memory"),
    ("plugin_chansize", "there are no channels to size: plugins read the journal"),
    ("max_process_duration", "a script's `cpu_limit` bounds each of its calls"),
    ("max_pack_idle", "there are no packs; a reader that lags is in the report"),
    ("sample_denominator", "the time of every call is taken"),
    ("log_flags", "`log_format` and `log_level` say how and what is logged"),
    (
        "full_buffer_max_retries",
        "a start does not wait; `full_action` says what a full buffer does",
    ),
    ("cpuprof", "use `perf record` on the running engine"),
    ("memprof", "the memory of every plugin is in the report and the metrics"),
];

/// The schema of a table that others read.
fn a_table(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

fn message_size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let bytes = size::bytes(from)?;
    if bytes <= 1024 || u32::try_from(bytes).is_err() {
        let found = format!("expected more than 1024 bytes and less than 4 GiB, found {bytes}");
        return Err(de::Error::custom(found));
    }
    Ok(bytes)
}

fn memory_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let bytes = size::bytes(from)?;
    if bytes < Hekad::SMALLEST_MEMORY {
        let (least, found) = (size::text(Hekad::SMALLEST_MEMORY), size::text(bytes));
        return Err(de::Error::custom(format!("expected at least {least}, found {found}")));
    }
    Ok(Some(bytes))
}

fn loops<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    u32::deserialize(from).map(|loops| loops.max(1))
}

fn path_unless_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(from)?;
    Ok((!path.as_os_str().is_empty()).then_some(path))
}

fn address_unless_empty<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        de::Error::custom(format!("expected an address such as 127.0.0.1:4352, found \"{text}\""))
    })
}
