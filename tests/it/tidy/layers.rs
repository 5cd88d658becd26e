//! Who imports whom: the table of `src/ARCHITECTURE.md`, held against the code.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use regex::Regex;

use super::none;
use super::source::Source;
use super::source::root;
use super::source::sources;

/// The modules that may name tokio.
const ASYNC: &[&str] = &["net", "plugin", "inputs", "outputs", "pipeline", "admin", "cli"];
/// Files that belong to no module of the table.
const ROOTS: &[&str] = &["lib", "main"];

/// For each module what it may import; modules in the order of the table.
type Table = Vec<(String, BTreeSet<String>)>;

fn table() -> anyhow::Result<Table> {
    let map = std::fs::read_to_string(root().join("src/ARCHITECTURE.md"))?;
    let mut table = Table::new();
    let rows = map.lines().skip_while(|line| !line.starts_with("| module |")).skip(2);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [modules, _, may_import] = cells[..] else {
            anyhow::bail!("a row with other than three cells: {row}");
        };
        let above: BTreeSet<String> = table.iter().map(|(module, _)| module.clone()).collect();
        let may_import: BTreeSet<String> = match may_import {
            "–" => BTreeSet::new(),
            "everything" => above.clone(),
            names => names.split(' ').map(str::to_owned).collect(),
        };
        if let Some(below) = may_import.difference(&above).next() {
            anyhow::bail!("{modules} may not import {below}, which does not stand above it");
        }
        for module in modules.split(' ') {
            table.push((module.trim_matches('`').to_owned(), may_import.clone()));
        }
    }
    anyhow::ensure!(table.len() > 10, "src/ARCHITECTURE.md has no table of layers");
    Ok(table)
}

pub(super) fn imports_follow_the_table() -> anyhow::Result<()> {
    let table: BTreeMap<String, BTreeSet<String>> = table()?.into_iter().collect();
    let path = Regex::new(r"\b(crate|super(?:::super)*)::([a-z_]+)")?;
    let mut complaints = Vec::new();
    for source in sources(&["src"])? {
        let module = source.module();
        let Some(may_import) = module.first().and_then(|top| table.get(top)) else { continue };
        for (number, line) in source.lines() {
            for found in path.captures_iter(line) {
                let named = &found[2];
                let is_import = reaches_the_root(&found[1], &module)
                    && named != module[0]
                    && table.contains_key(named);
                if is_import && !may_import.contains(named) {
                    let at = source.path.display();
                    complaints.push(format!("{at}:{number}: {} imports {named}", module[0]));
                }
            }
        }
    }
    none(complaints)
}

/// Tells whether `crate`, or so many `super`, is the crate itself, seen from `module`.
fn reaches_the_root(prefix: &str, module: &[String]) -> bool {
    prefix == "crate" || prefix.split("::").count() == module.len()
}

pub(super) fn table_names_every_module() -> anyhow::Result<()> {
    let named: BTreeSet<String> = table()?.into_iter().map(|(module, _)| module).collect();
    let tops = |source: &Source| source.module().first().cloned();
    let found: BTreeSet<String> = sources(&["src"])?
        .iter()
        .filter_map(tops)
        .filter(|top| !ROOTS.contains(&top.as_str()))
        .collect();
    none(found.difference(&named).map(|module| format!("{module} has no row")).collect())
}

pub(super) fn tokio_stays_where_it_belongs() -> anyhow::Result<()> {
    let name = Regex::new(r"\btokio(_[a-z]+)?\b")?;
    let mut complaints = Vec::new();
    for source in sources(&["src"])? {
        let top = source.module().first().cloned().unwrap_or_default();
        if ASYNC.contains(&top.as_str()) {
            continue;
        }
        for (number, line) in source.lines() {
            if name.is_match(line) {
                complaints.push(format!("{}:{number} names tokio", source.path.display()));
            }
        }
    }
    none(complaints)
}
