//! Sources against the programs that they are for.

mod applications;
mod daemons;
mod heka_clients;
mod log_files;
mod log_page;
mod machine;
mod statsd;
mod syslog;

use libtest_mimic::Trial;

/// The tests of this folder.
pub(crate) fn trials() -> Vec<Trial> {
    [
        applications::trials(),
        daemons::trials(),
        heka_clients::trials(),
        log_files::trials(),
        log_page::trials(),
        machine::trials(),
        statsd::trials(),
        syslog::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
