//! Cuts an expression into tokens.

use std::ops::Range;

use super::condition::Comparison;
use super::error::Error;
use super::number::Number;
use super::spelling;
use super::variable::FieldPath;
use super::variable::Header;

/// A piece of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'t> {
    Header(Header),
    Field(FieldPath),
    Text(Vec<u8>),
    Number(Number),
    /// What stands between the slashes.
    Pattern(&'t str),
    Compare(Comparison),
    Found,
    NotFound,
    And,
    Or,
    Not,
    Open,
    Close,
    True,
    False,
    Nil,
    End,
}

/// Reads tokens, one after the other.
#[derive(Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    behind: Behind,
}

/// What came before, which tells what a strange word was meant to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Behind {
    Operator,
    Pattern,
    Other,
}

/// The operators, longer ones first; among them those of other languages, with what they are here.
const OPERATORS: [(&str, Result<Token<'static>, &str>); 22] = [
    ("===", Err("==")),
    ("!==", Err("!=")),
    ("==", Ok(Token::Compare(Comparison::Equal))),
    ("!=", Ok(Token::Compare(Comparison::NotEqual))),
    ("<>", Err("!=")),
    (">=", Ok(Token::Compare(Comparison::GreaterOrEqual))),
    ("<=", Ok(Token::Compare(Comparison::LessOrEqual))),
    ("=>", Err(">=")),
    ("=<", Err("<=")),
    ("=~", Ok(Token::Found)),
    ("!~", Ok(Token::NotFound)),
    ("~=", Err("=~")),
    ("&&", Ok(Token::And)),
    ("||", Ok(Token::Or)),
    ("=", Err("==")),
    (">", Ok(Token::Compare(Comparison::Greater))),
    ("<", Ok(Token::Compare(Comparison::Less))),
    ("!", Ok(Token::Not)),
    ("&", Err("&&")),
    ("|", Err("||")),
    ("(", Ok(Token::Open)),
    (")", Ok(Token::Close)),
];

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Lexer<'t> {
        Lexer { text, at: 0, behind: Behind::Other }
    }

    /// The next token and its place.
    pub(super) fn token(&mut self) -> Result<(Token<'t>, Range<usize>), Error> {
        self.skip_blanks();
        let start = self.at;
        let token = match self.peek() {
            None => Token::End,
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self.word()?,
            Some(c) if c.is_ascii_digit() || c == '.' || c == '-' => self.number()?,
            Some(quote @ ('"' | '\'')) => self.text(quote)?,
            Some('/') => self.pattern()?,
            Some(_) => self.operator()?,
        };
        self.behind = match token {
            Token::Compare(_) | Token::Found | Token::NotFound => Behind::Operator,
            Token::Pattern(_) => Behind::Pattern,
            _ => Behind::Other,
        };
        Ok((token, start..self.at))
    }

    /// Passes over `c`, where it comes next.
    pub(super) fn takes(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        self.at += if is_next { c.len_utf8() } else { 0 };
        is_next
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_blanks(&mut self) {
        self.skip_while(|c| c.is_ascii_whitespace() || c == '\u{b}');
    }

    fn skip_while(&mut self, belongs: impl Fn(char) -> bool) {
        self.at = self.text.len() - self.rest().trim_start_matches(belongs).len();
    }

    fn error(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Error {
        Error::new(self.text, span, message, expected)
    }

    fn word(&mut self) -> Result<Token<'t>, Error> {
        let start = self.at;
        self.skip_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let word = &self.text[start..self.at];
        if let Some(header) = Header::ALL.into_iter().find(|header| header.name() == word) {
            return Ok(Token::Header(header));
        }
        match word {
            "Fields" => self.field(start),
            "TRUE" => Ok(Token::True),
            "FALSE" => Ok(Token::False),
            "NIL" => Ok(Token::Nil),
            "NOT" => Ok(Token::Not),
            _ => {
                let (message, expected) = spelling::unknown(word, self.behind);
                Err(self.error(start..self.at, message, expected))
            }
        }
    }

    /// The rest of `Fields[name][field][value]`.
    fn field(&mut self, start: usize) -> Result<Token<'t>, Error> {
        let Some(name) = self.bracketed()? else {
            let span = start..self.at;
            return Err(self.error(span, "field has no name", "expected Fields[name]"));
        };
        if name.is_empty() {
            return Err(self.error(start..self.at, "field has no name", "expected Fields[name]"));
        }
        let field = self.index()?.unwrap_or(0);
        let value = self.index()?.unwrap_or(0);
        self.no_more_indexes()?;
        Ok(Token::Field(FieldPath { name: name.as_bytes().into(), field, value }))
    }

    fn index(&mut self) -> Result<Option<u32>, Error> {
        let Some(digits) = self.bracketed()? else { return Ok(None) };
        let trimmed = digits.trim();
        let is_decimal = !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_digit());
        match trimmed.parse() {
            Ok(index) if is_decimal => Ok(Some(index)),
            _ => {
                let span = self.at - digits.len() - 1..self.at - 1;
                Err(self.error(span, "index is not a whole number", "expected 0, 1, 2 …"))
            }
        }
    }

    fn no_more_indexes(&mut self) -> Result<(), Error> {
        let start = self.at;
        match self.bracketed()? {
            None => Ok(()),
            Some(_) => Err(self.error(
                start..self.at,
                "field has too many indexes",
                "expected at most Fields[name][field][value]",
            )),
        }
    }

    /// What stands in the brackets that follow, if any do.
    fn bracketed(&mut self) -> Result<Option<&'t str>, Error> {
        let before = self.at;
        self.skip_blanks();
        let start = self.at;
        let Some(inside) = self.rest().strip_prefix('[') else {
            self.at = before;
            return Ok(None);
        };
        let Some(length) = inside.find(']') else {
            let span = start..self.text.len();
            return Err(self.error(span, "bracket is not closed", "expected ] behind the name"));
        };
        self.at = start + length + 2;
        Ok(Some(&inside[..length]))
    }

    fn number(&mut self) -> Result<Token<'t>, Error> {
        let start = self.at;
        let mut last = ' ';
        self.skip_number(&mut last);
        let text = &self.text[start..self.at];
        let span = start..self.at;
        if let Ok(integer) = text.parse() {
            return Ok(Token::Number(Number::Integer(integer)));
        }
        let is_numeric =
            text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        match text.parse::<f64>() {
            Ok(double) if is_numeric && double.is_finite() => {
                Ok(Token::Number(Number::Double(double).canonical()))
            }
            Ok(_) if is_numeric => Err(self.error(span, "number is too large", "")),
            _ => Err(self.error(
                span,
                "number is malformed",
                "expected digits as in 5, -5, 0.5 or 5e3",
            )),
        }
    }

    /// Moves behind everything that looks as if it belonged to a number.
    fn skip_number(&mut self, last: &mut char) {
        for c in self.text[self.at..].chars() {
            let is_sign = matches!(c, '+' | '-');
            let belongs = c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
            if !(belongs || is_sign && matches!(*last, ' ' | 'e' | 'E')) {
                break;
            }
            *last = c;
            self.at += c.len_utf8();
        }
    }

    /// A string: the backslash escapes the quote it began with and stands for itself elsewhere.
    fn text(&mut self, quote: char) -> Result<Token<'t>, Error> {
        let start = self.at;
        let mut out = Vec::new();
        let mut bytes = self.text[start + 1..].bytes().enumerate().peekable();
        let quote = u8::try_from(quote).unwrap_or(b'"');
        while let Some((at, byte)) = bytes.next() {
            if byte == quote {
                self.at = start + 1 + at + 1;
                return Ok(Token::Text(out));
            }
            let escaped = bytes.next_if(|(_, next)| byte == b'\\' && *next == quote);
            out.push(escaped.map_or(byte, |(_, quote)| quote));
        }
        self.at = self.text.len();
        let expected = match quote {
            b'"' => "expected a second \"",
            _ => "expected a second '",
        };
        Err(self.error(start..self.text.len(), "string is not closed", expected))
    }

    /// A regular expression: a backslash and what follows it are taken together.
    fn pattern(&mut self) -> Result<Token<'t>, Error> {
        let start = self.at;
        let mut is_escaped = false;
        for (at, byte) in self.text[start + 1..].bytes().enumerate() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'/' => {
                    self.at = start + 1 + at + 1;
                    return Ok(Token::Pattern(&self.text[start + 1..self.at - 1]));
                }
                _ => {}
            }
        }
        self.at = self.text.len();
        let span = start..self.text.len();
        Err(self.error(span, "regular expression is not closed", "expected a second /"))
    }

    fn operator(&mut self) -> Result<Token<'t>, Error> {
        let start = self.at;
        let found = OPERATORS.iter().find(|(text, _)| self.rest().starts_with(text));
        match found {
            Some((text, Ok(token))) => {
                self.at += text.len();
                Ok(token.clone())
            }
            Some((text, Err(right))) => Err(self.error(
                start..start + text.len(),
                format!("{text} is no operator"),
                format!("did you mean {right}?"),
            )),
            None => {
                let c = self.peek().unwrap_or(' ');
                let message = format!("unexpected character {c:?}");
                let expected = match c {
                    '“' | '”' | '‘' | '’' | '„' => "expected a straight quote",
                    _ => "",
                };
                Err(self.error(start..start + c.len_utf8(), message, expected))
            }
        }
    }
}
