//! Helpers that know nothing of messages: durations, sizes, clocks.

pub mod account;
pub mod backoff;
pub mod capability;
pub mod clock;
pub mod decimal;
pub mod duration;
pub mod embedded;
pub mod host;
pub mod nearest;
pub mod random;
pub mod rfc3339;
pub mod secret;
pub mod size;
pub mod strftime;
pub mod sync;
