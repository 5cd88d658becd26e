//! How records are cut from a stream of bytes.

use crate::plugin::Kind;
use crate::plugin::Splitter;

/// The kinds of this family, one row each.
pub const SPLITTERS: &[Kind<dyn Splitter>] = &[];
