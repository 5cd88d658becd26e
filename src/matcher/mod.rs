//! The match language: parse, compile, index.
//!
//! A matcher is a condition on a message, in the language of Heka's `message_matcher`:
//!
//! ```text
//! Type == 'nginx.access' && (Fields[status] >= 500 || Payload =~ /timeout/)
//! ```
//!
//! | written | meaning |
//! | --- | --- |
//! | `Uuid` `Type` `Logger` `Payload` `EnvVersion` `Hostname` | text of the header; `''` when absent |
//! | `Timestamp` `Severity` `Pid` | numbers of the header; 0, 7 and 0 when absent |
//! | `Fields[name]` `Fields[name][1]` `Fields[name][0][3]` | a field, the second of that name, the fourth value of the first |
//! | `==` `!=` `<` `<=` `>` `>=` | comparison: bytewise with text, exactly with numbers |
//! | `=~` `!~` | a regular expression, RE2's dialect, is or is not found: `/GET \/api/` |
//! | `== TRUE` `!= TRUE` `== FALSE` `!= FALSE` | of a truth value |
//! | `== NIL` `!= NIL` | the field, value or header field is absent, is there |
//! | `&&`, `\|\|`, `NOT` or `!`, `( )` | the first binds tighter than the second, `NOT` tightest |
//! | `TRUE` `FALSE` | everything, nothing |
//!
//! Strings stand in either quote; a backslash escapes that quote and is itself elsewhere. Numbers
//! are integers of 64 bits or doubles, and an integer is never rounded to compare it with a
//! double. `Timestamp` is in nanoseconds and compares with RFC 3339 text too.
//!
//! Of an absent field or value every test is false, also `!=` and `!~`; only `== NIL` is true.
//! The same goes for a value of another type than the literal's. `NOT` turns the answer round, so
//! `NOT Fields[x] == 1` is true where x is absent and `Fields[x] != 1` is not.
//!
//! What differs from Heka:
//! - text behind the first line counts; two expressions side by side are a mistake;
//! - a truth value equals only TRUE or FALSE, and only a truth value does: Heka takes any literal
//!   that is not TRUE for FALSE, and compares a string field with the text "TRUE";
//! - new are negative numbers, exponents with `E`, `NOT` and `!`, `!= TRUE`, `!= FALSE`, exact
//!   integers, NIL for header fields, and times as text;
//! - in a regular expression `\\/` is a backslash and its end, not a backslash and a slash.
//!
//! In reading order: `lexer`, `parser` (with `spelling` and `error`) make a `tree` of tests of a
//! `variable` under a `condition`, where `number`, `pattern` and `dialect` do the comparing, and
//! `lua_pattern` for scripts in Hindsight's manner.
//! `index` asks many matchers at once.

mod condition;
mod dialect;
mod error;
mod index;
mod lexer;
mod lua_pattern;
mod number;
mod parser;
mod pattern;
mod spelling;
mod tree;
mod variable;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fmt::Formatter;
use std::hash::Hash;
use std::hash::Hasher;
use std::str::FromStr;
use std::sync::Arc;

use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

use crate::message::Message;

pub use dialect::DialectError;
pub use dialect::parse as parse_pattern;
pub use error::Error;
pub use index::Index;
pub use index::Matches;
pub use index::Row;

use parser::Quoted;
use tree::Node;
use variable::Variable;

/// A compiled condition on messages; cheap to clone.
///
/// It displays as its text, and two with the same text are equal.
#[derive(Clone, Debug)]
pub struct Matcher {
    compiled: Arc<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    source: String,
    tree: Node<Variable>,
}

impl Matcher {
    /// Compiles an expression.
    ///
    /// # Errors
    /// When the expression is none, or exceeds 64 KiB, 100 parentheses inside each other or 8 MiB
    /// of compiled regular expressions.
    pub fn parse(text: &str) -> Result<Matcher, Error> {
        Matcher::compiled(text, parser::parse(text, Quoted::Text)?)
    }

    /// Compiles an expression in which text in quotes behind `=~` and `!~` is a pattern of Lua, or just
    /// text where a `%` follows: so Hindsight writes them.
    ///
    /// # Errors
    /// As [`Matcher::parse`].
    pub fn parse_lua(text: &str) -> Result<Matcher, Error> {
        Matcher::compiled(text, parser::parse(text, Quoted::LuaPattern)?)
    }

    fn compiled(text: &str, mut tree: Node<Variable>) -> Result<Matcher, Error> {
        tree.arrange(&|variable, condition| variable.cost() + condition.cost());
        Ok(Matcher { compiled: Arc::new(Compiled { source: text.to_owned(), tree }) })
    }

    /// The matcher that every message passes.
    #[must_use]
    pub fn always() -> Matcher {
        let compiled = Compiled { source: "TRUE".to_owned(), tree: Node::Constant(true) };
        Matcher { compiled: Arc::new(compiled) }
    }

    /// Tells whether the message passes.
    #[must_use]
    pub fn matches(&self, message: &Message<'_>) -> bool {
        self.compiled.tree.holds(&|variable, condition| variable.passes(message, condition))
    }

    /// The expression as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.compiled.source
    }

    fn tree(&self) -> &Node<Variable> {
        &self.compiled.tree
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.source())
    }
}

impl FromStr for Matcher {
    type Err = Error;

    fn from_str(text: &str) -> Result<Matcher, Error> {
        Matcher::parse(text)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Matcher {}

impl Hash for Matcher {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source().hash(state);
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Matcher, D::Error> {
        let text = String::deserialize(deserializer)?;
        Matcher::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.source())
    }
}

impl schemars::JsonSchema for Matcher {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Matcher".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "a condition on messages, in the match language",
        })
    }
}
