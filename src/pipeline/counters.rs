//! What the pipeline counts of each plugin.

use std::sync::Arc;

use crate::journal;
use crate::metrics::Counter;
use crate::metrics::Gauge;
use crate::metrics::Registry;

/// Numbers of an input.
#[derive(Debug)]
pub(super) struct InputCounters {
    /// Messages appended.
    pub(super) messages: Arc<Counter>,
    /// Bytes read.
    pub(super) bytes: Arc<Counter>,
    /// Records that could not be decoded.
    pub(super) decode_failures: Arc<Counter>,
    /// Records or parts of them that were dropped: too long, cut off, not signed rightly, by the
    /// kernel.
    pub(super) dropped: Arc<Counter>,
    /// Starts after a failure.
    pub(super) restarts: Arc<Counter>,
    /// 1 while it waits to start again.
    pub(super) failing: Arc<Gauge>,
}

impl InputCounters {
    pub(super) fn new(registry: &Registry, plugin: &str) -> InputCounters {
        let labels = [("plugin", plugin)];
        InputCounters {
            messages: registry.counter(
                "heka_input_messages_total",
                "Messages that an input has appended to the journal.",
                &labels,
            ),
            bytes: registry.counter("heka_input_bytes_total", "Bytes read by an input.", &labels),
            decode_failures: registry.counter(
                "heka_input_decode_failures_total",
                "Records that could not be decoded.",
                &labels,
            ),
            dropped: registry.counter(
                "heka_input_dropped_total",
                "Records that were dropped: too long, cut off, not signed rightly, or by the kernel.",
                &labels,
            ),
            restarts: registry.counter(
                "heka_plugin_restarts_total",
                "Starts of a plugin after a failure.",
                &labels,
            ),
            failing: registry.gauge(
                "heka_input_failing",
                "1 while an input has failed and waits to start again.",
                &labels,
            ),
        }
    }
}

/// Numbers of a filter.
#[derive(Debug)]
pub(super) struct FilterCounters {
    /// Messages matched.
    pub(super) matched: Arc<Counter>,
    /// Messages set aside.
    pub(super) failures: Arc<Counter>,
    /// Messages injected.
    pub(super) injected: Arc<Counter>,
    /// Alerts injected.
    pub(super) alerts: Arc<Counter>,
    /// CPU time, in nanoseconds.
    pub(super) cpu: Arc<Counter>,
    /// Starts after a failure.
    pub(super) restarts: Arc<Counter>,
    /// Bytes of memory in use.
    pub(super) memory: Arc<Gauge>,
    /// Bytes of the last snapshot.
    pub(super) state: Arc<Gauge>,
    /// Entries behind the end.
    pub(super) lag: Arc<Gauge>,
    /// How long the last version to take over held it up, in seconds.
    pub(super) swap_pause: Arc<Gauge>,
    /// 1 while its failures have stopped it.
    pub(super) failing: Arc<Gauge>,
}

impl FilterCounters {
    pub(super) fn new(registry: &Registry, plugin: &str) -> FilterCounters {
        let labels = [("plugin", plugin)];
        let counter = |name, help| registry.counter(name, help, &labels);
        let gauge = |name, help| registry.gauge(name, help, &labels);
        FilterCounters {
            matched: counter("heka_filter_messages_total", "Messages that a filter has matched."),
            failures: counter("heka_filter_failures_total", "Messages that a filter set aside."),
            injected: counter("heka_filter_injected_total", "Messages that a filter injected."),
            alerts: counter("heka_filter_alerts_total", "Alerts that a filter injected."),
            cpu: registry.time("heka_filter_cpu_seconds_total", "CPU time of a filter.", &labels),
            restarts: counter("heka_plugin_restarts_total", "Starts of a plugin after a failure."),
            memory: gauge("heka_filter_memory_bytes", "Memory that a filter uses."),
            state: gauge("heka_filter_state_bytes", "Size of a filter's last snapshot."),
            lag: gauge("heka_filter_lag_entries", "Entries that a filter is behind."),
            swap_pause: gauge(
                "heka_filter_swap_pause_seconds",
                "How long the last version that took over held a filter up.",
            ),
            failing: gauge("heka_filter_failing", "1 while a filter is stopped by its failures."),
        }
    }
}

/// Numbers of an output.
#[derive(Debug)]
pub(super) struct OutputCounters {
    /// Messages matched.
    pub(super) matched: Arc<Counter>,
    /// Records sent.
    pub(super) sent: Arc<Counter>,
    /// Bytes sent.
    pub(super) bytes: Arc<Counter>,
    /// Records that were not wanted or could not be encoded.
    pub(super) rejected: Arc<Counter>,
    /// Tries after a failure.
    pub(super) retries: Arc<Counter>,
    /// Entries behind the end.
    pub(super) lag: Arc<Gauge>,
    /// 1 while it fails.
    pub(super) failing: Arc<Gauge>,
}

impl OutputCounters {
    pub(super) fn new(registry: &Registry, plugin: &str) -> OutputCounters {
        let labels = [("plugin", plugin)];
        let counter = |name, help| registry.counter(name, help, &labels);
        let gauge = |name, help| registry.gauge(name, help, &labels);
        OutputCounters {
            matched: counter("heka_output_messages_total", "Messages that an output has matched."),
            sent: counter("heka_output_sent_total", "Records that an output has sent."),
            bytes: counter("heka_output_bytes_total", "Bytes that an output has sent."),
            rejected: counter(
                "heka_output_rejected_total",
                "Records that were refused for good or could not be encoded.",
            ),
            retries: counter("heka_output_retries_total", "Tries of an output after a failure."),
            lag: gauge("heka_output_lag_entries", "Entries that an output is behind."),
            failing: gauge("heka_output_failing", "1 while an output fails."),
        }
    }
}

/// Numbers of the journal, as they were when last looked at.
pub(super) struct JournalGauges {
    gauges: Vec<(Arc<Gauge>, Reading)>,
}

/// A number out of the journal's status.
type Reading = fn(&journal::Status) -> u64;

/// What is shown of the journal.
const OF_JOURNAL: &[(&str, &str, Reading)] = &[
    ("heka_journal_oldest_entry", "The first entry that can be read.", |it| it.oldest.0),
    ("heka_journal_end_entry", "The last entry.", |it| it.end.0),
    ("heka_journal_durable_entry", "The last entry that is synced.", |it| it.durable.0),
    ("heka_journal_bytes", "Bytes of all entries.", |it| it.bytes),
    ("heka_journal_needed_bytes", "Bytes that some reader still needs.", |it| it.needed_bytes),
    ("heka_journal_max_bytes", "The budget.", |it| it.max_bytes),
    ("heka_journal_snapshot_bytes", "Bytes of the snapshots.", |it| it.snapshot_bytes),
    ("heka_journal_tail_bytes", "Bytes of the entries in memory.", |it| it.tail_bytes),
    ("heka_journal_unsynced_bytes", "Bytes that are not synced.", |it| it.unsynced_bytes),
    ("heka_journal_syncs", "Syncs that succeeded.", |it| it.syncs),
    ("heka_journal_failed_syncs", "Syncs and writes that failed.", |it| it.failed_syncs),
    (
        "heka_journal_dropped_entries",
        "Entries that readers had to do without to make room.",
        |it| it.dropped_entries,
    ),
    ("heka_journal_damaged_entries", "Entries that could not be read.", |it| it.damaged_entries),
    ("heka_journal_sources", "Sources that have a position.", |it| it.sources as u64),
];

impl JournalGauges {
    pub(super) fn new(registry: &Registry) -> JournalGauges {
        let rows = OF_JOURNAL.iter();
        let gauges = rows.map(|&(name, help, read)| (registry.gauge(name, help, &[]), read));
        JournalGauges { gauges: gauges.collect() }
    }

    pub(super) fn set(&self, status: &journal::Status) {
        for (gauge, read) in &self.gauges {
            gauge.set(read(status) as f64);
        }
    }
}
