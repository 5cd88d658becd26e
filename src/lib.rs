//! Heka collects logs and metrics, analyses them in Lua filters while they flow, raises alerts and
//! hands everything on. `ARCHITECTURE.md` beside this file is the map; the modules are its layers,
//! lowest first.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails may panic"))]

pub mod admin;
pub mod analysis;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod decoders;
pub mod encoders;
pub mod filters;
pub mod formats;
pub mod inputs;
pub mod journal;
pub mod matcher;
pub mod message;
pub mod metrics;
pub mod net;
pub mod outputs;
pub mod peg;
pub mod pipeline;
pub mod plugin;
pub mod sandbox;
pub mod splitters;
pub mod stdx;
