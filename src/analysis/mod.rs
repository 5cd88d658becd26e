//! Circular buffers, sketches, detectors: plain algorithms that know neither messages nor Lua.

pub mod circular_buffer;
pub mod stats;
