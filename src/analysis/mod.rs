//! Circular buffers, sketches, detectors: plain algorithms that know neither messages nor Lua.

pub mod stats;
