//! Configurations as the engine reads them, against the plugins of this build.

use std::sync::Arc;

use heka::catalog::CATALOG;
use heka::config::Config;
use heka::config::Family;
use heka::config::Problem;
use heka::config::Surroundings;
use heka::pipeline::Plan;
use heka::plugin::Kind;

fn names<T: ?Sized>(kinds: &'static [Kind<T>]) -> Vec<&'static str> {
    kinds.iter().map(|kind| kind.name).collect()
}

fn kinds(family: Family) -> Vec<&'static str> {
    match family {
        Family::Input => names(CATALOG.inputs),
        Family::Splitter => names(CATALOG.splitters),
        Family::Decoder => names(CATALOG.decoders),
        Family::Filter => names(CATALOG.filters),
        Family::Encoder => names(CATALOG.encoders),
        Family::Output => names(CATALOG.outputs),
    }
}

/// No variable is set.
pub(crate) fn surroundings() -> Surroundings<'static> {
    Surroundings { kinds: &kinds, variable: &|_| None }
}

/// All that is wrong with a configuration, the settings of its plugins included.
pub(crate) fn all_problems((config, mut problems): (Option<Config>, Vec<Problem>)) -> Vec<Problem> {
    if let Some(config) = config {
        Plan::new(config, &CATALOG, Arc::default(), &mut problems);
    }
    problems
}
