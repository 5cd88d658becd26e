//! JSON as Lua values and back, as lua-cjson 2.1 has it: reads a text onto a tape, within the memory and depth
//! it may have.
//!
//! Bytes that are no UTF-8 and control characters in strings are taken as they are, which the logs of real
//! programs have; what fails is told in the words of lua-cjson, with the character it is at. Reading needs no
//! stack of its own, however deep a text is.

mod encoder;
mod lexer;

use crate::sandbox::raw::Tape;
pub(super) use encoder::DEEPEST;
pub(super) use encoder::Invalid;
pub(super) use encoder::Style;
pub(super) use encoder::encode;
use lexer::Lexer;
use lexer::Token;

/// How a text is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Whether a null is a value.
    pub(super) keeps_null: bool,
    /// Whether numbers that JSON does not have are read.
    pub(super) takes_invalid: bool,
    /// How deep arrays and objects may stand in one another.
    pub(super) depth: usize,
    /// What the values may take, in bytes.
    pub(super) limit: usize,
}

/// After so many values the budget is asked whether the call may go on.
const STEPS: u32 = 1024;

/// An array or object that has begun.
#[derive(Clone, Copy, Debug)]
enum Open {
    /// With so many items.
    Array(usize),
    Object,
}

struct Reader<'t> {
    lexer: Lexer<'t>,
    tape: &'t mut Tape,
    reading: Reading,
    open: Vec<Open>,
    steps: u32,
    goes_on: &'t dyn Fn() -> bool,
}

/// Reads `text` onto `tape`, as one value; fails with what is wrong with it.
pub(super) fn decode(
    text: &[u8],
    reading: Reading,
    tape: &mut Tape,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), String> {
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err("JSON parser does not support UTF-16 or UTF-32".to_owned());
    }
    tape.clear();
    let lexer = Lexer::new(text, reading.takes_invalid);
    let mut reader = Reader { lexer, tape, reading, open: Vec::new(), steps: 0, goes_on };
    let mut token = reader.lexer.next();
    loop {
        if !reader.begin(token)? {
            // An array's first item, or the value of an object's first key.
            token = reader.lexer.next();
            if matches!(reader.open.last(), Some(Open::Object)) {
                token = reader.key(token)?;
            }
            if !reader.closes(token) {
                continue;
            }
        }
        match reader.end()? {
            Some(next) => token = next,
            None => return Ok(()),
        }
    }
}

impl Reader<'_> {
    /// Puts a value onto the tape; false when it is an array or object, which goes on.
    fn begin(&mut self, token: Token) -> Result<bool, String> {
        self.admit()?;
        match token {
            Token::Text => self.tape.text(self.lexer.text()),
            Token::Number(number) => self.tape.number(number),
            Token::Bool(truth) => self.tape.bool(truth),
            Token::Null if self.reading.keeps_null => self.tape.null(),
            Token::Null => self.tape.nil(),
            Token::ObjectBegin | Token::ArrayBegin => {
                self.open.push(match token {
                    Token::ArrayBegin => Open::Array(0),
                    _ => Open::Object,
                });
                if self.open.len() > self.reading.depth {
                    return Err(format!(
                        "Found too many nested data structures ({}) at character {}",
                        self.open.len(),
                        self.lexer.at(),
                    ));
                }
                self.tape.table(0, 0);
                return Ok(false);
            }
            _ => return Err(self.unexpected("value", token)),
        }
        Ok(true)
    }

    /// Whether `token` ends the array or object that has just begun; it does then.
    fn closes(&mut self, token: Token) -> bool {
        let closes = matches!(
            (self.open.last(), token),
            (Some(Open::Array(0)), Token::ArrayEnd) | (Some(Open::Object), Token::ObjectEnd)
        );
        if closes {
            self.open.pop();
        }
        closes
    }

    /// Reads a key, of which `token` is the first, and its colon; gives what its value begins with, or the
    /// end of an object that has none.
    fn key(&mut self, token: Token) -> Result<Token, String> {
        match token {
            Token::ObjectEnd => return Ok(token),
            Token::Text => self.tape.text(self.lexer.text()),
            _ => return Err(self.unexpected("object key string", token)),
        }
        match self.lexer.next() {
            // The end of an object stands for itself, and is no value.
            Token::Colon => match self.lexer.next() {
                Token::ObjectEnd => Err(self.unexpected("value", Token::ObjectEnd)),
                token => Ok(token),
            },
            token => Err(self.unexpected("colon", token)),
        }
    }

    /// Ends a value, and all that ends with it; gives what the next one begins with, `None` at the end.
    fn end(&mut self) -> Result<Option<Token>, String> {
        loop {
            let token = match self.open.last_mut() {
                None => match self.lexer.next() {
                    Token::End => return Ok(None),
                    token => return Err(self.unexpected("the end", token)),
                },
                Some(Open::Array(count)) => {
                    *count += 1;
                    self.tape.item(*count);
                    match self.lexer.next() {
                        Token::Comma => return Ok(Some(self.lexer.next())),
                        Token::ArrayEnd => Token::ArrayEnd,
                        token => return Err(self.unexpected("comma or array end", token)),
                    }
                }
                Some(Open::Object) => {
                    self.tape.pair();
                    match self.lexer.next() {
                        Token::Comma => match self.lexer.next() {
                            Token::ObjectEnd => {
                                return Err(self.unexpected("object key string", Token::ObjectEnd));
                            }
                            token => return self.key(token).map(Some),
                        },
                        Token::ObjectEnd => Token::ObjectEnd,
                        token => return Err(self.unexpected("comma or object end", token)),
                    }
                }
            };
            debug_assert!(matches!(token, Token::ArrayEnd | Token::ObjectEnd), "it has ended");
            self.open.pop();
        }
    }

    fn admit(&mut self) -> Result<(), String> {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(STEPS) && !(self.goes_on)() {
            return Err("cpu_limit exceeded".to_owned());
        }
        if self.tape.footprint() > self.reading.limit {
            return Err("not enough memory".to_owned());
        }
        Ok(())
    }

    fn unexpected(&self, expected: &str, token: Token) -> String {
        let (found, at) = (token.name(), self.lexer.start() + 1);
        format!("Expected {expected} but found {found} at character {at}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], takes_invalid: bool) -> Result<(), String> {
        let reading = Reading { keeps_null: true, takes_invalid, depth: 9, limit: 1 << 20 };
        decode(text, reading, &mut Tape::default(), &|| true)
    }

    fn check(text: &str, expected: &str) {
        let found = read(text.as_bytes(), true).err().unwrap_or_default();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn invalid_numbers_are_read_where_they_may_be() {
        for text in
            ["NaN", "[-Infinity, 1]", r#"{"a\"NaN": 0x1F, "b": "inf"}"#, "[inf,nan]", "+1", "08"]
        {
            check(text, "");
            assert!(read(text.as_bytes(), false).is_err(), "{text}");
        }
        for text in ["[1, true, null]", "1.", "1e400", "-0", r#"{"a":[],"b":{},"c":[{}]}"#] {
            check(text, "");
            assert_eq!(read(text.as_bytes(), false), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_of_lua_cjson() {
        for (text, expected) in [
            ("", "value but found T_END at character 1"),
            ("[", "value but found T_END at character 2"),
            ("{", "object key string but found T_END at character 2"),
            ("{\"a\"}", "colon but found T_OBJ_END at character 5"),
            ("[1,]", "value but found T_ARR_END at character 4"),
            ("{a:1}", "object key string but found invalid token at character 2"),
            ("{1:2}", "object key string but found T_NUMBER at character 2"),
            ("[1 2]", "comma or array end but found T_NUMBER at character 4"),
            ("{\"a\":1,}", "object key string but found T_OBJ_END at character 8"),
            ("{\"a\":}", "value but found T_OBJ_END at character 6"),
            ("{\"a\":]", "value but found T_ARR_END at character 6"),
            ("{\"a\":1 true", "comma or object end but found T_BOOLEAN at character 8"),
            ("[1]]", "the end but found T_ARR_END at character 4"),
            ("[}", "value but found T_OBJ_END at character 2"),
            ("nul", "value but found invalid token at character 1"),
            ("\"\\x\"", "value but found invalid escape code at character 2"),
            ("\"\\ud800\"", "value but found invalid unicode escape code at character 2"),
            ("\"a", "value but found unexpected end of string at character 3"),
            ("--1", "value but found invalid number at character 1"),
            ("inf1", "the end but found T_NUMBER at character 4"),
            ("\u{b}1", "value but found invalid token at character 1"),
        ] {
            check(text, &format!("Expected {expected}"));
        }
        check("[[[[[[[[[[", "Found too many nested data structures (10) at character 10");
        check("\x001", "JSON parser does not support UTF-16 or UTF-32");
    }

    #[test]
    fn bytes_in_strings_are_taken_as_they_are() {
        assert_eq!(read(b"\"\xff\t\n\x7f\"", false), Ok(()));
        assert!(read(b"\"a\0\"", false).is_err());
    }
}
