//! Reads, matches and encodes for one output.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use tokio::sync::mpsc;

use super::MAX_LOAD;
use super::OutputPlan;
use super::Parcel;
use super::Shared;
use super::letters;
use crate::journal::Body;
use crate::journal::Entry;
use crate::journal::Next;
use crate::journal::Position;
use crate::journal::Reader;
use crate::message::Batch;
use crate::message::Message;
use crate::pipeline::failures::Failures;
use crate::pipeline::routing::Routing;
use crate::plugin::Batching;
use crate::plugin::Carried;
use crate::plugin::Encoded;
use crate::plugin::Encoder;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;
use crate::plugin::Load;
use crate::plugin::LoadOrigin;
use crate::plugin::States;

/// So many messages are kept at most for the records of a load, for outputs that look at them.
const MAX_MESSAGES: usize = 4096;
/// How an output is fed that does not say otherwise.
const AT_ONCE: Batching = Batching { records: 1, bytes: MAX_LOAD, interval: Duration::ZERO };

/// What a feeder grows from on the thread: an encoder is made there and never leaves it.
pub(super) struct Seed {
    pub(super) plan: OutputPlan,
    pub(super) reader: Reader,
    pub(super) parcels: mpsc::Sender<Parcel>,
    pub(super) shared: Arc<Shared>,
    pub(super) failures: Failures,
}

/// The delivery thread's side of an output.
pub(super) struct Feeder {
    plan: OutputPlan,
    /// Tells of what cannot be encoded.
    failures: Failures,
    reader: Reader,
    encoding: Box<dyn Encoding>,
    parcels: mpsc::Sender<Parcel>,
    shared: Arc<Shared>,
    row: Option<usize>,
    /// The last entry that was read.
    read: Position,
    /// The last entry that was put into the queue.
    queued: Position,
    committed: Position,
    /// The last entry of those that were missed behind what has been built.
    missed: Option<Position>,
    /// How often it has gone back.
    round: u64,
    building: Encoded,
    /// Which of its records are dead letters.
    letters: Vec<usize>,
    /// The messages behind the records of the load, for an output that looks at them.
    messages: Option<Vec<LoadOrigin>>,
    batching: Batching,
    /// When the first record of the load was made.
    since: Option<Instant>,
    /// About how large a load gets, so that its buffer is allocated once.
    usual: usize,
}

/// An entry that messages of a load are in.
#[derive(Debug)]
struct Holding(Arc<Entry>);

impl Carried for Holding {
    fn batch(&self) -> &Batch {
        match &self.0.body {
            Body::Batch(batch) => batch,
            _ => unreachable!("only messages of a batch are matched"),
        }
    }

    fn entry(&self) -> u64 {
        self.0.position.0
    }
}

/// What stands for an encoder where a section names none: the payload as it is.
struct Plain;

impl Encoding for Plain {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        out.extend_from_slice(message.payload());
        Ok(true)
    }
}

/// Starts the encoder of an output, framed where that is asked for.
fn encoding_of(plan: &OutputPlan) -> anyhow::Result<Box<dyn Encoding>> {
    let context = &plan.context;
    let encoding = match &plan.encoder {
        None => Box::new(Plain),
        Some((name, encoder)) => encoder
            .start(&EncoderContext { name, engine: &context.engine })
            .with_context(|| format!("cannot start encoder {name}"))?,
    };
    Ok(if context.is_framed {
        crate::plugin::framed(encoding, context.has_messages)
    } else {
        encoding
    })
}

impl Feeder {
    /// Starts the encoder.
    pub(super) fn grow(seed: Seed, routing: &Routing) -> anyhow::Result<Feeder> {
        let Seed { plan, reader, parcels, shared, failures } = seed;
        let encoding = encoding_of(&plan)?;
        let context = &plan.context;
        let position = reader.position();
        // The task makes one of its own, and reports when that is impossible.
        let output = (plan.make)().ok();
        let batching = output.as_ref().and_then(|output| output.batching()).unwrap_or(AT_ONCE);
        let reads_messages = output.is_some_and(|output| output.reads_messages());
        Ok(Feeder {
            row: routing.row(&context.name),
            failures,
            encoding,
            parcels,
            shared,
            read: position,
            queued: position,
            committed: position,
            missed: None,
            round: 0,
            building: Encoded::default(),
            letters: Vec::new(),
            messages: reads_messages.then(Vec::new),
            batching,
            since: None,
            usual: 0,
            reader,
            plan,
        })
    }

    /// The name of the output.
    pub(super) fn name(&self) -> &str {
        &self.plan.context.name
    }

    /// Goes over to another version of its encoder from the next entry on, with the state of the one
    /// before. If that fails, the one before goes on.
    pub(super) fn recode(&mut self, name: &str, encoder: Arc<dyn Encoder>) -> anyhow::Result<()> {
        let before = self.plan.encoder.replace((name.to_owned(), encoder));
        let started = encoding_of(&self.plan).and_then(|mut fresh| {
            let mut states = States::new();
            self.encoding.hand_on(&mut states);
            fresh.take_over(&states).context("it cannot take over the state")?;
            Ok(fresh)
        });
        match started {
            Ok(fresh) => self.encoding = fresh,
            Err(error) => {
                self.plan.encoder = before;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Asks another matcher from the next entry on.
    pub(super) fn route(&mut self, routing: &Routing) {
        self.row = routing.row(&self.plan.context.name);
    }

    /// Moves the cursor over what is delivered.
    pub(super) fn commit(&mut self) {
        let delivered = Position(self.shared.reached.delivered.load(Ordering::Acquire));
        if delivered > self.committed {
            self.committed = delivered;
            self.reader.commit(delivered);
        }
    }

    /// Goes back to what is delivered, when what was sent behind that did not become certain: the
    /// journal holds it, so nobody else has to.
    fn go_back(&mut self) {
        let round = self.shared.rounds.load(Ordering::Acquire);
        if round != self.round {
            self.round = round;
            let delivered = Position(self.shared.reached.delivered.load(Ordering::Acquire));
            self.reader.seek(delivered);
            self.read = delivered;
            self.queued = delivered;
            self.start_anew();
            self.missed = None;
            self.shared.reached.whole_from.store(delivered.0 + 1, Ordering::Release);
        }
    }

    /// Has the next record begin a load; gives what there was.
    fn start_anew(&mut self) -> (Encoded, Vec<LoadOrigin>) {
        self.since = None;
        self.letters.clear();
        let messages = self.messages.as_mut().map(std::mem::take);
        (std::mem::take(&mut self.building), messages.unwrap_or_default())
    }

    /// Fills the queue as far as it goes; tells whether anything was read.
    pub(super) fn feed(&mut self, routing: &Routing) -> bool {
        self.commit();
        self.go_back();
        let mut is_moving = false;
        while self.has_place() {
            let is_at_end = self.read_on(routing, &mut is_moving);
            if is_at_end && self.patience().is_some() {
                break;
            }
            self.hand_over();
            if is_at_end {
                break;
            }
        }
        is_moving
    }

    /// How long the load may still wait for more records; `None` when it is to go.
    pub(super) fn patience(&self) -> Option<Duration> {
        if !self.has_place() || self.building.len() >= self.batching.records {
            return None;
        }
        let left = self.batching.interval.checked_sub(self.since?.elapsed())?;
        let is_hurried = self.shared.is_hurried.load(Ordering::Acquire);
        (!is_hurried && !left.is_zero()).then_some(left)
    }

    fn has_place(&self) -> bool {
        let held = self.shared.bytes.load(Ordering::Acquire);
        let is_short = self.plan.context.engine.memory.is_short();
        let most = if is_short { 0 } else { super::MAX_LOADS.saturating_mul(self.batching.bytes) };
        (held == 0 || held < most) && self.parcels.capacity() > 0 && !self.parcels.is_closed()
    }

    fn has_room(&self) -> bool {
        let messages = self.messages.as_ref().map_or(0, Vec::len);
        self.building.bytes.len() < self.batching.bytes && messages < MAX_MESSAGES
    }

    /// Reads until a load is full; tells whether there is no more to read.
    fn read_on(&mut self, routing: &Routing, is_moving: &mut bool) -> bool {
        while self.has_room() {
            if let Some(missed) = self.missed.take() {
                if !self.building.is_empty() {
                    // What was missed lies between two loads, never within one.
                    self.missed = Some(missed);
                    return false;
                }
                self.read = missed;
                self.shared.reached.whole_from.store(missed.0 + 1, Ordering::Release);
            }
            let entry = match self.reader.next() {
                Ok(Next::Entry(entry)) => entry,
                Ok(Next::Empty) => {
                    // Positions may have been left out, as after a crash.
                    self.read = self.read.max(self.reader.position());
                    return true;
                }
                Ok(Next::Missed { first, last, why }) => {
                    let output = self.name();
                    tracing::error!(
                        output,
                        first = first.0,
                        last = last.0,
                        ?why,
                        "entries were missed"
                    );
                    self.missed = Some(last);
                    continue;
                }
                Err(error) => {
                    tracing::error!(output = self.name(), %error, "cannot read the journal");
                    return true;
                }
            };
            *is_moving = true;
            if let Body::Batch(batch) = &entry.body {
                let matches = routing.matches(batch);
                let matched = self.row.map_or(&[][..], |row| matches.of(row));
                let letters_of = letters::of(batch);
                if letters_of != Some(self.name()) {
                    let before = self.building.len();
                    self.encode(&entry, batch, matched);
                    if letters_of.is_some() {
                        self.letters.extend(before..self.building.len());
                    }
                }
            }
            self.read = entry.position;
        }
        false
    }

    fn encode(&mut self, entry: &Arc<Entry>, batch: &Batch, matched: &[u16]) {
        if matched.is_empty() {
            return;
        }
        if self.since.is_none() && !self.batching.interval.is_zero() {
            self.since = Some(Instant::now());
        }
        if self.building.bytes.capacity() == 0 {
            self.building = self.shared.spare().unwrap_or_default();
            self.building.bytes.reserve(self.usual);
        }
        let counters = &self.plan.counters;
        counters.matched.add(matched.len() as u64);
        let name = &self.plan.context.name;
        let mut on_failure = |message: u16, error: anyhow::Error| {
            counters.rejected.add(1);
            let error = format!("{error:#}");
            self.failures.failed(&error, 1);
            tracing::warn!(output = &**name, message, error, "cannot encode a message");
        };
        let Some(messages) = &mut self.messages else {
            self.encoding.encode_batch(batch, matched, &mut self.building, &mut on_failure);
            return;
        };
        let carried: Arc<dyn Carried> = Arc::new(Holding(entry.clone()));
        for index in matched {
            let one = std::slice::from_ref(index);
            self.encoding.encode_batch(batch, one, &mut self.building, &mut on_failure);
            if self.building.len() > messages.len() {
                messages.push((carried.clone(), *index));
            }
        }
    }

    /// Puts the load into the queue, where there is one; otherwise only the position moves.
    fn hand_over(&mut self) {
        if self.read == self.queued {
            return;
        }
        if self.building.is_empty() {
            self.since = None;
            // Without anything under way the cursor moves at once, else with the next load. The task
            // may just have learnt that more is delivered, which must not be undone.
            let (queued, read) = (self.queued.0, self.read.0);
            let (yes, no) = (Ordering::AcqRel, Ordering::Acquire);
            if self.shared.reached.delivered.compare_exchange(queued, read, yes, no).is_ok() {
                self.queued = self.read;
                self.commit();
            }
            return;
        }
        self.usual = self.usual.max(self.building.bytes.len() + self.building.bytes.len() / 8);
        let letters = std::mem::take(&mut self.letters);
        let (encoded, messages) = self.start_anew();
        let mut load = Load::new(encoded, self.read.0);
        load.messages = messages;
        load.whole_from = self.shared.reached.whole_from.load(Ordering::Acquire);
        let weight = super::Weight::new(&self.shared, load.encoded.bytes.len());
        let parcel = Parcel { load, round: self.round, letters, _weight: weight };
        if self.parcels.try_send(parcel).is_ok() {
            self.queued = self.read;
        }
    }
}
