//! The message: bytes with a view over them.
//!
//! A message is a Heka protocol buffer and stays one, in memory, on disk and on the wire. Nothing
//! here turns it into a struct of strings: [`Message`] reads it in place, [`Builder`] writes it
//! straight into a [`Batch`], and what is relayed is never encoded again.
//!
//! In reading order:
//! - [`Header`]: where the header fields lie, found once;
//! - [`Message`], [`Field`], [`Value`]: the view;
//! - [`Batch`], [`Builder`]: many messages in one buffer, and how one is written;
//! - [`Draft`]: a message that is still being changed, for decoders and encoders;
//! - [`Source`], [`SourcePosition`]: what a position belongs to, and the position;
//! - [`frame`]: Heka's stream framing, as every message in a batch has it;
//! - [`sign`]: signatures of framed messages;
//! - [`template`]: text with places that a message fills;
//! - [`Uuids`]: random names for messages.

mod batch;
mod builder;
mod draft;
mod field;
pub mod frame;
mod header;
pub mod places;
pub mod sign;
mod source;
pub mod template;
mod uuid;
mod view;
mod wire;

#[cfg(test)]
mod tests;

pub use batch::Answer;
pub use batch::Batch;
pub use batch::Marks;
pub use builder::ArrayBuilder;
pub use builder::Builder;
pub use builder::FieldStart;
pub use draft::Draft;
pub use field::Field;
pub use field::FieldHead;
pub use field::Fields;
pub use field::Value;
pub use field::ValueType;
pub use field::Values;
pub use header::DEFAULT_SEVERITY;
pub use header::Header;
pub use places::Places;
pub use source::Source;
pub use source::SourcePosition;
pub use uuid::Uuids;
pub use uuid::parse as parse_uuid;
pub use uuid::text as uuid_text;
pub use view::Message;

/// What is wrong with the bytes of a message.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum Error {
    /// A value goes on past the end, or a tag is none.
    #[error("message is cut off or damaged at byte {at}")]
    Truncated {
        /// Offset of the value or tag from the start of the message.
        at: usize,
    },
    /// A header field has another wire type than its own.
    #[error("field {number} of the message has a wrong wire type at byte {at}")]
    WireType {
        /// The number of the field.
        number: u64,
        /// Offset of its tag.
        at: usize,
    },
    /// The message, or the batch it should go into, exceeds 4 GiB.
    #[error("message is too large")]
    TooLarge,
}
