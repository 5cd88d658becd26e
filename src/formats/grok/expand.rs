//! An expression with all its patterns put in.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Error;
use super::patterns;

/// How deep patterns may be made of patterns.
const MAX_DEPTH: usize = 32;
/// The longest expression with all its patterns put in, in bytes.
const MAX_LENGTH: usize = 256 << 10;

/// What becomes of what is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Double,
    /// A truth value.
    Bool,
}

impl Kind {
    /// Reads a kind as it is written behind a name: `int`, `float`, `bool`, `string` and what others
    /// call them.
    #[must_use]
    pub fn named(written: &str) -> Option<Kind> {
        Some(match written {
            "int" | "integer" | "long" => Kind::Integer,
            "float" | "double" | "number" => Kind::Double,
            "bool" | "boolean" => Kind::Bool,
            "string" | "text" => Kind::Text,
            _ => return None,
        })
    }
}

/// Something that an expression captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// The name it is captured as.
    pub name: String,
    /// What becomes of it.
    pub kind: Kind,
    /// The number of its group.
    pub group: usize,
}

struct Expansion<'a> {
    own: &'a BTreeMap<String, String>,
    out: String,
    captured: Vec<Captured>,
    groups: usize,
    /// The names of the patterns that are being put in.
    open: Vec<String>,
}

pub(super) fn expand(
    expression: &str,
    own: &BTreeMap<String, String>,
) -> Result<(String, Vec<Captured>), Error> {
    let (out, captured, open) = (String::new(), Vec::new(), Vec::new());
    let mut expansion = Expansion { own, out, captured, groups: 0, open };
    expansion.put(expression)?;
    Ok((expansion.out, expansion.captured))
}

impl Expansion<'_> {
    fn put(&mut self, expression: &str) -> Result<(), Error> {
        let mut rest = expression;
        let mut is_class = false;
        while let Some(at) = rest.find(['%', '(', '\\', '[', ']']) {
            self.out.push_str(&rest[..at]);
            rest = &rest[at..];
            let mut taken = 1;
            match rest.as_bytes() {
                [b'%', b'{', ..] => taken = self.put_reference(rest)?,
                [b'\\', ..] => {
                    let escaped = rest[1..].chars().next().map_or(0, char::len_utf8);
                    taken = 1 + escaped;
                    self.out.push_str(&rest[..taken]);
                }
                [b'(', ..] if !is_class => taken = self.put_group(rest)?,
                [byte, ..] => {
                    is_class = match byte {
                        b'[' => true,
                        b']' => false,
                        _ => is_class,
                    };
                    self.out.push(char::from(*byte));
                }
                [] => break,
            }
            rest = &rest[taken..];
            if self.out.len() > MAX_LENGTH {
                return Err(Error::TooLarge);
            }
        }
        self.out.push_str(rest);
        Ok(())
    }

    /// Puts in what `%{NAME:field:kind}` stands for, and says how long that is.
    fn put_reference(&mut self, rest: &str) -> Result<usize, Error> {
        let Some(end) = rest.find('}') else {
            return Err(Error::Unknown(rest[2..].to_owned()));
        };
        let mut parts = rest[2..end].splitn(3, ':');
        let name = parts.next().unwrap_or_default();
        let field = parts.next().filter(|field| !field.is_empty());
        let kind = parts.next().map_or(Ok(Kind::Text), |kind| {
            Kind::named(kind).ok_or_else(|| Error::Kind(kind.to_owned()))
        })?;
        if self.open.iter().any(|open| open == name) || self.open.len() >= MAX_DEPTH {
            return Err(Error::Endless(name.to_owned()));
        }
        let pattern = self.own.get(name).map(String::as_str).or_else(|| patterns::known(name));
        let pattern = pattern.ok_or_else(|| Error::Unknown(name.to_owned()))?.to_owned();
        match field {
            Some(field) => self.open_group(field, kind),
            None => self.out.push_str("(?:"),
        }
        self.open.push(name.to_owned());
        self.put(&pattern)?;
        self.open.pop();
        self.out.push(')');
        Ok(end + 1)
    }

    /// Puts in the start of a group, and says how much of the expression that is.
    fn put_group(&mut self, rest: &str) -> Result<usize, Error> {
        let behind = &rest[1..];
        if !behind.starts_with('?') {
            // A group without a name captures nothing: it only holds together.
            self.out.push_str("(?:");
            return Ok(1);
        }
        for atomic in ["?>", "?|"] {
            if behind.starts_with(atomic) {
                self.out.push_str("(?:");
                return Ok(1 + atomic.len());
            }
        }
        let is_around =
            ["?=", "?!", "?<=", "?<!", "?("].iter().any(|look| behind.starts_with(look));
        if is_around {
            return Err(Error::LooksAround(rest.chars().take(12).collect()));
        }
        for start in ["?<", "?P<", "?'"] {
            let Some(named) = behind.strip_prefix(start) else { continue };
            let Some(end) = named.find(['>', '\'']) else { continue };
            self.open_group(&named[..end], Kind::Text);
            return Ok(1 + start.len() + end + 1);
        }
        self.out.push('(');
        Ok(1)
    }

    /// Opens a group that is captured. Fields may have names that groups cannot have.
    fn open_group(&mut self, field: &str, kind: Kind) {
        self.groups += 1;
        let group = self.groups;
        let _ = write!(self.out, "(?<g{group}>");
        self.captured.push(Captured { name: field.to_owned(), kind, group });
    }
}
