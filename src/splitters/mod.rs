//! How records are cut from a stream of bytes.

mod heka_framing;
mod null;
mod token;

#[cfg(test)]
mod tests;

use crate::plugin::Kind;
use crate::plugin::Splitter;

use heka_framing::HekaFramingSplitter;
use null::NullSplitter;
use token::TokenSplitter;

/// The kinds of this family, one row each.
pub const SPLITTERS: &[Kind<dyn Splitter>] = &[
    Kind::splitter::<HekaFramingSplitter>(),
    Kind::splitter::<NullSplitter>(),
    Kind::splitter::<TokenSplitter>(),
];
