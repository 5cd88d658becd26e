//! The budget of memory: what is measured, and whether what is configured can fit.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use super::plan::PlannedFilter;
use super::plan::PlannedOutput;
use crate::config::Config;
use crate::config::Problem;
use crate::journal;
use crate::journal::Journal;
use crate::journal::StorageKind;
use crate::message::Batch;
use crate::metrics::Gauge;
use crate::metrics::Registry;
use crate::plugin::Engine;
use crate::plugin::Memory;
use crate::stdx::host;
use crate::stdx::size;

/// Time between two measurements.
const INTERVAL: Duration = Duration::from_millis(50);
/// It is said that memory is short at most once in this time.
const SAID: Duration = Duration::from_mins(1);
/// What the program itself takes, in bytes.
const PROGRAM: u64 = 32 << 20;
/// The tail of the journal takes one part in so many of the budget at most.
const TAIL_SHARE: u64 = 4;
/// An input holds a large message this many times: as it comes, in its batch, as it is written.
const COPIES: u64 = 3;
/// What a filter may use that does not say so.
const SCRIPT: u64 = 8 << 20;

/// The settings of the journal, with a tail that leaves the others room.
pub(super) fn within(settings: &journal::Settings, memory: &Memory) -> journal::Settings {
    let most = memory.limit().map_or(u64::MAX, |limit| limit / TAIL_SHARE);
    journal::Settings { tail_bytes: settings.tail_bytes.min(most), ..settings.clone() }
}

/// Measures what the process has in memory, and has the journal hold less while it is short.
pub(super) fn watch(
    memory: Arc<Memory>,
    journal: Journal,
    registry: &Registry,
) -> tokio::task::JoinHandle<()> {
    let gauges = Gauges::new(registry);
    tokio::spawn(async move {
        let Some(limit) = memory.limit() else { return };
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut said: Option<Instant> = None;
        loop {
            interval.tick().await;
            // Where it cannot be measured, what is claimed counts alone.
            let resident = host::resident().unwrap_or(0);
            let has_changed = memory.measure(resident);
            gauges.set(&memory);
            if !has_changed {
                continue;
            }
            journal.hold_less(memory.is_short());
            if memory.is_short() && said.is_none_or(|said| said.elapsed() >= SAID) {
                said = Some(Instant::now());
                let (resident, limit) = (size::text(resident), size::text(limit));
                tracing::warn!(
                    resident,
                    limit,
                    "memory is short: inputs wait, readers fall back to the disk"
                );
            }
        }
    })
}

struct Gauges {
    resident: Arc<Gauge>,
    claimed: Arc<Gauge>,
    limit: Arc<Gauge>,
}

impl Gauges {
    fn new(registry: &Registry) -> Gauges {
        let gauge = |name, help| registry.gauge(name, help, &[]);
        Gauges {
            resident: gauge("heka_memory_resident_bytes", "What the process has in memory."),
            claimed: gauge("heka_memory_claimed_bytes", "What inputs hold on its way in."),
            limit: gauge("heka_memory_max_bytes", "The budget, `max_memory_bytes`."),
        }
    }

    fn set(&self, memory: &Memory) {
        self.resident.set(memory.resident() as f64);
        self.claimed.set(memory.claimed() as f64);
        self.limit.set(memory.limit().unwrap_or(0) as f64);
    }
}

/// Reports what cannot fit into the budget together: an error where the budget was written, else a
/// warning. What filters may use at most is always a warning, since few ever do.
pub(super) fn check(
    config: &Config,
    (engine, settings): (&Engine, &journal::Settings),
    (filters, outputs): (&[PlannedFilter], &[PlannedOutput]),
    problems: &mut Vec<Problem>,
) {
    let Some(limit) = engine.memory.limit() else { return };
    let place = config.journal.place();
    let message = engine.max_message_size as u64;
    let entries = match settings.storage {
        StorageKind::Memory => settings.largest_in_memory(),
        StorageKind::Disk => within(settings, &engine.memory).tail_bytes,
    };
    let large = if message > Batch::MAX_BYTES as u64 { message } else { 0 };
    let of_outputs = (Batch::MAX_BYTES as u64 + large) * outputs.len() as u64;
    let parts = [
        ("the program", PROGRAM),
        ("entries of the journal in memory", entries + entries / 4),
        ("a message on its way in", large * COPIES),
        ("a load of every output", of_outputs),
    ];
    let needed: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
    let listed = |parts: &[(&str, u64)]| {
        let used = parts.iter().filter(|(_, bytes)| *bytes > 0);
        used.map(|(what, bytes)| format!("{what} {}", size::text(*bytes)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if needed > limit {
        let text = format!(
            "`max_memory_bytes` is {}, and what is configured takes {}: {}",
            size::text(limit),
            size::text(needed),
            listed(&parts)
        );
        let is_written = config.hekad.max_memory_bytes.is_some();
        let problem = if is_written { Problem::error(text) } else { Problem::warning(text) };
        let help = "a larger `max_memory_bytes`, or a smaller `max_message_size`, `tail_bytes` or \
                    journal in memory";
        problems.push(problem.at(&place).help(help));
        return;
    }
    let of_filters: u64 = filters.iter().map(|filter| most_of(config, &filter.name)).sum();
    if config.hekad.max_memory_bytes.is_some() && needed + of_filters > limit {
        let text = format!(
            "`max_memory_bytes` is {}, and filters may use {} together beside {} for all else",
            size::text(limit),
            size::text(of_filters),
            size::text(needed)
        );
        problems
            .push(Problem::warning(text).at(&place).help("their `memory_limit` may be smaller"));
    }
}

/// What a filter may use at most, in bytes; nothing where it is no script.
fn most_of(config: &Config, name: &str) -> u64 {
    let Some(section) = config.section(name) else { return 0 };
    if section.kind != "SandboxFilter" {
        return 0;
    }
    let text = section.settings.text();
    let settings: Option<toml::Table> = toml::from_str(text).ok();
    let limit = settings.and_then(|settings| settings.get("memory_limit")?.as_integer());
    limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0).unwrap_or(SCRIPT)
}
