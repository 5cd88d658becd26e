//! What is flowing, in numbers.

use std::sync::Arc;

use serde::Serialize;

use super::Pipeline;
use super::counters::FilterCounters;
use super::counters::InputCounters;
use super::counters::OutputCounters;

/// The state of a running engine.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Messages appended by inputs.
    pub messages_in: u64,
    /// Messages injected by filters.
    pub injected: u64,
    /// Records sent by outputs.
    pub messages_out: u64,
    /// Alerts injected by filters.
    pub alerts: u64,
    /// Entries that the reader furthest behind has to go.
    pub lag: u64,
    /// Every plugin.
    pub plugins: Vec<PluginStatus>,
    /// What is wrong, in words; empty when the engine is well.
    pub troubles: Vec<String>,
}

/// The state of one plugin.
#[derive(Clone, Debug, Serialize)]
pub struct PluginStatus {
    /// The name of its section.
    pub name: Arc<str>,
    /// `input`, `filter` or `output`.
    pub family: &'static str,
    /// Messages appended by an input, matched by a filter or an output.
    pub messages: u64,
    /// Records that failed: not decoded, set aside, refused.
    pub failures: u64,
    /// Messages injected or records sent.
    pub out: u64,
    /// Entries behind the end.
    pub lag: u64,
}

/// The counters of every plugin, readable after the engine has ended too.
pub struct Tally {
    inputs: Vec<(Arc<str>, Arc<InputCounters>)>,
    filters: Vec<(Arc<str>, Arc<FilterCounters>)>,
    outputs: Vec<(Arc<str>, Arc<OutputCounters>)>,
}

impl Tally {
    /// The numbers of now.
    pub fn status(&self) -> Status {
        let mut status = Status::default();
        for (name, counters) in &self.inputs {
            status.messages_in += counters.messages.value();
            status.plugins.push(PluginStatus {
                name: name.clone(),
                family: "input",
                messages: counters.messages.value(),
                failures: counters.decode_failures.value() + counters.dropped.value(),
                out: 0,
                lag: 0,
            });
        }
        for (name, counters) in &self.filters {
            status.injected += counters.injected.value();
            status.alerts += counters.alerts.value();
            status.plugins.push(PluginStatus {
                name: name.clone(),
                family: "filter",
                messages: counters.matched.value(),
                failures: counters.failures.value(),
                out: counters.injected.value(),
                lag: whole(counters.lag.value()),
            });
        }
        for (name, counters) in &self.outputs {
            status.messages_out += counters.sent.value();
            status.plugins.push(PluginStatus {
                name: name.clone(),
                family: "output",
                messages: counters.matched.value(),
                failures: counters.rejected.value(),
                out: counters.sent.value(),
                lag: whole(counters.lag.value()),
            });
        }
        status.lag = status.plugins.iter().map(|plugin| plugin.lag).max().unwrap_or(0);
        status.plugins.sort_by(|a, b| (a.family, &a.name).cmp(&(b.family, &b.name)));
        status
    }
}

impl Pipeline {
    /// How many messages all inputs have appended.
    pub(super) fn messages_in(&self) -> u64 {
        self.inputs.iter().map(|input| input.counters.messages.value()).sum()
    }

    /// The counters of every plugin.
    pub fn tally(&self) -> Tally {
        let of_input = |input: &super::RunningInput| (input.name.clone(), input.counters.clone());
        Tally {
            inputs: self.inputs.iter().map(of_input).collect(),
            filters: self.filter_counters.clone().into_iter().collect(),
            outputs: self.output_counters.clone().into_iter().collect(),
        }
    }

    /// The numbers of now, and what is wrong.
    pub fn status(&self) -> Status {
        let behind = self.deliveries.behind(self.journal.end());
        let mut status = self.tally().status();
        let journal = self.journal.status();
        self.journal_gauges.set(&journal);
        let troubles = &mut status.troubles;
        if let Some(failure) = &journal.failure {
            troubles.push(format!("the journal cannot be written: {failure}"));
        }
        if journal.is_full {
            troubles.push("the journal is full".to_owned());
        }
        if let Some(reader) = &journal.is_blocked_by {
            troubles.push(format!("{reader} holds the inputs back: the journal is full"));
        } else if let Some(reader) = &journal.is_filled_by {
            troubles.push(format!("{reader} is about to hold the inputs back"));
        }
        for input in self.inputs.iter().filter(|input| input.counters.failing.value() > 0.0) {
            troubles.push(format!("{} fails", input.name));
        }
        for (name, counters) in &self.filter_counters {
            if counters.failing.value() > 0.0 {
                troubles.push(format!("{name} is stopped by its failures"));
            }
        }
        for (name, _) in behind.iter().filter(|(_, is_failing)| *is_failing) {
            troubles.push(format!("{name} fails"));
        }
        status
    }
}

/// A gauge that counts.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a gauge of entries is a whole number far below 2^53"
)]
pub(super) fn whole(value: f64) -> u64 {
    value as u64
}
