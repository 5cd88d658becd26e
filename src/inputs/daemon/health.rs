//! Whether a daemon is down: told once when it goes, and once when it is back.

use std::sync::Arc;
use std::time::Duration;

use super::Report;
use crate::message::Source;
use crate::message::SourcePosition;
use crate::plugin::InputContext;
use crate::plugin::Stream;
use crate::stdx::duration;

/// How many bytes of an error are told.
const MAX_ERROR: usize = 2000;

/// What is known of a daemon; see the module. The journal keeps it, as the detail of the position of a
/// source.
pub(in crate::inputs) struct Health {
    input: Arc<str>,
    daemon: &'static str,
    address: String,
    source: Source,
    /// How many times it went down or came back.
    changes: u64,
    /// Since when it is down, in nanoseconds since the epoch.
    down_since: Option<i64>,
    /// What was last said in the log of why it is down.
    said: String,
}

impl Health {
    /// Takes up where the engine ended before.
    pub(in crate::inputs) fn new(
        cx: &InputContext,
        daemon: &'static str,
        address: String,
    ) -> Health {
        let source = cx.source(&address);
        let position = cx.last_position(&source).unwrap_or_default();
        let detail = std::str::from_utf8(&position.detail).unwrap_or_default();
        let down_since = detail.strip_prefix("down ").and_then(|since| since.parse().ok());
        Health {
            input: cx.name.clone(),
            daemon,
            address,
            source,
            changes: position.offset,
            down_since,
            said: String::new(),
        }
    }

    /// A stream that keeps it.
    pub(in crate::inputs) async fn stream(&self, cx: &InputContext) -> anyhow::Result<Stream> {
        cx.stream(cx.origin("stats"), Some(self.source.clone())).await
    }

    /// Takes in whether the daemon has answered. After an error what was written into `report` is left
    /// out; a change is a message in it, and is given to the stream as well.
    ///
    /// # Errors
    /// When the engine takes no more.
    pub(in crate::inputs) async fn tell(
        &mut self,
        error: Option<&anyhow::Error>,
        report: &mut Report,
        stream: &mut Stream,
    ) -> anyhow::Result<()> {
        let has_changed = error.is_some() != self.down_since.is_some();
        match error {
            Some(error) => self.is_down(&in_one_line(error), report),
            None => self.is_up(report),
        }
        if !has_changed {
            return Ok(());
        }
        self.changes += 1;
        let detail = self.down_since.map_or("up".to_owned(), |since| format!("down {since}"));
        let detail = Arc::from(detail.as_bytes());
        stream.at(SourcePosition { offset: self.changes, detail }).await
    }

    fn is_down(&mut self, error: &str, report: &mut Report) {
        report.forget();
        let (input, daemon, address) = (&*self.input, self.daemon, self.address.as_str());
        if self.said != error {
            tracing::warn!(input, daemon, address, error, "a daemon is down");
            error.clone_into(&mut self.said);
        }
        if self.down_since.is_some() {
            return;
        }
        self.down_since = Some(report.time());
        let mut message = report.begin_as("daemon.down", 3);
        message.payload(format!("{daemon} at {address} is down: {error}").as_bytes());
        message.string("daemon", "", daemon.as_bytes());
        message.string("address", "", address.as_bytes());
        message.string("error", "", error.as_bytes());
        Report::finish(message);
    }

    fn is_up(&mut self, report: &mut Report) {
        self.said.clear();
        let Some(since) = self.down_since.take() else { return };
        let (input, daemon, address) = (&*self.input, self.daemon, self.address.as_str());
        let nanoseconds = u64::try_from(report.time().saturating_sub(since)).unwrap_or(0);
        let downtime = Duration::from_nanos(nanoseconds);
        let rounded = duration::text(Duration::from_millis(nanoseconds / 1_000_000));
        tracing::info!(input, daemon, address, downtime = rounded, "a daemon is back");
        let mut message = report.begin_as("daemon.up", 5);
        message.payload(format!("{daemon} at {address} is back after {rounded}").as_bytes());
        message.string("daemon", "", daemon.as_bytes());
        message.string("address", "", address.as_bytes());
        message.double("downtime", "s", downtime.as_secs_f64());
        Report::finish(message);
    }
}

/// An error with all that caused it, of a length to be told.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut text = format!("{error:#}").replace(['\r', '\n'], " ");
    if text.len() > MAX_ERROR {
        text.truncate(text.floor_char_boundary(MAX_ERROR));
    }
    text
}
