//! Filters as a table for people.

use std::fmt::Write;

use chrono::DateTime;

use crate::pipeline::SandboxStatus;
use crate::stdx::size;

/// So much of a hash tells versions apart for people.
const SHORT: usize = 8;

/// A row for each filter; with `details`, what is kept of it below.
pub(super) fn of(sandboxes: &[SandboxStatus], details: bool) -> String {
    let head = [
        "NAME", "STATE", "VERSION", "CPU", "MEMORY", "MATCHED", "INJECTED", "FAILED", "LAG",
        "KEPT", "SCRIPT",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(sandboxes.iter().map(row));
    let mut out = aligned(&rows);
    if details {
        for sandbox in sandboxes {
            out.push_str(&versions(sandbox));
        }
    }
    out
}

fn row(sandbox: &SandboxStatus) -> [String; 11] {
    [
        sandbox.name.clone(),
        sandbox.state.clone(),
        short(&sandbox.version).to_owned(),
        format!("{:.2}s", std::time::Duration::from_nanos(sandbox.cpu_ns).as_secs_f64()),
        size::text(sandbox.memory_bytes),
        sandbox.matched.to_string(),
        sandbox.injected.to_string(),
        sandbox.failed.to_string(),
        sandbox.lag.to_string(),
        sandbox.versions.len().to_string(),
        sandbox.script.clone().unwrap_or_else(|| sandbox.kind.clone()),
    ]
}

/// The columns side by side, numbers to the right.
fn aligned(rows: &[[String; 11]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..11).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let is_number = (3..10).contains(&column);
            let written = if is_number {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
            written.expect("writing to a string never fails");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The versions of a filter, the one that runs marked.
fn versions(sandbox: &SandboxStatus) -> String {
    let mut out = String::from("\nversions, the newest last:\n");
    for version in &sandbox.versions {
        let at = DateTime::from_timestamp(version.at, 0).unwrap_or_default();
        let at = at.format("%Y-%m-%d %H:%M:%S UTC");
        let note = if version.hash == sandbox.version { "  runs" } else { "" };
        out.push_str(&format!("  {}  first ran {at}{note}\n", version.hash));
    }
    if let Some(hash) = &sandbox.shadow {
        out.push_str(&format!(
            "{} is tried beside it: `heka sandbox diff {}`\n",
            short(hash),
            sandbox.name
        ));
    }
    if sandbox.is_loaded {
        out.push_str("it was loaded by `heka sandbox load`, it is not in the configuration\n");
    }
    if let Some(hash) =
        sandbox.set_aside.as_ref().filter(|hash| sandbox.shadow.as_ref() != Some(hash))
    {
        out.push_str(&format!(
            "its files have {}, which does not take over until they change\n",
            short(hash)
        ));
    }
    out
}

pub(super) fn short(hash: &str) -> &str {
    &hash[..hash.len().min(SHORT)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::KeptVersion;

    #[test]
    fn a_table_is_aligned_and_names_the_version_that_runs() {
        let sandbox = SandboxStatus {
            name: "count".to_owned(),
            kind: "SandboxFilter".to_owned(),
            script: Some("count.lua".to_owned()),
            version: "00112233445566aa".to_owned(),
            state: "running".to_owned(),
            cpu_ns: 1_500_000_000,
            memory_bytes: 3 << 20,
            matched: 12,
            versions: vec![KeptVersion { hash: "00112233445566aa".to_owned(), at: 0 }],
            ..SandboxStatus::default()
        };
        let shown = of(&[sandbox], true);
        let expected = "\
            NAME   STATE    VERSION     CPU  MEMORY  MATCHED  INJECTED  FAILED  LAG  KEPT  SCRIPT\n\
            count  running  00112233  1.50s   3 MiB       12         0       0    0     1  count.lua\n\
            \nversions, the newest last:\n  00112233445566aa  first ran 1970-01-01 00:00:00 UTC  runs\n";
        assert_eq!(shown, expected);
    }
}
