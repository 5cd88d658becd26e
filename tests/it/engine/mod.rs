//! A whole engine: what it promises of messages and states, tried from outside.

mod carbon;
mod changes;
mod coding;
mod crash;
mod dead_letters;
mod failing;
mod faults;
mod inputs;
mod memory;
mod outputs;
mod parked;
mod records;
mod reload;
mod stopping;
mod stuck;
mod supervisor;
mod udp;

use libtest_mimic::Trial;

/// The tests of this folder.
pub(crate) fn trials() -> Vec<Trial> {
    let groups = [
        carbon::trials(),
        changes::trials(),
        coding::trials(),
        crash::trials(),
        dead_letters::trials(),
        failing::trials(),
        faults::trials(),
        inputs::trials(),
        memory::trials(),
        outputs::trials(),
        records::trials(),
        reload::trials(),
        stopping::trials(),
        parked::trials(),
        stuck::trials(),
        supervisor::trials(),
        udp::trials(),
    ];
    groups.into_iter().flatten().collect()
}

/// Lines that are all different: `line 0`, `line 1`, …
pub(crate) fn numbered_lines(count: usize) -> String {
    (0..count).map(|number| format!("line {number} of the log\n")).collect()
}
