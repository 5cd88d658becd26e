//! Daemons that are asked how they are: each is started from its own program, asked with the
//! configuration that is shipped for it, killed and started again.

mod caches;
mod cassandra;
mod databases;
mod exporters;
mod web;

use std::collections::BTreeMap;

use anyhow::Context;
use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::server::Server;

pub(super) fn trials() -> Vec<Trial> {
    [caches::trials(), cassandra::trials(), databases::trials(), exporters::trials(), web::trials()]
        .into_iter()
        .flatten()
        .collect()
}

/// The configuration that is shipped under this name, with other addresses and a shorter interval.
pub(super) fn shipped(name: &str, changes: &[(&str, &str)]) -> anyhow::Result<String> {
    let path = format!("{}/config/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).context(path)?;
    let mut text = text.replace("ticker_interval = 10", "ticker_interval = '200ms'");
    for (from, to) in changes {
        anyhow::ensure!(text.contains(from), "config/{name} does not have `{from}`");
        text = text.replace(from, to);
    }
    Ok(text)
}

/// A message that was told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) kind: String,
    payload: String,
    /// The value and the unit of each field.
    pub(super) fields: BTreeMap<String, (String, String)>,
}

/// All messages that were printed.
pub(super) fn told(engine: &Engine) -> Vec<Told> {
    let stdout = engine.stdout();
    // The last one may not be whole.
    let blocks = stdout.split(":Timestamp:").skip(1);
    let whole = blocks.filter(|block| block.ends_with("\n\n") || block.contains("\n\n"));
    whole.map(read).collect()
}

fn read(block: &str) -> Told {
    let header = |name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    let mut fields = BTreeMap::new();
    for line in block.lines() {
        let Some(rest) = line.trim().strip_prefix("| name:\"") else { continue };
        let Some((name, rest)) = rest.split_once("\" type:") else { continue };
        let Some((_, rest)) = rest.split_once(" value:") else { continue };
        let (value, unit) = rest.split_once(" representation:").unwrap_or((rest, ""));
        let bare = |text: &str| text.trim_matches('"').to_owned();
        fields.insert(name.to_owned(), (bare(value), bare(unit)));
    }
    Told { kind: header(":Type:"), payload: header(":Payload:"), fields }
}

/// Waits for a message of this type with these fields: name, unit and, where it is not empty, value.
pub(super) fn expect(
    engine: &mut Engine,
    kind: &str,
    fields: &[(&str, &str, &str)],
) -> anyhow::Result<()> {
    engine.wait_for(&format!("{kind} with {fields:?}"), |engine| {
        let has = |it: &Told, (name, unit, value): &(&str, &str, &str)| {
            let found = it.fields.get(*name);
            found.is_some_and(|found| found.1 == *unit && (value.is_empty() || found.0 == *value))
        };
        let is_it = |it: &Told| it.kind == kind && fields.iter().all(|field| has(it, field));
        told(engine).iter().any(is_it).then_some(())
    })
}

/// Waits for the message of this type whose payload has `part` in it.
pub(super) fn expect_payload(engine: &mut Engine, kind: &str, part: &str) -> anyhow::Result<()> {
    engine.wait_for(&format!("{kind} with `{part}`"), |engine| {
        told(engine).iter().any(|it| it.kind == kind && it.payload.contains(part)).then_some(())
    })
}

/// Kills a server, starts it again, and finds one message for each.
fn goes_down_and_comes_back(
    engine: &mut Engine,
    server: Server,
    start: &dyn Fn() -> anyhow::Result<Server>,
    kind: &str,
) -> anyhow::Result<()> {
    let count =
        |engine: &Engine, kind: &str| told(engine).iter().filter(|it| it.kind == kind).count();
    let before = (count(engine, "daemon.down"), count(engine, "daemon.up"));
    drop(server);
    engine.wait_for("the daemon to be told of as down", |engine| {
        (count(engine, "daemon.down") > before.0).then_some(())
    })?;
    let _server = start()?;
    engine.wait_for("the daemon to be told of as back", |engine| {
        (count(engine, "daemon.up") > before.1).then_some(())
    })?;
    let told_before = count(engine, kind);
    engine.wait_for("more of the daemon", |engine| {
        (count(engine, kind) > told_before + 1).then_some(())
    })?;
    let after = (count(engine, "daemon.down"), count(engine, "daemon.up"));
    anyhow::ensure!(after == (before.0 + 1, before.1 + 1), "{before:?} became {after:?}");
    Ok(())
}
