//! Graphite's own files, without a Carbon in between.

mod archive;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::DirBuilder;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use self::archive::Aggregation;
use self::archive::Archive;
use self::archive::Ring;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;

/// So many files are kept open.
const MAX_OPEN: usize = 256;

/// Writes the lines `name value time` of payloads into the files of Whisper, which graphite-web shows.
///
/// A point that is stored twice is there once. A line that is none, or whose time no archive reaches, is
/// refused; the others of its record are stored.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct WhisperOutput {
    base_path: Option<PathBuf>,
    files: Option<Files>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The folder the files are in; `whisper` in the engine's `base_dir` where it is left out.
    base_path: Option<PathBuf>,
    /// How points become one of the next archive: 1 average, 2 sum, 3 last, 4 max, 5 min.
    #[serde(default = "average")]
    default_agg_method: u32,
    /// The archives of a new file, each `[0, seconds a point, points]`.
    #[serde(default = "archives")]
    default_archive_info: Vec<[u32; 3]>,
    /// Which part of the points has to be there for one of the next archive.
    #[serde(default = "half")]
    default_x_files_factor: f32,
    /// The permissions of folders that are made, in octal.
    #[serde(default = "for_the_owner")]
    folder_perm: String,
}

fn average() -> u32 {
    1
}

/// A point a minute for a day, every quarter of an hour for 8 days, an hour for 168 days, and every
/// twelve hours for two years.
fn archives() -> Vec<[u32; 3]> {
    vec![[0, 60, 1440], [0, 900, 768], [0, 3600, 4032], [0, 43_200, 1456]]
}

fn half() -> f32 {
    0.5
}

fn for_the_owner() -> String {
    "700".to_owned()
}

impl TryFrom<Settings> for WhisperOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<WhisperOutput> {
        let method = settings.default_agg_method;
        let aggregation = Aggregation::numbered(method).with_context(|| {
            format!(
                "`default_agg_method` is {method}, expected 1 to 5: average, sum, last, max, min"
            )
        })?;
        let perm = &settings.folder_perm;
        let mode = u32::from_str_radix(perm, 8).ok().filter(|mode| *mode <= 0o7777);
        let mode =
            mode.with_context(|| format!("`{perm}` are no permissions, expected such as 755"))?;
        let quorum = settings.default_x_files_factor;
        anyhow::ensure!(
            (0.0..=1.0).contains(&quorum),
            "`default_x_files_factor` is not from 0 to 1"
        );
        let rings = settings.default_archive_info.iter();
        let rings = rings.map(|[_, seconds, points]| Ring { seconds: *seconds, points: *points });
        let sorted = archive::sorted(rings.collect());
        let rings = sorted.map_err(|why| anyhow!("`default_archive_info` cannot work: {why}"))?;
        let base = settings.base_path.clone().unwrap_or_default();
        let files = Files { base, mode, aggregation, quorum, rings, open: HashMap::new() };
        Ok(WhisperOutput { base_path: settings.base_path, files: Some(files) })
    }
}

impl JsonSchema for WhisperOutput {
    fn schema_name() -> Cow<'static, str> {
        "WhisperOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for WhisperOutput {
    const NAME: &'static str = "WhisperOutput";
    const ABOUT: &'static str = "Writes the statistics of StatAccumInput into Graphite's files.";
    const EXAMPLE: &'static str =
        "[WhisperOutput]\nbase_path = \"/var/lib/graphite/whisper\"\nfolder_perm = \"755\"\n";
    const DEFAULTS: Defaults = Defaults {
        encoder: Some("PayloadEncoder"),
        message_matcher: Some("Type == 'heka.statmetric'"),
        ..Defaults::NONE
    };
}

#[async_trait]
impl Output for WhisperOutput {
    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        if let Some(files) = &mut self.files
            && self.base_path.is_none()
        {
            files.base = cx.engine.base_dir.join("whisper");
        }
        Ok(())
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        let lost = || Failure::Retry(anyhow!("the files are not at hand"));
        let mut files = self.files.take().ok_or_else(lost)?;
        let records: Vec<String> =
            load.records().map(|record| String::from_utf8_lossy(record).into_owned()).collect();
        let stored = tokio::task::spawn_blocking(move || {
            let outcome = files.store(&records);
            (files, outcome)
        });
        let (files, (whole, outcome)) = stored.await.map_err(|_| lost())?;
        self.files = Some(files);
        load.advance(whole);
        outcome.map(|()| Sent::Done)
    }
}

/// The files, some of them open.
#[derive(Debug)]
struct Files {
    base: PathBuf,
    mode: u32,
    aggregation: Aggregation,
    quorum: f32,
    rings: Vec<Ring>,
    open: HashMap<String, Archive>,
}

impl Files {
    /// Stores records; gives how many are stored to their end, and why the next is not.
    fn store(&mut self, records: &[String]) -> (usize, Result<(), Failure>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        for (index, record) in records.iter().enumerate() {
            let mut bad = None;
            for line in record.lines().map(str::trim).filter(|line| !line.is_empty()) {
                match self.store_line(line, now) {
                    Ok(()) => {}
                    Err(Failure::Reject(error)) => {
                        bad.get_or_insert(error);
                    }
                    Err(failure) => return (index, Err(failure)),
                }
            }
            if let Some(error) = bad {
                return (index, Err(Failure::Reject(error)));
            }
        }
        (records.len(), self.sync())
    }

    fn sync(&mut self) -> Result<(), Failure> {
        for (name, archive) in &self.open {
            let synced = archive.sync().with_context(|| format!("cannot sync the file of {name}"));
            synced.map_err(Failure::Retry)?;
        }
        Ok(())
    }

    fn store_line(&mut self, line: &str, now: u64) -> Result<(), Failure> {
        let Some((name, value, time)) = parse(line) else {
            let shown: String = line.chars().take(200).collect();
            let error = anyhow!("`{shown}` is no line of carbon, expected `name value time`");
            return Err(Failure::Reject(error));
        };
        let is_open = self.open.contains_key(name);
        let archive = if is_open { &self.open[name] } else { self.find(name)? };
        let stored = archive.store(time, value, now);
        let stored = stored.with_context(|| format!("cannot write the file of {name}"));
        if stored.map_err(Failure::Retry)? {
            return Ok(());
        }
        Err(Failure::Reject(anyhow!("no archive of {name} reaches to the time {time}")))
    }

    fn find(&mut self, name: &str) -> Result<&Archive, Failure> {
        let path = self.base.join(relative(name));
        let shown = path.display();
        let opened = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Archive::open(file).with_context(|| format!("{shown} is damaged")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.create(&path).with_context(|| format!("cannot make {shown}"))
            }
            Err(error) => Err(error).with_context(|| format!("cannot open {shown}")),
        };
        let archive = opened.map_err(Failure::Retry)?;
        if self.open.len() >= MAX_OPEN {
            self.sync()?;
            self.open.clear();
        }
        Ok(self.open.entry(name.to_owned()).or_insert(archive))
    }

    /// Makes a file under another name first: one that is there is whole.
    fn create(&self, path: &Path) -> anyhow::Result<Archive> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(self.mode).create(folder)?;
        }
        let fresh = path.with_extension("wsp.new");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&fresh)?;
        let archive = Archive::create(file, self.aggregation, self.quorum, &self.rings)?;
        archive.sync()?;
        std::fs::rename(&fresh, path)?;
        Ok(archive)
    }
}

/// The parts of a line.
fn parse(line: &str) -> Option<(&str, f64, u64)> {
    let mut words = line.split_ascii_whitespace();
    let (name, value, time) = (words.next()?, words.next()?, words.next()?);
    let time: f64 = time.parse().ok().filter(|time: &f64| *time >= 0.0 && *time < 4e9)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in bounds")]
    let time = time as u64;
    (words.next().is_none()).then_some((name, value.parse().ok()?, time))
}

/// The file of a name: a folder for each part. No name leads out of the base folder.
fn relative(name: &str) -> PathBuf {
    let clean = |part: &str| -> String {
        let is_sound =
            |letter: char| letter.is_alphanumeric() || "-_%:+=~@#$;,()[]".contains(letter);
        part.chars().take(200).map(|letter| if is_sound(letter) { letter } else { '_' }).collect()
    };
    let parts: Vec<_> = name.split('.').filter(|part| !part.is_empty()).map(clean).collect();
    let mut path: PathBuf = parts.iter().collect();
    if parts.is_empty() {
        path.push("_");
    }
    path.as_mut_os_string().push(".wsp");
    path
}
