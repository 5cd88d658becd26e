//! The log that everything is appended to.
