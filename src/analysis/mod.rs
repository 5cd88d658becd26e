//! Circular buffers, sketches, detectors: plain algorithms that know neither messages nor Lua.

pub mod bloom_filter;
pub mod circular_buffer;
pub mod cuckoo_filter;
pub mod ddsketch;
pub mod hyperloglog;
pub mod ip_set;
pub mod normal;
pub mod packing;
pub mod pattern;
mod saved;
pub mod sax;
pub mod stats;

pub use saved::Unfit;

/// A hash of a key that stays the same from build to build.
fn hash(seed: u64, key: &[u8]) -> u64 {
    twox_hash::XxHash64::oneshot(seed, key)
}
