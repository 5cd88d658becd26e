//! The acknowledged protocol between an agent and an aggregator.
//!
//! An agent sends what its journal holds, the aggregator says how far it has it on disk. Both write
//! frames, numbers in little endian:
//!
//! | offset | bytes | content |
//! | --- | --- | --- |
//! | 0 | 1 | 0xAC; Heka's framing begins with 0x1E |
//! | 1 | 1 | the kind of frame |
//! | 2 | 4 | length of the body |
//! | 6 | 4 | CRC-32 of the six bytes before and the body |
//! | 10 | n | the body |
//!
//! | kind | from | body |
//! | --- | --- | --- |
//! | 1 hello | agent | `HEKA`, version u16, flags u8, journal \[16\], acknowledged u64, run u64, name, stream |
//! | 2 welcome | aggregator | version u16, journal \[16\], largest u32, window u32, is known u8, position u64, run u64 |
//! | 3 batch | agent | journal \[16\], before u64, first u64, last u64, plain u32, compression u8, data |
//! | 4 ack | aggregator | position u64 |
//! | 5 ping | agent | first u64, last u64 |
//! | 6 pong | aggregator | nothing |
//! | 7 refusal | both | text |
//!
//! `name`, `stream` and `text` are of at most 255 bytes behind their length, u8. The name is that of
//! the agent's host, the stream that of the output; name, stream and journal together are the source.
//!
//! **Positions** are numbers of entries in the agent's journal. A batch holds the records of all
//! entries behind `before`, up to `last`, that the output is to send, in Heka's plain framing;
//! nothing was missed from `first` on. `before` is the `last` of what was sent before. So whatever
//! way batches are cut after a break,
//!
//! - `first` beyond what the aggregator has, plus one, is a **gap**: the agent's journal no longer
//!   had what lies between,
//! - `before` beyond what it has is what went **elsewhere**, to another aggregator, or a gap where
//!   there is no other (bit 0 of the flags),
//! - `last` not beyond it is a **repeat**, and is passed over.
//!
//! A batch whose `last` is `before` is part of an entry that is larger than `largest`; the rest follows,
//! and after a break the whole entry comes again.
//!
//! **Resuming.** The agent says how far it has been acknowledged, by whomever; the aggregator how far
//! its journal has this source. The agent goes on behind the latter: forwards when an ack was lost,
//! and backwards, as far as its journal reaches, when there is no other aggregator: then what the
//! aggregator has lost comes again. With others it goes on behind what was acknowledged. Bit 1 of the
//! flags says that the agent's journal has lost its end, so that the aggregator must forget its
//! position: those behind are given anew.
//!
//! **Copies.** Machines that were made of one image may have the same name and the same journal. Each run
//! of an agent has a number; the aggregator keeps that of the run a position was sent by and gives
//! it back. An agent that finds the number of a run which is neither its own nor one before it in
//! its journal, or a position that it has not come to, says that its journal has lost its end, and
//! goes on behind what was acknowledged. A run that comes again after another had its place is a
//! second machine: from then on the aggregator takes it for another source, and says so.
//!
//! **Windows.** At most `window` bytes of plain batches, or one batch, are on their way; the agent may keep to less. A
//! batch is taken into one entry of the aggregator's journal together with its position, whole or not
//! at all, and acknowledged when that is durable; an ack covers all before it.
//!
//! **Life.** A ping says what an agent has passed over that was not for this output, and that it
//! lives; 0 and 0 say the latter alone. A pong says that the aggregator lives, however long its disk
//! takes. Each is sent after 5 s in which nothing else was ([`QUIET`]).
//!
//! **Errors.** Who cannot go on says why in a refusal and closes the connection.

mod frame;
mod words;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use frame::Head;
pub use frame::MAGIC;
pub use frame::begins;
pub use frame::head;
pub use frame::put_with;
pub use words::BatchHead;
pub use words::Hello;
pub use words::Welcome;
pub use words::Word;
pub use words::put;
pub use words::put_batch;
pub use words::word;

/// The version spoken here.
pub const VERSION: u16 = 1;
/// After how much silence a side says that it lives.
pub const QUIET: Duration = Duration::from_secs(5);
/// The longest frame of any kind but a batch, in bytes of its body.
pub const MAX_WORD: usize = 1024;
/// Bytes of a batch's body before its data.
pub const BATCH_HEAD: usize = 16 + 3 * 8 + 4 + 1;
/// The largest batch that is ever taken, uncompressed.
pub const LARGEST: usize = 64 << 20;

/// Why a side does not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A frame does not begin as one.
    #[error("a frame begins with {0:#04x}")]
    Magic(u8),
    /// A frame is longer than allowed.
    #[error("a frame of {length} bytes, {most} are allowed")]
    TooLarge {
        /// What it says.
        length: usize,
        /// What is allowed.
        most: usize,
    },
    /// What came is not what was sent.
    #[error("the checksum of a frame is wrong")]
    Checksum,
    /// A body is not what its kind says.
    #[error("a frame of kind {0} is malformed")]
    Malformed(u8),
    /// The other side speaks another version.
    #[error("it speaks version {0}, here is version {VERSION}")]
    Version(u16),
    /// The data of a batch cannot be unpacked.
    #[error("the data of a batch is damaged")]
    Data,
    /// The other side said why it does not go on.
    #[error("the other side refuses: {0}")]
    Refused(String),
}
