//! The line to an analysis thread: commands on their way to it, and its answers.

use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::RecvTimeoutError;

use super::Command;
use super::reply;
use super::reply::Reply;
use super::reply::Silence;
use crate::stdx::sync::channel;
use crate::stdx::sync::channel::Sender;
use crate::stdx::sync::thread::Thread;

/// How long a thread may take to answer; it may be amid a batch, or wait for room in the journal.
const ANSWER: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Clone)]
pub(super) struct Line {
    commands: Sender<Command>,
    thread: Thread,
}

impl Line {
    pub(super) fn new(commands: Sender<Command>, thread: Thread) -> Line {
        Line { commands, thread }
    }

    /// Sends a command and wakes the thread. One that does nothing has its line full some day.
    pub(super) fn send(&self, command: Command) -> anyhow::Result<()> {
        let sent = self.commands.send_timeout(command, ANSWER);
        sent.ok().context("the analysis thread takes no commands")?;
        self.thread.unpark();
        Ok(())
    }

    /// Sends a command and waits for the answer.
    pub(super) fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> anyhow::Result<T> {
        let (tx, rx) = channel::bounded(1);
        self.send(command(tx))?;
        rx.recv_timeout(ANSWER).map_err(|error| match error {
            RecvTimeoutError::Timeout => anyhow::anyhow!("the analysis thread does not answer"),
            RecvTimeoutError::Disconnected => anyhow::anyhow!("the analysis thread has ended"),
        })
    }

    /// Sends a command that changes something. Without an answer nothing is changed, unless it was
    /// begun and does not come to an end.
    pub(super) fn change<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, Silence> {
        self.change_within(ANSWER, command)
    }

    /// As [`Line::change`]; the thread may take so long to begin.
    pub(super) fn change_within<T>(
        &self,
        patience: Duration,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, Silence> {
        let (reply, awaited) = reply::pair();
        self.send(command(reply)).map_err(|_| Silence::NotBegun)?;
        awaited.wait(patience)
    }
}
