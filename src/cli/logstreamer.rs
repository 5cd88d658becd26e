//! `heka logstreamer`: what the log sections of a configuration would read, in order.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use chrono::DateTime;
use chrono::Utc;

use super::configuration;
use super::configuration::Origin;
use crate::inputs::logstreamer;
use crate::inputs::logstreamer::LogStream;
use crate::stdx::size;

/// Shows what the log sections of a configuration would read, in order; reads nothing.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// Configuration: a file or a folder of `*.toml`; without it, the one that `heka run` has
    config: Option<PathBuf>,
}

impl Command {
    /// Prints the streams and their files, oldest first.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let origin = Origin::of(self.config.as_deref());
        let Some(config) = configuration::load_or_report(&origin) else {
            return Ok(ExitCode::from(2));
        };
        // All settings are read for this alone: a mistake in them is told with its place.
        let Some(plan) = configuration::plan_or_report(config, &Arc::default()) else {
            return Ok(ExitCode::from(2));
        };
        let now = Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        let mut text = String::new();
        let sections = &plan.config().sections;
        for section in sections.iter().filter(|one| one.kind == "LogstreamerInput") {
            let name = &section.name;
            let read = section.settings.read(|table| Ok(logstreamer::streams(name, table, now)));
            if let Ok(streams) = read {
                push(&mut text, name, &streams?);
            }
        }
        if text.is_empty() {
            eprintln!("{origin} has no section of type LogstreamerInput");
        }
        super::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Appends a section with its streams.
fn push(text: &mut String, section: &str, streams: &[LogStream]) {
    let files: usize = streams.iter().map(|stream| stream.files.len()).sum();
    let _ = writeln!(text, "{section}: {} streams, {files} files", streams.len());
    for stream in streams {
        let _ = writeln!(text, "  {}", stream.name);
        for file in &stream.files {
            let modified = DateTime::from_timestamp_nanos(file.modified);
            let expired = if file.is_expired { "  too old, not read" } else { "" };
            let _ = writeln!(
                text,
                "    {}  {}  {}{expired}",
                modified.format("%Y-%m-%d %H:%M:%S"),
                size::text(file.size),
                file.path.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::logstreamer::LogStreamFile;

    #[test]
    fn files_are_shown_with_size_and_time() {
        let file = |path: &str, size: u64, is_expired: bool| LogStreamFile {
            path: PathBuf::from(path),
            size,
            modified: 1_772_323_200_000_000_000,
            is_expired,
        };
        let files = vec![file("/var/log/a.1", 2048, true), file("/var/log/a", 5, false)];
        let mut text = String::new();
        push(&mut text, "logs", &[LogStream { name: "a".to_owned(), files }]);
        let expected = "logs: 1 streams, 2 files\n  a\n    2026-03-01 00:00:00  2 KiB  \
                        /var/log/a.1  too old, not read\n    2026-03-01 00:00:00  5 B  /var/log/a\n";
        assert_eq!(text, expected);
    }
}
