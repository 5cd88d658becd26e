//! Where messages go.

use crate::plugin::Kind;
use crate::plugin::Output;

mod file;
mod log;
#[cfg(test)]
mod testing;

/// The kinds of this family, one row each.
pub const OUTPUTS: &[Kind<dyn Output>] =
    &[Kind::output::<file::FileOutput>(), Kind::output::<log::LogOutput>()];
