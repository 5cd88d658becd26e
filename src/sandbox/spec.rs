//! What a sandbox is made from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::message::Batch;
use crate::message::Message;

/// The family of the plugin that runs the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Makes messages from outside.
    Input,
    /// Changes a record into a message, or into several.
    Decoder,
    /// Reads messages of the journal and injects others.
    Filter,
    /// Turns a message into bytes.
    Encoder,
    /// Sends messages out.
    Output,
}

/// What the script of an input or output may reach of the world outside; those of all other families
/// reach nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Files and programs, by the library `io`.
    pub io: bool,
    /// The network, by the library `socket`.
    pub socket: bool,
    /// The environment and the names of files, by the library `os`.
    pub os: bool,
}

impl Default for Access {
    fn default() -> Access {
        Access { io: true, socket: true, os: true }
    }
}

/// What one call of a script may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes the state may hold, native objects included; 0 is no limit, at least 2 MiB otherwise.
    pub memory: usize,
    /// CPU time of one call; zero is no limit.
    pub cpu: Duration,
    /// Bytes of one payload or message.
    pub output: usize,
    /// Messages that one `process_message` of a filter may inject.
    pub max_process_inject: u32,
    /// Messages that one `timer_event` of a filter may inject.
    pub max_timer_inject: u32,
    /// How many times what a message derives from may have been injected.
    pub max_message_loops: u8,
}

impl Limits {
    /// The least memory a state can do with, in bytes.
    pub const MIN_MEMORY: usize = 2 << 20;

    /// The CPU time that Heka's `instruction_limit` stands for: a million instructions are 100 ms.
    #[must_use]
    pub fn cpu_of_instructions(instructions: u64) -> Duration {
        Duration::from_nanos(instructions.saturating_mul(100))
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory: 8 << 20,
            cpu: Duration::from_millis(100),
            output: 63 << 10,
            max_process_inject: 1,
            max_timer_inject: 10,
            max_message_loops: 4,
        }
    }
}

/// A script and where it comes from.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The file, as errors name it.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// A value of the section's `config`.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigValue {
    /// A truth value.
    Bool(bool),
    /// An integer; scripts see a number.
    Integer(i64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    String(String),
    /// Values in order.
    Array(Vec<ConfigValue>),
    /// Values by name.
    Table(BTreeMap<String, ConfigValue>),
}

/// Finds the text of a module by its path, `anomaly.lua` say.
pub type ModuleLookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where `require` looks.
#[derive(Clone, Default)]
pub struct Modules {
    /// Folders, first to last; `name.lua` in them.
    pub folders: Vec<PathBuf>,
    /// Asked when no folder has the module: those built into the program.
    pub built_in: Option<ModuleLookup>,
    /// What was found, by file name, so that a script that starts again is made of the same modules
    /// whatever has become of their files.
    pub(super) kept: Arc<Mutex<BTreeMap<String, (PathBuf, String)>>>,
}

impl fmt::Debug for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Modules").field("folders", &self.folders).finish_non_exhaustive()
    }
}

/// Tells whether a message would match the filter that injects it.
pub type OwnMatcher = Arc<dyn Fn(&Message<'_>) -> bool + Send + Sync>;

/// Everything a sandbox is made from.
#[derive(Clone)]
pub struct Spec {
    /// The plugin's name, which is the Logger of what it injects.
    pub name: String,
    /// The family of the plugin.
    pub role: Role,
    /// What it runs.
    pub script: Script,
    /// What a call may use.
    pub limits: Limits,
    /// What `read_config` reads.
    pub config: BTreeMap<String, ConfigValue>,
    /// Where `require` looks.
    pub modules: Modules,
    /// The host, which is the Hostname of what is injected.
    pub hostname: String,
    /// The process, which is the Pid of what is injected as a payload.
    pub pid: i32,
    /// The time at which the script is loaded, as filters see it.
    pub now: EntryTime,
    /// Refuses what a filter would inject to itself.
    pub own_matcher: Option<OwnMatcher>,
    /// What the script of an input or output may reach of the world outside.
    pub access: Access,
    /// Whether Logger, Hostname and Pid of what an input or output makes are always those given here.
    pub restricts_headers: bool,
    /// Whether the lines that run are counted, for [`Sandbox::coverage`](super::Sandbox::coverage);
    /// calls take longer then.
    pub is_covered: bool,
    /// Set when the script of an input or output is to end.
    pub stopping: Arc<AtomicBool>,
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("name", &self.name)
            .field("role", &self.role)
            .field("script", &self.script.path)
            .finish_non_exhaustive()
    }
}

impl Spec {
    /// A specification with defaults for all but name, family and script.
    #[must_use]
    pub fn new(name: &str, role: Role, script: Script) -> Spec {
        Spec {
            name: name.to_owned(),
            role,
            script,
            limits: Limits::default(),
            config: BTreeMap::new(),
            modules: Modules::default(),
            hostname: String::new(),
            pid: 0,
            now: EntryTime::default(),
            own_matcher: None,
            access: Access::default(),
            restricts_headers: false,
            is_covered: false,
            stopping: Arc::default(),
        }
    }
}

/// The entry of the journal that is being read: its position and its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryTime {
    /// The position of the entry in the journal.
    pub position: u64,
    /// When it was appended, in nanoseconds since the epoch.
    pub ns: i64,
}

/// The messages of one entry that a script is to be called for.
#[derive(Clone, Copy, Debug)]
pub struct Portion<'a> {
    /// The entry.
    pub now: EntryTime,
    /// Its messages.
    pub batch: &'a Batch,
    /// The indices of those that are meant, in order; one at least, unless there is no other
    /// portion.
    pub matched: &'a [u16],
}
