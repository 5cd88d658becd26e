//! Grok: regular expressions with names for what is met often.
//!
//! | written | what it is |
//! | --- | --- |
//! | `%{NAME}` | the pattern called NAME |
//! | `%{NAME:field}` | the same, and what it matches is captured as `field` |
//! | `%{NAME:field:int}` | the same, as a whole number; `float`, `bool` and `string` likewise |
//! | `(?<field>…)` | what the group matches is captured as `field` |
//! | anything else | a regular expression without look-around and back references |
//!
//! An expression is expanded and compiled once. Matching takes time in proportion to the line,
//! whatever the expression: there is no backtracking that a line could provoke. [`patterns`] has the
//! names that are known without being told; own ones take their place.

pub mod patterns;

mod expand;

#[cfg(test)]
mod tests;

pub use expand::Captured;
pub use expand::Kind;

use std::collections::BTreeMap;

use regex_automata::Input;
use regex_automata::meta;
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;

/// The most memory that an expression may take when it is compiled, in bytes.
const MAX_COMPILED: usize = 16 << 20;

/// What is wrong with an expression.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that nobody has said anything about.
    #[error("there is no pattern %{{{0}}}")]
    Unknown(String),
    /// A pattern that is made of itself.
    #[error("the pattern %{{{0}}} is made of itself")]
    Endless(String),
    /// It is longer than anything that makes sense.
    #[error("the expression is too large when its patterns are put in")]
    TooLarge,
    /// A kind of value that is none.
    #[error("{0:?} is no kind of value, expected int, float, bool or string")]
    Kind(String),
    /// A group that looks around, which takes more than one pass.
    #[error("look-around and conditions as in {0:?} cannot be used")]
    LooksAround(String),
    /// A line of a file of patterns without a name or without a pattern.
    #[error("line {0} is not a name and a pattern")]
    Line(usize),
    /// The regular expression is none.
    #[error("not a regular expression: {0}")]
    Regex(#[from] Box<meta::BuildError>),
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Grok {
    regex: meta::Regex,
    captured: Vec<Captured>,
}

impl Grok {
    /// Compiles an expression; `own` patterns go before those that are known.
    ///
    /// # Errors
    /// When a name is unknown, or the whole is no regular expression.
    pub fn compile(expression: &str, own: &BTreeMap<String, String>) -> Result<Grok, Error> {
        let (pattern, captured) = expand::expand(expression, own)?;
        let regex = meta::Regex::builder()
            .configure(meta::Config::new().utf8_empty(false).nfa_size_limit(Some(MAX_COMPILED)))
            // Logs are bytes: a dot is any of them, and letters and digits are those of ASCII.
            .syntax(syntax::Config::new().utf8(false).unicode(false))
            .build(&pattern)
            .map_err(Box::new)?;
        Ok(Grok { regex, captured })
    }

    /// What it captures, in the order of the expression.
    #[must_use]
    pub fn captured(&self) -> &[Captured] {
        &self.captured
    }

    /// Room for what is captured of a line.
    #[must_use]
    pub fn room(&self) -> Captures {
        self.regex.create_captures()
    }

    /// Tells whether a line has the expression in it, and notes where.
    pub fn matches(&self, line: &[u8], room: &mut Captures) -> bool {
        self.regex.search_captures(&Input::new(line), room);
        room.is_match()
    }
}

/// Reads a file of patterns: a name, white space and the pattern on each line; lines that are empty
/// or begin with `#` are passed over.
///
/// # Errors
/// When a line is neither.
pub fn read_patterns(text: &str, out: &mut BTreeMap<String, String>) -> Result<(), Error> {
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, pattern) =
            line.split_once(|c: char| c.is_ascii_whitespace()).ok_or(Error::Line(index + 1))?;
        out.insert(name.to_owned(), pattern.trim_start().to_owned());
    }
    Ok(())
}
