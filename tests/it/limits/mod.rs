//! What bounds the engine: its memory, what clients may ask of it, what its account may do.

mod descriptors;
mod latency;
mod memory;
mod privileges;
mod requests;

use libtest_mimic::Trial;

/// The tests of this folder.
pub(crate) fn trials() -> Vec<Trial> {
    let groups = [
        descriptors::trials(),
        latency::trials(),
        memory::trials(),
        privileges::trials(),
        requests::trials(),
    ];
    groups.into_iter().flatten().collect()
}
