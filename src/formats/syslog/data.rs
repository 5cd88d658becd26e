//! Structured data: elements in brackets, each with an id and parameters in quotes.

/// How long the structured data is that `bytes` begin with; `None` when it is not whole.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while bytes.get(at) == Some(&b'[') {
        at = element_end(bytes, at)?;
    }
    (at > 0).then_some(at)
}

/// Where the element ends that begins at `start`.
fn element_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b']', bytes.get(at..)?)?;
        if bytes[at] == b']' {
            return Some(at + 1);
        }
        at = value_end(bytes, at + 1)? + 1;
    }
}

/// Where the quote is that ends a value; one behind a backslash does not.
fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// A parameter of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The id of the element.
    pub id: &'a [u8],
    /// The name of the parameter.
    pub name: &'a [u8],
    /// The value as it is written; see [`Parameter::put_value`].
    pub written: &'a [u8],
}

impl Parameter<'_> {
    /// Appends the value: a backslash goes where it stands before a quote, a bracket or another.
    pub fn put_value(&self, out: &mut Vec<u8>) {
        let mut rest = self.written;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            let escaped = rest.get(at + 1).filter(|next| matches!(next, b'"' | b'\\' | b']'));
            out.push(escaped.copied().unwrap_or(b'\\'));
            rest = &rest[at + 1 + usize::from(escaped.is_some())..];
        }
        out.extend_from_slice(rest);
    }

    /// Tells whether the value is as it is written.
    pub fn is_plain(&self) -> bool {
        !self.written.contains(&b'\\')
    }
}

/// Goes through the parameters of all elements. An element without any gives one without a name.
#[derive(Clone, Debug)]
pub struct Parameters<'a> {
    rest: &'a [u8],
    id: &'a [u8],
    is_empty: bool,
}

impl<'a> Parameters<'a> {
    pub(super) fn of(data: &'a [u8]) -> Parameters<'a> {
        Parameters { rest: data, id: b"", is_empty: false }
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Parameter<'a>;

    fn next(&mut self) -> Option<Parameter<'a>> {
        loop {
            match self.rest {
                [b'[', rest @ ..] => {
                    let end = rest.iter().position(|byte| matches!(byte, b' ' | b']'))?;
                    self.id = &rest[..end];
                    self.rest = &rest[end..];
                    self.is_empty = true;
                }
                [b']', rest @ ..] => {
                    self.rest = rest;
                    if std::mem::take(&mut self.is_empty) {
                        return Some(Parameter { id: self.id, name: b"", written: b"" });
                    }
                }
                [b' ', rest @ ..] => self.rest = rest,
                [] => return None,
                rest => {
                    let quote = memchr::memchr2(b'"', b']', rest)?;
                    if rest[quote] == b']' {
                        self.rest = &rest[quote..];
                        continue;
                    }
                    let name = rest[..quote].strip_suffix(b"=").unwrap_or(&rest[..quote]);
                    let end = value_end(rest, quote + 1)?;
                    self.rest = &rest[end + 1..];
                    self.is_empty = false;
                    return Some(Parameter { id: self.id, name, written: &rest[quote + 1..end] });
                }
            }
        }
    }
}
