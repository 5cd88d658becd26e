//! What the scripts of inputs and outputs give to their host: messages with checkpoints, and word of
//! what has been sent.

use std::time::Duration;
use std::time::Instant;

use super::context::Context;
use crate::message::Batch;

/// How far an input has got, as its script says it: it comes back after a restart.
#[derive(Clone, Debug, PartialEq)]
pub enum Checkpoint {
    /// A number, the offset in a file say.
    Number(f64),
    /// At most [`Checkpoint::MAX_TEXT`] bytes.
    Text(Vec<u8>),
}

/// What the stored form of a number begins with, and of a text that begins with the same byte.
const MARK: u8 = 0xff;

impl Checkpoint {
    /// The longest text, in bytes.
    pub const MAX_TEXT: usize = 8 * 1024;

    /// The form in which it is stored: a text as it is; a number as the mark, `n` and eight bytes,
    /// little-endian; a text that begins with the mark has it twice.
    #[must_use]
    pub fn to_stored(&self) -> Vec<u8> {
        let mut stored = Vec::new();
        match self {
            Checkpoint::Number(number) => {
                stored.extend_from_slice(&[MARK, b'n']);
                stored.extend_from_slice(&number.to_le_bytes());
            }
            Checkpoint::Text(text) => {
                if text.first() == Some(&MARK) || text.is_empty() {
                    stored.push(MARK);
                }
                stored.extend_from_slice(text);
            }
        }
        stored.truncate(Checkpoint::MAX_TEXT);
        stored
    }

    /// Reads what was stored; `None` of nothing.
    #[must_use]
    pub fn of_stored(stored: &[u8]) -> Option<Checkpoint> {
        match stored {
            [] => None,
            [MARK, b'n', number @ ..] if number.len() == 8 => {
                Some(Checkpoint::Number(f64::from_le_bytes(number.try_into().ok()?)))
            }
            [MARK, text @ ..] => Some(Checkpoint::Text(text.to_vec())),
            text => Some(Checkpoint::Text(text.to_vec())),
        }
    }
}

/// Takes what the script of an input injects.
pub trait Feed {
    /// Takes messages, and how far they reach; false when the engine stops and takes no more.
    fn deliver(&mut self, batch: Batch, checkpoint: Option<Checkpoint>) -> bool;
}

/// What the script of an output has said of messages that were not certain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// All that was taken so far is done.
    pub all: bool,
    /// These messages are done, by their sequence numbers.
    pub sequences: Vec<u64>,
    /// How many of them failed.
    pub failures: u64,
}

/// How long an injected message of an input may wait for others.
const LINGER: Duration = Duration::from_millis(5);

/// What an input has injected and not yet handed over.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) batch: Batch,
    pub(super) checkpoint: Option<Checkpoint>,
    since: Option<Instant>,
}

impl Context {
    /// Hands over what an input has injected when there is enough of it, or it has waited long.
    /// False when the engine takes no more.
    pub(super) fn hand_over_if_due(&mut self) -> bool {
        let since = self.pending.since.get_or_insert_with(Instant::now);
        if self.pending.batch.is_full() || since.elapsed() >= LINGER {
            return self.hand_over();
        }
        true
    }

    /// Hands over what an input has injected, before it waits for something.
    pub(super) fn hand_over(&mut self) -> bool {
        let pending = std::mem::take(&mut self.pending);
        if pending.batch.is_empty() && pending.checkpoint.is_none() {
            return true;
        }
        self.loan.feed().is_some_and(|feed| feed.deliver(pending.batch, pending.checkpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_come_back_as_they_were() {
        let text = |bytes: &[u8]| Checkpoint::Text(bytes.to_vec());
        for checkpoint in [
            Checkpoint::Number(-1.5),
            text(b""),
            text(b"offset 12"),
            text(b"\xff"),
            text(b"\xffn12345678"),
            text(&[7; Checkpoint::MAX_TEXT]),
        ] {
            let stored = checkpoint.to_stored();
            assert_eq!(Checkpoint::of_stored(&stored), Some(checkpoint));
        }
        assert_eq!(Checkpoint::of_stored(b""), None);
    }
}
