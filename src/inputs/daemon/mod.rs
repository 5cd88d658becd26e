//! Daemons that are asked again and again how they are.
//!
//! - [`Daemon`]: knows how to ask one; [`watch`] does so at every tick
//! - [`Report`]: the messages of one round, and what has to be known of the round before for rates
//! - [`Health`]: one message when a daemon goes down, and one when it is back
//! - [`Site`]: the client of those that answer over HTTP
//!
//! What is told of a daemon has types that begin with `stats.`, as what is told of this machine; numbers
//! carry their unit, and what is counted since the daemon's start has a rate beside it from the second
//! round on. A daemon that goes down is told of by a message of the type `daemon.down`, one that is back
//! by `daemon.up`; whether it was down survives a restart of the engine.

mod health;
mod report;
mod site;

pub(super) use health::Health;
pub(super) use report::Report;
pub(super) use report::number;
pub(super) use site::Reached;
pub(super) use site::Site;
pub(super) use site::reach;
pub(super) use site::shown;
pub(super) use site::url;

use std::time::Duration;

use anyhow::anyhow;
use anyhow::ensure;
use async_trait::async_trait;

use crate::plugin::InputContext;
use crate::stdx::duration;

/// Something that can be asked how it is.
#[async_trait]
pub(super) trait Daemon: Send {
    /// Asks once and writes what it answers.
    ///
    /// # Errors
    /// When it does not answer as it should: what was written of this round is left out then, and the
    /// daemon is down.
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()>;
}

/// What is watched: the sort of daemon, where it is, and how long an answer may take.
pub(super) struct Watched {
    /// The sort, as messages name it: `redis`.
    pub(super) daemon: &'static str,
    /// Where it is, as messages name it.
    pub(super) address: String,
    /// How long one round may take.
    pub(super) timeout: Duration,
}

/// Asks at once and then every `ticker_interval`, until the engine stops.
///
/// # Errors
/// When the engine takes no more.
pub(super) async fn watch(
    cx: InputContext,
    watched: Watched,
    mut daemon: impl Daemon,
) -> anyhow::Result<()> {
    ensure!(!cx.ticker_interval.is_zero(), "`ticker_interval` has to be above 0");
    let mut report = Report::new(cx.origin("stats"));
    let mut health = Health::new(&cx, watched.daemon, watched.address);
    let mut stream = health.stream(&cx).await?;
    let mut ticks = tokio::time::interval(cx.ticker_interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cx.stopping.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        report.start();
        let asked = tokio::select! {
            () = cx.stopping.cancelled() => return Ok(()),
            asked = tokio::time::timeout(watched.timeout, daemon.ask(&mut report)) => asked,
        };
        let limit = duration::text(watched.timeout);
        let asked = asked.unwrap_or_else(|_| {
            Err(anyhow!("no answer within {limit}; `timeout` says how long to wait"))
        });
        health.tell(asked.as_ref().err(), &mut report, &mut stream).await?;
        for batch in report.take() {
            stream.messages(batch).await?;
        }
    }
}

#[cfg(test)]
mod tests;
