//! Regular expressions whose cost is bounded: by the size of what they compile to, and by that times
//! the length of the text.
//!
//! The engine never goes back, so a search takes at most as many steps as the compiled expression has
//! states for each byte. Where that is more than [`MAX_STEPS`] the search is refused rather than begun.

use regex_automata::meta::Regex;
use regex_automata::nfa::thompson;
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;

/// The longest expression, in bytes.
const MAX_EXPRESSION: usize = 16 * 1024;
/// Bytes a compiled expression may take.
const MAX_COMPILED: usize = 256 * 1024;
/// Steps one search may take.
pub const MAX_STEPS: usize = 24_000_000;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
    states: usize,
}

/// Why there is no such expression, or no search.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no UTF-8, or too long.
    #[error("the expression is longer than {MAX_EXPRESSION} bytes or not UTF-8")]
    Text,
    /// It does not compile.
    #[error("{0}")]
    Syntax(String),
    /// The text is too long for it.
    #[error("{length} bytes are too many for an expression of {states} states")]
    TooLong {
        /// Bytes of the text.
        length: usize,
        /// What was compiled.
        states: usize,
    },
}

impl Pattern {
    /// Compiles an expression in the dialect of Rust's `regex`.
    ///
    /// # Errors
    /// When it is none, or becomes too large.
    pub fn new(expression: &[u8]) -> Result<Pattern, Error> {
        let source = std::str::from_utf8(expression).ok();
        let source = source.filter(|text| text.len() <= MAX_EXPRESSION).ok_or(Error::Text)?;
        let options = syntax::Config::new().utf8(false).nest_limit(100);
        let limits = thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_COMPILED));
        let nfa = thompson::Compiler::new()
            .syntax(options)
            .configure(limits)
            .build(source)
            .map_err(|error| Error::Syntax(full(&error)))?;
        let config = Regex::config()
            .utf8_empty(false)
            .nfa_size_limit(Some(MAX_COMPILED))
            .onepass_size_limit(Some(MAX_COMPILED))
            .hybrid_cache_capacity(MAX_COMPILED);
        let regex = Regex::builder()
            .syntax(options)
            .configure(config)
            .build(source)
            .map_err(|error| Error::Syntax(full(&error)))?;
        Ok(Pattern { source: source.to_owned(), regex, states: nfa.states().len() })
    }

    /// The expression.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The bytes it may take, the caches of searches included.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.source.len() + self.regex.memory_usage() + 2 * MAX_COMPILED / 8
    }

    /// Refuses a text that would take too many steps.
    ///
    /// # Errors
    /// When it would.
    pub fn admit(&self, length: usize) -> Result<(), Error> {
        if length.saturating_mul(self.states) > MAX_STEPS {
            return Err(Error::TooLong { length, states: self.states });
        }
        Ok(())
    }

    /// Tells whether it is found in an admitted text.
    #[must_use]
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// An empty place for what a search finds.
    #[must_use]
    pub fn captures(&self) -> Captures {
        self.regex.create_captures()
    }

    /// Searches an admitted text from `start` on; the captures tell what was found.
    pub fn search(&self, text: &[u8], start: usize, captures: &mut Captures) {
        let input = regex_automata::Input::new(text).range(start.min(text.len())..);
        self.regex.search_captures(&input, captures);
    }

    /// The names of its groups in order, the whole first; `None` for one without a name.
    pub fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.regex.group_info().pattern_names(regex_automata::PatternID::ZERO)
    }
}

/// An error with its causes, in one line.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let detail = error.to_string();
        if !text.contains(&detail) {
            text = format!("{text}: {detail}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found() {
        let pattern = Pattern::new(br"(?<key>\w+)=(\d+)?").unwrap();
        let mut captures = pattern.captures();
        pattern.search(b"a b=12", 0, &mut captures);
        let group = |index| captures.get_group(index).map(|span| span.range());
        assert_eq!((group(0), group(1), group(2)), (Some(2..6), Some(2..3), Some(4..6)));
        assert_eq!(pattern.names().collect::<Vec<_>>(), [None, Some("key"), None]);
        pattern.search(b"a b=12", 3, &mut captures);
        assert!(!captures.is_match());
        assert!(pattern.is_in(b"\xffx=") && !pattern.is_in(b"x"));
    }

    #[test]
    fn what_costs_too_much_is_refused() {
        let long = "a".repeat(MAX_EXPRESSION + 1);
        for wrong in [&b"("[..], b"\xff", long.as_bytes(), br"(\w{1000}){1000}"] {
            assert!(Pattern::new(wrong).is_err());
        }
        let error = Pattern::new(b"a(b").unwrap_err().to_string();
        assert!(error.contains("unclosed group"), "{error}");
        let pattern = Pattern::new(b"[a-z]{50}x").unwrap();
        assert!(pattern.admit(10_000).is_ok());
        assert!(pattern.admit(10_000_000).is_err());
    }
}
