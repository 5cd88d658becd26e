//! One agent on one connection, as `formats::agent` describes it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;

use super::agents::Agents;
use super::agents::Seat;
use super::reports;
use super::reports::Report;
use crate::formats::agent;
use crate::formats::agent::BatchHead;
use crate::formats::agent::Hello;
use crate::formats::agent::Welcome;
use crate::formats::agent::Word;
use crate::message::Batch;
use crate::message::Source;
use crate::message::SourcePosition;
use crate::net::Exchange;
use crate::plugin::Claim;
use crate::plugin::InputContext;
use crate::plugin::Memory;
use crate::plugin::Receipt;
use crate::plugin::Stream;

/// How long an agent may take to introduce itself.
pub(super) const HELLO: Duration = Duration::from_secs(10);
/// How long an agent may be silent: it says that it lives every five seconds.
const SILENCE: Duration = Duration::from_mins(1);
/// How many bytes may be on their way to one connection, uncompressed.
const WINDOW: u32 = 16 << 20;
/// The beginning of a word is counted to the memory in use from so many bytes on.
const SMALL: usize = 64 * 1024;
/// How many batches may wait to be durable.
const MAX_PENDING: usize = 1024;
/// How many bytes may wait to be read by the agent until it is listened to again.
const MAX_UNREAD: usize = 64 << 10;
/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves an agent until it goes, or the input stops.
pub(super) async fn serve(
    exchange: Exchange,
    cx: InputContext,
    agents: Arc<Agents>,
) -> anyhow::Result<()> {
    let mut line = Line { exchange, pending: VecDeque::new() };
    let opened = tokio::select! {
        () = cx.stopping.cancelled() => return Ok(()),
        opened = Session::open(&mut line, &cx, &agents) => opened,
    };
    let ended = match opened {
        Ok((mut session, seat)) => {
            let ended = tokio::select! {
                () = cx.stopping.cancelled() => Ok("it stops"),
                () = seat.leaving.cancelled() => Ok("there is another connection of this agent"),
                ended = session.run(&mut line) => ended.map(|()| ""),
            };
            session.end(&mut line).await;
            ended
        }
        Err(error) => Err(error),
    };
    let why = match &ended {
        Ok(why) => (*why).to_owned(),
        Err(error) => format!("{error:#}"),
    };
    if !why.is_empty() {
        agent::put(&mut line.exchange.outbox, &Word::Refusal(why));
    }
    line.exchange.close(GOODBYE).await;
    ended.map(drop)
}

/// The connection, and what is to be acknowledged on it.
struct Line {
    exchange: Exchange,
    pending: VecDeque<(u64, Receipt, Option<Claim>)>,
}

impl Line {
    /// Whether the agent may say more: not while it does not read, or much is not durable yet.
    fn has_room(&self) -> bool {
        self.pending.len() < MAX_PENDING && self.exchange.outbox.len() < MAX_UNREAD
    }

    /// Acknowledges what has become durable, says that it lives, writes, and reads where `hears`:
    /// resolves when one of these has happened.
    async fn turn(&mut self, hears: bool) -> anyhow::Result<()> {
        let Line { exchange, pending } = self;
        let due = exchange.due(agent::QUIET);
        tokio::select! {
            biased;
            durable = front(pending) => {
                durable?;
                if let Some((position, ..)) = pending.pop_front() {
                    agent::put(&mut exchange.outbox, &Word::Ack(position));
                }
            }
            moved = move_on(exchange, hears) => moved?,
            () = tokio::time::sleep(due) => {
                if exchange.is_written() {
                    agent::put(&mut exchange.outbox, &Word::Pong);
                }
            }
        }
        if !hears {
            // Nobody was silent to whom nobody listened.
            exchange.listen_anew();
        }
        let is_read = exchange.is_written() || exchange.quiet() < SILENCE;
        anyhow::ensure!(is_read, "the agent does not read");
        Ok(())
    }

    /// Waits for room for so many bytes; the agent is talked to meanwhile.
    async fn room(&mut self, memory: &Arc<Memory>, bytes: usize) -> anyhow::Result<Claim> {
        let claiming = memory.claim(bytes);
        tokio::pin!(claiming);
        loop {
            tokio::select! {
                biased;
                claim = &mut claiming => return Ok(claim?),
                turn = self.turn(false) => turn?,
            }
        }
    }
}

async fn front(pending: &mut VecDeque<(u64, Receipt, Option<Claim>)>) -> anyhow::Result<()> {
    match pending.front_mut() {
        Some((_, receipt, _)) => receipt.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn move_on(exchange: &mut Exchange, hears: bool) -> std::io::Result<()> {
    if hears {
        exchange.step().await
    } else if exchange.is_written() {
        std::future::pending().await
    } else {
        exchange.write_out().await
    }
}

/// An agent that is served.
struct Session {
    cx: InputContext,
    agents: Arc<Agents>,
    source: Source,
    hello: Hello,
    stream: Stream,
    /// How far the agent's journal has come.
    known: u64,
    /// What is kept with the position of the agent.
    detail: Arc<[u8]>,
    largest: usize,
    unpacking: zstd::bulk::Decompressor<'static>,
    /// What the beginning of a word takes of the memory.
    begun: Claim,
}

impl Session {
    async fn open(
        line: &mut Line,
        cx: &InputContext,
        agents: &Arc<Agents>,
    ) -> anyhow::Result<(Session, Seat)> {
        let hello = tokio::time::timeout(HELLO, hello(&mut line.exchange)).await;
        let hello = hello.context("the agent did not introduce itself in time")??;
        let mut source = reports::source(cx, &hello.name, &hello.stream, hello.journal);
        let is_twin = agents.note_run(&source, hello.run);
        if is_twin {
            source = reports::twin(&source, hello.run);
            if !agents.knows(&source) {
                tracing::warn!(input = &*cx.name, agent = &*source, "two machines are one agent");
                reports::inject(cx, &source, Report::Twin).await?;
            }
        }
        let seat = agents.sit(&source).await?;
        // Of one that was not known before.
        agents.note_run(&source, hello.run);
        if agents.hear(&source) {
            reports::inject(cx, &source, Report::Heard).await?;
        }
        let found = cx.last_position(&source).filter(|_| !hello.has_lost_its_end);
        let run = found.as_ref().map_or(0, |position| reports::run_of(&position.detail));
        let position = found.map(|position| position.offset);
        let mut origin = cx.origin(&cx.name);
        origin.hostname = hello.name.as_bytes().to_vec();
        let stream = cx.stream(origin, Some(source.clone())).await?;
        let largest = cx.largest_entry().saturating_sub(Batch::MAX_BYTES).min(agent::LARGEST);
        let window = WINDOW.min(u32::try_from(largest).unwrap_or(WINDOW));
        let welcome = Welcome {
            journal: cx.journal(),
            largest: u32::try_from(largest).unwrap_or(u32::MAX),
            window,
            position,
            run,
        };
        agent::put(&mut line.exchange.outbox, &Word::Welcome(welcome));
        let mut session = Session {
            cx: cx.clone(),
            agents: agents.clone(),
            known: position.unwrap_or(hello.acknowledged),
            detail: reports::detail(&hello.name, hello.run),
            source,
            hello,
            stream,
            largest,
            unpacking: zstd::bulk::Decompressor::new()?,
            begun: cx.engine.memory.unfinished(),
        };
        session.greet(line.exchange.peer().to_string());
        Ok((session, seat))
    }

    /// Says who has come, and leaves to others what went to others.
    fn greet(&mut self, peer: String) {
        let (input, agent) = (&*self.cx.name, &*self.source);
        let elsewhere = self.hello.acknowledged;
        tracing::info!(input, agent, peer, position = self.known, "an agent has come");
        if self.hello.has_others && elsewhere > self.known {
            let (first, last) = (self.known + 1, elsewhere);
            tracing::info!(input, agent, first, last, "entries of an agent went elsewhere");
            self.known = elsewhere;
        }
    }

    /// Takes what the agent sends until it goes.
    async fn run(&mut self, line: &mut Line) -> anyhow::Result<()> {
        let most = self.largest + self.largest / 128 + agent::MAX_WORD;
        loop {
            while let Some(head) = agent::head(line.exchange.inbox(), most)? {
                match agent::word(&head, line.exchange.inbox())? {
                    Word::Batch(batch, data) => {
                        let bytes = batch.plain as usize;
                        let Some(claim) = self.cx.engine.memory.try_claim(bytes) else {
                            drop(line.room(&self.cx.engine.memory, bytes).await?);
                            continue;
                        };
                        let plain = self.unpack(&batch, data)?;
                        line.exchange.take(head.length);
                        self.batch(&batch, (plain, claim), line).await?;
                    }
                    Word::Ping { first, last } => {
                        line.exchange.take(head.length);
                        self.passed_over(first, last).await?;
                    }
                    Word::Refusal(text) => return Err(agent::Error::Refused(text).into()),
                    _ => return Err(agent::Error::Malformed(head.kind).into()),
                }
            }
            self.wait_for_the_rest(line).await?;
            let silence = line.exchange.silence();
            anyhow::ensure!(silence < SILENCE, "the agent is silent");
            let has_room = line.has_room();
            match line.turn(has_room).await {
                Err(error) if has_room => return ended_in_order(error),
                done => done?,
            }
            if silence > line.exchange.silence() && self.agents.hear(&self.source) {
                reports::inject(&self.cx, &self.source, Report::Heard).await?;
            }
        }
    }

    /// Holds of the memory what the beginning of a word takes, and waits for room for what follows.
    async fn wait_for_the_rest(&mut self, line: &mut Line) -> anyhow::Result<()> {
        let begun = line.exchange.inbox().len();
        if begun <= SMALL {
            self.begun.resize(0);
            return Ok(());
        }
        self.begun.resize(begun);
        drop(line.room(&self.cx.engine.memory, SMALL).await?);
        Ok(())
    }

    fn unpack(&mut self, batch: &BatchHead, data: &[u8]) -> anyhow::Result<Bytes> {
        let length = batch.plain as usize;
        if length > self.largest {
            return Err(agent::Error::TooLarge { length, most: self.largest }.into());
        }
        anyhow::ensure!(batch.journal == self.hello.journal, "a batch of another journal");
        let plain = if batch.is_compressed {
            self.unpacking.decompress(data, length).map_err(|_| agent::Error::Data)?
        } else {
            data.to_vec()
        };
        if plain.len() != length {
            return Err(agent::Error::Data.into());
        }
        Ok(plain.into())
    }

    /// Takes a batch, unless it is known, and says what lies between it and what is known.
    async fn batch(
        &mut self,
        batch: &BatchHead,
        (plain, claim): (Bytes, Claim),
        line: &mut Line,
    ) -> anyhow::Result<()> {
        let is_part = batch.before == batch.last;
        let is_known = batch.last < self.known || (batch.last == self.known && !is_part);
        if is_known {
            self.agents.numbers.repeats.add(1);
            let receipt = self.stream.receipt().await?;
            line.pending.push_back((batch.last, receipt, None));
            return Ok(());
        }
        anyhow::ensure!(
            batch.before >= self.known,
            "a batch of {} to {} overlaps what is known, up to {}",
            batch.before,
            batch.last,
            self.known
        );
        self.gap(batch.before, "were acknowledged and are lost here").await?;
        self.gap(batch.first.saturating_sub(1), "were missed").await?;
        self.agents.numbers.batches.add(1);
        self.known = batch.last;
        let position = SourcePosition { offset: batch.last, detail: self.detail.clone() };
        let Session { stream, agents, source, .. } = self;
        let taking = async {
            stream.frames(plain, position).await?;
            stream.receipt().await
        };
        tokio::pin!(taking);
        let receipt = loop {
            tokio::select! {
                biased;
                receipt = &mut taking => break receipt?,
                turn = line.turn(false) => turn?,
            }
            // It is heard when there is room for what it says.
            agents.hear(source);
        };
        line.pending.push_back((batch.last, receipt, Some(claim)));
        Ok(())
    }

    /// Names what lies between what is known and `last`, and passes over it.
    async fn gap(&mut self, last: u64, reason: &'static str) -> anyhow::Result<()> {
        if last <= self.known {
            return Ok(());
        }
        let first = self.known + 1;
        let (input, agent) = (&*self.cx.name, &*self.source);
        tracing::warn!(input, agent, first, last, "entries of an agent {reason}");
        self.agents.numbers.gaps.add(1);
        self.agents.numbers.missing.add(last - self.known);
        self.known = last;
        reports::inject(&self.cx, &self.source, Report::Gap { first, last, reason }).await
    }

    /// Notes what the agent has passed over; nobody waits for that to be durable.
    async fn passed_over(&mut self, first: u64, last: u64) -> anyhow::Result<()> {
        if last <= self.known {
            return Ok(());
        }
        self.gap(first.saturating_sub(1).min(last), "were missed").await?;
        self.known = last;
        let position = SourcePosition { offset: last, detail: self.detail.clone() };
        self.stream.frames(Bytes::new(), position).await
    }

    /// Has all that was taken become durable and acknowledges it, so that whoever serves the agent
    /// next knows of it.
    async fn end(&mut self, line: &mut Line) {
        if self.stream.durable().await.is_ok()
            && let Some((position, ..)) = line.pending.back()
        {
            agent::put(&mut line.exchange.outbox, &Word::Ack(*position));
        }
        line.pending.clear();
    }
}

/// An agent that closes its connection has nothing more to say.
fn ended_in_order(error: anyhow::Error) -> anyhow::Result<()> {
    match error.downcast_ref::<std::io::Error>() {
        Some(end) if end.kind() == std::io::ErrorKind::UnexpectedEof => Ok(()),
        _ => Err(error),
    }
}

/// Waits for the hello.
async fn hello(exchange: &mut Exchange) -> anyhow::Result<Hello> {
    loop {
        if let Some(head) = agent::head(exchange.inbox(), agent::MAX_WORD)? {
            let Word::Hello(hello) = agent::word(&head, exchange.inbox())? else {
                return Err(agent::Error::Malformed(head.kind).into());
            };
            exchange.take(head.length);
            return Ok(hello);
        }
        exchange.step().await?;
    }
}
