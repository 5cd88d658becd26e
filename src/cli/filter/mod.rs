//! `heka filter`: one Lua filter over logs or streams, without an engine.
//!
//! Splitter, decoder and filter run one after the other in one thread, batch by batch, as they do in
//! the engine, and what the filter injects is printed.
//!
//! | part | what it does |
//! | --- | --- |
//! | `analysis` | runs the filter, in the time of the messages |
//! | `printer` | shows what it injects and what goes wrong |

mod analysis;
mod printer;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use self::analysis::Analysis;
use super::assignment::Assignment;
use super::standalone;
use super::standalone::Now;
use super::standalone::Parts;
use super::standalone::Reading;
use super::standalone::ScriptLimits;
use crate::matcher::Matcher;
use crate::plugin::Filter;
use crate::plugin::FilterContext;

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
    #[command(flatten)]
    reading: Reading,
    /// What the script reads with `read_config`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = Assignment::parse)]
    config: Vec<Assignment>,
    /// Only messages that pass this matcher
    #[arg(long = "match", value_name = "EXPR", default_value = "TRUE", value_parser = Matcher::parse)]
    matcher: Matcher,
    /// Time between two timers, in the time of the messages; 0 is one at the end only
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = standalone::seconds)]
    ticker: Duration,
    #[command(flatten)]
    limits: ScriptLimits,
    /// Runs again whenever the script changes
    #[arg(long, requires = "files")]
    watch: bool,
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
            Err(error) if super::is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(error),
        }
    }

    fn run_again_and_again(&self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        loop {
            let files = self.prepare().map(|(filter, parts)| {
                let mut files = filter.files(&parts.engine);
                files.extend(parts.files());
                files
            });
            let files = files.unwrap_or_default().into_iter().chain([self.script.clone()]);
            let files = files.filter_map(|file| std::path::absolute(file).ok()).collect();
            // Watching begins before the run, so that no change goes unnoticed.
            let mut watch = super::watch::Watch::start(files);
            match self.run_once() {
                Err(error) if super::is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
                Err(error) => eprintln!("heka: {error:#}"),
                Ok(_) => {}
            }
            runtime.block_on(watch.changed());
            eprintln!("heka: {} has changed, once more", self.script.display());
        }
    }

    fn prepare(&self) -> anyhow::Result<(Box<dyn Filter>, Parts)> {
        let parts = Parts::new(&self.reading)?;
        let section = toml::Table::new();
        let filter = standalone::script_filter(&self.script, section, &self.limits, &self.config)?;
        Ok((filter, parts))
    }

    fn run_once(&self) -> anyhow::Result<Ending> {
        let prepared = self.prepare().and_then(|(filter, parts)| {
            let name = standalone::name_of(&self.script);
            let ticker_interval = self.ticker;
            let cx = FilterContext { name: &name, engine: &parts.engine, ticker_interval };
            Ok((filter.start(&cx)?, parts))
        });
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
            let fed = standalone::feed(file, &parts, Now::Read, &mut analysis);
            if fed.with_context(|| format!("cannot read {}", file.display()))?.is_break() {
                break;
            }
        }
        analysis.end()
    }
}
