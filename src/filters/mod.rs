//! What analyses messages while they flow.
