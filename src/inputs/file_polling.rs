//! A file that is read as a whole, again and again.

use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::ensure;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Value;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;

/// The largest file, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// Reads a whole file at once and then every `ticker_interval`. Messages have the type `heka.file.polling` and the
/// fields `TickerInterval`, in seconds, and `FilePath`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FilePollingInput {
    /// The file.
    file_path: PathBuf,
}

impl Described for FilePollingInput {
    const NAME: &'static str = "FilePollingInput";
    const ABOUT: &'static str = "Reads a whole file again and again.";
    const EXAMPLE: &'static str =
        "[FilePollingInput]\nfile_path = \"/proc/loadavg\"\nticker_interval = 5\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 5, ..Defaults::NONE };
}

#[async_trait]
impl Input for FilePollingInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        ensure!(!cx.ticker_interval.is_zero(), "`ticker_interval` has to be above 0");
        let mut origin = cx.origin("heka.file.polling");
        let seconds = i64::try_from(cx.ticker_interval.as_secs()).unwrap_or(i64::MAX);
        origin.push("TickerInterval", "s", Value::Integer(seconds));
        let path = self.file_path.to_string_lossy();
        origin.push("FilePath", "", Value::String(path.as_bytes()));
        let mut stream = cx.stream(origin, None).await?;
        let mut ticks = tokio::time::interval(cx.ticker_interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cx.stopping.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let path = self.file_path.clone();
            match tokio::task::spawn_blocking(move || read(&path)).await? {
                Ok(bytes) => stream.whole(bytes.into(), None).await?,
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(input = &*cx.name, error, "the file is left out this time");
                }
            }
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = || format!("cannot read {}", path.display());
    let file = std::fs::File::open(path).with_context(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).with_context(failed)?;
    ensure!(bytes.len() as u64 <= MAX_FILE, "{} is larger than 64 MiB", path.display());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::testing::Desk;

    #[tokio::test]
    async fn file_is_delivered_whole_at_every_tick_and_missed_while_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "one\ntwo").unwrap();
        let mut desk = Desk::new("poll");
        desk.ticker_interval = Duration::from_millis(5);
        let input = FilePollingInput { file_path: path.clone() };
        let running = tokio::spawn(Box::new(input).run(desk.context()));
        let delivered = desk.wait_for(2).await;
        assert!(delivered.iter().all(|one| one.text == "one\ntwo"));
        let mut expected = desk.context().origin("heka.file.polling");
        expected.push("TickerInterval", "s", Value::Integer(0));
        expected.push("FilePath", "", Value::String(path.to_str().unwrap().as_bytes()));
        assert_eq!(delivered[0].origin.fields(), expected.fields());
        std::fs::remove_file(&path).unwrap();
        let before = desk.delivered().len();
        std::fs::write(&path, "three").unwrap();
        let delivered = desk.wait_for(before + 2).await;
        assert_eq!(delivered.last().unwrap().text, "three");
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
    }
}
