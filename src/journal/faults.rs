//! Faults that tests inject where the disk would show them.

use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

/// What is to go wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// So many of the next syncs fail.
    pub(super) syncs: AtomicU32,
}

impl Faults {
    /// Fails if a sync is to fail now.
    pub(super) fn sync(&self) -> io::Result<()> {
        let taken =
            self.syncs.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if taken.is_ok() { Err(io::Error::other("injected")) } else { Ok(()) }
    }
}
