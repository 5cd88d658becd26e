//! Says that there may be something new: new files, by notifications of the system; new data, by
//! looking at sizes, now and then and when the system says that something was written.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use notify::EventKind;
use notify::RecursiveMode;
use notify::Watcher;
use notify::event::ModifyKind;

use super::reader::Reader;
use super::scan::Identity;
use super::scan::modified;
use super::stream::Rescan;

/// Notifications about a folder, as long as it is kept.
pub(super) struct Watch {
    folder: PathBuf,
    rescan: Arc<Rescan>,
    /// The folder that notifications are about, where there is one of that name.
    watched: Option<(Identity, Option<SystemTime>)>,
    watcher: Option<notify::RecommendedWatcher>,
}

impl Watch {
    /// Asks for a scan when files come, go or are renamed below `folder`, and for a look when one is
    /// written to. Where the system cannot tell, scans and looks at their intervals find it out.
    pub(super) async fn start(folder: &Path, rescan: &Arc<Rescan>) -> Watch {
        let (folder, rescan) = (folder.to_owned(), rescan.clone());
        let mut watch = Watch { folder, rescan, watched: None, watcher: None };
        watch.renew().await;
        watch
    }

    /// Looks whether the folder is there by now, or is another one; `true` when there is something
    /// new to scan.
    pub(super) async fn renew(&mut self) -> bool {
        let there = tokio::fs::metadata(&self.folder).await;
        let there = there.map(|data| (Identity::of(&data), data.created().ok())).ok();
        if there == self.watched {
            return false;
        }
        self.watched = there;
        self.watcher = there.and_then(|_| watcher(&self.folder, &self.rescan));
        there.is_some()
    }
}

fn watcher(folder: &Path, rescan: &Arc<Rescan>) -> Option<notify::RecommendedWatcher> {
    let rescan = rescan.clone();
    let told = move |event: notify::Result<notify::Event>| match event.map(|event| event.kind) {
        Ok(
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)),
        ) => {
            rescan.ask();
        }
        Ok(EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any)) => rescan.note_data(),
        _ => {}
    };
    let watcher = notify::recommended_watcher(told).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    if let Err(error) = &watcher {
        let folder = folder.display();
        tracing::debug!(%folder, %error, "no notifications of new files, scans find them");
    }
    watcher.ok()
}

/// What a stream waits for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// More in the file that was read to its end.
    end: Option<End>,
    /// Something in the file that is to be next.
    expected: Option<PathBuf>,
}

#[derive(Debug)]
struct End {
    file: Arc<File>,
    path: PathBuf,
    identity: Identity,
    size: u64,
    modified: i64,
    has_moved: bool,
}

/// What a look showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// There is something to read, or something else than was read.
    pub(super) has_changed: bool,
    /// The name of the file belongs to another, or to none, and did not before.
    pub(super) has_moved: bool,
}

impl Waiting {
    /// Waits where the reader of `current` is, in the file that was called so, and for `expected`.
    pub(super) fn at(current: Option<(&Reader, &Path)>, expected: Option<&Path>) -> Waiting {
        let end = current.map(|(reader, path)| {
            let mut end = End {
                file: reader.handle(),
                path: path.to_owned(),
                identity: reader.identity(),
                size: reader.size(),
                modified: reader.modified(),
                has_moved: false,
            };
            end.has_moved = end.look().has_moved;
            end
        });
        Waiting { end, expected: expected.map(Path::to_owned) }
    }

    /// The file, where its name had already gone to another when the wait began.
    pub(super) fn moved(&self) -> Option<Identity> {
        self.end.as_ref().filter(|end| end.has_moved).map(|end| end.identity)
    }

    /// Looks whether there is what is waited for.
    pub(super) fn look(&self) -> Sight {
        let mut sight = self.end.as_ref().map(End::look).unwrap_or_default();
        let expected = self.expected.as_ref().and_then(|path| std::fs::metadata(path).ok());
        sight.has_changed |= expected.is_some_and(|data| data.len() > 0);
        sight
    }
}

impl End {
    fn look(&self) -> Sight {
        let has_changed = self
            .file
            .metadata()
            .is_ok_and(|data| data.size() != self.size || modified(&data) != self.modified);
        let there = std::fs::metadata(&self.path).map(|data| Identity::of(&data));
        let is_there = there.ok() == Some(self.identity);
        Sight { has_changed, has_moved: !is_there && !self.has_moved }
    }
}
