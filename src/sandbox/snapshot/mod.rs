//! Snapshots: what a script has become, as bytes, and back.
//!
//! Kept are globals, the file-level locals that functions use, the tables and native objects they
//! lead to, and the random generator. Lua values are found from *roots*: globals by their names,
//! modules by theirs, and the locals that a function captures, by the path on which the function is
//! found (`process_message/helper`) and the name of the local.
//!
//! A restore fills what loading the script has made rather than replace it: a table keeps its
//! identity, its functions and its metatable, and so do all who hold it.
//!
//! Bytes, numbers little-endian, lengths as varints:
//!
//! | what | how |
//! | --- | --- |
//! | `HEKAs` 1 | magic and version |
//! | 8 8 | hash of the script, hash of its configuration |
//! | value | `_PRESERVATION_VERSION` |
//! | 4 × 8 | the random generator |
//! | count, roots | each: kind, path, name, ordinal, changed, value |
//! | count, definitions | in the order of their numbers, see [`format`] |

pub(super) mod format;

use std::hash::Hasher;

use super::Sandbox;
use super::failure::Error;
use super::load::LOAD_FACTOR;
use super::raw::Raised;
use super::spec::Spec;
use format::Reader;
use format::Writer;

const MAGIC: &[u8] = b"HEKAs\x01";

/// What became of a restore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The script asks for a clean start: its `_PRESERVATION_VERSION` is another.
    pub is_skipped: bool,
    /// What could not be kept, by name.
    pub kept_in_part: Vec<String>,
}

/// What a script is, told by its text and its configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    script: u64,
    config: u64,
}

impl Version {
    pub(super) fn of(spec: &Spec) -> Version {
        let hash = |text: &[u8]| {
            let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
            hasher.write(text);
            hasher.finish()
        };
        Version {
            script: hash(spec.script.text.as_bytes()),
            config: hash(format!("{:?}", spec.config).as_bytes()),
        }
    }
}

/// FNV-1a, which stays the same from build to build.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Sandbox {
    /// Writes down what the script has become.
    ///
    /// # Errors
    /// When there is no memory for the walk.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, Error> {
        let file = self.file.clone();
        let failed =
            |raised: Raised| Error { file: file.clone(), line: None, message: raised.text };
        let saved = self.state.save(&self.baseline).map_err(failed)?;
        let mut out = Writer::default();
        out.raw(MAGIC);
        out.word(self.version.script);
        out.word(self.version.config);
        out.raw(&saved.preservation_version);
        for word in self.state.cx().random.state {
            out.word(word);
        }
        out.count(saved.root_count);
        out.raw(&saved.roots);
        out.count(saved.definition_count);
        out.raw(&saved.definitions);
        Ok(out.into_bytes())
    }

    /// Takes over what a snapshot holds; to be called once, before the first message.
    ///
    /// From a snapshot of the same script and configuration everything is taken over; from another
    /// version what it changed since it was loaded, by the names of variables; then the script's
    /// `migrate` is called, if it has one, with the version and the variables of the old script.
    ///
    /// # Errors
    /// When the snapshot is damaged; the sandbox may then be half restored and is to be dropped.
    pub fn restore(&mut self, state: &[u8]) -> Result<Restored, Error> {
        let file = self.file.clone();
        let failed = |message: &str| Error {
            file: file.clone(),
            line: None,
            message: format!("cannot restore the snapshot: {message}"),
        };
        let mut reader = Reader::new(state);
        let damaged = || failed("it is damaged");
        let magic = reader.raw(MAGIC.len()).ok_or_else(damaged)?;
        if magic != MAGIC {
            return Err(failed("it is none, or of a version not known"));
        }
        let mut word = || reader.word();
        let (Some(script), Some(config)) = (word(), word()) else { return Err(damaged()) };
        let is_same = Version { script, config } == self.version;
        let preservation_version = reader.scalar_bytes().ok_or_else(damaged)?;
        let mut random = [0; 4];
        for word in &mut random {
            *word = reader.word().ok_or_else(damaged)?;
        }
        let parsed = format::Parsed::read(&mut reader).ok_or_else(damaged)?;
        let limit = self.limits.cpu.saturating_mul(LOAD_FACTOR);
        let watched = self.watch.watch(self.state.interrupt(), limit);
        let restored = self.state.restore(&parsed, preservation_version, is_same);
        drop(watched);
        let restored = restored.map_err(|raised| failed(&raised.text))?;
        if !restored.is_skipped {
            self.state.cx().random.state = random;
        }
        Ok(restored)
    }
}
