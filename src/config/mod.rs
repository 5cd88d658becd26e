//! The configuration as written, with line and column.
