//! `heka journal export`: a part of a journal as a stream of messages.

use std::fs::File;
use std::io::BufWriter;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use chrono::DateTime;

use super::DAMAGE;
use super::Which;
use crate::journal;
use crate::journal::Entry;
use crate::journal::Missing;
use crate::journal::Next;
use crate::journal::Position;
use crate::matcher::Matcher;
use crate::message::frame;
use crate::plugin::Encoding;

/// Writes messages of a journal as framed messages or lines of JSON.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    which: Which,
    /// Only messages that pass this matcher
    #[arg(long = "match", value_name = "EXPR", default_value = "TRUE", value_parser = Matcher::parse)]
    matcher: Matcher,
    /// From this entry on, by its position or by when it was appended (RFC 3339)
    #[arg(long, value_name = "POSITION|TIME", value_parser = Bound::parse)]
    from: Option<Bound>,
    /// Up to this entry, by its position or by when it was appended (RFC 3339)
    #[arg(long, value_name = "POSITION|TIME", value_parser = Bound::parse)]
    to: Option<Bound>,
    /// What to write
    #[arg(long, value_enum, default_value_t = Format::Heka)]
    format: Format,
    /// Writes into this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is written of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Framed messages.
    Heka,
    /// A JSON object a line.
    Json,
}

/// Where a part begins or ends; both belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Position(Position),
    /// In nanoseconds since the epoch.
    Time(i64),
}

impl Bound {
    fn parse(text: &str) -> Result<Bound, String> {
        if let Ok(number) = text.parse::<u64>() {
            return Ok(Bound::Position(Position(number)));
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| {
            "expected the position of an entry, or a time such as 2026-01-02T15:04:05Z".to_owned()
        })?;
        // What lies beyond what can be counted is before or after everything.
        let beyond = if time.timestamp() < 0 { i64::MIN } else { i64::MAX };
        Ok(Bound::Time(time.timestamp_nanos_opt().unwrap_or(beyond)))
    }

    /// Tells whether `entry` comes before it.
    fn is_behind(self, entry: &Entry) -> bool {
        match self {
            Bound::Position(position) => entry.position < position,
            Bound::Time(time) => entry.time < time,
        }
    }

    /// Tells whether `entry` comes after it.
    fn is_passed_by(self, entry: &Entry) -> bool {
        match self {
            Bound::Position(position) => entry.position > position,
            Bound::Time(time) => entry.time > time,
        }
    }
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.export() {
            // Whoever reads has seen enough.
            Err(error) if crate::cli::is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            done => done,
        }
    }

    fn export(self) -> anyhow::Result<ExitCode> {
        let Some(place) = self.which.find()? else { return Ok(ExitCode::from(2)) };
        let opened = journal::open_read_only(&place.folder);
        let mut journal = opened.with_context(|| place.folder.display().to_string())?;
        if let Some(Bound::Position(from)) = self.from {
            journal.seek(from.previous());
        }
        let mut writer = Writer::open(&self)?;
        let mut has_damage = false;
        loop {
            match journal.next()? {
                Next::Entry(entry) => {
                    let is_time_up = matches!(self.to, Some(Bound::Position(_)));
                    if self.to.is_some_and(|to| to.is_passed_by(&entry)) {
                        // The wall clock may step: what comes later may be earlier.
                        if is_time_up {
                            break;
                        }
                        continue;
                    }
                    if !self.from.is_some_and(|from| from.is_behind(&entry)) {
                        writer.take(&entry)?;
                    }
                }
                Next::Missed { first, last, why } => {
                    if matches!(self.to, Some(Bound::Position(to)) if first > to) {
                        break;
                    }
                    has_damage |= why == Missing::Damaged;
                    let folder = place.folder.display();
                    eprintln!("{folder}: entries {first} to {last} are missing");
                }
                Next::Empty => break,
            }
        }
        writer.end()?;
        Ok(if has_damage { ExitCode::from(DAMAGE) } else { ExitCode::SUCCESS })
    }
}

struct Writer<'a> {
    matcher: &'a Matcher,
    /// Of JSON; framed messages are written as they are.
    encoding: Option<Box<dyn Encoding>>,
    out: Box<dyn Write>,
    buffer: Vec<u8>,
    count: u64,
}

impl<'a> Writer<'a> {
    fn open(command: &'a Command) -> anyhow::Result<Writer<'a>> {
        let out: Box<dyn Write> = match &command.output {
            None => Box::new(BufWriter::new(std::io::stdout().lock())),
            Some(path) => {
                let cannot = || format!("cannot write {}", path.display());
                Box::new(BufWriter::new(File::create(path).with_context(cannot)?))
            }
        };
        let encoding = match command.format {
            Format::Heka => None,
            Format::Json => Some(crate::cli::cat::encoder("JsonEncoder", 64 << 20)?),
        };
        let matcher = &command.matcher;
        Ok(Writer { matcher, encoding, out, buffer: Vec::new(), count: 0 })
    }

    fn take(&mut self, entry: &Entry) -> anyhow::Result<()> {
        let Some(batch) = entry.batch() else { return Ok(()) };
        for message in batch.iter().filter(|message| self.matcher.matches(message)) {
            self.buffer.clear();
            match &mut self.encoding {
                Some(encoding) => {
                    encoding.encode(&message, &mut self.buffer)?;
                }
                None => frame::put(&mut self.buffer, message.bytes()),
            }
            self.out.write_all(&self.buffer)?;
            self.count += 1;
        }
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<()> {
        self.out.flush()?;
        eprintln!("{} messages exported", self.count);
        Ok(())
    }
}
