//! Log files: sets that are rotated, several streams of them, read from where reading stopped.
//!
//! | part | what it does |
//! | --- | --- |
//! | `layout` | which stream a path belongs to, and how old it is there |
//! | `scan` | the files there are |
//! | `reader`, `tail` | one file, plain or compressed, and the bytes it is known by |
//! | `place`, `find` | the position in the journal, and the file it belongs to |
//! | `follow` | one stream, file by file |
//! | `watch`, `notices` | what is waited for, and what the system tells of it |
//! | `stream` | hands what is read to the engine |
//!
//! What holds, whatever rotation does between two looks:
//!
//! - The bytes of a stream come once each, in order, as long as they are in some file of it.
//! - A position belongs to content, not to a name: a file that was renamed, copied or compressed is
//!   found again, one that was truncated or made anew under the same name or inode is read from its
//!   start.
//! - Looking at the files is the truth; notifications of the system only make it sooner.

mod find;
mod follow;
mod layout;
mod notices;
mod place;
mod reader;
mod scan;
mod stream;
mod tail;
#[cfg(test)]
mod tests;
mod watch;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::follow::Options;
use self::layout::Layout;
use self::notices::Notices;
use self::scan::Scan;
use self::stream::Rescan;
use self::stream::Streams;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::stdx::duration;

/// How many times the interval of looking for data a file has to be quiet until it is left.
const QUIET: u32 = 4;

/// Reads log files and follows them through their rotation.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct LogstreamerInput {
    settings: Settings,
    layout: Arc<Layout>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The hostname of the messages; that of this machine where it is left out.
    #[serde(default)]
    hostname: Option<String>,
    /// Files that were last written to longer ago than this are passed over, unless reading stopped
    /// in them. In hours where it is a number.
    #[serde(default = "thirty_days", deserialize_with = "hours")]
    #[schemars(with = "duration::Written")]
    oldest_duration: Duration,
    /// Where Heka kept its positions, so that reading goes on where Heka stopped; `logstreamer`
    /// below `base_dir` where it is left out.
    #[serde(default)]
    journal_directory: Option<PathBuf>,
    /// The folder the files are in, at any depth.
    #[serde(default = "var_log")]
    log_directory: PathBuf,
    /// How often to look for new files, besides when the system tells of some.
    #[serde(default = "one_minute", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    rescan_interval: Duration,
    /// Regular expression that a whole path below `log_directory` has to match; its named groups
    /// are the parts that `priority` and `differentiator` speak of.
    file_match: String,
    /// Parts that say how old a file is, the first the most; oldest is the lowest, or the highest
    /// behind a `^`.
    #[serde(default)]
    priority: Vec<String>,
    /// Parts and other text that together are the name of a stream, and the logger of its messages;
    /// the name of the section where it is left out.
    #[serde(default)]
    differentiator: Vec<String>,
    /// For each part that is a word, the numbers of words; `missing` is that of a part that is not
    /// there.
    #[serde(default)]
    translation: BTreeMap<String, BTreeMap<String, i64>>,
    /// How often to look for data, besides when the system tells of some.
    #[serde(default = "quarter_second", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    check_data_interval: Duration,
    /// Whether a stream that is read for the first time is read from the end of its newest file.
    #[serde(default)]
    initial_tail: bool,
}

fn thirty_days() -> Duration {
    Duration::from_hours(720)
}

fn hours<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let written = toml::Value::deserialize(from)?;
    let text = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
    duration::parse(&text, Duration::from_hours(1)).map_err(serde::de::Error::custom)
}

fn var_log() -> PathBuf {
    PathBuf::from("/var/log")
}

fn one_minute() -> Duration {
    Duration::from_mins(1)
}

fn quarter_second() -> Duration {
    Duration::from_millis(250)
}

impl TryFrom<Settings> for LogstreamerInput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<LogstreamerInput> {
        let layout = Arc::new(Layout::new(&settings)?);
        Ok(LogstreamerInput { settings, layout })
    }
}

impl JsonSchema for LogstreamerInput {
    fn schema_name() -> Cow<'static, str> {
        "LogstreamerInput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for LogstreamerInput {
    const NAME: &'static str = "LogstreamerInput";
    const ABOUT: &'static str = "Reads log files and follows them through their rotation.";
    const EXAMPLE: &'static str = "[LogstreamerInput]\nlog_directory = \"/var/log/nginx\"\n\
         file_match = 'access\\.log\\.?(?P<Seq>\\d+)?(\\.gz)?'\npriority = [\"^Seq\"]\n";
    const DEFAULTS: Defaults = Defaults { splitter: Some("TokenSplitter"), ..Defaults::NONE };
}

impl LogstreamerInput {
    fn options(&self, until_done: bool) -> Options {
        Options {
            quiet: self.settings.check_data_interval * QUIET,
            oldest: i64::try_from(self.settings.oldest_duration.as_nanos()).unwrap_or(i64::MAX),
            until_done,
        }
    }

    /// Looks at the files, on a thread that may block.
    async fn scan(&self, rescan: &Rescan, notices: &Arc<Notices>) -> anyhow::Result<(u64, Scan)> {
        let number = rescan.number();
        let (root, layout) = (self.settings.log_directory.clone(), self.layout.clone());
        let notices = notices.clone();
        let scan = move || scan::scan(&root, &layout, &|folder| notices.folder(folder));
        Ok((number, tokio::task::spawn_blocking(scan).await?))
    }
}

#[async_trait]
impl Input for LogstreamerInput {
    fn promise(&self) -> &'static str {
        "read again from where the journal has it: each line comes once"
    }

    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let rescan = Arc::<Rescan>::default();
        let mut watch = watch::Watch::new(&self.settings.log_directory);
        let notices = Arc::new(Notices::start());
        let (mut quiet_until, mut told_from) = (Instant::now(), Instant::now());
        let mut tasks = JoinSet::new();
        let options = self.options(cx.until_done);
        let mut streams = Streams::new(&cx, &self.settings, options, &notices);
        let mut looking = tokio::time::interval(self.settings.check_data_interval.max(MIN_LOOK));
        looking.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut scanning = tokio::time::interval(self.settings.rescan_interval.max(MIN_SCAN));
        scanning.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cx.stopping.cancelled() => break,
                _ = scanning.tick() => {
                    streams.update(self.scan(&rescan, &notices).await?, &rescan, &mut tasks);
                }
                () = rescan.asked_after(quiet_until) => {
                    streams.update(self.scan(&rescan, &notices).await?, &rescan, &mut tasks);
                    quiet_until = Instant::now() + self.settings.check_data_interval / SCANS;
                    scanning.reset();
                }
                _ = looking.tick() => {
                    streams.look(&rescan).await;
                    if watch.renew().await {
                        rescan.ask();
                    }
                }
                told = notices.told_after(told_from) => {
                    if told.has_names {
                        rescan.ask();
                    }
                    if told.is_lost {
                        streams.look(&rescan).await;
                    }
                    told_from = Instant::now() + PACE;
                }
                Some(ended) = tasks.join_next() => ended??,
            }
            if cx.until_done && streams.is_scanned() && tasks.is_empty() {
                break;
            }
        }
        // What was read is to be in the journal before the input may start again, and ask it.
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, all_ended).await;
        Ok(())
    }

    fn ends(&self) -> bool {
        true
    }
}

/// How long streams may take to hand over what they have read when the input stops.
const GRACE: Duration = Duration::from_secs(3);
/// How many scans that are asked for there are in an interval of looking for data, at most.
const SCANS: u32 = 4;
/// The shortest time between two times that the system is heard.
const PACE: Duration = Duration::from_millis(10);
/// The shortest time between two looks at the sizes of files.
const MIN_LOOK: Duration = Duration::from_millis(10);
/// The shortest time between two scans that nobody asked for.
const MIN_SCAN: Duration = Duration::from_millis(100);

/// A stream as it would be read.
#[derive(Debug)]
pub struct LogStream {
    /// Its name.
    pub name: String,
    /// Its files, oldest first.
    pub files: Vec<LogStreamFile>,
}

/// A file of a stream.
#[derive(Debug)]
pub struct LogStreamFile {
    /// Where it is.
    pub path: PathBuf,
    /// How many bytes it takes.
    pub size: u64,
    /// When it was last written to, in nanoseconds since the epoch.
    pub modified: i64,
    /// Whether it is too old to be read, as `oldest_duration` has it.
    pub is_expired: bool,
}

/// What the section `name` of a LogstreamerInput would read, as seen at `now`, in nanoseconds since
/// the epoch.
///
/// # Errors
/// When the settings cannot be read.
pub fn streams(
    name: &str,
    settings: toml::Deserializer<'_>,
    now: i64,
) -> anyhow::Result<Vec<LogStream>> {
    let input = LogstreamerInput::deserialize(settings)?;
    let oldest = input.options(true).oldest;
    let found = scan::scan(&input.settings.log_directory, &input.layout, &|_| {}).streams;
    let listed = found.into_iter().map(|(stream, files)| LogStream {
        name: if stream.is_empty() { name.to_owned() } else { stream },
        files: files
            .iter()
            .map(|file| LogStreamFile {
                path: file.path.clone(),
                size: file.size,
                modified: file.modified,
                is_expired: now.saturating_sub(file.modified) > oldest,
            })
            .collect(),
    });
    Ok(listed.collect())
}
