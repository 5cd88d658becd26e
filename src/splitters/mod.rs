//! How records are cut from a stream of bytes.
