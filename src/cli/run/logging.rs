//! The engine's own log: to stderr as text or JSON, or straight to the journal of systemd.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
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

/// Drivers that log on their own each time what plugins report once; a filter that names one hears it.
const QUIET: [&str; 1] = ["scylla"];

/// Reads what `--log-level` says: a level, or levels of modules with `,` between.
///
/// # Errors
/// When a word in it is no level: taken as a module, it would silence everything else.
pub(super) fn level(text: &str) -> Result<String, String> {
    for part in text.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        if level.is_empty() || level.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "`{level}` is no level, expected off, error, warn, info, debug or trace"
            ));
        }
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// Starts logging at `level`, a level or a filter by module.
///
/// # Errors
/// When the level is none, or the journal of systemd is not there.
pub(super) fn start(level: &str, format: Format) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level).with_context(|| format!("`{level}` is no log level"))?;
    let filter = QUIET.iter().filter(|name| !level.contains(**name)).fold(filter, |all, name| {
        let quiet = format!("{name}=off").parse();
        all.add_directive(quiet.expect("a name and `off` are a directive"))
    });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for sound in ["info", "WARN", "off", "heka=debug", "warn,heka::net=trace,heka=info"] {
            assert_eq!(level(sound).as_deref(), Ok(sound));
        }
        for (wrong, word) in
            [("nosuch", "nosuch"), ("", ""), ("heka=loud", "loud"), ("info,heka", "heka")]
        {
            let error = level(wrong).unwrap_err();
            assert!(error.starts_with(&format!("`{word}` is no level")), "{error}");
        }
    }
}
