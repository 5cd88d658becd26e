//! Sources against the programs that they are for.

mod daemons;
mod statsd;
mod syslog;

use libtest_mimic::Trial;

/// The tests of this folder.
pub(crate) fn trials() -> Vec<Trial> {
    [daemons::trials(), statsd::trials(), syslog::trials()].into_iter().flatten().collect()
}
