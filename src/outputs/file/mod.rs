//! A file that records are appended to.
//!
//! A load goes into the page cache with one write, on a thread that may block, and is held until
//! the next sync. Syncs run beside the writes: a disk that takes its time holds nobody up. Where a
//! write or a sync fails all that was held comes again, and so all of it is taken back; after a
//! kill the next engine does that, by the [`note`]. No torn record stays, and none comes twice.

mod note;
mod rotation;
mod target;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::note::Note;
use self::rotation::Interval;
use self::rotation::Rotation;
use self::target::Place;
use self::target::Target;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::stdx::duration;

/// From so many bytes on a sync begins though nothing asks for one yet: the less is held, the less
/// a kill has to have written again.
const MUCH: usize = 4 << 20;
/// Stands for the engine's own folder at the start of a path.
const BASE_DIR: &str = "${base_dir}";

/// Removes what an output called `name` has written down of its file; tells whether there was any.
pub(super) fn forget(base_dir: &Path, name: &str) -> std::io::Result<bool> {
    note::forget(base_dir, name)
}

/// Appends records to a file.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct FileOutput {
    settings: Settings,
    rotation: Option<Rotation>,
    cx: Option<OutputContext>,
    note: Option<Arc<Note>>,
    target: Option<Target>,
    held: Held,
    syncing: Option<Syncing>,
    /// What has become certain and was not told yet.
    certain: Option<u64>,
}

/// What was written since the last sync began.
#[derive(Debug, Default)]
struct Held {
    records: usize,
    bytes: usize,
    since: Option<Instant>,
    /// The entry that was delivered with the last record.
    entry: u64,
}

/// A sync under way.
#[derive(Debug)]
struct Syncing {
    task: JoinHandle<anyhow::Result<()>>,
    /// The length of the file that it covers.
    end: u64,
    entry: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The file; `${base_dir}/` leads to where the engine keeps its state. With `rotation_interval` a
    /// pattern of strftime, in local time.
    path: String,
    /// The permissions of a new file, octal.
    #[serde(default = "file_permissions")]
    perm: Permissions,
    /// The permissions of a new folder, octal.
    #[serde(default = "folder_permissions")]
    folder_perm: Permissions,
    /// How long written records may wait for a sync; 0 leaves it to `flush_count`. In milliseconds.
    #[serde(default = "one_second", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    flush_interval: Duration,
    /// How many written records may wait for a sync.
    #[serde(default = "one")]
    flush_count: usize,
    /// Whether a sync waits for both `flush_interval` and `flush_count`, or for the first of them.
    #[serde(default)]
    flush_operator: Operator,
    /// Hours until the next file is begun, counted from midnight: 1, 4, 12 or 24; 0 is never.
    #[serde(default)]
    rotation_interval: Interval,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
enum Operator {
    #[default]
    #[serde(rename = "AND")]
    And,
    #[serde(rename = "OR")]
    Or,
}

fn file_permissions() -> Permissions {
    Permissions(0o644)
}

fn folder_permissions() -> Permissions {
    Permissions(0o700)
}

fn one_second() -> Duration {
    Duration::from_secs(1)
}

fn one() -> usize {
    1
}

impl TryFrom<Settings> for FileOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<FileOutput> {
        let rotation = Rotation::of(&settings.path, settings.rotation_interval)?;
        Ok(FileOutput {
            settings,
            rotation,
            cx: None,
            note: None,
            target: None,
            held: Held::default(),
            syncing: None,
            certain: None,
        })
    }
}

impl Drop for FileOutput {
    fn drop(&mut self) {
        if let Some(note) = &self.note {
            note.end();
        }
    }
}

impl JsonSchema for FileOutput {
    fn schema_name() -> Cow<'static, str> {
        "FileOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for FileOutput {
    const NAME: &'static str = "FileOutput";
    const ABOUT: &'static str = "Appends records to a file, and begins a new one every few hours.";
    const EXAMPLE: &'static str = "[FileOutput]\nmessage_matcher = \"TRUE\"\n\
        encoder = \"PayloadEncoder\"\npath = \"/var/log/heka/%Y-%m-%d.log\"\n\
        rotation_interval = 24\n";
}

#[async_trait]
impl Output for FileOutput {
    fn promise(&self) -> &'static str {
        "each line once and whole, where nobody else writes the file"
    }

    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        self.cx = Some(cx.clone());
        if let Some(note) = self.note.take() {
            note.end();
        }
        let (base_dir, name, journal) = (cx.engine.base_dir.clone(), cx.name.clone(), cx.journal);
        // Without it the next engine would believe the note there is, and cut off what is delivered.
        let note = blocking(move || Note::open(&base_dir, &name, journal)).await?;
        self.note = Some(Arc::new(note.map_err(Failure::Retry)?));
        self.begin().await
    }

    fn resumes_at(&self) -> Option<u64> {
        self.note.as_ref()?.entry()
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        if self.rotation.as_mut().is_some_and(Rotation::is_due) {
            self.begin().await?;
        }
        let Some(mut target) = self.target.take() else {
            return Err(Failure::Retry(anyhow!("{} is not open", self.settings.path)));
        };
        let records = load.records().len();
        let start = load.encoded.bytes.len() - load.rest().len();
        let encoded = std::mem::take(&mut load.encoded);
        let written = blocking(move || {
            let result = target.append(&encoded.bytes[start..]);
            (target, encoded, result)
        });
        let (target, encoded, result) = written.await?;
        self.target = Some(target);
        load.encoded = encoded;
        result.map_err(Failure::Retry)?;
        self.held.bytes += load.rest().len();
        self.held.records += records;
        self.held.since.get_or_insert_with(Instant::now);
        self.held.entry = load.entry;
        if self.is_full() {
            // Where this fails the load was taken back, and comes again as a whole.
            self.flush().await?;
            load.advance(records);
            return Ok(Sent::Done);
        }
        load.advance(records);
        if self.held.bytes >= MUCH && self.syncing.is_none() {
            self.begin_sync();
        }
        Ok(Sent::Held)
    }

    async fn settled(&mut self) -> Result<u64, Failure> {
        loop {
            if let Some(entry) = self.certain.take() {
                return Ok(entry);
            }
            if self.syncing.is_some() {
                self.end_sync().await?;
                continue;
            }
            match self.held.since {
                Some(since) if !self.settings.flush_interval.is_zero() => {
                    tokio::time::sleep_until(since + self.settings.flush_interval).await;
                    self.begin_sync();
                }
                _ => std::future::pending().await,
            }
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.end_sync().await?;
        if self.target.is_none() && self.held.records > 0 {
            // A write was cut off in the middle; what stands before it has not been synced.
            return Err(Failure::Retry(anyhow!("{} is not open", self.settings.path)));
        }
        self.begin_sync();
        self.end_sync().await
    }

    async fn reopen(&mut self) -> Result<(), Failure> {
        self.begin().await
    }

    async fn close(&mut self) {
        // A sync that ends later would say of what was taken back that it is certain.
        let _ = self.end_sync().await;
        if let Some(mut target) = self.target.take() {
            // What is still held comes again.
            let _ = blocking(move || target.take_back()).await;
        }
    }
}

impl FileOutput {
    /// Whether what waits has to be synced at once.
    ///
    /// Nothing waits longer than `flush_interval`, for the cursor waits too: under `AND` it is what
    /// decides, and `flush_count` where there is none.
    fn is_full(&self) -> bool {
        let counts =
            self.settings.flush_operator == Operator::Or || self.settings.flush_interval.is_zero();
        counts && self.held.records >= self.settings.flush_count
    }

    /// Begins a sync of all that is held; none runs at the moment.
    fn begin_sync(&mut self) {
        let held = std::mem::take(&mut self.held);
        let Some(target) = self.target.as_ref().filter(|_| held.records > 0) else { return };
        let sync = target.sync();
        let (end, entry) = (sync.end, held.entry);
        let task = tokio::task::spawn_blocking(move || sync.run(entry));
        self.syncing = Some(Syncing { task, end, entry });
    }

    /// Waits for the sync that runs.
    async fn end_sync(&mut self) -> Result<(), Failure> {
        let Some(syncing) = &mut self.syncing else { return Ok(()) };
        let result = (&mut syncing.task).await.context("the syncing thread has died");
        let (end, entry) = (syncing.end, syncing.entry);
        self.syncing = None;
        result.map_err(Failure::Stop)?.map_err(Failure::Retry)?;
        if let Some(target) = &mut self.target {
            target.settle(end);
        }
        self.certain = Some(entry);
        Ok(())
    }

    /// Makes certain what went into the open file, and opens the one that is due.
    async fn begin(&mut self) -> Result<(), Failure> {
        self.flush().await?;
        self.target = None;
        let path = match &mut self.rotation {
            Some(rotation) => rotation.begin(),
            None => PathBuf::from(&self.settings.path),
        };
        let base_dir = self.cx.as_ref().map(|cx| &cx.engine.base_dir);
        let path = match (path.strip_prefix(BASE_DIR), base_dir) {
            (Ok(rest), Some(base_dir)) => base_dir.join(rest),
            _ => path,
        };
        let place = Place {
            path,
            file_mode: self.settings.perm.0,
            folder_mode: self.settings.folder_perm.0,
        };
        let note = self.note.clone();
        let opened = blocking(move || Target::open(&place, note));
        self.target = Some(opened.await?.map_err(Failure::Retry)?);
        Ok(())
    }
}

/// Does what may block on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await.context("the writing thread has died");
    done.map_err(Failure::Stop)
}

/// Permissions as Heka has them: octal digits in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Permissions(u32);

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Permissions, D::Error> {
        let text = String::deserialize(from)?;
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(Permissions(mode)),
            _ => Err(serde::de::Error::custom(format!(
                "`{text}` are no permissions, expected octal digits such as \"644\""
            ))),
        }
    }
}

impl JsonSchema for Permissions {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Permissions".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-7]{1,4}$" })
    }
}
