//! A journal as `heka cat` goes through it, beside the engine that writes it or without one.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use super::Command;
use super::LOOK;
use super::Writer;
use crate::journal;
use crate::journal::Body;
use crate::journal::Missing;
use crate::journal::Next;
use crate::journal::Position;
use crate::journal::ReadOnly;

/// Copies the messages of the journal in `folder`; returns how many times something was missing.
pub(super) fn copy(
    command: &Command,
    folder: &Path,
    writer: &mut Writer<'_>,
) -> anyhow::Result<u64> {
    let mut journal = open(folder)?;
    if command.offset > 0 {
        journal.seek(Position(command.offset - 1));
    }
    let mut damages = 0;
    loop {
        match journal.next()? {
            Next::Entry(entry) => {
                if let Body::Batch(batch) = &entry.body {
                    for message in batch.iter() {
                        writer.take(&message)?;
                    }
                }
            }
            Next::Missed { first, last, why } => {
                let what = match why {
                    Missing::Damaged => "damaged",
                    Missing::Trimmed | Missing::Dropped => "no longer there",
                };
                damages += u64::from(why == Missing::Damaged);
                let folder = folder.display();
                eprintln!("{folder}: entries {first} to {last} are {what}, and passed over");
            }
            Next::Empty if command.follow => {
                writer.flush()?;
                std::thread::sleep(LOOK);
            }
            Next::Empty => return Ok(damages),
        }
    }
}

/// Opens the journal in this folder, or below it in the folder of an engine's state.
fn open(folder: &Path) -> anyhow::Result<ReadOnly> {
    let below: PathBuf = folder.join("journal");
    let folder = if below.is_dir() { &below } else { folder };
    journal::open_read_only(folder).with_context(|| folder.display().to_string())
}
