//! What a process writes, collected while it runs.

use std::io::Read;
use std::process::Child;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context;

/// The two streams of a process.
pub(super) struct Output {
    shared: Arc<Shared>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    written: Mutex<Written>,
    grew: Condvar,
}

#[derive(Default)]
struct Written {
    streams: [Vec<u8>; 2],
}

impl Output {
    /// Collects what `child` writes from now on.
    pub(super) fn of(child: &mut Child) -> anyhow::Result<Output> {
        let shared = Arc::new(Shared::default());
        let stdout = child.stdout.take().context("stdout is piped")?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let readers = vec![collect(&shared, 0, stdout), collect(&shared, 1, stderr)];
        Ok(Output { shared, readers })
    }

    pub(super) fn stdout(&self) -> String {
        self.shared.text(0)
    }

    pub(super) fn stderr(&self) -> String {
        self.shared.text(1)
    }

    /// Waits until something more is written, at most so long.
    pub(super) fn wait(&self, most: Duration) {
        let written = self.shared.lock();
        let waited = self.shared.grew.wait_timeout(written, most);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until both streams are closed.
    pub(super) fn read_to_end(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self, stream: usize) -> String {
        String::from_utf8_lossy(&self.lock().streams[stream]).into_owned()
    }
}

fn collect(
    shared: &Arc<Shared>,
    stream: usize,
    mut from: impl Read + Send + 'static,
) -> std::thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        let mut chunk = [0; 8192];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            shared.lock().streams[stream].extend_from_slice(&chunk[..count]);
            shared.grew.notify_all();
        }
    })
}
