//! The report on SIGUSR1, and the summary at the end.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::pipeline::Status;
use crate::stdx::duration;

/// Writes the state of every plugin to stdout.
pub(super) fn report(status: &Status) {
    let _ = crate::cli::print(&table(status));
}

/// Writes what the engine has done, to stderr.
pub(super) fn write(status: &Status, elapsed: Duration, undelivered: &[Arc<str>]) {
    let elapsed = duration::text(Duration::from_millis(
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    ));
    eprintln!(
        "heka: {} messages in, {} injected, {} records out, {} alerts, in {elapsed}",
        status.messages_in, status.injected, status.messages_out, status.alerts
    );
    for plugin in status.plugins.iter().filter(|plugin| plugin.failures > 0) {
        eprintln!("heka: {} {}: {} failed", plugin.family, plugin.name, plugin.failures);
    }
    for name in undelivered {
        eprintln!("heka: {name} has not delivered everything: the rest waits in the journal");
    }
}

fn table(status: &Status) -> String {
    let mut text = String::from("family  messages      failures  out           lag       name\n");
    for plugin in &status.plugins {
        let _ = writeln!(
            text,
            "{:<7} {:<13} {:<9} {:<13} {:<9} {}",
            plugin.family, plugin.messages, plugin.failures, plugin.out, plugin.lag, plugin.name
        );
    }
    for trouble in &status.troubles {
        let _ = writeln!(text, "! {trouble}");
    }
    text
}
