//! Parsing expression grammars, as LPeg has them: patterns are values that are joined into larger
//! ones, and a match yields captures.
//!
//! Written after Roberto Ierusalimschy, "A Text Pattern-Matching Tool based on Parsing Expression
//! Grammars" (2009): a [`Pattern`] is a tree; it is compiled into the instructions of a small
//! machine ([`Program`]); a [`Match`] runs them over a subject with a stack of its own, so that no
//! grammar reaches the native one. It stops when its fuel is used up, and when a capture wants to be
//! asked while matching, and goes on when told to. What was captured is a list of events, from
//! which a [`Plan`] makes the steps that build the values.
//!
//! In reading order: `set` and `tree`, what a pattern is; `build` and `grammar`, how patterns are
//! made; `facts`, what is known of a tree; `program` and `compile`; `machine`; `plan`.

mod build;
mod compile;
mod facts;
mod grammar;
mod machine;
mod plan;
mod program;
mod save;
mod set;
mod tree;

pub use machine::Match;
pub use machine::Outcome;
pub use plan::Action;
pub use plan::Plan;
pub use program::Constant;
pub use program::Program;
pub use set::ByteSet;
pub use tree::Capture;
pub use tree::Key;
pub use tree::Pattern;

/// Why a pattern cannot be made or matched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The pattern becomes too large.
    #[error("pattern too big")]
    TooBig,
    /// The pattern is nested too deep.
    #[error("pattern is nested too deep")]
    TooDeep,
    /// The body of a repetition may match nothing.
    #[error("loop body may accept empty string")]
    EmptyLoop,
    /// The same, inside a grammar.
    #[error("empty loop in rule '{0}'")]
    EmptyLoopInRule(String),
    /// A rule may call itself without having consumed anything.
    #[error("rule '{0}' may be left recursive")]
    LeftRecursion(String),
    /// There is no rule of this name.
    #[error("rule '{0}' undefined in given grammar")]
    UndefinedRule(String),
    /// A rule is called where there is no grammar.
    #[error("rule '{0}' used outside a grammar")]
    OutsideGrammar(String),
    /// A grammar has no rules, or too many.
    #[error("{0}")]
    Grammar(&'static str),
    /// What looks behind has no fixed length.
    #[error("pattern may not have fixed length")]
    NoFixedLength,
    /// What looks behind looks too far.
    #[error("pattern too long to look behind")]
    TooLongBehind,
    /// What looks behind captures.
    #[error("pattern have captures")]
    CapturesBehind,
    /// The subject is larger than 4 GiB.
    #[error("subject is too long")]
    LongSubject,
    /// The machine needs more stack than it may have.
    #[error("backtrack stack overflow (current limit is {0})")]
    StackOverflow(usize),
    /// More was captured than there is room for.
    #[error("too many captures")]
    TooManyCaptures,
    /// A group is referred to that was not captured.
    #[error("back reference '{0}' not found")]
    NoGroup(String),
    /// A text names a capture that is not there.
    #[error("invalid capture index ({0})")]
    NoCapture(u32),
}
