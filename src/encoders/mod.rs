//! How a message becomes bytes again.

use crate::plugin::Encoder;
use crate::plugin::Kind;

/// The kinds of this family, one row each.
pub const ENCODERS: &[Kind<dyn Encoder>] = &[];
