//! Where messages come from.

use crate::plugin::Input;
use crate::plugin::Kind;

/// The kinds of this family, one row each.
pub const INPUTS: &[Kind<dyn Input>] = &[];
