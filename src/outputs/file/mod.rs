//! A file that records are appended to.
//!
//! A load goes into the page cache with one write, on a thread that may block, and is held until
//! the next sync. Where a write or a sync fails all that was held comes again, and so all of it is
//! taken back: no torn record stays, and none comes twice.

mod rotation;
mod tail;
mod target;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::PathBuf;
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

use self::rotation::Interval;
use self::rotation::Rotation;
use self::tail::Form;
use self::tail::Note;
use self::target::Place;
use self::target::Target;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::stdx::duration;

/// Stands for the engine's own folder at the start of a path.
const BASE_DIR: &str = "${base_dir}";

/// Appends records to a file.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct FileOutput {
    settings: Settings,
    rotation: Option<Rotation>,
    cx: Option<OutputContext>,
    target: Option<Target>,
    /// Records written since the last sync.
    held: usize,
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
        Ok(FileOutput { settings, rotation, cx: None, target: None, held: 0 })
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
    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        self.cx = Some(cx.clone());
        self.begin().await
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        if self.rotation.as_mut().is_some_and(Rotation::is_due) {
            self.begin().await?;
        }
        let Some(mut target) = self.target.take() else {
            return Err(Failure::Retry(anyhow!("{} is not open", self.settings.path)));
        };
        let records = load.records().len();
        let syncs = self.is_full_with(records);
        let is_framed = self.cx.as_ref().is_some_and(|cx| cx.is_framed);
        let form = Form::of(is_framed, load.records());
        let start = load.encoded.bytes.len() - load.rest().len();
        let encoded = std::mem::take(&mut load.encoded);
        let written = blocking(move || {
            let mut result = target.append(&encoded.bytes[start..], form);
            if syncs && result.is_ok() {
                result = target.sync();
            }
            (target, encoded, result)
        });
        let (target, encoded, result) = written.await?;
        load.encoded = encoded;
        result.map_err(Failure::Retry)?;
        self.target = Some(target);
        load.advance(records);
        self.held = if syncs { 0 } else { self.held + records };
        Ok(if syncs { Sent::Done } else { Sent::Held })
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        if self.held == 0 {
            return Ok(());
        }
        self.held = 0;
        let Some(mut target) = self.target.take() else {
            return Err(Failure::Retry(anyhow!("{} was closed", self.settings.path)));
        };
        let synced = blocking(move || {
            let result = target.sync();
            (target, result)
        });
        let (target, result) = synced.await?;
        result.map_err(Failure::Retry)?;
        self.target = Some(target);
        Ok(())
    }

    fn flush_interval(&self) -> Option<Duration> {
        let interval = self.settings.flush_interval;
        (!interval.is_zero()).then_some(interval)
    }

    async fn reopen(&mut self) -> Result<(), Failure> {
        self.begin().await
    }

    async fn close(&mut self) {
        if let Some(mut target) = self.target.take() {
            // What is still held comes again.
            let _ = blocking(move || target.take_back()).await;
        }
    }
}

impl FileOutput {
    /// Whether a load of `records` brings what waits to where it has to be synced at once.
    ///
    /// Nothing waits longer than `flush_interval`, for the cursor waits too: under `AND` it is what
    /// decides, and `flush_count` where there is none.
    fn is_full_with(&self, records: usize) -> bool {
        let counts =
            self.settings.flush_operator == Operator::Or || self.settings.flush_interval.is_zero();
        counts && self.held + records >= self.settings.flush_count
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
        let cx = self.cx.clone();
        let opened = blocking(move || {
            let note = cx.and_then(|cx| note(&place, &cx));
            Target::open(place, note)
        });
        self.target = Some(opened.await?.map_err(Failure::Retry)?);
        Ok(())
    }
}

/// Opens the note on the file, and cuts off what the last engine left half-written.
fn note(place: &Place, cx: &OutputContext) -> Option<Note> {
    let (output, path) = (&*cx.name, place.path.display());
    let note = match Note::open(&cx.engine.base_dir, &cx.name) {
        Ok(note) => note,
        Err(error) => {
            let error = format!("{error:#}");
            tracing::warn!(output, error, "a kill may leave half a record in the file");
            return None;
        }
    };
    if place.path.is_file() {
        match note.repair(&place.path, cx.engine.max_message_size) {
            Ok(0) => {}
            Ok(torn) => tracing::info!(output, %path, torn, "half a record was cut off"),
            Err(error) => tracing::warn!(output, %path, %error, "cannot repair the file"),
        }
    }
    Some(note)
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
