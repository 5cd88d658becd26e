//! Notices when a script has changed.
//!
//! Folders are watched rather than files, so that an editor that writes anew and renames is
//! noticed too; what comes close together counts once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::RecursiveMode;
use notify::Watcher;
use tokio::sync::Notify;

/// How long things must be quiet after a change.
const QUIET: Duration = Duration::from_millis(100);

/// Watches some files.
pub(super) struct Watch {
    changes: Arc<Notify>,
    files: Vec<PathBuf>,
    /// Something has changed and nobody has been told yet: whoever waits may give up and ask again.
    has_changed: bool,
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Watch {
    /// Watches `files`; where the system cannot, says so and watches nothing.
    pub(super) fn start(files: Vec<PathBuf>) -> Watch {
        let changes = Arc::new(Notify::new());
        let told = changes.clone();
        let watched = files.clone();
        let mut folders: Vec<PathBuf> =
            files.iter().filter_map(|file| file.parent().map(ToOwned::to_owned)).collect();
        folders.sort();
        folders.dedup();
        if folders.is_empty() {
            return Watch { changes, files, has_changed: false, _watcher: None };
        }
        let watcher = notify::recommended_watcher(move |change: notify::Result<notify::Event>| {
            let Ok(change) = change else { return };
            let is_ours = change.paths.iter().any(|path| watched.contains(path));
            if is_ours && !change.kind.is_access() {
                told.notify_one();
            }
        });
        let watcher = watcher.and_then(|mut watcher| {
            for folder in &folders {
                watcher.watch(folder, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        match watcher {
            Ok(watcher) => Watch { changes, files, has_changed: false, _watcher: Some(watcher) },
            Err(error) => {
                tracing::warn!(%error, "scripts are not watched: SIGHUP reloads them");
                Watch { changes, files, has_changed: false, _watcher: None }
            }
        }
    }

    /// Resolves when something has changed and is quiet again.
    pub(super) async fn changed(&mut self) {
        if !self.has_changed {
            self.changes.notified().await;
            self.has_changed = true;
        }
        while tokio::time::timeout(QUIET, self.changes.notified()).await.is_ok() {}
        self.has_changed = false;
    }

    /// Watches `files` from now on. What changed while it was not watched counts as a change.
    pub(super) fn follow(&mut self, files: Vec<PathBuf>) {
        if files != self.files {
            *self = Watch { has_changed: true, ..Watch::start(files) };
        }
    }
}
