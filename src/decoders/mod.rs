//! How a record becomes messages.
