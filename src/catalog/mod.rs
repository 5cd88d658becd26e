//! The list of all families of plugins.
