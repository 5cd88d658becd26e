//! `heka filter`: one Lua filter over logs or streams, without an engine.
//!
//! Splitter, decoder and filter run one after the other in one thread, batch by batch, as they do in
//! the engine, and what the filter injects is printed.
//!
//! | part | what it does |
//! | --- | --- |
//! | `parts` | plugins from what the command line says |
//! | `feed` | from files to batches of messages |
//! | `analysis` | runs the filter, in the time of the messages |
//! | `printer` | shows what it injects and what goes wrong |

mod analysis;
mod feed;
mod parts;
mod printer;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use self::analysis::Analysis;
use self::parts::Parts;
use super::assignment::Assignment;
use crate::matcher::Matcher;
use crate::stdx::duration;
use crate::stdx::size;

/// What the command line may look like.
const EXAMPLES: &str = "\
Examples:
  A filter over the lines of a log; its timer runs every minute of the log's own time:
    heka filter errors.lua --ticker 60 /var/log/syslog

  Over typed fields of an access log:
    heka filter http_status.lua --decoder AccessLogDecoder --set log_format=combined \\
      --config sec_per_row=60 --match 'Fields[status] >= 500' access.log

  Over a stream of framed messages, again after each change to the script:
    heka filter alerts.lua --watch messages.heka

  With a script as decoder, over what another program writes:
    cat /proc/loadavg | heka filter load.lua --decoder lua_decoders/linux_loadavg.lua

Exit codes: 0 done, 1 the script was terminated or a file cannot be read, 2 a mistake in usage, in an
option or in the script.";

/// Runs one Lua filter over logs or streams and prints what it injects.
///
/// Payloads are printed as they are, other messages as JSON, one a line; failures and a summary go
/// to stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Command {
    /// The filter: a file, or a script in the program such as `lua_filters/machine_alerts.lua`
    script: PathBuf,
    /// Logs, plain or gzipped, or streams of framed messages; `-` and none at all are stdin
    files: Vec<PathBuf>,
    /// What makes messages of records: a kind (`heka plugins decoders`) or a Lua script
    #[arg(long, value_name = "NAME")]
    decoder: Option<String>,
    /// An option of the decoder, as its section would have it; may be repeated
    #[arg(long, value_name = "KEY=VALUE", requires = "decoder", value_parser = Assignment::parse)]
    set: Vec<Assignment>,
    /// What cuts records (`heka plugins splitters`); lines or frames by what the file begins with
    #[arg(long, value_name = "NAME")]
    splitter: Option<String>,
    /// An option of the splitter; may be repeated
    #[arg(long, value_name = "KEY=VALUE", requires = "splitter", value_parser = Assignment::parse)]
    splitter_set: Vec<Assignment>,
    /// What the script reads with `read_config`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = Assignment::parse)]
    config: Vec<Assignment>,
    /// Only messages that pass this matcher
    #[arg(long = "match", value_name = "EXPR", default_value = "TRUE", value_parser = Matcher::parse)]
    matcher: Matcher,
    /// Time between two timers, in the time of the messages; 0 is one at the end only
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    ticker: Duration,
    /// Bytes the script may hold, such as `8MiB`; 0 is no limit
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    memory_limit: Option<u64>,
    /// CPU time one call may take, such as `100ms`; 0 is no limit
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    cpu_limit: Option<Duration>,
    /// Where scripts and modules are looked for before those in the program
    #[arg(long, value_name = "FOLDER", default_value = "/usr/share/heka")]
    share_dir: PathBuf,
    /// Runs again whenever the script changes
    #[arg(long, requires = "files")]
    watch: bool,
}

fn seconds(text: &str) -> Result<Duration, duration::Error> {
    duration::parse(text, Duration::from_secs(1))
}

fn milliseconds(text: &str) -> Result<Duration, duration::Error> {
    duration::parse(text, Duration::from_millis(1))
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Everything was read.
    Done,
    /// The script was terminated.
    Terminated,
    /// The script does not load, or an option is wrong.
    Mistaken,
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// When a file cannot be read or the output cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.watch {
            return self.run_again_and_again();
        }
        match self.run_once() {
            Ok(Ending::Done) => Ok(ExitCode::SUCCESS),
            Ok(Ending::Terminated) => Ok(ExitCode::FAILURE),
            Ok(Ending::Mistaken) => Ok(ExitCode::from(2)),
            Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(error),
        }
    }

    fn run_again_and_again(&self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        loop {
            let parts = Parts::new(self);
            let found = parts.as_ref().map(Parts::files).unwrap_or_default();
            let files = found.into_iter().chain([self.script.clone()]);
            let files = files.filter_map(|file| std::path::absolute(file).ok()).collect();
            // Watching begins before the run, so that no change goes unnoticed.
            let mut watch = super::watch::Watch::start(files);
            match self.run_once() {
                Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
                Err(error) => eprintln!("heka: {error:#}"),
                Ok(_) => {}
            }
            runtime.block_on(watch.changed());
            eprintln!("heka: {} has changed, once more", self.script.display());
        }
    }

    fn run_once(&self) -> anyhow::Result<Ending> {
        let prepared = Parts::new(self).and_then(|parts| Ok((parts.start_filter()?, parts)));
        let (filtering, parts) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                eprintln!("heka: {error:#}");
                return Ok(Ending::Mistaken);
            }
        };
        if let Err(error) = parts.start_decoder(false) {
            eprintln!("heka: {error:#}");
            return Ok(Ending::Mistaken);
        }
        let mut analysis = Analysis::new(filtering, self, &parts)?;
        let stdin = [PathBuf::from("-")];
        let files = if self.files.is_empty() { &stdin[..] } else { &self.files };
        for file in files {
            let fed = feed::feed(file, &parts, &mut analysis);
            if fed.with_context(|| format!("cannot read {}", file.display()))?.is_break() {
                break;
            }
        }
        analysis.end()
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        kind == Some(std::io::ErrorKind::BrokenPipe)
    })
}
