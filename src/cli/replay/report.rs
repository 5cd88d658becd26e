//! What a replay has found, as text or as JSON.
//!
//! On stdout stands nothing that another run over the same history would have otherwise: what took
//! how long goes to stderr.

use std::io::BufWriter;
use std::io::IsTerminal;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use super::differences::Change;
use super::differences::Injected;
use super::lane::Lane;
use super::lane::Moment;
use super::lane::Side;
use super::moment;
use crate::message::Header;
use crate::message::Message;
use crate::message::Value;
use crate::plugin::Encoding;
use crate::stdx::size;

/// So many failures of each kind are told in full; the others are counted.
const MAX_TOLD: u64 = 20;
/// How often progress is shown.
const PROGRESS: Duration = Duration::from_millis(250);
/// The type of messages that are made of a payload.
const PAYLOAD_TYPE: &[u8] = b"heka.sandbox-output";

/// How and what to show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    pub(super) is_json: bool,
    /// Of two versions, what both have injected too.
    pub(super) all: bool,
    pub(super) only_alerts: bool,
}

/// How many messages there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) messages: u64,
    pub(super) matched: u64,
    pub(super) undecodable: u64,
}

/// How many messages differ, and how many alerts among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changes {
    messages: u64,
    alerts: u64,
}

impl Changes {
    fn add(&mut self, injected: &Injected) {
        self.messages += 1;
        self.alerts += u64::from(injected.is_alert);
    }

    fn json(self) -> serde_json::Value {
        json!({ "messages": self.messages, "alerts": self.alerts })
    }
}

/// Writes to stdout and stderr.
pub(super) struct Report {
    out: BufWriter<Box<dyn Write>>,
    encoding: Box<dyn Encoding>,
    buffer: Vec<u8>,
    wishes: Wishes,
    added: Changes,
    removed: Changes,
    moved: Changes,
    same: Changes,
    told: u64,
    is_terminal: bool,
    has_progress: bool,
    started: Instant,
    shown: Instant,
}

impl Report {
    /// A report on stdout that shows messages other than payloads with `encoding`.
    pub(super) fn new(encoding: Box<dyn Encoding>, wishes: Wishes) -> Report {
        Report {
            out: BufWriter::new(Box::new(std::io::stdout().lock())),
            encoding,
            buffer: Vec::new(),
            wishes,
            added: Changes::default(),
            removed: Changes::default(),
            moved: Changes::default(),
            same: Changes::default(),
            told: 0,
            is_terminal: std::io::stderr().is_terminal(),
            has_progress: false,
            started: Instant::now(),
            shown: Instant::now(),
        }
    }

    /// Shows a message that the only version has injected.
    pub(super) fn injected(&mut self, injected: &Injected) -> anyhow::Result<()> {
        self.show(injected, None)
    }

    /// Counts how a message differs, and shows it.
    pub(super) fn change(&mut self, injected: &Injected, change: Change) -> anyhow::Result<()> {
        let counter = match change {
            Change::Same => &mut self.same,
            Change::Added => &mut self.added,
            Change::Removed => &mut self.removed,
            Change::Moved { .. } => &mut self.moved,
        };
        counter.add(injected);
        if change == Change::Same && !self.wishes.all {
            return Ok(());
        }
        self.show(injected, Some(change))
    }

    fn show(&mut self, injected: &Injected, change: Option<Change>) -> anyhow::Result<()> {
        if self.wishes.only_alerts && !injected.is_alert {
            return Ok(());
        }
        let header = Header::locate(&injected.message)?;
        let message = Message::new(&injected.message, &header);
        self.clear_progress();
        if self.wishes.is_json {
            self.show_json(injected, &message, change)
        } else {
            self.show_text(injected, &message, change)
        }
    }

    fn show_json(
        &mut self,
        injected: &Injected,
        message: &Message<'_>,
        change: Option<Change>,
    ) -> anyhow::Result<()> {
        self.buffer.clear();
        self.encoding.encode(message, &mut self.buffer)?;
        let message: serde_json::Value = serde_json::from_slice(&self.buffer)?;
        let (what, time, to) = match change {
            None => ("injected", injected.time, None),
            Some(Change::Same) => ("same", injected.time, None),
            Some(Change::Added) => ("added", injected.time, None),
            Some(Change::Removed) => ("removed", injected.time, None),
            Some(Change::Moved { from, to }) => ("moved", from, Some(to)),
        };
        let mut line = json!({
            "change": what,
            "time": moment::text(time),
            "entry": injected.entry,
            "alert": injected.is_alert,
            "message": message,
        });
        if let Some(to) = to {
            line["to"] = moment::text(to).into();
        }
        Ok(writeln!(self.out, "{line}")?)
    }

    fn show_text(
        &mut self,
        injected: &Injected,
        message: &Message<'_>,
        change: Option<Change>,
    ) -> anyhow::Result<()> {
        let time = moment::text(injected.time);
        let head = match change {
            None => time,
            Some(Change::Same) => format!("  {time}"),
            Some(Change::Added) => format!("+ {time}"),
            Some(Change::Removed) => format!("- {time}"),
            Some(Change::Moved { from, to }) => {
                format!("~ {} -> {}", moment::text(from), moment::text(to))
            }
        };
        if message.message_type() != PAYLOAD_TYPE {
            self.buffer.clear();
            self.encoding.encode(message, &mut self.buffer)?;
            write!(self.out, "{head} ")?;
            return Ok(self.out.write_all(&self.buffer)?);
        }
        let name = text(message, b"payload_name");
        let payload = String::from_utf8_lossy(message.payload());
        let payload = payload.trim_end_matches('\n');
        if injected.is_alert {
            let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
            return Ok(writeln!(self.out, "{head} ALERT {name}{}", indented(payload))?);
        }
        let kind = text(message, b"payload_type");
        Ok(writeln!(self.out, "{head} {name} ({kind})\n    {}", indented(payload))?)
    }

    /// Tells what failed in the call that has just been made.
    pub(super) fn failures(&mut self, lane: &Lane, at: Moment) -> anyhow::Result<()> {
        for failure in &lane.failures {
            self.told += 1;
            if self.told > MAX_TOLD {
                break;
            }
            self.flush()?;
            let what = failure.message.map_or_else(
                || "an injection or timer_event failed".to_owned(),
                |index| format!("message {index} was set aside"),
            );
            let Lane { script, .. } = lane;
            eprintln!("heka: {script}: entry {}, {what}: {}", at.entry, indented(&failure.reason));
        }
        Ok(())
    }

    /// Tells of something that could not be read.
    pub(super) fn complain(&mut self, what: &str) -> anyhow::Result<()> {
        self.flush()?;
        eprintln!("heka: {what}");
        Ok(())
    }

    /// Shows everything so far.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.clear_progress();
        Ok(self.out.flush()?)
    }

    /// Shows how far it is, on a terminal.
    pub(super) fn progress(&mut self, counts: Counts, time: i64) {
        if !self.is_terminal || self.shown.elapsed() < PROGRESS {
            return;
        }
        self.shown = Instant::now();
        self.has_progress = true;
        let rate = counts.messages as f64 / self.started.elapsed().as_secs_f64();
        let time = moment::text(time / 1_000_000_000 * 1_000_000_000);
        eprint!("\r\x1b[2K{} messages, {rate:.0} a second, at {time}", counts.messages);
    }

    fn clear_progress(&mut self) {
        if std::mem::take(&mut self.has_progress) {
            eprint!("\r\x1b[2K");
        }
    }

    /// Tells what was done; `damages` places could not be read.
    pub(super) fn end(
        &mut self,
        lanes: &mut [Lane],
        counts: Counts,
        damages: u64,
    ) -> anyhow::Result<()> {
        if self.wishes.is_json {
            let summary = self.summary(lanes, counts, damages);
            writeln!(self.out, "{}", json!({ "summary": summary }))?;
        }
        self.flush()?;
        let seconds = self.started.elapsed().as_secs_f64();
        let Counts { messages, matched, undecodable } = counts;
        let rate = messages as f64 / seconds.max(1e-9);
        let mut read = format!("{messages} messages read, {matched} matched");
        if undecodable > 0 {
            read += &format!(", {undecodable} records not decoded");
        }
        if damages > 0 {
            read += &format!(", {damages} damaged places passed over");
        }
        eprintln!("heka: {read}, in {seconds:.2} s, {rate:.0} a second");
        for lane in &mut *lanes {
            let each = lane.cpu.as_secs_f64() * 1e6 / (matched.max(1)) as f64;
            let (memory, tally) = (size::text(lane.max_memory()), lane.tally);
            eprintln!(
                "heka: {}: {} injected, {} of them alerts, {} failures, {each:.2} us CPU per \
                 message, {memory} at most",
                lane.script, tally.injected, tally.alerts, tally.failures
            );
            if let Some(ended) = &lane.ended {
                eprintln!("heka: {}: terminated at {}", lane.script, indented(ended));
            }
        }
        if lanes.len() > 1 {
            let of = |one: Changes| match one.alerts {
                0 => one.messages.to_string(),
                alerts => format!("{} ({alerts} alerts)", one.messages),
            };
            let (added, removed) = (of(self.added), of(self.removed));
            let (moved, same) = (of(self.moved), of(self.same));
            eprintln!("heka: added {added}, removed {removed}, moved {moved}, the same {same}");
        }
        Ok(())
    }

    fn summary(&self, lanes: &[Lane], counts: Counts, damages: u64) -> serde_json::Value {
        let lane = |lane: &Lane| {
            json!({
                "script": lane.script,
                "injected": lane.tally.injected,
                "alerts": lane.tally.alerts,
                "failures": lane.tally.failures,
                "terminated": lane.ended,
            })
        };
        let mut summary = json!({
            "messages": counts.messages,
            "matched": counts.matched,
            "undecodable": counts.undecodable,
            "damaged": damages,
        });
        for one in lanes {
            let side = if one.side == Side::New { "new" } else { "old" };
            summary[side] = lane(one);
        }
        if lanes.len() > 1 {
            summary["added"] = self.added.json();
            summary["removed"] = self.removed.json();
            summary["moved"] = self.moved.json();
            summary["same"] = self.same.json();
        }
        summary
    }
}

/// The first text of a field; empty when there is none.
fn text(message: &Message<'_>, name: &[u8]) -> String {
    match message.value(name, 0, 0) {
        Some(Value::String(text)) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    }
}

/// The text with its lines after the first one moved in.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}
