//! The words of a script, with their places. Comments and blanks are left out.

use std::ops::Range;

/// A word of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Token<'a> {
    pub(in crate::sandbox) kind: Kind,
    pub(in crate::sandbox) text: &'a str,
    /// Where it begins, in bytes.
    pub(in crate::sandbox) start: usize,
}

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Kind {
    Name,
    Keyword,
    Literal,
    Symbol,
}

const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];
const SYMBOLS: [&str; 17] = [
    "...", "..=", "..", "==", "~=", "<=", ">=", "::", "->", "//=", "+=", "-=", "*=", "/=", "%=",
    "^=", "//",
];

impl Token<'_> {
    pub(in crate::sandbox) fn range(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }
}

/// Cuts `text` into words; what is no word of Lua is a symbol of one character.
pub(in crate::sandbox) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at =
        text.strip_prefix("#!").map_or(0, |rest| rest.find('\n').map_or(text.len(), |end| end + 2));
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if let Some(comment) = rest.strip_prefix("--") {
            at += 2 + long_bracket(comment)
                .unwrap_or_else(|| comment.find('\n').unwrap_or(comment.len()));
            continue;
        }
        let (kind, length) = word(rest, first);
        let text = &rest[..length];
        let kind =
            if kind == Kind::Name && KEYWORDS.contains(&text) { Kind::Keyword } else { kind };
        tokens.push(Token { kind, text, start: at });
        at += length;
    }
    tokens
}

/// What stands at the start of `rest`, and how long it is.
fn word(rest: &str, first: char) -> (Kind, usize) {
    let span = |is_part: fn(char) -> bool| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    if first.is_ascii_alphabetic() || first == '_' {
        return (Kind::Name, span(|c| c.is_ascii_alphanumeric() || c == '_'));
    }
    let is_decimal = first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
    if first.is_ascii_digit() || is_decimal {
        return (Kind::Literal, number(rest));
    }
    if matches!(first, '"' | '\'' | '`') {
        return (Kind::Literal, quoted(rest, first));
    }
    if let Some(length) = long_bracket(rest) {
        return (Kind::Literal, length);
    }
    let long = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
    (Kind::Symbol, long.map_or(first.len_utf8(), |symbol| symbol.len()))
}

/// The length of a number: `1`, `0x1p-2`, `1e+5`, `1_000`; two dots are no part of it.
fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let is_sign = matches!(byte, b'+' | b'-')
            && at > 0
            && matches!(bytes[at - 1], b'e' | b'E' | b'p' | b'P')
            && !(rest.starts_with("0x") && matches!(bytes[at - 1], b'e' | b'E'));
        let is_dot = byte == b'.' && bytes.get(at + 1) != Some(&b'.');
        if !(byte.is_ascii_alphanumeric() || byte == b'_' || is_dot || is_sign) {
            break;
        }
        at += 1;
    }
    at.max(1)
}

/// The length of a string in quotes; one that is not closed ends with its line.
fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\n' if quote != '`' => return at,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of what stands in `[[…]]`, `[=[…]=]` and so on; none if nothing of the kind begins here.
fn long_bracket(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('[')?;
    let level = inner.len() - inner.trim_start_matches('=').len();
    inner[level..].strip_prefix('[')?;
    let close = format!("]{}]", "=".repeat(level));
    Some(rest.find(&close).map_or(rest.len(), |at| at + close.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = tokens(text).iter().map(|token| token.text).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_are_cut_as_lua_does() {
        check("local a=1..2 -- x\nb", &["local", "a", "=", "1", "..", "2", "b"]);
        check("--[==[ ]] \n ]==] x[[y]]", &["x", "[[y]]"]);
        check("'a\\'b' \"c\" `d`", &["'a\\'b'", "\"c\"", "`d`"]);
        check("0x1F + 1e-5 .5 a.b", &["0x1F", "+", "1e-5", ".5", "a", ".", "b"]);
        check("#!/usr/bin/heka\nx ~= y", &["x", "~=", "y"]);
        check("'open\nx", &["'open", "x"]);
        check("ä", &["ä"]);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_cut(text: String) {
            for token in tokens(&text) {
                proptest::prop_assert_eq!(&text[token.range()], token.text);
            }
        }
    }
}
