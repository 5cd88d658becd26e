//! The engine's own log: to stderr as text or JSON, or straight to the journal of systemd.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// How log lines are written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Format {
    /// Lines for people.
    Text,
    /// An object of JSON a line.
    Json,
    /// Straight to the journal of systemd.
    Journald,
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Format {
        match format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
            LogFormat::Journald => Format::Journald,
        }
    }
}

/// Starts logging at `level`, a level or a filter by module.
///
/// # Errors
/// When the level is none, or the journal of systemd is not there.
pub(super) fn start(level: &str, format: Format) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level).with_context(|| format!("`{level}` is no log level"))?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        Format::Text => {
            let layer = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(false);
            registry.with(layer).try_init()
        }
        Format::Json => {
            let layer = tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr);
            registry.with(layer).try_init()
        }
        Format::Journald => {
            let layer = tracing_journald::layer().context("cannot log to journald")?;
            registry.with(layer).try_init()
        }
    };
    started.context("cannot start logging")
}
