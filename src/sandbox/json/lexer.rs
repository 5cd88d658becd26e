//! What a JSON text is made of: brackets, words, strings and numbers, as `strtod` of C reads them.

/// One part of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// What it says is what [`Lexer::text`] gives.
    Text,
    Number(f64),
    Bool(bool),
    Null,
    Colon,
    Comma,
    End,
    /// What is none of these, and why.
    Invalid(&'static str),
}

impl Token {
    /// What lua-cjson calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::Text => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Bool(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Invalid(why) => why,
        }
    }
}

/// Cuts a text into tokens.
#[derive(Debug)]
pub(super) struct Lexer<'t> {
    bytes: &'t [u8],
    at: usize,
    start: usize,
    takes_invalid: bool,
    /// The string read last: a part of the text, or put together where it has escapes.
    plain: &'t [u8],
    unescaped: Vec<u8>,
    is_plain: bool,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(bytes: &'t [u8], takes_invalid: bool) -> Lexer<'t> {
        let (plain, unescaped) = (&[][..], Vec::new());
        Lexer { bytes, at: 0, start: 0, takes_invalid, plain, unescaped, is_plain: true }
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Where the last token begins; an invalid one inside a string, where that goes wrong.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// The string that was the last token.
    pub(super) fn text(&self) -> &[u8] {
        if self.is_plain { self.plain } else { &self.unescaped }
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Token {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().take_while(|byte| is_blank(byte)).count();
        self.start = self.at;
        let Some(first) = self.bytes.get(self.at) else { return Token::End };
        let single = match first {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => return self.number(),
            b't' => return self.word(b"true", Token::Bool(true)),
            b'f' => return self.word(b"false", Token::Bool(false)),
            b'n' => return self.word(b"null", Token::Null),
            0 => Token::End,
            _ => return self.other(),
        };
        self.at += 1;
        single
    }

    fn word(&mut self, word: &[u8], token: Token) -> Token {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            return token;
        }
        self.other()
    }

    /// What may be a number that JSON does not have.
    fn other(&mut self) -> Token {
        if self.takes_invalid && is_beyond_json(&self.bytes[self.at..]) {
            return self.number();
        }
        Token::Invalid("invalid token")
    }

    fn number(&mut self) -> Token {
        let rest = &self.bytes[self.at..];
        if !self.takes_invalid && is_beyond_json(rest) {
            return Token::Invalid("invalid number");
        }
        match leading_number(rest) {
            Some((number, length)) => {
                self.at += length;
                Token::Number(number)
            }
            None => Token::Invalid("invalid number"),
        }
    }

    fn string(&mut self) -> Token {
        self.at += 1;
        let begin = self.at;
        self.is_plain = true;
        loop {
            let rest = &self.bytes[self.at..];
            let stop = memchr::memchr3(b'"', b'\\', 0, rest).unwrap_or(rest.len());
            if !self.is_plain {
                self.unescaped.extend_from_slice(&rest[..stop]);
            }
            self.at += stop;
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.plain = &self.bytes[begin..self.at];
                    self.at += 1;
                    return Token::Text;
                }
                Some(b'\\') => {
                    if self.is_plain {
                        self.is_plain = false;
                        self.unescaped.clear();
                        self.unescaped.extend_from_slice(&self.bytes[begin..self.at]);
                    }
                    if let Err(why) = self.escape() {
                        self.start = self.at;
                        return Token::Invalid(why);
                    }
                }
                _ => {
                    self.start = self.at;
                    return Token::Invalid("unexpected end of string");
                }
            }
        }
    }

    /// Reads what stands behind a backslash; stays at the backslash where it is nothing sound.
    fn escape(&mut self) -> Result<(), &'static str> {
        let rest = &self.bytes[self.at..];
        let byte = match rest.get(1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let (letter, length) = code_point(rest).ok_or("invalid unicode escape code")?;
                self.unescaped.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                self.at += length;
                return Ok(());
            }
            _ => return Err("invalid escape code"),
        };
        self.unescaped.push(byte);
        self.at += 2;
        Ok(())
    }
}

/// The character that `\u1234`, or two such, stand for at the start of `rest`, and their length.
fn code_point(rest: &[u8]) -> Option<(char, usize)> {
    let unit = |from: usize| {
        let digits = rest.get(from + 2..from + 6).filter(|_| rest[from..].starts_with(b"\\u"))?;
        digits
            .iter()
            .try_fold(0_u32, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
    };
    let first = unit(0)?;
    if let Some(letter) = char::from_u32(first) {
        return Some((letter, 6));
    }
    // Half of a pair, of which the first half is below 0xdc00.
    let second = unit(6).filter(|second| (0xdc00..0xe000).contains(second))?;
    let high = first.checked_sub(0xd800).filter(|high| *high < 0x400)?;
    char::from_u32(0x10000 + (high << 10) + (second - 0xdc00)).map(|letter| (letter, 12))
}

/// Whether a number begins like one that JSON does not have: with a plus or a zero in front, in hexadecimal,
/// infinite or none.
fn is_beyond_json(rest: &[u8]) -> bool {
    if rest.starts_with(b"+") {
        return true;
    }
    let bare = rest.strip_prefix(b"-").unwrap_or(rest);
    match bare {
        [b'0', second, ..] => second.is_ascii_digit() || second.eq_ignore_ascii_case(&b'x'),
        _ => begins(bare, b"inf") || begins(bare, b"nan"),
    }
}

fn begins(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// The number at the start of `rest` and its length.
fn leading_number(rest: &[u8]) -> Option<(f64, usize)> {
    let sign_length = usize::from(matches!(rest.first(), Some(b'-' | b'+')));
    let bare = &rest[sign_length..];
    let (number, length) = if begins(bare, b"infinity") {
        (f64::INFINITY, 8)
    } else if begins(bare, b"inf") {
        (f64::INFINITY, 3)
    } else if begins(bare, b"nan") {
        (f64::NAN, 3 + remark_length(&bare[3..]))
    } else if begins(bare, b"0x") {
        hexadecimal(bare).unwrap_or((0.0, 1))
    } else {
        decimal(bare)?
    };
    Some((if rest[0] == b'-' { -number } else { number }, sign_length + length))
}

/// The length of what may stand behind `nan` in parentheses.
fn remark_length(rest: &[u8]) -> usize {
    let Some(inner) = rest.strip_prefix(b"(") else { return 0 };
    let length = inner.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    let length = length.count();
    if inner.get(length) == Some(&b')') { length + 2 } else { 0 }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The length of an exponent behind its letter at the start of `rest`; 0 where it is none.
fn exponent_length(rest: &[u8], letter: u8) -> usize {
    let Some(behind) = rest.split_first().filter(|(first, _)| first.eq_ignore_ascii_case(&letter))
    else {
        return 0;
    };
    let sign = usize::from(matches!(behind.1.first(), Some(b'-' | b'+')));
    match digits(&behind.1[sign..]) {
        0 => 0,
        count => 1 + sign + count,
    }
}

fn decimal(bare: &[u8]) -> Option<(f64, usize)> {
    let whole = digits(bare);
    let is_short = whole > 0 && whole < 16;
    if is_short && !matches!(bare.get(whole), Some(b'.' | b'e' | b'E')) {
        let number = bare[..whole].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        return Some((number as f64, whole));
    }
    let mut length = whole;
    let mut figures = whole;
    if bare.get(whole) == Some(&b'.') {
        let fraction = digits(&bare[whole + 1..]);
        figures += fraction;
        length += 1 + fraction;
    }
    if figures == 0 {
        return None;
    }
    length += exponent_length(&bare[length..], b'e');
    let text = std::str::from_utf8(&bare[..length]).ok()?;
    text.parse().ok().map(|number| (number, length))
}

/// A number behind `0x`; `None` when there is no digit.
fn hexadecimal(bare: &[u8]) -> Option<(f64, usize)> {
    let (mut number, mut figures, mut at, mut power) = (0.0_f64, 0, 2, 0_i32);
    let mut is_fraction = false;
    while let Some(byte) = bare.get(at) {
        if *byte == b'.' && !is_fraction {
            is_fraction = true;
        } else if let Some(digit) = char::from(*byte).to_digit(16) {
            number = number * 16.0 + f64::from(digit);
            figures += 1;
            power = if is_fraction { power.saturating_sub(4) } else { power };
        } else {
            break;
        }
        at += 1;
    }
    if figures == 0 {
        return None;
    }
    let length = exponent_length(&bare[at..], b'p');
    if length > 0 {
        let text = std::str::from_utf8(&bare[at + 1..at + length]).ok()?;
        let exponent = text.strip_prefix('+').unwrap_or(text).parse::<i32>();
        power = power.saturating_add(exponent.unwrap_or(if text.starts_with('-') {
            -9999
        } else {
            9999
        }));
    }
    Some((number * 2.0_f64.powi(power), at + length))
}
