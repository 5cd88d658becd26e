//! Where a configuration comes from, and telling what is wrong with it.

use std::fmt;
use std::io::IsTerminal;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use crate::catalog::CATALOG;
use crate::config::Config;
use crate::config::Family;
use crate::config::Problem;
use crate::config::Surroundings;
use crate::metrics::Registry;
use crate::net::Tls;
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
    CATALOG.names(family.suffix())
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
            let _ = plan(config, &Arc::default(), &mut all);
        }
        report(&all);
        return None;
    }
    report(&problems);
    config
}

/// Makes a plan and finds what is wrong with the settings of every part of the engine.
pub(super) fn plan(config: Config, metrics: &Arc<Registry>, problems: &mut Vec<Problem>) -> Plan {
    problems.extend(admin_tls(&config).err().unwrap_or_default());
    problems.extend(open_admin_port(&config));
    Plan::new(config, &CATALOG, metrics.clone(), problems)
}

/// A port that others can reach must not answer everybody.
fn open_admin_port(config: &Config) -> Option<Problem> {
    let admin = &config.hekad.admin;
    let address = admin.address.filter(|address| !address.ip().is_loopback())?;
    let has_token = admin.token.as_ref().is_some_and(|token| !token.is_empty());
    let asks = || admin_tls(config).ok().flatten().is_some_and(|tls| tls.asks_for_certificates());
    let problem = || {
        Problem::error(format!("the admin port would listen at {address} and answer everybody"))
            .help("set `token`, or ask for certificates under [hekad.admin.tls], or listen at 127.0.0.1")
    };
    (!has_token && !asks()).then(problem)
}

/// How the admin port speaks TLS; plainly where nothing is said.
pub(super) fn admin_tls(config: &Config) -> Result<Option<Tls>, Vec<Problem>> {
    let Some(settings) = &config.admin_tls else { return Ok(None) };
    let tls = settings.read(|table| Tls::deserialize(table))?;
    match tls.server() {
        Ok(_) => Ok(Some(tls)),
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::new(error));
            Err(vec![Problem::error(error).at(&settings.place())])
        }
    }
}

/// Makes a plan and tells what is wrong with it; none when it cannot be run.
pub(super) fn plan_or_report(config: Config, metrics: &Arc<Registry>) -> Option<Plan> {
    let mut problems = Vec::new();
    let plan = plan(config, metrics, &mut problems);
    report(&problems);
    (!Problem::any_error(&problems)).then_some(plan)
}

/// Writes problems to stderr.
pub(super) fn report(problems: &[Problem]) {
    if !problems.is_empty() {
        eprintln!("{}", crate::config::render_all(problems, std::io::stderr().is_terminal()));
    }
}
