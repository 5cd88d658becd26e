//! `heka replay`: versions of a filter over history, in its own time, with their outputs muted.
//!
//! What runs is what runs in the engine: the filter with its limits, its section and its clock.
//!
//! | part | what it does |
//! | --- | --- |
//! | `section` | what the filter runs as |
//! | `state` | what it begins with |
//! | `moment` | times on the command line |
//! | `entries` | goes through a journal |
//! | `play` | takes the versions through entries and messages |
//! | `lane` | one version at work |
//! | `past` | what it needs to go back where a limit ends a call |
//! | `differences` | what one version has injected and the other has not |
//! | `report` | shows it |

mod differences;
mod entries;
mod lane;
mod moment;
mod past;
mod play;
mod report;
mod section;
mod state;

use std::ops::ControlFlow;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use self::lane::Lane;
use self::lane::Side;
use self::play::Play;
use self::play::Span;
use self::report::Report;
use self::report::Wishes;
use self::section::FilterSection;
use self::section::Given;
use super::standalone;
use super::standalone::Clock;
use super::standalone::Now;
use super::standalone::Parts;
use super::standalone::Reading;
use super::standalone::ScriptLimits;
use crate::journal::Position;
use crate::matcher::Matcher;
use crate::plugin::FilterContext;

/// What the command line may look like.
const EXAMPLES: &str = "\
Examples:
  What a filter would have injected since yesterday, in the journal of an engine that runs:
    heka replay --script new.lua --config /etc/hekad.toml --from -24h /var/cache/hekad

  What a change adds, removes and moves, alerts alone, as JSON:
    heka replay --script new.lua --against old.lua --alerts --json --ticker 60 \\
      --match \"Type == 'nginx.access'\" /var/cache/hekad

  Over a log:
    heka replay --script new.lua --decoder AccessLogDecoder --set log_format=combined access.log.gz

Exit codes: 0 done, 1 a script was terminated or history cannot be read, 2 a mistake in usage, in the
configuration or in a script, 3 damage was passed over.";

/// Runs a filter over history, with its outputs muted, and tells what it would have injected; or
/// what one version of it would and another would not.
///
/// Time is that of history: ticks are the journal's, or follow from the timestamps of messages.
/// Results go to stdout, failures, what took how long and a summary to stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Command {
    /// The folder of a journal or of an engine's state, streams of framed messages, or logs, plain or
    /// gzipped
    #[arg(required = true)]
    history: Vec<PathBuf>,
    /// The filter that is tried
    #[arg(long, value_name = "FILE")]
    script: PathBuf,
    /// The version it is compared with
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The configuration with the section of the filter, for its matcher, ticker, limits and
    /// `[config]`; or something for the script to read with `read_config`. May be repeated
    #[arg(long, value_name = "FILE|KEY=VALUE", value_parser = Given::parse)]
    config: Vec<Given>,
    /// The section, where the configuration has several filters and none with that script
    #[arg(long, value_name = "NAME")]
    section: Option<String>,
    /// Only messages that pass this matcher; the section's where left out, else all
    #[arg(long = "match", value_name = "EXPR", value_parser = Matcher::parse)]
    matcher: Option<Matcher>,
    /// Time between two timers, the section's where left out; 0 is one at the end only
    #[arg(long, value_name = "SECONDS", value_parser = standalone::seconds)]
    ticker: Option<Duration>,
    /// Leaves out what was before: `2026-10-05T13:00:00Z`, `2026-10-05` in UTC, `@SECONDS`, `-2h`
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    from: Option<i64>,
    /// Leaves out what was then or later
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    to: Option<i64>,
    /// Begins with a state instead of an empty one, and with the entry behind it: the name of a filter
    /// whose newest state from before `--from`, or whose oldest, the journal keeps; or a file of snapshots
    #[arg(long, value_name = "FILTER|FILE")]
    state: Option<String>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    limits: ScriptLimits,
    /// Writes JSON, an object a line; the last is the summary
    #[arg(long)]
    json: bool,
    /// Shows alerts only
    #[arg(long)]
    alerts: bool,
    /// With `--against`, shows what is the same too
    #[arg(long, requires = "against")]
    all: bool,
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// When history cannot be read or the output cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (parts, after, mut play) = match self.prepare() {
            Ok(prepared) => prepared,
            Err(error) => {
                eprintln!("heka: {error:#}");
                return Ok(ExitCode::from(2));
            }
        };
        match self.play(&parts, after, &mut play) {
            Ok(code) => Ok(code),
            Err(error) if super::is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(error),
        }
    }

    fn play(
        &self,
        parts: &Parts,
        after: Option<Position>,
        play: &mut Play,
    ) -> anyhow::Result<ExitCode> {
        for history in &self.history {
            let done = if history.is_dir() {
                entries::play(history, after, play)
            } else {
                standalone::feed(history, parts, Now::Written, play)
            };
            match done.with_context(|| format!("cannot read {}", history.display()))? {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(()) => break,
            }
        }
        play.last_timers()?;
        play.end()?;
        Ok(match play {
            play if play.lanes.iter().any(|lane| lane.ended.is_some()) => ExitCode::FAILURE,
            play if play.damages > 0 => ExitCode::from(3),
            _ => ExitCode::SUCCESS,
        })
    }

    /// Everything that can be wrong before history is looked at.
    fn prepare(&self) -> anyhow::Result<(Parts, Option<Position>, Play)> {
        for history in &self.history {
            let cannot = || format!("cannot read {}", history.display());
            let is_stdin = history == Path::new("-");
            let found = if is_stdin { None } else { Some(history.metadata()) };
            if found.transpose().with_context(cannot)?.is_some_and(|it| it.is_dir()) {
                entries::open(history)?;
            }
        }
        let mut parts = Parts::new(&self.reading)?;
        // Nothing may differ between two runs.
        parts.engine.pid = 0;
        let section = self.section(&mut parts)?;
        parts.start_decoder(false)?;
        let interval = self.ticker.or(section.ticker_interval).unwrap_or_default();
        let mut lanes = Vec::new();
        if let Some(old) = &self.against {
            lanes.push(self.lane(Side::Old, old, &section, &parts, interval)?);
        }
        lanes.push(self.lane(Side::New, &self.script, &section, &parts, interval)?);
        let wishes = Wishes { is_json: self.json, all: self.all, only_alerts: self.alerts };
        let report = Report::new(parts.start_encoder()?, wishes);
        let from = self.from.unwrap_or(i64::MIN);
        let to = self.to.unwrap_or(i64::MAX);
        let mut span = Span { from, to, muted_until: i64::MIN };
        let mut after = None;
        if let Some(wanted) = &self.state {
            let beginning = self.begin(wanted, &section, &mut lanes)?;
            after = Some(beginning);
            // What lies between the state and the beginning is part of it, and not told.
            span = Span { from: i64::MIN, to, muted_until: from };
        }
        let matcher = self.matcher.clone().or(section.matcher);
        Ok((parts, after, Play::new(lanes, matcher, span, Clock::new(interval), report)))
    }

    /// Gives a state to all versions; returns the last entry that is in it.
    fn begin(
        &self,
        wanted: &str,
        section: &FilterSection,
        lanes: &mut [Lane],
    ) -> anyhow::Result<Position> {
        let own = standalone::name_of(&self.script);
        let name = section.name.as_deref().unwrap_or(&own);
        let beginning = state::find(wanted, name, &self.history, self.from)?;
        for lane in lanes {
            let missing = lane.restore(beginning.next_due, &beginning.own);
            let missing = missing
                .with_context(|| format!("--state {wanted} does not fit {}", lane.script))?;
            if !missing.is_empty() {
                eprintln!("heka: {}: the state lacks {}", lane.script, missing.join(", "));
            }
        }
        Ok(beginning.after)
    }

    fn section(&self, parts: &mut Parts) -> anyhow::Result<FilterSection> {
        let mut section = FilterSection::default();
        for given in &self.config {
            if let Given::File(file) = given {
                let scripts: Vec<&Path> =
                    self.against.iter().chain([&self.script]).map(PathBuf::as_path).collect();
                let wanted = self.section.as_deref();
                section = section::find(file, wanted, &scripts, &mut parts.engine)?;
            }
        }
        Ok(section)
    }

    fn lane(
        &self,
        side: Side,
        script: &Path,
        section: &FilterSection,
        parts: &Parts,
        interval: Duration,
    ) -> anyhow::Result<Lane> {
        let options: Vec<_> = self.config.iter().filter_map(Given::option).cloned().collect();
        let settings = section.settings.clone();
        let filter = standalone::script_filter(script, settings, &self.limits, &options)?;
        // Both versions are the same filter: what they inject has its name.
        let own = standalone::name_of(&self.script);
        let name = section.name.clone().unwrap_or(own);
        let engine = parts.engine.clone();
        let start = move || {
            let cx = FilterContext { name: &name, engine: &engine, ticker_interval: interval };
            filter.start(&cx)
        };
        Lane::new(side, script.display().to_string(), Box::new(start), interval)
    }
}
