//! What is promised of messages and states, by fault; printed by `heka check` and kept by tests.

use crate::journal::StorageKind;

/// By fault: what holds with the disk journal, and with the memory journal.
const PROMISES: [[&str; 3]; 6] = [
    [
        "kill -9, power cut",
        "nothing acknowledged is lost; filter state exact; outputs at least once",
        "what the source can send again comes again, the rest is lost; filter state as of the last snapshot",
    ],
    [
        "an output down or slow",
        "it lags alone until the budget is full, then its full_action",
        "it lags alone until the budget is full, then its full_action",
    ],
    [
        "a script loops or throws",
        "the message is set aside and reported; past max_failures it alone is stopped and restarted",
        "the message is set aside and reported; past max_failures it alone is stopped and restarted",
    ],
    [
        "disk full, I/O error",
        "inputs are held back, nothing acknowledged is lost, it goes on when there is room",
        "the journal is not on the disk",
    ],
    [
        "a damaged segment",
        "the damaged entries are named and skipped; it starts",
        "the journal is not on the disk",
    ],
    ["a configuration mistake", "a reload leaves all as it was", "a reload leaves all as it was"],
];

/// The promises that hold with a journal of this kind, a line each.
pub(super) fn text(storage: StorageKind) -> String {
    let is_disk = storage == StorageKind::Disk;
    let rows = PROMISES.iter().map(|[fault, disk, memory]| {
        format!("{fault:<24} {}\n", if is_disk { disk } else { memory })
    });
    let name = if is_disk { "disk" } else { "memory" };
    format!("With the {name} journal:\n{}", rows.collect::<String>())
}
