//! HTTP API and control socket of a running engine.
