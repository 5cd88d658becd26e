//! What is promised of messages and states, by fault, and of each plugin that a configuration names;
//! printed by `heka check` and kept by tests.

use super::plan::Plan;
use super::plan::Reading;
use crate::journal::FullAction;
use crate::journal::Keeps;
use crate::journal::StorageKind;

/// By fault: what holds with the disk journal, and with the memory journal.
const PROMISES: [[&str; 3]; 7] = [
    [
        "kill -9",
        "nothing acknowledged is lost; filter state exact; outputs at least once",
        "what the source can send again comes again, the rest is lost; filter state as of the last snapshot",
    ],
    ["power cut", "the same", "the same"],
    ["an output down or slow", "", ""],
    [
        "a script loops or throws",
        "the message is set aside and reported; past max_failures it alone is stopped, and restarted with back-off",
        "the message is set aside and reported; past max_failures it alone is stopped, and restarted with back-off",
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

/// The promises that hold with this plan, a line each.
pub(super) fn text(plan: &Plan) -> String {
    let journal = &plan.journal;
    let is_disk = journal.storage == StorageKind::Disk;
    let mut text = String::new();
    let mut row = |name: &str, promise: &str| {
        text.push_str(&format!("{name:<24} {promise}\n"));
    };
    if is_disk {
        let folder = plan.engine.base_dir.join(&journal.path);
        row("With the disk journal:", &folder.display().to_string());
    } else {
        row("With the memory journal:", "");
    }
    let general = lags(journal.full_action);
    for [fault, disk, memory] in PROMISES {
        let promise = if is_disk { disk } else { memory };
        row(fault, if promise.is_empty() { general } else { promise });
    }
    for input in &plan.inputs {
        row(&input.section.name, input.promise);
    }
    for filter in &plan.filters {
        let own = match (filter.plugin.keeps_state(), is_disk) {
            (true, true) => "state exact",
            (true, false) => "state as of the last snapshot",
            (false, _) => "starts empty at every start (preserve_data = false)",
        };
        row(&filter.name, &reader(own, &filter.reading, journal.full_action));
    }
    for output in &plan.outputs {
        row(&output.section.name, &reader(output.promise, &output.reading, journal.full_action));
    }
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// What holds of what a reader reads, and what becomes of it when it is slow.
fn reader(own: &str, reading: &Reading, general: FullAction) -> String {
    if reading.reader.keeps == Keeps::Nothing {
        return "reads at the end alone (use_buffering = false): what it misses while it is slow or \
                the engine down is lost to it"
            .to_owned();
    }
    let budget = match reading.reader.max_bytes {
        Some(bytes) => format!("when it is {bytes} bytes behind"),
        None => "when what it needs fills the budget".to_owned(),
    };
    let action = match reading.reader.full_action.unwrap_or(general) {
        FullAction::Block => "the inputs wait",
        FullAction::DropOldest => "it loses the oldest, counted and reported",
        FullAction::Shutdown => "the engine stops",
    };
    format!("{own}; {budget}, {action}")
}

/// What becomes of an output that is slow.
fn lags(action: FullAction) -> &'static str {
    match action {
        FullAction::Block => "it lags alone until the budget is full, then the inputs wait",
        FullAction::DropOldest => {
            "it lags alone until the budget is full, then it loses the oldest"
        }
        FullAction::Shutdown => "it lags alone until the budget is full, then the engine stops",
    }
}
