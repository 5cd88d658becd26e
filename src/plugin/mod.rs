//! The seams between the engine and its plugins.
//!
//! A plugin is one struct: it is its own configuration, read from its section, and implements the
//! trait of its family. Where work is done on another thread, the struct is started there and
//! gives what does the work:
//!
//! | family | the plugin | what works | where |
//! | --- | --- | --- | --- |
//! | inputs | [`Input`] | itself | a task |
//! | splitters | [`Splitter`] | [`Splitting`] | a decode thread |
//! | decoders | [`Decoder`] | [`Decoding`] | a decode thread |
//! | filters | [`Filter`] | [`Filtering`] | an analysis thread |
//! | encoders | [`Encoder`] | [`Encoding`] | a delivery thread |
//! | outputs | [`Output`] | itself | a task |
//!
//! [`Kind`] is a row of the catalog. What a plugin is lent by the engine it gets in a context.

mod catalog;
mod decoder;
mod encoder;
mod filter;
mod framed;
mod handover;
mod input;
mod listens;
mod memory;
mod output;
mod record;
mod splitter;
mod wishes;

pub use catalog::Catalog;
pub use catalog::Defaults;
pub use catalog::Described;
pub use catalog::Kind;
pub use decoder::Decoder;
pub use decoder::DecoderContext;
pub use decoder::Decoding;
pub use decoder::Quiet;
pub use decoder::States;
pub use encoder::Encoded;
pub use encoder::Encoder;
pub use encoder::EncoderContext;
pub use encoder::Encoding;
pub use filter::Failure as FilterFailure;
pub use filter::Filter;
pub use filter::FilterCall;
pub use filter::FilterContext;
pub use filter::Filtering;
pub use filter::Portion;
pub use filter::Stop;
pub use filter::Usage;
pub use framed::framed;
pub use handover::Handover;
pub use input::Delivery;
pub use input::Input;
pub use input::InputContext;
pub use input::Lender;
pub use input::Receipt;
pub use input::Stopping;
pub use input::Stream;
pub use listens::Listens;
pub use memory::Claim;
pub use memory::Memory;
pub use output::Batching;
pub use output::Carried;
pub use output::Failure;
pub use output::Load;
pub use output::Origin as LoadOrigin;
pub use output::Output;
pub use output::OutputContext;
pub use output::Reached;
pub use output::Sent;
pub use record::Form;
pub use record::Origin;
pub use record::Record;
pub use splitter::Cut;
pub use splitter::Splitter;
pub use splitter::Splitting;
pub use wishes::Wish;
pub use wishes::Wishes;

use std::path::PathBuf;
use std::sync::Arc;

use crate::metrics::Registry;

/// What every plugin may know of the engine it runs in.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The name of this host, as messages carry it.
    pub hostname: Arc<str>,
    /// The process id, as messages carry it.
    pub pid: i32,
    /// Where state is kept.
    pub base_dir: PathBuf,
    /// Where scripts and modules lie that win over the embedded ones.
    pub share_dir: PathBuf,
    /// The largest message, in bytes.
    pub max_message_size: usize,
    /// How many times what derives from a message may be injected.
    pub max_message_loops: u8,
    /// How many messages a filter may inject in one `process_message`.
    pub max_process_inject: u32,
    /// How many messages a filter may inject in one `timer_event`.
    pub max_timer_inject: u32,
    /// The budget of memory that all plugins share.
    pub memory: Arc<Memory>,
    /// All numbers of the engine.
    pub metrics: Arc<Registry>,
}
