//! The seam of splitters: how records are cut from a stream of bytes.

use super::Engine;
use super::record::Form;

/// A splitter as configured.
pub trait Splitter: Send + Sync {
    /// Gives what splits one stream.
    ///
    /// # Errors
    /// When the settings cannot work in this engine.
    fn start(&self, engine: &Engine) -> anyhow::Result<Box<dyn Splitting>>;
}

/// What stands at the start of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A record.
    Record {
        /// Where it lies in the bytes.
        record: std::ops::Range<usize>,
        /// How many bytes it takes from the stream, delimiters included.
        consumed: usize,
        /// What it is.
        form: Form,
        /// Whether it was signed, and then who did: the number is [`Splitting::signer`]'s.
        signer: Option<usize>,
    },
    /// No whole record: more bytes are needed. Not answered for the end of a stream.
    More,
    /// Nothing in these bytes but `consumed` to pass over; a reason where something was lost.
    Skip {
        /// How many bytes to pass over, at least one.
        consumed: usize,
        /// What was lost, for the log; `None` where nothing was.
        lost: Option<String>,
    },
}

/// Splits one stream.
pub trait Splitting {
    /// Finds the first record in `bytes`, which begin where the last record ended and are not
    /// empty. `is_end` says that no more will follow: what is left is then a record (it is used
    /// only where the section asks for incomplete ones), or skipped.
    ///
    /// Called with the same start and more bytes after [`Cut::More`]; a splitter may keep how far it
    /// has searched, and forgets it when it answers otherwise.
    fn cut(&mut self, bytes: &[u8], is_end: bool) -> Cut;

    /// Forgets the bytes seen since the last answer: the stream goes on elsewhere, or what was left
    /// of a record was dropped.
    fn forget(&mut self) {}

    /// The name behind a number in [`Cut::Record`].
    fn signer(&self, _number: usize) -> Option<&str> {
        None
    }
}
