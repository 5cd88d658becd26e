//! Helpers that know nothing of messages: durations, sizes, clocks.

pub mod clock;
pub mod duration;
pub mod size;
pub mod strftime;
