//! `heka run`: the daemon.

mod logging;
mod privileges;
mod screen;
mod signals;
mod summary;
mod supervisor;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use nix::sys::resource::Resource;
use nix::sys::resource::getrlimit;
use nix::sys::resource::setrlimit;

use self::screen::Screen;
use self::signals::Signal;
use self::signals::Signals;
use self::supervisor::Supervisor;
use super::configuration;
use super::configuration::Origin;
use crate::admin::Admin;
use crate::admin::Wish;
use crate::config::Config;
use crate::metrics::Registry;
use crate::pipeline::Ending;
use crate::pipeline::Mode;
use crate::pipeline::Pipeline;
use crate::pipeline::Plan;
use crate::stdx::clock::Clock;
use crate::stdx::clock::System;
use crate::stdx::duration;

/// Time between two looks at what is flowing.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the engine until it is told to stop.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// Configuration: a file or a folder of `*.toml`. Without it, this machine is watched.
    config: Option<PathBuf>,
    /// End when every file has been read to its end and everything is delivered.
    #[arg(long)]
    until_done: bool,
    /// With --until-done: give up inputs that never end when nothing came for so long.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    idle: Option<Duration>,
    /// Folder for the state, in place of the one configured.
    #[arg(long, value_name = "FOLDER")]
    base_dir: Option<PathBuf>,
    /// The least weighty lines to log: error, warn, info, debug or trace; or a filter such as
    /// `heka=debug`.
    #[arg(long, value_name = "LEVEL", value_parser = logging::level)]
    log_level: Option<String>,
    /// How to write log lines.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<logging::Format>,
    /// Show nothing of what is flowing, on a terminal either.
    #[arg(long, short)]
    quiet: bool,
}

fn parse_duration(text: &str) -> Result<Duration, duration::Error> {
    duration::parse(text, Duration::from_secs(1))
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// When the engine cannot start, or something fails for good while it runs.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let origin = Origin::of(self.config.as_deref());
        let Some(mut config) = configuration::load_or_report(&origin) else {
            return Ok(ExitCode::from(2));
        };
        self.override_settings(&mut config);
        logging::start(
            self.log_level.as_deref().unwrap_or(config.hekad.log_level.word()),
            self.log_format.unwrap_or_else(|| config.hekad.log_format.into()),
        )?;
        let metrics = Arc::new(Registry::default());
        let Some(plan) = configuration::plan_or_report(config, &metrics) else {
            return Ok(ExitCode::from(2));
        };
        let mode = Mode { until_done: self.until_done || self.idle.is_some(), idle: self.idle };
        if mode.until_done && mode.idle.is_none() && !plan.endless_inputs().is_empty() {
            let names = plan.endless_inputs().join(", ");
            eprintln!(
                "heka: --until-done would never be done: {names} never ends; \
                 `--idle 5s` says when to give up"
            );
            return Ok(ExitCode::from(2));
        }
        raise_open_files();
        let pid_file = plan.config().hekad.pid_file.clone();
        let pid_file = pid_file.map(super::pid_file::PidFile::write).transpose()?;
        privileges::give_up(&plan, pid_file.as_ref())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("reactor")
            .worker_threads(workers())
            .build()
            .context("cannot start the reactor")?;
        let code = runtime.block_on(self.serve(origin, plan, mode));
        runtime.shutdown_timeout(Duration::from_secs(1));
        code
    }

    fn override_settings(&self, config: &mut Config) {
        if let Some(base_dir) = &self.base_dir {
            config.hekad.base_dir.clone_from(base_dir);
        }
    }

    async fn serve(self, origin: Origin, plan: Plan, mode: Mode) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let metrics = plan.metrics();
        let timeout = plan.config().hekad.shutdown_timeout;
        let started = Instant::now();
        let clock = Arc::new(System::new());
        let reports_itself = !mode.until_done;
        // Watching begins before scripts are read, so that no change goes unnoticed.
        let mut watch = super::watch::Watch::start(plan.watched_files());
        let mut pipeline = Pipeline::start(plan, mode, clock.clone()).await?;
        let mut admin = Admin::start(admin_settings(&pipeline)?, metrics).await?;
        let mut screen = Screen::new(self.quiet);
        let mut look = tokio::time::interval(LOOK);
        let mut reported = Instant::now();
        tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %origin, "heka has started");
        let mut supervisor = Supervisor::find();
        supervisor.ready();
        let ending = loop {
            let signal = tokio::select! {
                ending = pipeline.ending() => break ending,
                signal = signals.next() => signal,
                asked = admin.asked() => Signal::Asked(asked),
                () = supervisor.beat() => continue,
                _ = look.tick() => {
                    pipeline.tend();
                    let status = pipeline.status();
                    screen.show(&status);
                    admin.publish(&status);
                    let interval = pipeline.plan().config().hekad.report_interval;
                    if reports_itself && !interval.is_zero() && reported.elapsed() >= interval {
                        reported = Instant::now();
                        pipeline.report(clock.wall());
                    }
                    continue;
                }
                () = watch.changed() => Signal::Scripts,
            };
            let is_reload = signal.is_reload();
            if is_reload {
                supervisor.reloading();
            }
            let obeyed = self.obey(signal, &mut pipeline, &origin, clock.wall());
            if supervisor.alive_during(obeyed).await {
                break Ending::Asked;
            }
            if is_reload {
                supervisor.ready();
            }
            watch.follow(pipeline.watched_files());
        };
        screen.clear();
        supervisor.stopping();
        let tally = pipeline.tally();
        let stopped = supervisor.alive_during(async {
            tokio::select! {
                undelivered = pipeline.stop(timeout) => Some(undelivered),
                () = signals.again() => None,
            }
        });
        let stopped = stopped.await;
        admin.stop().await;
        let Some(undelivered) = stopped else {
            tracing::error!("stopped at once: what was not synced will be read again");
            return Ok(ExitCode::FAILURE);
        };
        summary::write(&tally.status(), started.elapsed(), &undelivered);
        let has_failed = matches!(ending, Ending::Failed(_) | Ending::Full(_))
            || (mode_asks_for_all(&ending) && !undelivered.is_empty());
        say_why(&ending);
        Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Does what a signal asks for; tells whether that is to stop.
    async fn obey(
        &self,
        signal: Signal,
        pipeline: &mut Pipeline,
        origin: &Origin,
        wall: i64,
    ) -> bool {
        match signal {
            Signal::Stop => return true,
            Signal::Hangup => {
                pipeline.reopen();
                let _ = self.reload(pipeline, origin).await;
            }
            Signal::Report => {
                summary::report(&pipeline.status());
                pipeline.report(wall);
            }
            Signal::Scripts => {
                let config = pipeline.plan().config().clone();
                apply(pipeline, config).await;
            }
            Signal::Asked(asked) => {
                let answer = match asked.wish.clone() {
                    Wish::Reload => self.reload(pipeline, origin).await,
                    Wish::Sandbox(request) => {
                        let reply = pipeline.ask(request);
                        serde_json::to_string(&reply).map_err(|error| error.to_string())
                    }
                };
                asked.answer(answer);
            }
        }
        false
    }

    /// Reads the configuration again and goes over to it; an unreadable one leaves all as it was.
    async fn reload(&self, pipeline: &mut Pipeline, origin: &Origin) -> Result<String, String> {
        let (config, problems) = configuration::load(origin);
        match config {
            Some(mut config) if !crate::config::Problem::any_error(&problems) => {
                self.override_settings(&mut config);
                Ok(apply(pipeline, config).await)
            }
            _ => {
                let text = crate::config::render_all(&problems, false);
                tracing::error!("the configuration has mistakes, nothing was changed:\n{text}");
                Err(text)
            }
        }
    }
}

fn admin_settings(pipeline: &Pipeline) -> anyhow::Result<crate::admin::Settings> {
    let config = pipeline.plan().config();
    let (journal, base_dir) = (pipeline.journal().clone(), config.hekad.base_dir.clone());
    let forget = move |reader: &str| {
        super::journal::forget(&journal, &base_dir, reader, |known| known.is_retired)
    };
    let admin = &config.hekad.admin;
    let tls = configuration::admin_tls(config)
        .map_err(|problems| anyhow::anyhow!(crate::config::render_all(&problems, false)))?;
    Ok(crate::admin::Settings {
        address: admin.address,
        token: admin.token.clone(),
        tls,
        folder: config.hekad.base_dir.clone(),
        forget: Arc::new(forget),
    })
}

fn mode_asks_for_all(ending: &Ending) -> bool {
    *ending == Ending::Done
}

/// Tells of a plugin that has ended the engine.
fn say_why(ending: &Ending) {
    match ending {
        Ending::Failed(name) => {
            eprintln!("heka: {name} has ended, and `can_exit` is not set: the engine stopped");
        }
        Ending::Full(name) => eprintln!(
            "heka: the journal is full, and `full_action` of {name} is `shutdown`: the engine \
             stopped"
        ),
        Ending::Done | Ending::Asked => {}
    }
}

/// Raises the number of files that may be open to the most the system allows: what reads thousands of logs
/// has as many open.
fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, soft, "the number of open files cannot be raised");
    }
}

/// Goes over to `config`, and says what that did.
async fn apply(pipeline: &mut Pipeline, config: Config) -> String {
    let metrics = pipeline.plan().metrics();
    let mut problems = Vec::new();
    let plan = configuration::plan(config, &metrics, &mut problems);
    if crate::config::Problem::any_error(&problems) {
        let text = crate::config::render_all(&problems, false);
        tracing::error!("the configuration has mistakes, nothing was changed:\n{text}");
        return text;
    }
    let done = pipeline.reload(plan).await;
    privileges::follow(pipeline.plan());
    for failure in &done.failed {
        tracing::error!(failure, "not reloaded: the old version goes on");
    }
    if done.has_changes() {
        tracing::info!(
            added = ?done.added,
            removed = ?done.removed,
            changed = ?done.changed,
            tried = ?done.tried,
            waits_for_restart = ?done.waits_for_restart,
            "reloaded"
        );
    }
    done.to_string()
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(4)
}
