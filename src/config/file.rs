//! A file of the configuration: its text as written, its text with `%ENV[NAME]` filled in, and the
//! way back from a place in the second to the first.
//!
//! Heka replaces `%ENV[NAME]` as text, before anything is parsed. So the parser counts in a text that
//! no one has seen, and a place is led back to the written one only when it is shown.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::Problem;

/// One file of the configuration.
pub struct File {
    name: String,
    written: String,
    text: String,
    replaced: Vec<Replaced>,
}

/// One `%ENV[NAME]`: where its value stands in the text, and where it stood as written.
struct Replaced {
    text: Range<usize>,
    written: Range<usize>,
}

impl File {
    /// Makes a file of its text, filling in each `%ENV[NAME]` by what `variable` answers; a name it
    /// does not know becomes nothing. A reference that does not close is reported and left as it is.
    pub(super) fn new(
        name: &str,
        written: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> (Arc<Self>, Vec<Problem>) {
        let mut file = Self {
            name: name.to_owned(),
            written: written.to_owned(),
            text: String::with_capacity(written.len()),
            replaced: Vec::new(),
        };
        let mistakes = file.fill_in(variable);
        let file = Arc::new(file);
        let problems = mistakes
            .into_iter()
            .map(|(span, message, help)| {
                // Up to the mistake the text is led back to exactly this place.
                Problem::error(message).at(&Place::new(&file, span)).help(help)
            })
            .collect();
        (file, problems)
    }

    /// Makes a file that is no configuration, a script say, so that mistakes in it can be shown.
    pub fn plain(name: &str, text: &str) -> Arc<Self> {
        let (name, text) = (name.to_owned(), text.to_owned());
        Arc::new(Self { name, written: text.clone(), text, replaced: Vec::new() })
    }

    fn fill_in(
        &mut self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Vec<(Range<usize>, String, &'static str)> {
        const OPEN: &str = "%ENV[";
        let mut mistakes = Vec::new();
        let mut done = 0;
        while let Some(found) = self.written[done..].find(OPEN) {
            let start = done + found;
            let name_start = start + OPEN.len();
            let name_end = self.written[name_start..]
                .find(|letter: char| letter == ']' || letter.is_whitespace())
                .map_or(self.written.len(), |length| name_start + length);
            self.text.push_str(&self.written[done..start]);
            let name = &self.written[name_start..name_end];
            if self.written[name_end..].starts_with(']') {
                let value = variable(name).unwrap_or_default();
                let text = self.text.len()..self.text.len() + value.len();
                self.text.push_str(&value);
                self.replaced.push(Replaced { text, written: start..name_end + 1 });
                done = name_end + 1;
                continue;
            }
            let at = self.text.len()..self.text.len() + (name_end - start);
            if self.written[name_end..].starts_with([' ', '\t']) {
                let message = format!("blank in the name of the environment variable `{name}`");
                mistakes.push((at, message, "write `%ENV[NAME]`, without blanks"));
            } else {
                let message = format!("`{OPEN}{name}` has no closing `]`");
                mistakes.push((at, message, "write `%ENV[NAME]`"));
            }
            self.text.push_str(&self.written[start..name_end]);
            done = name_end;
        }
        self.text.push_str(&self.written[done..]);
        mistakes
    }

    /// Returns the name the file is shown by, as a rule its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text as a person wrote it.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Returns the text that is parsed, with the environment filled in.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Leads a span of the parsed text back to the text as written. A span within a value that was
    /// filled in becomes the whole `%ENV[NAME]`.
    fn lead_back(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.lead_back_one(span.start, false);
        let end = self.lead_back_one(span.end, true).max(start);
        start..end
    }

    fn lead_back_one(&self, offset: usize, is_end: bool) -> usize {
        let before = self.replaced.partition_point(|replaced| replaced.text.start < offset);
        let mut offset = offset.min(self.text.len());
        if let Some(replaced) = before.checked_sub(1).and_then(|last| self.replaced.get(last)) {
            if offset < replaced.text.end {
                return if is_end { replaced.written.end } else { replaced.written.start };
            }
            offset = offset - replaced.text.end + replaced.written.end;
        }
        let mut offset = offset.min(self.written.len());
        while !self.written.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// Tells whether a span touches a value that was filled in.
    pub(super) fn is_filled_in(&self, span: &Range<usize>) -> bool {
        let touches = |replaced: &Replaced| {
            replaced.text.start < span.end.max(span.start + 1) && span.start < replaced.text.end
        };
        self.replaced.iter().any(touches)
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({})", self.name)
    }
}

/// A place in a file of the configuration.
#[derive(Clone)]
pub struct Place {
    file: Arc<File>,
    span: Range<usize>,
}

impl Place {
    /// Makes a place of a span, in bytes.
    pub fn new(file: &Arc<File>, span: Range<usize>) -> Self {
        Self { file: Arc::clone(file), span }
    }

    /// Returns the file it is in.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Returns the span of the text as written, in bytes.
    pub fn span(&self) -> Range<usize> {
        self.file.lead_back(&self.span)
    }

    /// Returns the span of the text that is parsed.
    pub(super) fn raw_span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Returns line and column, both counted from 1, the column in characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = &self.file.written[..self.span().start];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = before.split('\n').count();
        (line, before[line_start..].chars().count() + 1)
    }

    /// Narrows the place of a text value down to a part of it, given in bytes of `value`. Stays as it
    /// is when the value is written otherwise than it reads, with escapes for example.
    pub fn within(&self, value: &str, part: Range<usize>) -> Self {
        let raw = self.file.text.get(self.span.clone()).unwrap_or_default();
        match raw.find(value) {
            Some(start) if !value.is_empty() && part.end <= value.len() => {
                let start = self.span.start + start;
                Self::new(&self.file, start + part.start..start + part.end)
            }
            _ => self.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_and_column();
        write!(f, "{}:{line}:{column}", self.file.name)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}
