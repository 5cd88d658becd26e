//! The files there are, by stream, oldest first.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;

use super::layout::Age;
use super::layout::Layout;

/// How deep folders are entered.
const MAX_DEPTH: usize = 32;
/// How many files are looked at in one scan.
const MAX_FILES: usize = 100_000;
/// How many looks are tried until two agree, and the pause between them.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(2);
/// The size below which a compressed file cannot be whole: that of the empty one.
const SMALLEST_GZIP: u64 = 20;

/// What a file is whatever it is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Identity {
    pub(super) fn of(data: &Metadata) -> Identity {
        Identity { device: data.dev(), inode: data.ino() }
    }
}

/// A file of a stream, as a scan found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    /// When it was last written to, in nanoseconds since the epoch.
    pub(super) modified: i64,
    pub(super) size: u64,
    age: Age,
}

/// The files of one stream, oldest first.
pub(super) type Listing = Arc<[LogFile]>;

/// When a file was last written to, in nanoseconds since the epoch.
pub(super) fn modified(data: &Metadata) -> i64 {
    data.mtime().saturating_mul(1_000_000_000).saturating_add(data.mtime_nsec())
}

/// What a scan found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The files, by the name of their stream.
    pub(super) streams: BTreeMap<String, Listing>,
    /// Files that belong to a stream and must not be read.
    pub(super) unreadable: Vec<PathBuf>,
}

impl Scan {
    /// Tells whether both found the same files under the same names.
    fn agrees(&self, other: &Scan) -> bool {
        let same = |(one, other): (&LogFile, &LogFile)| {
            one.identity == other.identity && one.path == other.path
        };
        let streams = self.streams.iter().zip(&other.streams);
        self.streams.len() == other.streams.len()
            && streams.into_iter().all(|((name, files), (other_name, others))| {
                name == other_name
                    && files.len() == others.len()
                    && files.iter().zip(others.iter()).all(same)
            })
    }
}

/// Finds the files below `root`.
///
/// Files that are renamed while a folder is read show up twice or not at all, and one that is missed
/// would be passed over for good. So it is looked until two looks agree. `enter` hears of every
/// folder before it is read.
pub(super) fn scan(root: &Path, layout: &Layout, enter: &dyn Fn(&Path)) -> Scan {
    let mut last = look(root, layout, enter);
    for _ in 0..LOOKS {
        let next = look(root, layout, enter);
        if next.agrees(&last) {
            return next;
        }
        last = next;
        std::thread::sleep(PAUSE);
    }
    tracing::debug!(folder = %root.display(), "files are renamed all the time");
    last
}

fn look(root: &Path, layout: &Layout, enter: &dyn Fn(&Path)) -> Scan {
    // The folder itself may be a link, and links in it may lead to it.
    let root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let mut walk = Walk {
        root: &root,
        layout,
        enter,
        streams: BTreeMap::new(),
        unreadable: Vec::new(),
        folders: HashSet::new(),
        files: 0,
    };
    walk.folder(&root, 0);
    if walk.files > MAX_FILES {
        tracing::warn!(folder = %root.display(), "more than {MAX_FILES} files, not all are looked at");
    }
    let streams = walk.streams.into_iter().map(|(name, files)| (name, sorted(files))).collect();
    Scan { streams, unreadable: walk.unreadable }
}

struct Walk<'a> {
    root: &'a Path,
    layout: &'a Layout,
    enter: &'a dyn Fn(&Path),
    streams: BTreeMap<String, Vec<LogFile>>,
    unreadable: Vec<PathBuf>,
    /// Folders already entered, so that links make no circle.
    folders: HashSet<Identity>,
    files: usize,
}

impl Walk<'_> {
    fn folder(&mut self, path: &Path, depth: usize) {
        (self.enter)(path);
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::debug!(folder = %path.display(), %error, "cannot look into a folder");
                return;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let relative = path.strip_prefix(self.root).ok().and_then(Path::to_str);
            let place = relative.filter(|_| !is_folder).and_then(|name| self.layout.place(name));
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if place.is_none() && !is_folder && !is_link {
                continue;
            }
            // A file may be gone again by now.
            let Ok(data) = std::fs::metadata(&path) else { continue };
            if data.is_dir() {
                if depth < MAX_DEPTH && self.folders.insert(Identity::of(&data)) {
                    self.folder(&path, depth + 1);
                }
            } else if let Some((stream, age)) = place.filter(|_| data.is_file()) {
                self.files += 1;
                if self.files > MAX_FILES {
                    return;
                }
                if !may_read(&path) {
                    self.unreadable.push(path);
                    continue;
                }
                let file = LogFile {
                    path,
                    identity: Identity::of(&data),
                    modified: modified(&data),
                    size: data.len(),
                    age,
                };
                self.streams.entry(stream).or_default().push(file);
            }
        }
    }
}

/// Two files that only the time they were last written to sorts, as `priority` does not.
pub(super) fn of_the_same_age(files: &Listing) -> Option<[&Path; 2]> {
    let pair = files.windows(2).find(|pair| pair[0].age == pair[1].age)?;
    Some([&pair[0].path, &pair[1].path])
}

/// Sorts the files of a stream, oldest first, and leaves out what stands there twice: under two
/// names, or compressed beside the file it is made from or while it is still being written.
fn sorted(mut files: Vec<LogFile>) -> Listing {
    files.sort_by(|a, b| (&a.age, a.modified, &a.path).cmp(&(&b.age, b.modified, &b.path)));
    let paths: HashSet<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let mut seen = HashSet::new();
    files.retain(|file| {
        let is_compressed = file.path.extension().is_some_and(|extension| extension == "gz");
        if is_compressed {
            let is_unfinished = file.size < SMALLEST_GZIP;
            if is_unfinished || paths.contains(&file.path.with_extension("")) {
                return false;
            }
        }
        seen.insert(file.identity)
    });
    files.into()
}
/// Tells whether this process may read a file, with the capabilities that it has, which `access`
/// passes over.
fn may_read(path: &Path) -> bool {
    let (wanted, flags) = (rustix::fs::Access::READ_OK, rustix::fs::AtFlags::EACCESS);
    rustix::fs::accessat(rustix::fs::CWD, path, wanted, flags).is_ok()
}
