//! The seams between the engine and its plugins.
