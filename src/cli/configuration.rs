//! Where a configuration comes from, and telling what is wrong with it.

use std::fmt;
use std::io::IsTerminal;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::catalog::CATALOG;
use crate::config::Config;
use crate::config::Family;
use crate::config::Problem;
use crate::config::Surroundings;
use crate::metrics::Registry;
use crate::pipeline::Plan;

/// The configuration that is run when none is named.
const QUICKSTART: &str = "config/quickstart.toml";

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A file or a folder.
    Path(PathBuf),
    /// The one in the binary.
    Quickstart,
}

impl Origin {
    /// What a command line names, or the one in the binary.
    pub(super) fn of(path: Option<&Path>) -> Origin {
        path.map_or(Origin::Quickstart, |path| Origin::Path(path.to_owned()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Path(path) => write!(f, "{}", path.display()),
            Origin::Quickstart => f.write_str(QUICKSTART),
        }
    }
}

/// The kinds there are, by family.
fn kinds(family: Family) -> Vec<&'static str> {
    match family {
        Family::Input => CATALOG.inputs.iter().map(|kind| kind.name).collect(),
        Family::Splitter => CATALOG.splitters.iter().map(|kind| kind.name).collect(),
        Family::Decoder => CATALOG.decoders.iter().map(|kind| kind.name).collect(),
        Family::Filter => CATALOG.filters.iter().map(|kind| kind.name).collect(),
        Family::Encoder => CATALOG.encoders.iter().map(|kind| kind.name).collect(),
        Family::Output => CATALOG.outputs.iter().map(|kind| kind.name).collect(),
    }
}

/// Reads a configuration; gives all that is wrong with it too.
pub(super) fn load(origin: &Origin) -> (Option<Config>, Vec<Problem>) {
    let variable = |name: &str| std::env::var(name).ok();
    let surroundings = Surroundings { kinds: &kinds, variable: &variable };
    match origin {
        Origin::Path(path) => crate::config::load(path, &surroundings),
        Origin::Quickstart => {
            let text = crate::stdx::embedded::embedded(QUICKSTART).unwrap_or_default();
            crate::config::parse(QUICKSTART, &String::from_utf8_lossy(&text), &surroundings)
        }
    }
}

/// Reads a configuration and tells what is wrong with it; none when it cannot be run.
pub(super) fn load_or_report(origin: &Origin) -> Option<Config> {
    let (config, problems) = load(origin);
    if Problem::any_error(&problems) {
        // Mistakes in the settings of single kinds are told at the same time.
        let mut all = problems;
        if let Some(config) = config {
            let _ = Plan::new(config, &CATALOG, Arc::default(), &mut all);
        }
        report(&all);
        return None;
    }
    report(&problems);
    config
}

/// Makes a plan and tells what is wrong with it; none when it cannot be run.
pub(super) fn plan_or_report(config: Config, metrics: &Arc<Registry>) -> Option<Plan> {
    let mut problems = Vec::new();
    let plan = Plan::new(config, &CATALOG, metrics.clone(), &mut problems);
    report(&problems);
    (!Problem::any_error(&problems)).then_some(plan)
}

/// Writes problems to stderr.
pub(super) fn report(problems: &[Problem]) {
    if !problems.is_empty() {
        eprintln!("{}", crate::config::render_all(problems, std::io::stderr().is_terminal()));
    }
}
