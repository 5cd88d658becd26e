//! The seam of encoders: how a message becomes bytes again.

use std::path::PathBuf;

use super::Engine;
use super::States;
use crate::message::Batch;
use crate::message::Message;

/// An encoder as configured.
pub trait Encoder: Send + Sync {
    /// Gives what encodes, on the thread that will own it.
    ///
    /// # Errors
    /// When the settings cannot work: a script that does not load.
    fn start(&self, cx: &EncoderContext<'_>) -> anyhow::Result<Box<dyn Encoding>>;

    /// Whether it gives each message as it is, encoded as in its batch; outputs frame those unless
    /// told otherwise.
    fn gives_messages(&self) -> bool {
        false
    }

    /// The files it is made of, besides its section.
    fn files(&self, _engine: &Engine) -> Vec<PathBuf> {
        Vec::new()
    }

    /// What those files say: an encoder is swapped when it is different.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn version(&self, _engine: &Engine) -> anyhow::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// What an encoder is lent when it starts.
pub struct EncoderContext<'a> {
    /// The name of its section.
    pub name: &'a str,
    /// The engine.
    pub engine: &'a Engine,
}

/// Encodes the messages of one output, on one thread.
pub trait Encoding {
    /// Appends what `message` becomes to `out`; `false` when it becomes nothing.
    ///
    /// # Errors
    /// When it cannot be encoded; what was appended is taken away by the caller.
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool>;

    /// Hands its state on, where it has one that is to be kept.
    fn hand_on(&mut self, _states: &mut States) {}

    /// Takes over the state that an earlier version handed on.
    ///
    /// # Errors
    /// When the state does not fit.
    fn take_over(&mut self, _states: &States) -> anyhow::Result<()> {
        Ok(())
    }

    /// Appends what the messages of `batch` become whose indices are in `matched`, each a record;
    /// an index whose message failed goes to `on_failure`.
    fn encode_batch(
        &mut self,
        batch: &Batch,
        matched: &[u16],
        out: &mut Encoded,
        on_failure: &mut dyn FnMut(u16, anyhow::Error),
    ) {
        for &index in matched {
            let start = out.bytes.len();
            match self.encode(&batch.message(usize::from(index)), &mut out.bytes) {
                Ok(true) => out.close_record(),
                Ok(false) => out.bytes.truncate(start),
                Err(error) => {
                    out.bytes.truncate(start);
                    on_failure(index, error);
                }
            }
        }
    }
}

/// Records one behind the other, and where each ends.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// The records, back to back.
    pub bytes: Vec<u8>,
    /// Where each record ends in `bytes`.
    pub ends: Vec<u32>,
}

impl Encoded {
    /// Says that what was appended since the last record is a record.
    pub fn close_record(&mut self) {
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    /// Takes all records away; the memory stays.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Tells whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The record at `index`.
    pub fn record(&self, index: usize) -> &[u8] {
        &self.bytes[self.start(index)..self.ends[index] as usize]
    }

    /// Where the record at `index` begins.
    pub fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }

    /// The records, in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.record(index))
    }
}
