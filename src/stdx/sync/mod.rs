//! What threads meet at: locks, conditions, channels, threads, and the time they wait by.
//!
//! Everywhere but in the models these are the standard library's and crossbeam's own, under other
//! paths. With the feature `model`, and in tests alone, they are those of `model`, where a test says
//! which thread goes on at each step, and time passes only once nobody can.
//! `cargo test --lib --features model schedules` runs the models.

#[cfg(not(all(test, feature = "model")))]
mod plain;
#[cfg(not(all(test, feature = "model")))]
pub use self::plain::*;

#[cfg(all(test, feature = "model"))]
pub(crate) mod model;
#[cfg(all(test, feature = "model"))]
pub use self::model::*;
