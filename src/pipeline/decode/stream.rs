//! One stream on its thread: its splitter, its decoder and where it is.

use std::sync::Arc;

use anyhow::Context;

use crate::message::Source;
use crate::message::SourcePosition;
use crate::pipeline::counters::InputCounters;
use crate::pipeline::failures::Failures;
use crate::pipeline::parts::Parts;
use crate::plugin::Claim;
use crate::plugin::Decoding;
use crate::plugin::Engine;
use crate::plugin::Origin;
use crate::plugin::Splitting;
use crate::plugin::States;

/// A carry of so many bytes is not counted.
const SMALL: usize = 16 * 1024;

/// What a thread needs to open a stream.
pub(in crate::pipeline) struct StreamPlan {
    pub(in crate::pipeline) engine: Engine,
    pub(in crate::pipeline) parts: Arc<Parts>,
    pub(in crate::pipeline) input: Arc<str>,
    pub(in crate::pipeline) splitter: String,
    pub(in crate::pipeline) decoder: Option<String>,
    pub(in crate::pipeline) failures: DecodeFailures,
    /// Tells of records that cannot be decoded.
    pub(in crate::pipeline) undecoded: Failures,
    pub(in crate::pipeline) origin: Origin,
    pub(in crate::pipeline) source: Option<Source>,
    pub(in crate::pipeline) counters: Arc<InputCounters>,
}

/// What happens to records that cannot be decoded.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct DecodeFailures {
    /// They go on as they are, with fields that say so.
    pub(in crate::pipeline) send: bool,
    /// They are logged.
    pub(in crate::pipeline) log: bool,
}

/// An open stream.
pub(super) struct Stream {
    pub(super) plan: StreamPlan,
    pub(super) splitting: Box<dyn Splitting>,
    pub(super) decoding: Option<Box<dyn Decoding>>,
    pub(super) position: SourcePosition,
    /// What is left of the last bytes: the beginning of a record.
    pub(super) carry: Vec<u8>,
    /// What the carry takes of the memory.
    held: Claim,
    /// A record that is too long is being passed over.
    pub(super) is_skipping: bool,
    pub(super) keep_truncated: bool,
    pub(super) use_message_bytes: Option<bool>,
    pub(super) deliver_incomplete_final: bool,
    /// How many batches the journal had not taken when the stream last asked.
    pub(super) refused: u64,
    /// A receipt has failed: nothing later may be taken in frames.
    pub(super) is_broken: bool,
    /// The longest record, in bytes.
    pub(super) max_record: usize,
}

impl Stream {
    pub(super) fn open(plan: StreamPlan) -> anyhow::Result<Stream> {
        let part = plan.parts.splitter(&plan.splitter)?;
        let splitting = part
            .plugin
            .start(&plan.engine)
            .with_context(|| format!("cannot start splitter {}", plan.splitter))?;
        let decoding = match &plan.decoder {
            None => None,
            Some(name) => Some(plan.parts.start_decoder(name, &plan.engine)?),
        };
        Ok(Stream {
            splitting,
            decoding,
            position: SourcePosition::default(),
            carry: Vec::new(),
            held: plan.engine.memory.unfinished(),
            is_skipping: false,
            keep_truncated: part.keep_truncated,
            use_message_bytes: part.use_message_bytes,
            deliver_incomplete_final: part.deliver_incomplete_final,
            refused: 0,
            is_broken: false,
            max_record: plan.engine.max_message_size + crate::message::frame::MAX_OVERHEAD,
            plan,
        })
    }

    /// Counts a carry that is not small to the memory in use.
    pub(super) fn claim_carry(&mut self) {
        let length = self.carry.len();
        self.held.resize(if length > SMALL { length } else { 0 });
    }

    /// Goes over to the decoder of `parts`, which takes over what the one before kept.
    pub(super) fn recode(&mut self, parts: &Arc<Parts>) -> anyhow::Result<()> {
        if let Some(name) = &self.plan.decoder {
            let mut fresh = parts.start_decoder(name, &self.plan.engine)?;
            if let Some(old) = &mut self.decoding {
                let mut states = States::new();
                old.hand_on(&mut states);
                fresh.take_over(&states).context("it cannot take over the state")?;
            }
            self.decoding = Some(fresh);
        }
        self.plan.parts = parts.clone();
        Ok(())
    }

    /// Goes to another place in the source, or renews what is said of this one.
    pub(super) fn seek(&mut self, position: SourcePosition) {
        if position.offset == self.position.offset + self.carry.len() as u64 {
            self.position.detail = position.detail;
            return;
        }
        if !self.carry.is_empty() {
            self.plan.counters.dropped.add(1);
            self.carry.clear();
        }
        self.splitting.forget();
        self.is_skipping = false;
        self.position = position;
    }
}
