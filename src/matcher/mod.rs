//! The match language: parse, compile, index.
