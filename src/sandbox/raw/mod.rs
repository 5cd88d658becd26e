//! The Lua C API, made safe for the rest of the sandbox.
//!
//! This is the one place with `unsafe`. What it promises to the outside:
//! - a [`State`] is used by one thread at a time, and closed when dropped;
//! - a host function is a plain Rust function ([`HostFunction`]): it reads its arguments through
//!   [`Args`], none of whose methods can raise a Lua error, and returns an [`Answer`], which is
//!   pushed after it has returned. It runs inside `catch_unwind`; no Lua call does, because Lua's
//!   errors are C++ exceptions and one thrown through `catch_unwind` ends the process;
//! - whatever may raise from outside a call runs under a protected call;
//! - what a script may read during a call (message, batch, draft) is lent by pointer for exactly
//!   that call ([`Loan`]).

#![allow(unsafe_code, reason = "the Lua C API is not safe, and raw calls halve the cost of a call")]

mod alloc;
mod args;
mod capture;
mod compile;
mod coverage;
mod find;
mod function;
mod gsub;
mod interrupt;
mod kept;
mod library;
mod loan;
mod matching;
mod migrate;
mod number;
mod object;
mod package;
mod pattern;
mod pattern_state;
mod require;
mod restore;
mod round;
mod save;
mod selector;
mod state;
mod tape;
mod text;
mod traceback;
mod walk;

pub(super) use args::Args;
pub(super) use args::Kind;
pub(super) use args::Value;
pub(super) use compile::compile;
pub(super) use compile::compile_covered;
pub use coverage::CoveredLine;
pub(super) use function::Answer;
pub(super) use function::Complaint;
#[cfg(test)]
pub(super) use function::GIVEN;
pub(super) use function::Library;
pub(super) use function::Named;
pub(super) use function::ObjectKind;
pub(super) use interrupt::Interrupt;
pub(super) use loan::Loan;
pub(super) use loan::Loans;
pub(super) use object::Object;
pub(super) use pattern::Maker;
pub(super) use round::Round;
pub(super) use save::Baseline;
pub(super) use state::Entry;
pub(super) use state::Raised;
pub(super) use state::Returned;
pub(super) use state::State;
pub(super) use state::With;
pub(super) use tape::Tape;
pub(super) use walk::Height;
pub(super) use walk::Place;
pub(super) use walk::Table;
