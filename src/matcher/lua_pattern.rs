//! Patterns of Lua as regular expressions, for matchers in the manner of Hindsight's scripts.
//!
//! | Lua | regular expression |
//! | --- | --- |
//! | `%a` `%c` `%d` `%l` `%p` `%s` `%u` `%w` `%x`, upper case for the opposite | POSIX classes |
//! | `%z` and `%` before anything else | that byte |
//! | `.` | any character, line ends too |
//! | `[set]` `[^set]` | the same |
//! | `*` `+` `?` behind one character | the same |
//! | `-` behind one character | `*?` |
//! | `^` first, `$` last | the ends of the text; elsewhere themselves |
//! | `( )` | groups, which count for nothing where the answer is yes or no |
//!
//! `%b`, `%f` and `%1` say what no regular expression can.

use std::iter::Peekable;
use std::str::Chars;

/// The regular expression that finds what the pattern finds; else what is wrong with it.
pub(super) fn translated(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() * 2);
    let (start, rest) = match pattern.strip_prefix('^') {
        Some(rest) => ("^", rest),
        None => ("", pattern),
    };
    out.push_str(start);
    let mut chars = rest.chars().peekable();
    let mut open = 0_u32;
    while let Some(c) = chars.next() {
        match c {
            '$' if chars.peek().is_none() => {
                out.push('$');
                continue;
            }
            '(' => {
                open += 1;
                out.push_str("(?:");
                continue;
            }
            ')' => {
                open = open.checked_sub(1).ok_or("invalid pattern capture")?;
                out.push(')');
                continue;
            }
            '.' => out.push_str("(?s:.)"),
            '%' => {
                let escaped = chars.next().ok_or("malformed pattern (ends with '%')")?;
                match escaped {
                    'b' | 'f' | '0'..='9' => {
                        return Err(format!("%{escaped} says what no regular expression can"));
                    }
                    _ => match class(escaped) {
                        Some(class) => out.push_str(&format!("[{class}]")),
                        None => literal(&mut out, escaped),
                    },
                }
            }
            '[' => set(&mut out, &mut chars)?,
            _ => literal(&mut out, c),
        }
        if let Some(quantifier) = chars.next_if(|c| matches!(c, '*' | '+' | '-' | '?')) {
            match quantifier {
                '-' => out.push_str("*?"),
                other => out.push(other),
            }
        }
    }
    if open > 0 { Err("unfinished capture".to_owned()) } else { Ok(out) }
}

/// A set, whose bracket has been read.
fn set(out: &mut String, chars: &mut Peekable<Chars<'_>>) -> Result<(), String> {
    const UNFINISHED: &str = "malformed pattern (missing ']')";
    out.push('[');
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut is_first = true;
    loop {
        let c = chars.next().ok_or(UNFINISHED)?;
        if c == ']' && !is_first {
            out.push(']');
            return Ok(());
        }
        is_first = false;
        if c == '%' {
            let escaped = chars.next().ok_or(UNFINISHED)?;
            match class(escaped) {
                Some(class) => out.push_str(class),
                None => literal(out, escaped),
            }
            continue;
        }
        literal(out, c);
        // A hyphen before the bracket stands for itself.
        let mut ahead = chars.clone();
        if ahead.next() == Some('-')
            && let Some(last) = ahead.next().filter(|last| *last != ']')
        {
            out.push('-');
            literal(out, last);
            *chars = ahead;
        }
    }
}

/// What a letter behind `%` stands for, as it is written in a set.
fn class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'a' => "[:alpha:]",
        'A' => "[:^alpha:]",
        'c' => "[:cntrl:]",
        'C' => "[:^cntrl:]",
        'd' => "[:digit:]",
        'D' => "[:^digit:]",
        'l' => "[:lower:]",
        'L' => "[:^lower:]",
        'p' => "[:punct:]",
        'P' => "[:^punct:]",
        's' => "[:space:]",
        'S' => "[:^space:]",
        'u' => "[:upper:]",
        'U' => "[:^upper:]",
        'w' => "[:alnum:]",
        'W' => "[:^alnum:]",
        'x' => "[:xdigit:]",
        'X' => "[:^xdigit:]",
        'z' => r"\x00",
        _ => return None,
    })
}

fn literal(out: &mut String, c: char) {
    if c.is_ascii() && !c.is_ascii_alphanumeric() {
        out.push_str(&format!(r"\x{:02x}", u32::from(c)));
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::pattern::Pattern;

    fn check(pattern: &str, found: &[&str], not_found: &[&str]) {
        let source = translated(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let regex = Pattern::compile(&source, &mut (1 << 20))
            .unwrap_or_else(|error| panic!("{pattern}, {source}: {}", error.reason));
        for text in found {
            assert!(regex.is_in(text.as_bytes()), "{pattern}, {source} in {text:?}");
        }
        for text in not_found {
            assert!(!regex.is_in(text.as_bytes()), "{pattern}, {source} in {text:?}");
        }
    }

    #[test]
    fn patterns_find_what_lua_finds() {
        check("^TEST$", &["TEST"], &["TEST1", "aTEST"]);
        check("%d+%.%d-x", &["a 1.x", "12.34x"], &["1-2x", ".x"]);
        check("[^%s%]]=[a-c-]", &["x=b", "y=-"], &["]=a", " =a", "x=d"]);
        check("[]%-]", &["]", "-"], &["x"]);
        check("a.b", &["a\nb", "aéb"], &["ab"]);
        check("(GET) ()(%S*)*", &["GET /x*"], &["GET /x"]);
        check("a$b^", &["a$b^"], &["ab"]);
        check("colou?r", &["color", "colour"], &["colouur"]);
        check("%%%w", &["%a"], &["a", "%%"]);
        check("%u%L[%x_]", &["A1f", "ZZ_"], &["Ab1", "a1f"]);
        check("*a", &["*a"], &["a"]);
        check("é+/{2}", &["éé/{2}"], &["é//"]);
        check("", &["", "x"], &[]);
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for (pattern, expected) in [
            ("a%", "malformed pattern (ends with '%')"),
            ("[a", "malformed pattern (missing ']')"),
            ("[%", "malformed pattern (missing ']')"),
            ("(a", "unfinished capture"),
            ("a)", "invalid pattern capture"),
            ("%bxy", "%b says what no regular expression can"),
            ("(a)%1", "%1 says what no regular expression can"),
        ] {
            assert_eq!(translated(pattern).unwrap_err(), expected, "{pattern}");
        }
    }
}
