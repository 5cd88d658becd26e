//! What is wrong with an expression, shown with the place.

use std::fmt;
use std::fmt::Formatter;
use std::ops::Range;

/// At most so many characters of the expression are shown.
const SHOWN: usize = 100;

/// A mistake in an expression.
///
/// It displays as several lines: what is wrong, the line of the expression, and carets under the
/// place with what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    expression: String,
    message: String,
    expected: String,
    span: Range<usize>,
}

impl Error {
    pub(super) fn new(
        expression: &str,
        span: Range<usize>,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Error {
        Error {
            expression: expression.to_owned(),
            message: message.into(),
            expected: expected.into(),
            span,
        }
    }

    /// What is wrong, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was expected at the place or would help; may be empty.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// The place, as bytes of the expression; empty at its end.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The expression.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The line with the mistake, what precedes the mistake in it, and the mistake.
    fn place(&self) -> (&str, &str, &str) {
        let text = &self.expression;
        let start = text.floor_char_boundary(self.span.start);
        let end = text.floor_char_boundary(self.span.end).max(start);
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let stop = text[start..].find('\n').map_or(text.len(), |at| start + at);
        (&text[begin..stop], &text[begin..start], &text[start..end.min(stop)])
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.expression.trim().is_empty() {
            let comma = if self.expected.is_empty() { "" } else { ", " };
            return write!(f, "{}{comma}{}", self.message, self.expected);
        }
        let (line, before, wrong) = self.place();
        let column = before.chars().count();
        let width = wrong.chars().count().clamp(1, SHOWN);
        // A long line is cut so that a third of what is shown lies before the mistake.
        let skipped =
            if line.chars().count() > SHOWN { column.saturating_sub(SHOWN / 3) } else { 0 };
        let shown: String = line
            .chars()
            .skip(skipped)
            .take(SHOWN)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let cut_before = if skipped > 0 { "…" } else { "" };
        let cut_behind = if line.chars().count() > skipped + SHOWN { "…" } else { "" };
        let indent = column - skipped + cut_before.chars().count();
        let carets = "^".repeat(width.min(SHOWN - (column - skipped).min(SHOWN - 1)));
        writeln!(f, "{}", self.message)?;
        writeln!(f, "  | {cut_before}{shown}{cut_behind}")?;
        write!(f, "  | {:indent$}{carets}", "")?;
        if !self.expected.is_empty() {
            write!(f, " {}", self.expected)?;
        }
        Ok(())
    }
}
