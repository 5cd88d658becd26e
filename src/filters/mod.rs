//! What analyses messages while they flow.

use crate::plugin::Filter;
use crate::plugin::Kind;

mod counter;
mod manager;
mod sandbox;
mod stat;
#[cfg(test)]
mod testing;

/// The kinds of this family, one row each.
pub const FILTERS: &[Kind<dyn Filter>] = &[
    Kind::filter::<counter::CounterFilter>(),
    Kind::filter::<sandbox::SandboxFilter>(),
    Kind::filter::<manager::SandboxManagerFilter>(),
    Kind::filter::<stat::StatFilter>(),
];
