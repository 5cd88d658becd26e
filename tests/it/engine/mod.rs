//! A whole engine: what it promises of messages and states, tried from outside.

mod crash;
mod inputs;
mod reload;
mod stuck;

use libtest_mimic::Trial;

/// The tests of this folder.
pub(crate) fn trials() -> Vec<Trial> {
    [crash::trials(), inputs::trials(), reload::trials(), stuck::trials()]
        .into_iter()
        .flatten()
        .collect()
}

/// Lines that are all different: `line 0`, `line 1`, …
fn numbered_lines(count: usize) -> String {
    (0..count).map(|number| format!("line {number} of the log\n")).collect()
}
