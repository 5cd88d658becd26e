//! Sources against the programs that they are for.

mod syslog;

use libtest_mimic::Trial;

/// The tests of this folder.
pub(crate) fn trials() -> Vec<Trial> {
    syslog::trials()
}
