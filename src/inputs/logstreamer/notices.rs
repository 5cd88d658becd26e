//! What the system tells, by inotify(7): that files come, go or are renamed in folders that were
//! looked into, and that a file was written to at whose end somebody waits.
//!
//! A file is watched only while somebody waits for it, and told of once: one that is written to all
//! the time, or of no interest, costs nothing.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;

use hashbrown::HashMap;
use nix::sys::inotify::AddWatchFlags;
use nix::sys::inotify::InitFlags;
use nix::sys::inotify::Inotify;
use nix::sys::inotify::InotifyEvent;
use nix::sys::inotify::WatchDescriptor;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What is told of a folder.
const NAMES: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF);

/// Notifications, as long as it is kept.
#[derive(Debug)]
pub(super) struct Notices {
    /// None where the system has none to give.
    queue: Option<AsyncFd<Queue>>,
    /// Who waits for which file.
    waiting: Mutex<HashMap<WatchDescriptor, Vec<Weak<Notify>>>>,
}

#[derive(Debug)]
struct Queue(Inotify);

impl AsRawFd for Queue {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Queue {
    #[expect(deprecated, reason = "the queue owns its descriptor, and never gives another")]
    fn open() -> std::io::Result<AsyncFd<Queue>> {
        AsyncFd::new(Queue(Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?))
    }
}

/// What was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Files have come, gone or got other names.
    pub(super) has_names: bool,
    /// The system had more to tell than it keeps: anything may have changed.
    pub(super) is_lost: bool,
}

impl Notices {
    /// Begins with nothing to be told of. Where the system cannot tell, looks and scans at their
    /// intervals find everything out.
    pub(super) fn start() -> Notices {
        let queue = Queue::open().inspect_err(
            |error| tracing::debug!(%error, "no notifications, looks find what is new"),
        );
        Notices { queue: queue.ok(), waiting: Mutex::default() }
    }

    /// Tells of names in this folder from now on.
    pub(super) fn folder(&self, path: &Path) {
        let Some(queue) = &self.queue else { return };
        if let Err(error) = queue.get_ref().0.add_watch(path, NAMES | AddWatchFlags::IN_ONLYDIR) {
            let folder = path.display();
            tracing::debug!(%folder, %error, "no notifications of new files, scans find them");
        }
    }

    /// Wakes somebody when more is written to an open file, whatever it is called by now.
    pub(super) fn file(&self, file: &File, wake: &Arc<Notify>) {
        self.path(&PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())), wake);
    }

    /// Wakes somebody when something is written to the file that is called so.
    pub(super) fn path(&self, path: &Path, wake: &Arc<Notify>) {
        let Some(queue) = &self.queue else { return };
        // The queue is not read meanwhile: who is told of is known before.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let once = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ONESHOT;
        match queue.get_ref().0.add_watch(path, once) {
            Ok(watch) => {
                let all = waiting.entry(watch).or_default();
                all.retain(|other| {
                    other.strong_count() > 0 && !std::ptr::eq(other.as_ptr(), Arc::as_ptr(wake))
                });
                all.push(Arc::downgrade(wake));
            }
            Err(error) => {
                let file = path.display();
                tracing::debug!(%file, %error, "no notifications of new data, looks find it");
            }
        }
    }

    /// Waits until there is something to tell, and until `then`; wakes those who wait for files.
    pub(super) async fn told_after(&self, then: Instant) -> Told {
        tokio::time::sleep_until(then).await;
        let Some(queue) = &self.queue else { return std::future::pending().await };
        let Ok(mut ready) = queue.readable().await else { return std::future::pending().await };
        let mut told = Told::default();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(events) = queue.get_ref().0.read_events() {
            for event in &events {
                told.take(event, &mut waiting);
            }
        }
        ready.clear_ready();
        told
    }
}

impl Told {
    fn take(
        &mut self,
        event: &InotifyEvent,
        waiting: &mut HashMap<WatchDescriptor, Vec<Weak<Notify>>>,
    ) {
        self.has_names |= event.mask.intersects(NAMES);
        self.is_lost |= event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
        let is_over = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_IGNORED;
        if event.mask.intersects(is_over) {
            for wake in waiting.remove(&event.wd).into_iter().flatten() {
                if let Some(wake) = wake.upgrade() {
                    wake.notify_one();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    /// Long, because machines that run tests are busy.
    const PATIENCE: Duration = Duration::from_mins(1);

    async fn told(notices: &Notices) -> Told {
        tokio::time::timeout(PATIENCE, notices.told_after(Instant::now())).await.unwrap()
    }

    #[tokio::test]
    async fn names_are_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let notices = Notices::start();
        notices.folder(folder.path());
        let names = Told { has_names: true, is_lost: false };
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        std::fs::write(&one, "a").unwrap();
        assert_eq!(told(&notices).await, names);
        std::fs::rename(&one, &other).unwrap();
        assert_eq!(told(&notices).await, names);
        // What is written is not told of, where nobody waits.
        std::fs::write(&other, "b").unwrap();
        std::fs::remove_file(&other).unwrap();
        assert_eq!(told(&notices).await, names);
    }

    #[tokio::test]
    async fn who_waits_for_a_file_is_woken_once() {
        let folder = tempfile::tempdir().unwrap();
        let notices = Notices::start();
        let path = folder.path().join("log");
        let mut file = File::create(&path).unwrap();
        let wakes = [Arc::new(Notify::new()), Arc::new(Notify::new())];
        notices.file(&file, &wakes[0]);
        notices.path(&path, &wakes[1]);
        std::fs::rename(&path, folder.path().join("log.1")).unwrap();
        file.write_all(b"a line\n").unwrap();
        assert_eq!(told(&notices).await, Told::default());
        for wake in &wakes {
            tokio::time::timeout(PATIENCE, wake.notified()).await.unwrap();
        }
        assert!(notices.waiting.lock().unwrap().is_empty());
        // Nobody waits any more: the next is not told of until somebody does.
        file.write_all(b"another\n").unwrap();
        notices.file(&file, &wakes[0]);
        file.write_all(b"a third\n").unwrap();
        told(&notices).await;
        let woken = tokio::time::timeout(Duration::ZERO, wakes[0].notified()).await;
        assert!(woken.is_ok(), "asked for again, told of again");
        let woken = tokio::time::timeout(Duration::ZERO, wakes[1].notified()).await;
        assert!(woken.is_err(), "told of without having asked");
    }

    #[tokio::test]
    async fn a_file_that_is_gone_is_waited_for_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let notices = Notices::start();
        let path = folder.path().join("log");
        std::fs::write(&path, "").unwrap();
        let wake = Arc::new(Notify::new());
        notices.path(&path, &wake);
        std::fs::remove_file(&path).unwrap();
        told(&notices).await;
        assert!(notices.waiting.lock().unwrap().is_empty());
    }
}
