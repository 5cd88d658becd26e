//! Times as text: what a log writes, to nanoseconds since the epoch.
//!
//! [`TimeFormat`] is compiled from a layout of Go or a `strftime` pattern and reads whatever these
//! describe; [`read_clf`] and [`read_rfc3339`] read the two forms that are met most, at once.
//! Calendar arithmetic is in [`civil`].

pub mod civil;
mod format;
mod go;
mod names;
mod strftime;
mod usual;

pub use format::Moment;
pub use format::TimeFormat;
pub use strftime::Error;
pub use usual::read_clf;
pub use usual::read_rfc3339;

/// Reads decimal digits only, as many as there are.
fn digits(bytes: &[u8]) -> Option<u32> {
    let mut value = 0u32;
    for byte in bytes {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u32::from(byte - b'0'))?;
    }
    (!bytes.is_empty()).then_some(value)
}
