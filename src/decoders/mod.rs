//! How a record becomes messages.

use crate::plugin::Decoder;
use crate::plugin::Kind;

/// The kinds of this family, one row each.
pub const DECODERS: &[Kind<dyn Decoder>] = &[];
