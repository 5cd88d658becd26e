//! Pairs of keys and values: `level=info msg="all is well" took=3ms done`.
//!
//! | written | what it is |
//! | --- | --- |
//! | `key=value` | a value up to the next separator |
//! | `key="a \"b\""` | a value in quotes: `\"`, `\\`, `\n`, `\t`, `\r` and `\u00e9` in it stand for one character |
//! | `key=` | an empty value |
//! | `key` | a key without a value |
//!
//! What stands between pairs and within them may be something else than a space and `=`.

/// What stands between pairs, and between a key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Separators {
    /// Between pairs: one byte, beside white space where it is a space.
    pub pair: u8,
    /// Between key and value.
    pub value: u8,
}

impl Default for Separators {
    fn default() -> Separators {
        Separators { pair: b' ', value: b'=' }
    }
}

/// A pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value; `None` for a key that stands alone.
    pub value: Option<Written<'a>>,
}

/// A value as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'a> {
    /// The text, without the quotes.
    pub text: &'a [u8],
    /// Whether there were quotes.
    pub is_quoted: bool,
    /// Whether there is a backslash in the quotes.
    pub is_escaped: bool,
}

impl Written<'_> {
    /// Appends the value with what backslashes stand for.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut rest = self.text;
        while let Some(at) = memchr::memchr(b'\\', rest).filter(|_| self.is_escaped) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            let Some((first, behind)) = rest.split_first() else {
                out.push(b'\\');
                return;
            };
            match (first, unicode(behind)) {
                (b'n', _) => out.push(b'\n'),
                (b't', _) => out.push(b'\t'),
                (b'r', _) => out.push(b'\r'),
                (b'u', Some(character)) => {
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = &behind[4..];
                    continue;
                }
                (b'"' | b'\\' | b'/' | b'\'', _) => out.push(*first),
                _ => out.extend_from_slice(&[b'\\', *first]),
            }
            rest = behind;
        }
        out.extend_from_slice(rest);
    }
}

/// The character for which four hexadecimal digits stand.
fn unicode(digits: &[u8]) -> Option<char> {
    let digits = std::str::from_utf8(digits.get(..4)?).ok()?;
    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
}

/// Goes through the pairs of a line.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    rest: &'a [u8],
    separators: &'a Separators,
}

impl<'a> Pairs<'a> {
    /// The pairs of `line`.
    #[must_use]
    pub fn of(line: &'a [u8], separators: &'a Separators) -> Pairs<'a> {
        Pairs { rest: line, separators }
    }

    /// The value that the rest begins with.
    fn value(&mut self) -> Written<'a> {
        if let Some(quoted) = self.rest.strip_prefix(b"\"")
            && let Some(end) = closing_quote(quoted)
        {
            self.rest = &quoted[end + 1..];
            let text = &quoted[..end];
            return Written { text, is_quoted: true, is_escaped: text.contains(&b'\\') };
        }
        let pair = self.separators.pair;
        let ends = |byte: &u8| *byte == pair || (pair == b' ' && byte.is_ascii_whitespace());
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        let text = if pair == b' ' { text } else { text.trim_ascii() };
        Written { text, is_quoted: false, is_escaped: false }
    }
}

/// Where the quote is that ends a value; one behind a backslash does not.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        let Separators { pair, value } = *self.separators;
        let is_between = |byte: &u8| *byte == pair || byte.is_ascii_whitespace();
        let blank = self.rest.iter().take_while(|byte| is_between(byte)).count();
        self.rest = &self.rest[blank..];
        if self.rest.is_empty() {
            return None;
        }
        let ends = |byte: &u8| {
            *byte == value || *byte == pair || (pair == b' ' && byte.is_ascii_whitespace())
        };
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (key, rest) = self.rest.split_at(end);
        let key = key.trim_ascii();
        if rest.first() != Some(&value) {
            self.rest = rest;
            return Some(Pair { key, value: None });
        }
        let behind = &rest[1..];
        // With another separator than a space there may be blanks around a value.
        let blank = behind.iter().take_while(|byte| pair != b' ' && **byte == b' ').count();
        self.rest = &behind[blank..];
        Some(Pair { key, value: Some(self.value()) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str, separators: &Separators) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let value = |written: Written<'_>| {
            let mut out = Vec::new();
            written.put(&mut out);
            text(&out)
        };
        let pairs = Pairs::of(line.as_bytes(), separators);
        pairs.map(|pair| (text(pair.key), pair.value.map(value))).collect()
    }

    fn check(line: &str, separators: &Separators, expected: &[(&str, Option<&str>)]) {
        let found = read(line, separators);
        let found: Vec<_> =
            found.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn pairs_are_read() {
        check(
            "level=info  msg=\"a \\\"b\\\" \\u00e9\\n\\x\" n=1 empty= flag\ttail=x=y",
            &Separators::default(),
            &[
                ("level", Some("info")),
                ("msg", Some("a \"b\" \u{e9}\n\\x")),
                ("n", Some("1")),
                ("empty", Some("")),
                ("flag", None),
                ("tail", Some("x=y")),
            ],
        );
        check("", &Separators::default(), &[]);
        check("a=\"open b=1", &Separators::default(), &[("a", Some("\"open")), ("b", Some("1"))]);
        check(
            "a: 1; b c:two words ; d",
            &Separators { pair: b';', value: b':' },
            &[("a", Some("1")), ("b c", Some("two words")), ("d", None)],
        );
    }

    proptest! {
        #[test]
        fn quoted_values_are_read_as_they_were_written(values in prop::collection::vec("\\PC*", 0..5)) {
            let quoted = |text: &String| text.replace('\\', "\\\\").replace('"', "\\\"");
            let line: Vec<String> = values.iter().map(|text| format!("k=\"{}\"", quoted(text))).collect();
            let found = read(&line.join(" "), &Separators::default());
            let found: Vec<String> = found.into_iter().filter_map(|(_, value)| value).collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn nothing_makes_it_panic(line in "[a=\"\\\\ ;u0]{0,20}") {
            read(&line, &Separators::default());
            read(&line, &Separators { pair: b';', value: b'=' });
        }
    }
}
