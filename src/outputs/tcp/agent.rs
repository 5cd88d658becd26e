//! An agent: sends to one of its aggregators, and changes over to another.

use std::time::Duration;
use std::time::Instant;

use anyhow::anyhow;

use super::acked::Acked;
use super::acked::Bounds;
use super::gate::Gate;
use super::places::Places;
use crate::net::Connector;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::stdx::random::Random;

/// See the module.
pub(super) struct Agent {
    places: Places,
    cx: OutputContext,
    bounds: Bounds,
    acked: Acked,
    gate: Option<Gate>,
    rebalance: Option<(Duration, Instant)>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("address", &self.acked.address).finish_non_exhaustive()
    }
}

/// How often an agent does what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    pub(super) flush_interval: Duration,
    pub(super) rebalance_interval: Duration,
}

impl Agent {
    /// Connects to the first aggregator that takes it in.
    pub(super) async fn open(
        places: Places,
        cx: &OutputContext,
        bounds: Bounds,
        rhythm: Rhythm,
    ) -> Result<Agent, Failure> {
        if !cx.is_framed {
            let why =
                "`protocol = \"ack\"` sends framed messages: leave `use_framing` and `encoder` out";
            return Err(Failure::Stop(anyhow!(why)));
        }
        let acked = connect(&places, places.in_turn(), cx, bounds).await?;
        Ok(Agent {
            rebalance: (!rhythm.rebalance_interval.is_zero() && places.are_many())
                .then(|| (rhythm.rebalance_interval, jittered(rhythm.rebalance_interval))),
            gate: Gate::every(rhythm.flush_interval),
            places,
            cx: cx.clone(),
            bounds,
            acked,
        })
    }

    pub(super) fn resumes_at(&self) -> Option<u64> {
        self.acked.resumes_at
    }

    pub(super) fn returns_to(&self) -> Option<u64> {
        self.acked.returns_to
    }

    pub(super) fn pauses_until(&self) -> Option<Instant> {
        self.gate.as_ref()?.opens()
    }

    pub(super) async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        if self.is_to_rebalance() {
            self.flush().await?;
            self.change_over().await?;
        }
        if self.acked.has_lost_its_end(load) {
            self.places.recall(|memory| memory.has_lost_its_end = true);
            let error = anyhow!("the journal has lost its end, {} has more", self.acked.address);
            return Err(Failure::Retry(error));
        }
        if let Some(before) = self.acked.too_large(load) {
            let sent = self.acked.send(load, before).await;
            self.note(sent)?;
            // Only what is certain may be passed over.
            self.flush().await?;
            load.advance(before);
            let error = anyhow!("{} takes no record as large", self.acked.address);
            return Err(Failure::Reject(error));
        }
        let bytes = load.rest().len();
        let sent = self.acked.send(load, load.records().len()).await;
        self.note(sent)?;
        if let Some(gate) = &mut self.gate {
            gate.pass(bytes);
        }
        Ok(Sent::Held)
    }

    pub(super) async fn settled(&mut self) -> Result<u64, Failure> {
        loop {
            if let Some(entry) = self.acked.acknowledged() {
                let address = &self.acked.address;
                self.places.recall(|memory| {
                    if memory.served_by.as_ref() != Some(address) {
                        memory.served_by = Some(address.clone());
                    }
                });
                return Ok(entry);
            }
            let turn = self.acked.turn().await;
            self.note(turn)?;
        }
    }

    pub(super) async fn idle(&mut self) -> Result<(), Failure> {
        loop {
            if self.is_to_rebalance() {
                self.change_over().await?;
            }
            let turn = match &mut self.gate {
                None => self.acked.turn().await,
                Some(gate) => tokio::select! {
                    turn = self.acked.turn() => turn,
                    () = gate.lull() => return Ok(()),
                },
            };
            self.note(turn)?;
        }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        while !self.acked.is_settled() {
            let turn = self.acked.turn().await;
            self.note(turn)?;
        }
        Ok(())
    }

    pub(super) async fn close(&mut self) {
        self.acked.close().await;
    }

    fn is_to_rebalance(&self) -> bool {
        self.rebalance.is_some_and(|(_, due)| due <= Instant::now())
    }

    /// Connects to another aggregator, by chance, while nothing is on its way.
    async fn change_over(&mut self) -> Result<(), Failure> {
        if let Some((interval, due)) = &mut self.rebalance {
            *due = jittered(*interval);
        }
        if !self.acked.is_settled() {
            return Ok(());
        }
        let turn = self.places.in_turn();
        if turn.first().is_none_or(|first| first.address().to_string() == self.acked.address) {
            return Ok(());
        }
        let fresh = connect(&self.places, turn, &self.cx, self.bounds).await?;
        self.acked.close().await;
        self.acked = fresh;
        if self.acked.resumes_at.is_some() || self.acked.returns_to.is_some() {
            let address = &self.acked.address;
            return Err(Failure::Retry(anyhow!("{address} has other positions than expected")));
        }
        Ok(())
    }

    /// A failure is one of the place, too.
    fn note(&self, result: anyhow::Result<()>) -> Result<(), Failure> {
        result.map_err(|error| {
            self.places.note_failure(&self.acked.address);
            Failure::Retry(error)
        })
    }
}

/// Connects to the first of `turn` that answers as it should.
async fn connect(
    places: &Places,
    turn: Vec<Connector>,
    cx: &OutputContext,
    bounds: Bounds,
) -> Result<Acked, Failure> {
    let mut failed = anyhow!("there is no address");
    for connector in turn {
        match Acked::connect(&connector, places, cx, bounds).await {
            Ok(acked) => return Ok(acked),
            Err(error) => {
                places.note_failure(&connector.address().to_string());
                if places.are_many() {
                    let (output, error) = (&*cx.name, format!("{error:#}"));
                    tracing::warn!(output, error, "an aggregator is passed over");
                }
                failed = error;
            }
        }
    }
    Err(Failure::Retry(failed))
}

/// In about that time: agents that were started together do not stay together.
fn jittered(interval: Duration) -> Instant {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut random = Random::seeded(now.map_or(0, |now| u64::from(now.subsec_nanos())));
    let share = 0.75 + (random.next() % 1024) as f64 / 2048.0;
    Instant::now() + interval.mul_f64(share)
}
