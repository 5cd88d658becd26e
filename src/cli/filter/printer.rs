//! Shows what a filter injects, and what goes wrong with it.

use std::io::BufWriter;
use std::io::IsTerminal;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;

use crate::message::Batch;
use crate::message::Message;
use crate::message::Value;
use crate::plugin::Encoding;
use crate::plugin::Stop;
use crate::plugin::Usage;
use crate::stdx::duration;
use crate::stdx::size;

/// So many failures are told in full; the others are counted.
const MAX_TOLD: u64 = 20;
/// The most of a message's payload that is shown with its failure, in bytes.
const MAX_SHOWN: usize = 200;
/// The type of messages that are made of a payload.
const PAYLOAD_TYPE: &[u8] = b"heka.sandbox-output";

/// What has been done so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Messages read, up to the batch that is being worked on.
    pub(super) messages: u64,
    /// Messages given to the filter.
    pub(super) matched: u64,
    /// Messages injected.
    pub(super) injected: u64,
    /// Alerts among them.
    pub(super) alerts: u64,
    /// Calls that failed.
    pub(super) failures: u64,
    /// Records that could not be decoded.
    pub(super) undecodable: u64,
    /// The filter was terminated.
    pub(super) is_terminated: bool,
}

/// Writes to stdout and stderr.
pub(super) struct Printer {
    out: BufWriter<std::io::StdoutLock<'static>>,
    encoding: Box<dyn Encoding>,
    buffer: Vec<u8>,
    is_terminal: bool,
    started: Instant,
}

impl Printer {
    /// A printer that shows messages other than payloads with `encoding`.
    pub(super) fn new(encoding: Box<dyn Encoding>) -> Printer {
        let out = std::io::stdout();
        let is_terminal = out.is_terminal();
        let out = BufWriter::new(out.lock());
        Printer { out, encoding, buffer: Vec::new(), is_terminal, started: Instant::now() }
    }

    /// Shows what one call has injected.
    pub(super) fn injected(&mut self, injected: &Batch, tally: &mut Tally) -> anyhow::Result<()> {
        tally.injected += injected.len() as u64;
        for message in injected.iter() {
            if message.message_type() == PAYLOAD_TYPE {
                tally.alerts += u64::from(field(&message, b"payload_type") == b"alert");
                self.payload(&message)?;
            } else {
                self.buffer.clear();
                self.encoding.encode(&message, &mut self.buffer)?;
                self.out.write_all(&self.buffer)?;
            }
        }
        Ok(())
    }

    fn payload(&mut self, message: &Message<'_>) -> std::io::Result<()> {
        let payload_type = field(message, b"payload_type");
        let name = String::from_utf8_lossy(field(message, b"payload_name"));
        if payload_type == b"alert" {
            let (begin, end) = if self.is_terminal { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
            write!(self.out, "{begin}ALERT{end} ")?;
            if !name.is_empty() {
                write!(self.out, "{name}: ")?;
            }
        } else if self.is_terminal {
            let payload_type = String::from_utf8_lossy(payload_type);
            writeln!(self.out, "\x1b[2m-- {name} ({payload_type})\x1b[0m")?;
        }
        let payload = message.payload();
        self.out.write_all(payload)?;
        if payload.last() != Some(&b'\n') {
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Tells that a message, or a timer, failed.
    pub(super) fn failure(
        &mut self,
        message: Option<(u16, &Batch)>,
        reason: &str,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        tally.failures += 1;
        if tally.failures <= MAX_TOLD {
            self.flush()?;
            let what = match message {
                Some((index, _)) => format!("message {} was set aside", number(index, tally)),
                None => "timer_event failed".to_owned(),
            };
            eprintln!("heka: {what}: {}", indented(reason));
            show(message);
        }
        Ok(())
    }

    /// Tells why the filter was terminated.
    pub(super) fn stopped(
        &mut self,
        stop: &Stop,
        batch: Option<&Batch>,
        tally: &Tally,
    ) -> anyhow::Result<()> {
        self.flush()?;
        match stop {
            Stop::Ended { reason } => eprintln!("heka: the script has ended itself: {reason}"),
            Stop::Limit { message, reason } => {
                let at = match message {
                    Some(index) => format!("at message {}", number(*index, tally)),
                    None => "in timer_event".to_owned(),
                };
                eprintln!("heka: the script was terminated {at}: {}", indented(reason));
                show(message.zip(batch));
            }
        }
        Ok(())
    }

    /// Tells that a record is no message.
    pub(super) fn undecodable(
        &mut self,
        place: &str,
        reason: &str,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        tally.undecodable += 1;
        if tally.undecodable <= MAX_TOLD {
            self.flush()?;
            eprintln!("heka: {place}: {reason}");
        }
        Ok(())
    }

    /// Shows everything so far.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }

    /// Tells what has been done, in how much CPU time.
    pub(super) fn end(
        &mut self,
        tally: &Tally,
        cpu: Duration,
        usage: &Usage,
    ) -> anyhow::Result<()> {
        self.flush()?;
        let untold = tally.failures.saturating_sub(MAX_TOLD);
        if untold > 0 {
            eprintln!("heka: {untold} more failures");
        }
        let untold = tally.undecodable.saturating_sub(MAX_TOLD);
        if untold > 0 {
            eprintln!("heka: {untold} more records could not be decoded");
        }
        eprintln!("heka: {}", summary(tally, cpu, usage, self.started.elapsed()));
        Ok(())
    }
}

fn summary(tally: &Tally, cpu: Duration, usage: &Usage, elapsed: Duration) -> String {
    let mut text = format!("{} messages", tally.messages);
    if tally.matched != tally.messages {
        text += &format!(", {} matched", tally.matched);
    }
    if tally.undecodable > 0 {
        text += &format!(", {} not decoded", tally.undecodable);
    }
    text += &format!(", {} injected", tally.injected);
    if tally.alerts > 0 {
        text += &format!(", {} of them alerts", tally.alerts);
    }
    text += &format!(", {} failures", tally.failures);
    if tally.matched > 0 {
        let each = cpu.as_secs_f64() * 1e6 / tally.matched as f64;
        text += &format!(", {each:.2} us CPU per message");
    }
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let elapsed = duration::text(Duration::from_millis(milliseconds));
    text + &format!(", {} at most, in {elapsed}", size::text(usage.max_memory))
}

/// The number of a message of the batch that is being worked on, counted from one.
fn number(index: u16, tally: &Tally) -> u64 {
    tally.messages + u64::from(index) + 1
}

/// Shows the payload of a message that failed.
fn show(message: Option<(u16, &Batch)>) {
    let Some((index, batch)) = message else { return };
    let message = batch.message(usize::from(index));
    let payload = String::from_utf8_lossy(message.payload());
    let Some(line) = payload.lines().next() else { return };
    let end = line.floor_char_boundary(MAX_SHOWN);
    let more = if end < payload.trim_end().len() { " ..." } else { "" };
    eprintln!("    its payload: {}{more}", &line[..end]);
}

/// The text with its lines after the first one moved in, without empty ones.
fn indented(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("\n    ")
}

/// The first text of a field; empty when there is none.
fn field<'a>(message: &Message<'a>, name: &[u8]) -> &'a [u8] {
    match message.value(name, 0, 0) {
        Some(Value::String(text)) => text,
        _ => b"",
    }
}
