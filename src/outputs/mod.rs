//! Where messages go.

use crate::plugin::Kind;
use crate::plugin::Output;

/// The kinds of this family, one row each.
pub const OUTPUTS: &[Kind<dyn Output>] = &[];
