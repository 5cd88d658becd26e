//! `heka journal forget`: gives up the cursor of a reader.

use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::Which;
use super::place::Place;
use crate::journal::Error;
use crate::journal::Journal;
use crate::journal::Settings;
use crate::outputs;
use crate::stdx::clock::System;

/// How long a running engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Gives up the cursor and the snapshots of a reader that is not configured any more, so that
/// nothing is kept for it; an output of this name starts as a new one then.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// The name of its section
    #[arg(value_name = "READER")]
    reader: String,
    #[command(flatten)]
    which: Which,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Some(place) = self.which.find()? else { return Ok(ExitCode::from(2)) };
        let base_dir = place.base_dir.clone().with_context(|| {
            let folder = place.folder.display();
            format!("whether an engine has {folder} cannot be told: name its configuration")
        })?;
        let done = match ask(&base_dir.join("heka.sock"), &self.reader)? {
            Some(answer) => answer,
            None => self.forget(&base_dir, &place)?,
        };
        match done {
            Ok(text) => {
                crate::cli::print(&text)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(text) => {
                eprint!("heka: {text}");
                Ok(ExitCode::FAILURE)
            }
        }
    }

    /// Does it without an engine.
    fn forget(&self, base_dir: &Path, place: &Place) -> anyhow::Result<Result<String, String>> {
        // Opening must not trim what a larger budget has kept.
        let settings = place.settings.clone().unwrap_or_else(|| Settings {
            path: place.folder.canonicalize().unwrap_or_else(|_| place.folder.clone()),
            max_bytes: Some(1 << 40),
            retain_age: Duration::from_hours(24 * 365 * 100),
            ..Settings::default()
        });
        let (journal, _) = Journal::open(base_dir, &settings, Arc::new(System::new())).map_err(
            |error| match error {
                Error::Locked { .. } => {
                    anyhow::Error::new(error).context("an engine runs and does not answer")
                }
                other => other.into(),
            },
        )?;
        let answer = forget(&journal, base_dir, &self.reader, |_| true);
        journal.close()?;
        Ok(answer)
    }
}

/// Gives up `reader` if `may_go`; the answer is a sentence.
pub(in crate::cli) fn forget(
    journal: &Journal,
    base_dir: &Path,
    reader: &str,
    may_go: impl Fn(&crate::journal::ReaderStatus) -> bool,
) -> Result<String, String> {
    let readers = journal.readers();
    let Some(known) = readers.iter().find(|known| known.name == reader) else {
        let names = readers.iter().map(|known| known.name.as_str());
        let nearest = crate::stdx::nearest::nearest(reader, names);
        let hint = nearest.map_or(String::new(), |name| format!(", did you mean `{name}`?"));
        return Err(format!("the journal knows no reader `{reader}`{hint}\n"));
    };
    if !may_go(known) {
        return Err(format!("{reader} is running: take its section out first\n"));
    }
    journal.forget(reader);
    let note = outputs::forget(base_dir, reader).map_err(|error| format!("{error:#}\n"))?;
    let note = if note { ", and how far it has got with its file" } else { "" };
    Ok(format!("{reader} is forgotten{note}\n"))
}

/// Asks the engine behind the control socket; nothing where none listens.
fn ask(socket: &Path, reader: &str) -> anyhow::Result<Option<Result<String, String>>> {
    let Ok(mut connection) = UnixStream::connect(socket) else { return Ok(None) };
    let failed = || format!("cannot ask the engine at {}", socket.display());
    connection.set_read_timeout(Some(PATIENCE)).with_context(failed)?;
    write!(
        connection,
        "POST /forget HTTP/1.1\r\nHost: heka\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{reader}",
        reader.len()
    )
    .with_context(failed)?;
    let mut answer = Vec::new();
    connection.take(1 << 20).read_to_end(&mut answer).with_context(failed)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").with_context(failed)?;
    let is_done = head.split(' ').nth(1) == Some("200");
    Ok(Some(if is_done { Ok(body.to_owned()) } else { Err(body.to_owned()) }))
}
