//! A command, or several behind each other, and what they print.
//!
//! With a `ticker_interval` the commands run again and again, and what one run printed is delivered
//! when it has ended, with how it ended. Without one they run once, for long as a rule, and what
//! they print is delivered as it comes.

mod pipeline;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use anyhow::ensure;
use async_trait::async_trait;
use bytes::Bytes;
use bytes::BytesMut;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;

use self::pipeline::Ended;
use self::pipeline::Pipeline;
use crate::message::Value;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Origin;
use crate::plugin::Stream;
use crate::stdx::duration;

/// How much is read at a time, in bytes.
const CHUNK: usize = 64 * 1024;
/// The most that is kept of one run until it has ended; beyond, it is delivered before.
const MAX_KEPT: usize = 8 << 20;

/// Runs a command, or a pipeline of them. Messages have the type `ProcessInput` and the field
/// `ProcessInputName`; those of a run that has ended also `ExitStatus` and `SubcmdErrors`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProcessInput {
    /// The commands by number; each reads what the one before prints.
    command: BTreeMap<String, Command>,
    /// Whether the first run is at once, and not after the first `ticker_interval`.
    #[serde(default)]
    immediate_start: bool,
    /// Whether standard output is delivered.
    #[serde(default = "yes")]
    stdout: bool,
    /// Whether standard error of the last command is delivered.
    #[serde(default)]
    stderr: bool,
    /// How long a run may take until it is killed, with all it has started; 0 is for ever. In
    /// seconds.
    #[serde(default, deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
}

/// A command.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Command {
    /// The program: a path, or a name to look for in `PATH`.
    bin: PathBuf,
    /// Its arguments.
    #[serde(default)]
    args: Vec<String>,
    /// Its environment, `NAME=VALUE` each; that of the engine where it is empty.
    #[serde(default)]
    env: Vec<String>,
    /// The folder it runs in; that of the engine where it is left out.
    #[serde(default)]
    directory: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

impl Described for ProcessInput {
    const NAME: &'static str = "ProcessInput";
    const ABOUT: &'static str = "Runs a command or a pipeline of them and reads what it prints.";
    const EXAMPLE: &'static str = "[ProcessInput]\nticker_interval = 15\n\n\
        [ProcessInput.command.0]\nbin = \"/bin/df\"\nargs = [\"-k\"]\n";
    const DEFAULTS: Defaults =
        Defaults { ticker_interval: 15, may_not_tick: true, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        self.commands().map(drop)
    }
}

#[async_trait]
impl Input for ProcessInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let commands = self.commands()?;
        if cx.ticker_interval.is_zero() {
            return self.run_long(&commands, &cx).await;
        }
        let mut streams = Streams::open(&self, &cx).await?;
        if cx.until_done {
            self.run_short(&commands, &mut streams, &cx).await;
            return streams.end().await;
        }
        let mut ticks = tokio::time::interval(cx.ticker_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if !self.immediate_start {
            ticks.reset();
        }
        loop {
            tokio::select! {
                () = cx.stopping.cancelled() => return Ok(()),
                _ = ticks.tick() => self.run_short(&commands, &mut streams, &cx).await,
            }
        }
    }

    fn ends(&self) -> bool {
        true
    }
}

impl ProcessInput {
    /// The commands, in order.
    fn commands(&self) -> anyhow::Result<Vec<Command>> {
        let mut numbered = Vec::new();
        for (number, command) in &self.command {
            let Ok(at) = number.parse::<u32>() else {
                bail!("`command.{number}` is no number");
            };
            ensure!(
                command.env.iter().all(|pair| pair.contains('=')),
                "`env` of command {number} is to have `NAME=VALUE`"
            );
            numbered.push((at, command.clone()));
        }
        numbered.sort_by_key(|(at, _)| *at);
        ensure!(!numbered.is_empty(), "there is no command");
        Ok(numbered.into_iter().map(|(_, command)| command).collect())
    }

    fn limit(&self) -> Option<Duration> {
        (!self.timeout.is_zero()).then_some(self.timeout)
    }

    /// Runs the commands once and delivers what they print as it comes.
    async fn run_long(&self, commands: &[Command], cx: &InputContext) -> anyhow::Result<()> {
        let mut streams = Streams::open(self, cx).await?;
        let mut pipeline = Pipeline::start(commands, self.stderr)?;
        let (stdout, stderr) = pipeline.outputs();
        let deliver = async {
            let out = pass_on(stdout, streams.stdout.as_mut().map(|(stream, _)| stream));
            let err = pass_on(stderr, streams.stderr.as_mut().map(|(stream, _)| stream));
            both(out, err).await
        };
        let ended = pipeline.run(deliver, self.limit(), &cx.stopping).await?;
        streams.end().await?;
        if !cx.stopping.is_cancelled() && (ended.exit_status != 0 || !ended.errors.is_empty()) {
            bail!("the process ended with status {}: {}", ended.exit_status, ended.errors);
        }
        Ok(())
    }

    /// Runs the commands once and delivers what they printed when they have ended.
    async fn run_short(&self, commands: &[Command], streams: &mut Streams, cx: &InputContext) {
        if let Err(error) = self.try_short(commands, streams, cx).await {
            let error = format!("{error:#}");
            tracing::warn!(input = &*cx.name, error, "a run has failed");
        }
    }

    async fn try_short(
        &self,
        commands: &[Command],
        streams: &mut Streams,
        cx: &InputContext,
    ) -> anyhow::Result<()> {
        let mut pipeline = Pipeline::start(commands, self.stderr)?;
        let (stdout, stderr) = pipeline.outputs();
        let (mut out, mut err) = (BytesMut::new(), BytesMut::new());
        let keep = async {
            let out = keep(stdout, &mut out, streams.stdout.as_mut());
            let err = keep(stderr, &mut err, streams.stderr.as_mut());
            both(out, err).await
        };
        let ended = pipeline.run(keep, self.limit(), &cx.stopping).await?;
        for (rest, stream) in [(out, &mut streams.stdout), (err, &mut streams.stderr)] {
            if let Some((stream, origin)) = stream
                && !rest.is_empty()
            {
                let origin = std::sync::Arc::new(with_end(origin, &ended));
                stream.whole(rest.freeze(), Some(origin)).await?;
            }
        }
        if !ended.errors.is_empty() {
            let (input, status) = (&*cx.name, ended.exit_status);
            tracing::warn!(input, status, errors = ended.errors, "a run has ended badly");
        }
        Ok(())
    }
}

/// Reads both outputs to their ends.
async fn both(
    stdout: impl Future<Output = anyhow::Result<()>>,
    stderr: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::try_join!(stdout, stderr).map(|_| ())
}

/// The streams of what is printed, and their origins.
struct Streams {
    stdout: Option<(Stream, Origin)>,
    stderr: Option<(Stream, Origin)>,
}

impl Streams {
    async fn open(settings: &ProcessInput, cx: &InputContext) -> anyhow::Result<Streams> {
        let stdout = if settings.stdout { Some(open(cx, "stdout").await?) } else { None };
        let stderr = if settings.stderr { Some(open(cx, "stderr").await?) } else { None };
        Ok(Streams { stdout, stderr })
    }

    async fn end(self) -> anyhow::Result<()> {
        for (mut stream, _) in [self.stdout, self.stderr].into_iter().flatten() {
            stream.end(true).await?;
            stream.durable().await?;
        }
        Ok(())
    }
}

async fn open(cx: &InputContext, what: &str) -> anyhow::Result<(Stream, Origin)> {
    let name = format!("{}.{what}", cx.name);
    let mut origin = cx.origin("ProcessInput");
    origin.logger = name.as_bytes().to_vec();
    origin.push("ProcessInputName", "", Value::String(name.as_bytes()));
    Ok((cx.stream(origin.clone(), None).await?, origin))
}

fn with_end(origin: &Origin, ended: &Ended) -> Origin {
    let mut origin = origin.clone();
    origin.push("ExitStatus", "", Value::Integer(ended.exit_status.into()));
    origin.push("SubcmdErrors", "", Value::String(ended.errors.as_bytes()));
    origin
}

/// Delivers what comes as it comes; without a stream it is read and forgotten.
async fn pass_on(
    output: Option<impl AsyncRead + Unpin>,
    mut stream: Option<&mut Stream>,
) -> anyhow::Result<()> {
    let Some(mut output) = output else { return Ok(()) };
    loop {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        if output.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        if let Some(stream) = &mut stream {
            stream.bytes(buffer.freeze()).await?;
        }
    }
}

/// Keeps what comes; where it is too much, the whole lines of it are delivered before the end.
async fn keep(
    output: Option<impl AsyncRead + Unpin>,
    kept: &mut BytesMut,
    mut stream: Option<&mut (Stream, Origin)>,
) -> anyhow::Result<()> {
    let Some(mut output) = output else { return Ok(()) };
    loop {
        kept.reserve(CHUNK);
        if output.read_buf(kept).await? == 0 {
            return Ok(());
        }
        match &mut stream {
            Some((stream, _)) if kept.len() >= MAX_KEPT => {
                let end = memchr::memrchr(b'\n', kept).map_or(kept.len(), |at| at + 1);
                let lines: Bytes = kept.split_to(end).freeze();
                stream.whole(lines, None).await?;
            }
            Some(_) => {}
            None => kept.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::testing::Delivered;
    use crate::inputs::testing::Desk;

    fn settings(commands: &[&str], more: &str) -> ProcessInput {
        let mut text = format!("{more}\n");
        for (number, command) in commands.iter().enumerate() {
            let args = format!("args = ['-c', '''{command}''']");
            text.push_str(&format!("[command.{number}]\nbin = '/bin/sh'\n{args}\n"));
        }
        toml::from_str(&text).unwrap()
    }

    /// Runs the commands once at a tick.
    async fn once(commands: &[&str], more: &str) -> Vec<Delivered> {
        let mut desk = Desk::new("run");
        desk.ticker_interval = Duration::from_mins(1);
        desk.until_done = true;
        Box::new(settings(commands, more)).run(desk.context()).await.unwrap();
        desk.delivered()
    }

    fn check(delivered: &[Delivered], expected: &[(&str, &str, i64, &str)]) {
        let found: Vec<_> =
            delivered.iter().map(|one| (one.text.clone(), one.origin.fields().to_vec())).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(text, stream, status, errors)| {
                let mut origin = Origin::default();
                origin.push("ProcessInputName", "", Value::String(stream.as_bytes()));
                origin.push("ExitStatus", "", Value::Integer(*status));
                origin.push("SubcmdErrors", "", Value::String(errors.as_bytes()));
                ((*text).to_owned(), origin.fields().to_vec())
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn each_command_reads_what_the_one_before_prints() {
        let delivered = once(&["printf 'b\\na\\n'", "sort", "tr a-z A-Z"], "").await;
        check(&delivered, &[("A\nB\n", "run.stdout", 0, "")]);
    }

    #[tokio::test]
    async fn end_of_every_command_is_told() {
        let delivered =
            once(&["exit 3", "cat; echo out; echo err >&2; exit 4"], "stderr = true").await;
        let errors = "command 0 ended with exit status: 3; command 1 ended with exit status: 4";
        check(
            &delivered,
            &[("out\n", "run.stdout", 4, errors), ("err\n", "run.stderr", 4, errors)],
        );
    }

    #[tokio::test]
    async fn run_that_takes_too_long_is_killed_with_all_it_started() {
        let delivered = once(&["echo before; sleep 1000 | sleep 1000"], "timeout = '50ms'").await;
        let errors = "killed after 50ms; command 0 ended with signal: 9 (SIGKILL)";
        check(&delivered, &[("before\n", "run.stdout", -1, errors)]);
    }

    #[tokio::test]
    async fn long_run_is_delivered_as_it_comes_and_ends_with_the_engine() {
        let desk = Desk::new("run");
        let input = settings(&["echo one; echo two; exec sleep 1000"], "");
        let running = tokio::spawn(Box::new(input).run(desk.context()));
        desk.wait_for(2).await;
        assert_eq!(desk.lines("run.stdout"), ["one", "two"]);
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn long_run_that_fails_is_an_error() {
        let desk = Desk::new("run");
        let input = settings(&["echo one; exit 5"], "");
        let error = Box::new(input).run(desk.context()).await.unwrap_err().to_string();
        assert!(error.contains("status 5"), "{error}");
        assert_eq!(desk.lines("run.stdout"), ["one"]);
        let input = ProcessInput { command: BTreeMap::new(), ..settings(&["true"], "") };
        assert!(Box::new(input).run(desk.context()).await.is_err());
    }
}
