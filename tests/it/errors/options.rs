//! Each option of each kind of plugin, given what it cannot be: the error stands where the option is, and
//! says what it wants.

use std::fmt::Write as _;

use anyhow::Context;
use heka::catalog::CATALOG;
use heka::config;
use heka::plugin::Kind;
use libtest_mimic::Trial;
use toml::Table;
use toml::Value;

use crate::harness::catalog::all_problems;
use crate::harness::catalog::surroundings;
use crate::suite::test;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test("errors::every_option_of_every_kind_says_what_it_wants", every_option),
        test("errors::every_kind_says_which_options_it_knows", unknown_options),
    ]
}

/// Words of which one stands in an error that says what to do.
const REMEDIES: [&str; 8] =
    ["expected", "did you mean", "help:", "give ", "has to be", "must be", "say ", "write "];

/// A kind as far as it is looked at here.
struct Known {
    name: &'static str,
    example: &'static str,
    options: Vec<String>,
}

fn known<T: ?Sized>(kinds: &'static [Kind<T>]) -> Vec<Known> {
    let options = |kind: &Kind<T>| {
        let schema = (kind.schema)().to_value();
        let properties = schema.get("properties").and_then(|it| it.as_object());
        properties.into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    kinds
        .iter()
        .map(|kind| Known { name: kind.name, example: kind.example, options: options(kind) })
        .collect()
}

fn all() -> Vec<Known> {
    [
        known(CATALOG.inputs),
        known(CATALOG.splitters),
        known(CATALOG.decoders),
        known(CATALOG.filters),
        known(CATALOG.encoders),
        known(CATALOG.outputs),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is said of the example of a kind, with one option set so.
fn told(kind: &Known, option: &str, value: Value) -> anyhow::Result<String> {
    let mut table: Table = kind.example.parse()?;
    let is_it = |(name, section): &(&str, &Value)| {
        let named = section.get("type").and_then(Value::as_str);
        named.map_or(*name == kind.name, |named| named == kind.name)
    };
    let name = table.iter().map(|(name, section)| (name.as_str(), section)).find(is_it);
    let name = name.context("the example has no section of its kind")?.0.to_owned();
    let section = table.get_mut(&name).and_then(Value::as_table_mut).context("no section")?;
    section.insert(option.to_owned(), value);
    let text = toml::to_string(&table)?;
    let problems = all_problems(config::parse(kind.name, &text, &surroundings()));
    Ok(config::render_all(&problems, false))
}

fn is_helped(said: &str) -> bool {
    REMEDIES.iter().any(|remedy| said.contains(remedy))
}

fn every_option() -> anyhow::Result<()> {
    let mut wrong = String::new();
    let mut count = 0;
    for kind in all() {
        for option in &kind.options {
            // A date is what no option takes; where any names may stand, it is read as one.
            let date: toml::value::Datetime = "1979-05-27T07:32:00Z".parse()?;
            let mut said = told(&kind, option, Value::Datetime(date))?;
            if said.is_empty() || said.contains("$__toml") {
                said = told(&kind, option, Value::Integer(1979))?;
            }
            count += 1;
            let line = format!("{option} = 1979");
            let is_shown = said.contains(&line) || said.contains(&format!("`{option}`"));
            if !is_shown || !is_helped(&said) {
                writeln!(wrong, "{} {option}:\n{said}", kind.name)?;
            }
        }
    }
    anyhow::ensure!(wrong.is_empty(), "{wrong}");
    anyhow::ensure!(count > 400, "there are only {count} options");
    Ok(())
}

fn unknown_options() -> anyhow::Result<()> {
    let mut wrong = String::new();
    for kind in all() {
        let said = told(&kind, "adress_of_it", Value::from("x"))?;
        if !said.contains("`adress_of_it`") || !is_helped(&said) {
            writeln!(wrong, "{}:\n{said}", kind.name)?;
        }
    }
    anyhow::ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}
