//! How a message becomes bytes again.
