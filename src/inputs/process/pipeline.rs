//! Processes behind each other, in one group.

use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::process::ChildStderr;
use tokio::process::ChildStdout;

use super::Command;
use crate::plugin::Stopping;
use crate::stdx::duration;

/// How long processes may take to end when they are asked to.
const GRACE: Duration = Duration::from_secs(2);

/// Running processes; they are killed when it is dropped.
pub(super) struct Pipeline {
    children: Vec<Child>,
    group: Group,
}

/// How a pipeline ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// What the last process ended with; -1 where a signal ended it.
    pub(super) exit_status: i32,
    /// What went wrong, of all processes; empty where nothing did.
    pub(super) errors: String,
}

/// The processes and all they have started.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // Nobody may be left in it.
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

impl Pipeline {
    /// Starts all commands.
    pub(super) fn start(commands: &[Command], has_stderr: bool) -> anyhow::Result<Pipeline> {
        let mut pipeline = Pipeline { children: Vec::new(), group: Group(None) };
        let mut input = Stdio::null();
        for (number, command) in commands.iter().enumerate() {
            let is_last = number + 1 == commands.len();
            let mut process = tokio::process::Command::new(&command.bin);
            process.args(&command.args).stdin(input).stdout(Stdio::piped()).kill_on_drop(true);
            process.stderr(if has_stderr && is_last { Stdio::piped() } else { Stdio::null() });
            process.process_group(pipeline.group.0.map_or(0, Pid::as_raw));
            if !command.env.is_empty() {
                process.env_clear();
                process.envs(command.env.iter().filter_map(|pair| pair.split_once('=')));
            }
            if let Some(directory) = &command.directory {
                process.current_dir(directory);
            }
            let mut child =
                process.spawn().with_context(|| format!("cannot run {}", command.bin.display()))?;
            if pipeline.group.0.is_none() {
                let id = child.id().and_then(|id| i32::try_from(id).ok());
                pipeline.group.0 = id.map(Pid::from_raw);
            }
            input = match child.stdout.take() {
                Some(stdout) if !is_last => stdout.try_into().context("cannot pass output on")?,
                stdout => {
                    child.stdout = stdout;
                    Stdio::null()
                }
            };
            pipeline.children.push(child);
        }
        Ok(pipeline)
    }

    /// What the last process prints, once.
    pub(super) fn outputs(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        self.children
            .last_mut()
            .map_or((None, None), |child| (child.stdout.take(), child.stderr.take()))
    }

    /// Runs `reading`, which ends when the outputs do, and waits for all processes. They are killed
    /// after `limit` and asked to end when the engine stops.
    pub(super) async fn run(
        mut self,
        reading: impl Future<Output = anyhow::Result<()>>,
        limit: Option<Duration>,
        stopping: &Stopping,
    ) -> anyhow::Result<Ended> {
        let mut errors = Vec::new();
        let whole = async {
            reading.await?;
            let mut ends = Vec::new();
            for child in &mut self.children {
                ends.push(child.wait().await.context("cannot wait for a process")?);
            }
            anyhow::Ok(ends)
        };
        tokio::pin!(whole);
        let limited = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let ends = tokio::select! {
            ends = &mut whole => Some(ends?),
            () = limited => {
                errors.push(format!("killed after {}", duration::text(limit.unwrap_or_default())));
                None
            }
            () = stopping.cancelled() => {
                self.group.signal(Signal::SIGTERM);
                tokio::time::timeout(GRACE, &mut whole).await.ok().transpose()?
            }
        };
        let ends = if let Some(ends) = ends {
            ends
        } else {
            self.group.signal(Signal::SIGKILL);
            // What left the group may hold the outputs open.
            let killed = tokio::time::timeout(GRACE, whole).await;
            killed.context("processes were killed and do not end")??
        };
        // All are waited for: the number of the group may belong to others from now on.
        self.group.0 = None;
        for (number, end) in ends.iter().enumerate().filter(|(_, end)| !end.success()) {
            errors.push(format!("command {number} ended with {end}"));
        }
        let exit_status = ends.last().and_then(ExitStatus::code).unwrap_or(-1);
        Ok(Ended { exit_status, errors: errors.join("; ") })
    }
}
