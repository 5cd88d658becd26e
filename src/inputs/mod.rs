//! Where messages come from.

pub mod logstreamer;
mod stdin;
mod tcp;
#[cfg(test)]
mod testing;

use self::logstreamer::LogstreamerInput;
use self::stdin::StdinInput;
use self::tcp::TcpInput;
use crate::plugin::Input;
use crate::plugin::Kind;

/// The kinds of this family, one row each.
pub const INPUTS: &[Kind<dyn Input>] =
    &[Kind::input::<LogstreamerInput>(), Kind::input::<StdinInput>(), Kind::input::<TcpInput>()];
