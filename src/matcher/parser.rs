//! Turns an expression into a tree, or says where it went wrong.
//!
//! Recursive descent; only parentheses recurse, and how deep is bounded.
//!
//! ```text
//! any   := all { '||' all }
//! all   := unary { '&&' unary }
//! unary := { 'NOT' | '!' } ( '(' any ')' | 'TRUE' | 'FALSE' | variable operator literal )
//! ```

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use chrono::DateTime;

use super::condition::Comparison;
use super::condition::Condition;
use super::error::Error;
use super::lexer::Lexer;
use super::lexer::Token;
use super::lua_pattern;
use super::number::Number;
use super::pattern::Pattern;
use super::tree::Node;
use super::variable::Header;
use super::variable::Variable;

/// An expression is at most so long, in bytes.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// Parentheses nest at most so deep.
pub(super) const MAX_DEPTH: usize = 100;

/// The regular expressions of one expression take at most so much memory together, in bytes.
const MAX_PATTERN_BYTES: usize = 8 * 1024 * 1024;

/// What may begin a test, for messages.
const TEST: &str = "expected a variable such as Type or Fields[name]";

/// What text in quotes is behind `=~` and `!~`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Quoted {
    /// A mistake.
    Text,
    /// A pattern of Lua; text where a `%` follows.
    LuaPattern,
}

/// Parses a whole expression.
pub(super) fn parse(text: &str, quoted: Quoted) -> Result<Node<Variable>, Error> {
    if text.len() > MAX_BYTES {
        let message = format!("expression is longer than {MAX_BYTES} bytes");
        return Err(Error::new("", 0..0, message, ""));
    }
    let mut parser = Parser {
        text,
        lexer: Lexer::new(text),
        quoted,
        token: Token::End,
        span: 0..0,
        depth: 0,
        pattern_budget: MAX_PATTERN_BYTES,
    };
    parser.advance()?;
    let node = parser.any()?;
    match parser.token {
        Token::End => Ok(node),
        _ => Err(parser.trailing()),
    }
}

struct Parser<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    quoted: Quoted,
    /// The token at hand, and its place.
    token: Token<'t>,
    span: Range<usize>,
    /// How many parentheses are open.
    depth: usize,
    /// How many bytes regular expressions may still take.
    pattern_budget: usize,
}

impl<'t> Parser<'t> {
    fn advance(&mut self) -> Result<Token<'t>, Error> {
        let (token, span) = self.lexer.token()?;
        self.span = span;
        Ok(std::mem::replace(&mut self.token, token))
    }

    /// An error at the token at hand.
    fn error(&self, message: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::new(self.text, self.span.clone(), message, expected)
    }

    fn unexpected(&self, expected: &str) -> Error {
        let message = match &self.token {
            Token::End if self.text.trim().is_empty() => "expression is empty".to_owned(),
            Token::End => "expression ends too early".to_owned(),
            _ => format!("unexpected {}", shortened(&self.text[self.span.clone()])),
        };
        self.error(message, expected)
    }

    /// An error at the token that follows a whole expression.
    fn trailing(&self) -> Error {
        match self.token {
            Token::Close => self.error("parenthesis was never opened", ""),
            Token::Header(_)
            | Token::Field(_)
            | Token::True
            | Token::False
            | Token::Not
            | Token::Open => {
                self.error("two expressions stand side by side", "expected && or || between them")
            }
            _ => self.unexpected("expected &&, || or the end"),
        }
    }

    fn any(&mut self) -> Result<Node<Variable>, Error> {
        let mut nodes = vec![self.all()?];
        while self.token == Token::Or {
            self.advance()?;
            nodes.push(self.all()?);
        }
        Ok(Node::any(nodes))
    }

    fn all(&mut self) -> Result<Node<Variable>, Error> {
        let mut nodes = vec![self.unary()?];
        while self.token == Token::And {
            self.advance()?;
            nodes.push(self.unary()?);
        }
        Ok(Node::all(nodes))
    }

    fn unary(&mut self) -> Result<Node<Variable>, Error> {
        let mut is_negated = false;
        while self.token == Token::Not {
            is_negated = !is_negated;
            self.advance()?;
        }
        let node = match self.token {
            Token::Open => self.parenthesis()?,
            Token::True | Token::False => Node::Constant(self.advance()? == Token::True),
            _ => self.test()?,
        };
        Ok(if is_negated { Node::not(node) } else { node })
    }

    fn parenthesis(&mut self) -> Result<Node<Variable>, Error> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(format!("parentheses nest deeper than {MAX_DEPTH}"), ""));
        }
        let open = self.span.clone();
        self.depth += 1;
        self.advance()?;
        let node = self.any()?;
        match self.token {
            Token::Close => self.advance()?,
            Token::End => {
                return Err(Error::new(self.text, open, "parenthesis is not closed", "expected )"));
            }
            _ => return Err(self.trailing()),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Result<Node<Variable>, Error> {
        let variable = match &self.token {
            Token::Header(header) => Variable::Header(*header),
            Token::Field(path) => Variable::Field(path.clone()),
            Token::Text(_) | Token::Number(_) | Token::Pattern(_) => {
                return Err(self.unexpected("expected a variable on the left, as in Type == 'x'"));
            }
            _ => return Err(self.unexpected(TEST)),
        };
        let name = self.span.clone();
        self.advance()?;
        let operator = match self.token {
            Token::Compare(_) | Token::Found | Token::NotFound => self.advance()?,
            _ => return Err(self.unexpected("expected ==, !=, <, <=, >, >=, =~ or !~")),
        };
        let condition = match operator {
            Token::Compare(comparison) => self.compared(&variable, comparison)?,
            _ => self.searched(&variable, name, operator == Token::NotFound)?,
        };
        self.advance()?;
        Ok(Node::Test(variable, condition))
    }

    /// The condition whose literal is at hand, behind `=~` or `!~`.
    fn searched(
        &mut self,
        variable: &Variable,
        name: Range<usize>,
        is_negated: bool,
    ) -> Result<Condition, Error> {
        let source = match &self.token {
            Token::Pattern(source) => Cow::Borrowed(*source),
            Token::Text(text) if self.quoted == Quoted::LuaPattern => {
                let text = String::from_utf8_lossy(text);
                Cow::Owned(if self.lexer.takes('%') {
                    regex_syntax::escape(&text)
                } else {
                    let wrong = |why| self.error(format!("bad pattern: {why}"), "");
                    lua_pattern::translated(&text).map_err(wrong)?
                })
            }
            _ => return Err(self.unexpected("expected a regular expression, as in /GET .*/")),
        };
        if matches!(variable, Variable::Header(header) if header.is_number()) {
            let message = format!("{} is a number", &self.text[name.clone()]);
            let expected = "expected text: a number is compared with ==, !=, <, <=, >, >=";
            return Err(Error::new(self.text, name, message, expected));
        }
        let pattern = Pattern::compile(&source, &mut self.pattern_budget).map_err(|error| {
            let start = self.span.start + 1;
            let span = match &source {
                Cow::Borrowed(_) => start + error.span.start..start + error.span.end,
                Cow::Owned(_) => self.span.clone(),
            };
            Error::new(self.text, span, format!("bad regular expression: {}", error.reason), "")
        })?;
        let pattern = Arc::new(pattern);
        Ok(if is_negated { Condition::NotFound(pattern) } else { Condition::Found(pattern) })
    }

    /// The condition whose literal is at hand, behind a comparison.
    fn compared(&self, variable: &Variable, comparison: Comparison) -> Result<Condition, Error> {
        if matches!(self.token, Token::True | Token::False | Token::Nil) {
            return self.equal_to_word(variable, comparison);
        }
        match (variable, &self.token) {
            (_, Token::Pattern(_)) => {
                Err(self.unexpected("a regular expression stands behind =~ or !~"))
            }
            (Variable::Header(Header::Timestamp), Token::Text(text)) => {
                Ok(Condition::Number(comparison, self.moment(text)?))
            }
            (Variable::Header(header), Token::Text(_)) if header.is_number() => {
                Err(self.unexpected("expected a number"))
            }
            (Variable::Header(header), Token::Number(_)) if !header.is_number() => {
                Err(self.unexpected("expected text in quotes"))
            }
            (_, Token::Text(text)) => Ok(Condition::Text(comparison, text.as_slice().into())),
            (_, Token::Number(number)) => Ok(Condition::Number(comparison, *number)),
            (Variable::Field(_), _) => {
                Err(self.unexpected("expected text in quotes, a number, TRUE, FALSE or NIL"))
            }
            (Variable::Header(header), _) => Err(self.unexpected(match header {
                Header::Timestamp => "expected nanoseconds, a time in quotes or NIL",
                header if header.is_number() => "expected a number or NIL",
                _ => "expected text in quotes or NIL",
            })),
        }
    }

    /// The condition whose literal is TRUE, FALSE or NIL.
    fn equal_to_word(
        &self,
        variable: &Variable,
        comparison: Comparison,
    ) -> Result<Condition, Error> {
        let is_equal = match comparison {
            Comparison::Equal => true,
            Comparison::NotEqual => false,
            _ => {
                let word = &self.text[self.span.clone()];
                let message = format!("{word} is neither more nor less");
                return Err(self.error(message, "expected == or != before it"));
            }
        };
        match (&self.token, variable) {
            (Token::Nil, _) if is_equal => Ok(Condition::Absent),
            (Token::Nil, _) => Ok(Condition::Present),
            (_, Variable::Header(header)) => {
                let message = format!("{} is no truth value", header.name());
                Err(self.error(
                    message,
                    if header.is_number() {
                        "expected a number"
                    } else {
                        "expected text in quotes"
                    },
                ))
            }
            (word, Variable::Field(_)) => Ok(Condition::Truth((*word == Token::True) == is_equal)),
        }
    }

    /// The time that RFC 3339 text names, in nanoseconds since the epoch.
    fn moment(&self, text: &[u8]) -> Result<Number, Error> {
        let parsed = std::str::from_utf8(text).map(DateTime::parse_from_rfc3339);
        let Ok(Ok(time)) = parsed else {
            return Err(self.error(
                "text is no time",
                "expected nanoseconds or RFC 3339, as in '2024-05-01T12:00:00Z'",
            ));
        };
        match time.timestamp_nanos_opt() {
            Some(nanoseconds) => Ok(Number::Integer(nanoseconds)),
            None => Err(self.error("time is out of range", "expected a year from 1678 to 2261")),
        }
    }
}

/// The beginning of a token, for a message.
fn shortened(token: &str) -> String {
    /// In characters.
    const MAX: usize = 40;
    match token.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &token[..end]),
        None => token.to_owned(),
    }
}
