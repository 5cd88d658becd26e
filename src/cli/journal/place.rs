//! Where a journal is, by what the command line names.

use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;

use super::super::configuration;
use super::super::configuration::Origin;
use crate::journal::Settings;

/// A journal, and whose it is.
#[derive(Debug)]
pub(super) struct Place {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// The folder of the engine's state, as far as it is known.
    pub(super) base_dir: Option<PathBuf>,
    /// How it is configured, where a configuration was named.
    pub(super) settings: Option<Settings>,
}

/// Finds the journal that `path` leads to; nothing when it is a configuration with mistakes, which
/// have been reported.
pub(super) fn find(path: &Path) -> anyhow::Result<Option<Place>> {
    if has_segments(path) {
        let parent = path.canonicalize()?.parent().map(Path::to_owned);
        // Engines leave this in the folder of their state.
        let base_dir = parent.filter(|parent| parent.join("lock").exists());
        return Ok(Some(Place { folder: path.to_owned(), base_dir, settings: None }));
    }
    let below = path.join("journal");
    if below.is_dir() {
        let base_dir = Some(path.to_owned());
        return Ok(Some(Place { folder: below, base_dir, settings: None }));
    }
    let (config, problems) = configuration::load(&Origin::Path(path.to_owned()));
    let Some(config) = config else {
        configuration::report(&problems);
        return Ok(None);
    };
    let settings = match config.journal.read(|table| Settings::deserialize(table)) {
        Ok(settings) => settings,
        Err(problems) => {
            configuration::report(&problems);
            return Ok(None);
        }
    };
    let base_dir = config.hekad.base_dir;
    let folder = base_dir.join(&settings.path);
    Ok(Some(Place { folder, base_dir: Some(base_dir), settings: Some(settings) }))
}

fn has_segments(path: &Path) -> bool {
    let files = std::fs::read_dir(path).into_iter().flatten().flatten();
    files.map(|file| file.path()).any(|path| path.extension().is_some_and(|it| it == "segment"))
}
