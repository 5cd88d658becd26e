//! `heka cat`: what is in a stream of framed messages, or in a journal.
//!
//! What is damaged is named on stderr, with its place, and passed over; with `--format heka` that
//! repairs a stream.

mod history;
mod stream;

use std::fs::File;
use std::io::BufWriter;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::catalog::CATALOG;
use crate::formats::json_message::JsonMessage;
use crate::matcher::Matcher;
use crate::message::Batch;
use crate::message::Message;
use crate::message::frame;
use crate::metrics::Registry;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;
use crate::plugin::Engine;
use stream::Damage;
use stream::Found;
use stream::Frames;

/// How often a file that is followed is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// The exit code when damage was found.
const DAMAGE: u8 = 3;

/// Reads framed streams and journals: filters, counts, converts and repairs them.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// A file of framed messages, `-` for stdin, or the folder of a journal or of an engine's state
    file: PathBuf,
    /// Only messages that pass this matcher
    #[arg(long = "match", value_name = "EXPR", default_value = "TRUE", value_parser = Matcher::parse)]
    matcher: Matcher,
    /// What to write: readable text, a JSON object a line, framed messages, or only how many there are
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Waits for more at the end
    #[arg(long, short)]
    follow: bool,
    /// Begins this many bytes into the file, or at this entry of the journal
    #[arg(long, default_value_t = 0)]
    offset: u64,
    /// Writes into this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The largest message, in bytes; larger ones are damage
    #[arg(long, value_name = "BYTES", default_value_t = 4 * 1024 * 1024)]
    max_message_size: usize,
}

/// What is written of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Readable text.
    Text,
    /// A JSON object a line.
    Json,
    /// Framed messages.
    Heka,
    /// Nothing but, at the end, how many there are.
    Count,
}

impl Command {
    /// Reads to the end.
    ///
    /// # Errors
    /// When the file cannot be read or the output cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.copy() {
            Ok(0) => Ok(ExitCode::SUCCESS),
            Ok(_) => Ok(ExitCode::from(DAMAGE)),
            Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(error),
        }
    }

    /// Writes what passes; returns how many damaged places there are.
    fn copy(&self) -> anyhow::Result<u64> {
        let mut writer = Writer::new(self)?;
        let damages = if self.file.is_dir() {
            history::copy(self, &self.file, &mut writer)?
        } else {
            self.copy_stream(&mut writer)?
        };
        writer.end()?;
        Ok(damages)
    }

    fn copy_stream(&self, writer: &mut Writer<'_>) -> anyhow::Result<u64> {
        let from = self.open()?;
        let mut frames = Frames::new(from, self.offset, self.max_message_size);
        let mut damages = 0;
        loop {
            match frames.next(!self.follow)? {
                Found::Message(message, header) => writer.take(&Message::new(message, &header))?,
                Found::Json(text) => writer.take_json(text)?,
                Found::Damage(damage) => {
                    damages += 1;
                    report(&self.file, &damage);
                }
                Found::End if self.follow => {
                    writer.flush()?;
                    std::thread::sleep(LOOK);
                }
                Found::End => return Ok(damages),
            }
        }
    }

    fn open(&self) -> anyhow::Result<Box<dyn Read>> {
        let cannot = || format!("cannot read {}", self.file.display());
        if self.file == Path::new("-") {
            let mut from = std::io::stdin();
            std::io::copy(&mut (&mut from).take(self.offset), &mut std::io::sink())
                .with_context(cannot)?;
            return Ok(Box::new(from));
        }
        let mut file = File::open(&self.file).with_context(cannot)?;
        file.seek(SeekFrom::Start(self.offset)).with_context(cannot)?;
        Ok(Box::new(file))
    }
}

fn report(file: &Path, damage: &Damage) {
    let Damage { at, length, reason } = damage;
    eprintln!("{}: damage at byte {at}, {length} bytes passed over: {reason}", file.display());
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    kind == Some(std::io::ErrorKind::BrokenPipe)
}

/// Writes the messages that pass.
struct Writer<'a> {
    matcher: &'a Matcher,
    format: Format,
    encoding: Option<Box<dyn Encoding>>,
    out: Box<dyn Write>,
    buffer: Vec<u8>,
    processed: u64,
    matched: u64,
}

impl<'a> Writer<'a> {
    fn new(command: &'a Command) -> anyhow::Result<Writer<'a>> {
        let out: Box<dyn Write> = match &command.output {
            None => Box::new(BufWriter::new(std::io::stdout().lock())),
            Some(path) => {
                let cannot = || format!("cannot write {}", path.display());
                Box::new(BufWriter::new(File::create(path).with_context(cannot)?))
            }
        };
        let encoding = match command.format {
            Format::Text => Some(encoder("RstEncoder", command.max_message_size)?),
            Format::Json => Some(encoder("JsonEncoder", command.max_message_size)?),
            Format::Heka | Format::Count => None,
        };
        Ok(Writer {
            matcher: &command.matcher,
            format: command.format,
            encoding,
            out,
            buffer: Vec::new(),
            processed: 0,
            matched: 0,
        })
    }

    fn take(&mut self, message: &Message<'_>) -> anyhow::Result<()> {
        self.processed += 1;
        if !self.matcher.matches(message) {
            return Ok(());
        }
        self.matched += 1;
        self.buffer.clear();
        match &mut self.encoding {
            Some(encoding) => {
                encoding.encode(message, &mut self.buffer)?;
            }
            None if self.format == Format::Heka => frame::put(&mut self.buffer, message.bytes()),
            None => return Ok(()),
        }
        self.out.write_all(&self.buffer)?;
        Ok(())
    }

    /// Takes a message in JSON, as clients of 2013 send it; what it lacks stays empty.
    fn take_json(&mut self, text: &[u8]) -> anyhow::Result<()> {
        match JsonMessage::read(text) {
            Ok(message) => {
                let mut batch = Batch::new();
                let mut builder = batch.begin();
                message.write([0; 16], 0, &mut builder);
                builder.finish()?;
                self.take(&batch.message(0))
            }
            Err(error) => {
                self.processed += 1;
                eprintln!("passed over a message in JSON: {error}");
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }

    fn end(mut self) -> anyhow::Result<()> {
        let counts = format!("Processed: {}, matched: {} messages", self.processed, self.matched);
        if self.format == Format::Count {
            writeln!(self.out, "{counts}")?;
        } else {
            eprintln!("{counts}");
        }
        self.out.flush()?;
        Ok(())
    }
}

/// Starts the encoder of this kind, as it is without settings.
pub(super) fn encoder(kind: &str, max_message_size: usize) -> anyhow::Result<Box<dyn Encoding>> {
    let row = CATALOG.encoders.iter().find(|row| row.name == kind);
    let row = row.with_context(|| format!("there is no {kind}"))?;
    let encoder = (row.read)(toml::Deserializer::parse("")?)?;
    let engine = Engine {
        hostname: "".into(),
        pid: 0,
        base_dir: PathBuf::new(),
        share_dir: PathBuf::new(),
        max_message_size,
        max_message_loops: 4,
        max_process_inject: 1,
        max_timer_inject: 10,
        memory: Arc::default(),
        metrics: Arc::new(Registry::default()),
    };
    encoder.start(&EncoderContext { name: kind, engine: &engine })
}
