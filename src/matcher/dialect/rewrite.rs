//! Puts backslashes where RE2 takes a character for itself and the regex crate does not.
//!
//! - `{` that begins no repetition: `/{"level"/`;
//! - `[` in a class that begins no `[:name:]`: `/[^[]+/`;
//! - the second of `&&`, `--`, `~~` in a class;
//! - everything between `\Q` and `\E`.

use std::ops::Range;

/// A pattern in the syntax of the regex crate, and where its parts come from.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) text: String,
    /// Offsets in `text` from which on the offsets in the original are as much apart.
    places: Vec<(usize, usize)>,
}

impl Rewritten {
    /// The place in the original of a place in the text.
    pub(super) fn original(&self, place: Range<usize>) -> Range<usize> {
        let offset = |at: usize| {
            let next = self.places.partition_point(|(ours, _)| *ours <= at);
            next.checked_sub(1).map_or(at, |last| {
                let (ours, theirs) = self.places[last];
                theirs + (at - ours)
            })
        };
        let start = offset(place.start);
        start..offset(place.end).max(start)
    }
}

/// Rewrites a pattern of RE2.
pub(super) fn rewrite(pattern: &str) -> Rewritten {
    let mut rewriter = Rewriter {
        rest: pattern,
        length: pattern.len(),
        out: Rewritten { text: String::with_capacity(pattern.len()), places: Vec::new() },
    };
    let mut class = Class::Outside;
    while let Some(c) = rewriter.rest.chars().next() {
        class = match (class, c) {
            (_, '\\') => {
                rewriter.escape();
                class.behind_first()
            }
            (Class::Outside, '{') if !begins_repetition(rewriter.rest) => {
                rewriter.escaped(c);
                class
            }
            (Class::Outside, '[') => {
                rewriter.copy(if rewriter.rest.starts_with("[^") { 2 } else { 1 });
                Class::First
            }
            (Class::Outside, _) => {
                rewriter.copy(c.len_utf8());
                class
            }
            (Class::Inside, ']') => {
                rewriter.copy(1);
                Class::Outside
            }
            (_, '[') => {
                match posix_class(rewriter.rest) {
                    Some(length) => rewriter.copy(length),
                    None => rewriter.escaped(c),
                }
                Class::Inside
            }
            (_, '&' | '-' | '~') if rewriter.rest[1..].starts_with(c) => {
                rewriter.copy(1);
                rewriter.escaped(c);
                Class::Inside
            }
            _ => {
                rewriter.copy(c.len_utf8());
                Class::Inside
            }
        };
    }
    rewriter.out
}

/// Where in a class a character stands.
#[derive(Clone, Copy)]
enum Class {
    Outside,
    /// A bracket here is no end.
    First,
    Inside,
}

impl Class {
    fn behind_first(self) -> Class {
        match self {
            Class::First => Class::Inside,
            other => other,
        }
    }
}

struct Rewriter<'p> {
    rest: &'p str,
    /// The length of the whole pattern.
    length: usize,
    out: Rewritten,
}

impl<'p> Rewriter<'p> {
    fn copy(&mut self, length: usize) {
        let taken = self.take(length);
        self.out.text.push_str(taken);
    }

    fn take(&mut self, length: usize) -> &'p str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// Copies a character of one byte with a backslash before it.
    fn escaped(&mut self, c: char) {
        self.out.text.push('\\');
        self.here();
        self.copy(c.len_utf8());
    }

    /// Notes that the end of the text so far comes from where the rest begins.
    fn here(&mut self) {
        self.out.places.push((self.out.text.len(), self.length - self.rest.len()));
    }

    /// Copies a backslash and what belongs to it.
    fn escape(&mut self) {
        let width = self.rest[1..].chars().next().map_or(0, char::len_utf8);
        let follows = &self.rest[1 + width..];
        if &self.rest[1..=width] == "Q" {
            self.take(2);
            let length = follows.find("\\E").unwrap_or(follows.len());
            self.quoted(length);
            self.take(self.rest.len().min(2));
            self.here();
        } else if matches!(&self.rest[1..=width], "p" | "P" | "x") && follows.starts_with('{') {
            let length = follows.find('}').map_or(0, |at| at + 1);
            self.copy(1 + width + length);
        } else {
            self.copy(1 + width);
        }
    }

    fn quoted(&mut self, length: usize) {
        for c in self.take(length).chars() {
            let mut buffer = [0; 4];
            regex_syntax::escape_into(c.encode_utf8(&mut buffer), &mut self.out.text);
        }
    }
}

/// Tells whether the text begins with `{2}`, `{2,}` or `{2,3}`.
fn begins_repetition(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else { return false };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    !least.is_empty() && is_number(least) && is_number(most)
}

/// The length of the `[:name:]` that the text begins with.
fn posix_class(text: &str) -> Option<usize> {
    let inside = text.strip_prefix("[:")?;
    let name = inside.trim_start_matches('^');
    let end = name.find(|c: char| !c.is_ascii_alphabetic())?;
    name[end..].starts_with(":]").then(|| text.len() - name[end + 2..].len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: &str) {
        let rewritten = rewrite(pattern);
        assert_eq!(rewritten.text, expected);
        // Every character that is in both lies at the place it comes from.
        for (at, c) in rewritten.text.char_indices().filter(|(_, c)| *c != '\\') {
            let place = rewritten.original(at..at + c.len_utf8());
            if !pattern.contains("\\Q") {
                assert_eq!(pattern[place].chars().next(), Some(c), "{pattern} at {at}");
            }
        }
    }

    #[test]
    fn what_stands_for_itself_gets_a_backslash() {
        check(r#"{"a": {2}"#, r#"\{"a": {2}"#);
        check("a{2}b{2,}c{2,3}d{,3}e{x", r"a{2}b{2,}c{2,3}d\{,3}e\{x");
        check("[^[]+[]a][[:alpha:]x[]", r"[^\[]+[]a][[:alpha:]x\[]");
        check("[a&&b][+--][[:^digit:]]", r"[a&\&b][+-\-][[:^digit:]]");
        check(r"\pN\p{Greek}\x{41}\{{1}", r"\pN\p{Greek}\x{41}\{{1}");
        check(r"[\]{]{", r"[\]{]\{");
        check("é{[é[]", r"é\{[é\[]");
    }

    #[test]
    fn quotes_are_resolved() {
        check(r"a\Q.[\Eb{", r"a\.\[b\{");
        check(r"\Q.*", r"\.\*");
        check(r"\\Q.\", r"\\Q.\");
        let rewritten = rewrite(r"\Q..\E(");
        assert_eq!(rewritten.original(4..5), 6..7);
    }
}
