//! The section `[hekad.journal]`.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::layout;
use crate::stdx::duration;
use crate::stdx::size;

/// Where the journal is kept, how much of it, and what happens when it is full.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where entries are kept: `disk` survives a crash, `memory` writes next to nothing.
    pub storage: StorageKind,
    /// The folder of the journal, below `base_dir` unless absolute.
    pub path: PathBuf,
    /// The budget in bytes. Left out: the smaller of 10 GiB and a tenth of the disk, or 16 MiB in
    /// memory. At least 1 MiB.
    #[serde(deserialize_with = "size::optional_bytes")]
    #[schemars(with = "Option<size::Written>")]
    pub max_bytes: Option<u64>,
    /// How many bytes of history are kept beyond need. Left out: half of `max_bytes`, none in memory.
    #[serde(deserialize_with = "size::optional_bytes")]
    #[schemars(with = "Option<size::Written>")]
    pub retain_bytes: Option<u64>,
    /// How long history is kept beyond need; a bare number counts seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub retain_age: Duration,
    /// What happens when needed entries fill the budget, unless the section of the reader furthest
    /// behind says otherwise.
    pub full_action: FullAction,
    /// How many bytes of the newest entries are kept in memory for readers at the tail.
    #[serde(deserialize_with = "size::bytes")]
    #[schemars(with = "size::Written")]
    pub tail_bytes: u64,
    /// How entries are compressed on disk.
    pub compression: Compression,
    /// How long the position of a source is remembered after its last entry; a bare number counts
    /// seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub source_age: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            storage: StorageKind::Disk,
            path: PathBuf::from("journal"),
            max_bytes: None,
            retain_bytes: None,
            retain_age: Duration::from_hours(72),
            full_action: FullAction::Block,
            tail_bytes: 16 << 20,
            compression: Compression::None,
            source_age: Duration::from_hours(90 * 24),
        }
    }
}

/// Where entries are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StorageKind {
    /// Segments in a folder; what is acknowledged survives a crash and a power cut.
    #[default]
    Disk,
    /// In memory and bounded; what a source can send again survives.
    Memory,
}

/// What happens when a reader has fallen behind by the whole budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FullAction {
    /// The inputs are held until the reader goes on.
    #[default]
    Block,
    /// The reader is moved on past the oldest entries.
    #[serde(alias = "drop")]
    DropOldest,
    /// The engine stops.
    Shutdown,
}

/// How entries are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// Fast, about half the size.
    Lz4,
    /// Slower, smaller.
    Zstd,
}

/// The settings as numbers, once the disk is known.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// The budget.
    pub(super) max_bytes: u64,
    /// The part of the budget that only ticks, notes and injections may use.
    pub(super) kept_bytes: u64,
    pub(super) retain_bytes: u64,
    pub(super) retain_age: Duration,
    pub(super) source_age: Duration,
    pub(super) full_action: FullAction,
    pub(super) tail_bytes: u64,
    pub(super) compression: Compression,
    /// A segment is closed at this size, unless one entry alone is larger.
    pub(super) segment_bytes: u64,
    pub(super) storage: StorageKind,
}

impl Limits {
    const SMALLEST: u64 = 1 << 20;
    const MEMORY: u64 = 16 << 20;

    pub(super) fn of(settings: &Settings, folder: &Path) -> Limits {
        let in_memory = settings.storage == StorageKind::Memory;
        let default = || if in_memory { Limits::MEMORY } else { tenth_of_disk(folder) };
        let max_bytes = settings.max_bytes.unwrap_or_else(default).max(Limits::SMALLEST);
        let half = if in_memory { 0 } else { max_bytes / 2 };
        Limits {
            max_bytes,
            kept_bytes: max_bytes / 8,
            retain_bytes: settings.retain_bytes.unwrap_or(half).min(max_bytes),
            retain_age: settings.retain_age,
            source_age: settings.source_age,
            full_action: settings.full_action,
            tail_bytes: settings.tail_bytes.max(64 << 10),
            compression: settings.compression,
            segment_bytes: (max_bytes / 16).clamp(64 << 10, 32 << 20),
            storage: settings.storage,
        }
    }

    /// The largest entry, in bytes: half the budget, and no more than the format takes.
    pub(super) fn largest_entry(&self) -> usize {
        usize::try_from(self.max_bytes / 2).unwrap_or(usize::MAX).min(layout::LARGEST)
    }
}

impl Settings {
    /// How many bytes of entries a journal in memory may have.
    pub fn largest_in_memory(&self) -> u64 {
        self.max_bytes.unwrap_or(Limits::MEMORY).max(Limits::SMALLEST)
    }

    /// The largest entry, in bytes, that a journal in `folder` will take with these settings.
    pub fn largest_entry(&self, folder: &Path) -> usize {
        Limits::of(self, folder).largest_entry()
    }
}

/// The smaller of 10 GiB and a tenth of the disk that `folder` is on.
fn tenth_of_disk(folder: &Path) -> u64 {
    let largest = 10 << 30;
    match nix::sys::statvfs::statvfs(folder) {
        Ok(disk) => (disk.blocks() * disk.fragment_size() / 10).min(largest),
        Err(_) => largest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_take_text() {
        let settings: Settings =
            toml::from_str("max_bytes = '1GiB'\nretain_age = '2h'\nfull_action = 'drop'").unwrap();
        assert_eq!(settings.max_bytes, Some(1 << 30));
        assert_eq!(settings.retain_age, Duration::from_hours(2));
        assert_eq!(settings.full_action, FullAction::DropOldest);
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        assert!(toml::from_str::<Settings>("max_byte = 1").is_err());
    }

    #[test]
    fn half_of_the_budget_is_history() {
        let settings = Settings { max_bytes: Some(8 << 20), ..Settings::default() };
        let limits = Limits::of(&settings, Path::new("/"));
        assert_eq!((limits.max_bytes, limits.retain_bytes), (8 << 20, 4 << 20));
        assert_eq!(limits.segment_bytes, 512 << 10);
    }
}
