//! What a stream waits for, and how it is looked at.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Notify;

use super::notices::Notices;
use super::reader::Reader;
use super::scan::Identity;
use super::scan::modified;

/// The folder of an input.
#[derive(Debug)]
pub(super) struct Watch {
    folder: PathBuf,
    /// Which one it was, where there was one of that name.
    seen: Option<(Identity, Option<SystemTime>)>,
}

impl Watch {
    /// Watches a folder that nobody has looked at.
    pub(super) fn new(folder: &Path) -> Watch {
        Watch { folder: folder.to_owned(), seen: None }
    }

    /// Looks whether the folder is there by now, or is another one; `true` when there is something
    /// new to scan.
    pub(super) async fn renew(&mut self) -> bool {
        let there = tokio::fs::metadata(&self.folder).await;
        let there = there.map(|data| (Identity::of(&data), data.created().ok())).ok();
        let is_new = there != self.seen && there.is_some();
        self.seen = there;
        is_new
    }
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

    /// Has somebody woken when there may be what is waited for, or at once where there is already;
    /// `told` is of what was there when that was said last, so that it is said once.
    pub(super) fn ask(&self, notices: &Notices, wake: &Arc<Notify>, told: &mut Option<(u64, i64)>) {
        if let Some(path) = &self.expected {
            notices.path(path, wake);
        }
        let Some(end) = &self.end else { return };
        notices.file(&end.file, wake);
        // Written between the last read and the asking.
        if let Some(there) = end.there().filter(|there| *there != (end.size, end.modified))
            && told.replace(there) != Some(there)
        {
            wake.notify_one();
        }
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
    /// The size of the file and when it was last written to.
    fn there(&self) -> Option<(u64, i64)> {
        self.file.metadata().ok().map(|data| (data.size(), modified(&data)))
    }

    fn look(&self) -> Sight {
        let has_changed = self.there().is_some_and(|there| there != (self.size, self.modified));
        let there = std::fs::metadata(&self.path).map(|data| Identity::of(&data));
        let is_there = there.ok() == Some(self.identity);
        Sight { has_changed, has_moved: !is_there && !self.has_moved }
    }
}
