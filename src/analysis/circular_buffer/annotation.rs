//! Notes at cells of a circular buffer, which its text carries for graphs.

use super::CircularBuffer;

/// The most notes of a buffer; the oldest go first.
const MAX_NOTES: usize = 256;
/// The longest text, in bytes.
const MAX_TEXT: usize = 1024;

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Something to know.
    Info,
    /// Something to act on.
    Alert,
}

/// A note at a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Annotation {
    pub(super) ns: i64,
    pub(super) column: u32,
    pub(super) importance: Importance,
    pub(super) text: String,
    /// Whether it is yet to be printed with the changes.
    pub(super) is_change: bool,
}

impl CircularBuffer {
    /// Puts a note at a cell; false when the time is before the window, or the column not there. A text
    /// is cut at 1 KiB, and beyond 256 notes the oldest goes.
    pub fn annotate(
        &mut self,
        ns: i64,
        column: usize,
        importance: Importance,
        text: &str,
        is_change: bool,
    ) -> bool {
        let is_there = self.interval_of(ns) >= self.oldest() && self.checked(column).is_some();
        if is_there {
            if self.annotations.len() >= MAX_NOTES {
                self.annotations.remove(0);
            }
            let text = text[..text.floor_char_boundary(MAX_TEXT)].to_owned();
            let column = u32::try_from(column).unwrap_or(u32::MAX);
            self.annotations.push(Annotation { ns, column, importance, text, is_change });
        }
        is_there
    }

    /// The bytes that notes take now.
    #[must_use]
    pub fn annotation_bytes(&self) -> usize {
        let each = |note: &Annotation| size_of::<Annotation>() + note.text.len();
        self.annotations.iter().map(each).sum()
    }

    /// Forgets notes that are before the window.
    pub(super) fn forget_old_annotations(&mut self) {
        if !self.annotations.is_empty() {
            let oldest = self.oldest().saturating_mul(self.row_ns());
            self.annotations.retain(|note| note.ns >= oldest);
        }
    }

    /// Appends the notes to a header in JSON: those that go with what is printed.
    pub(super) fn print_annotations(&self, out: &mut Vec<u8>) {
        let only_changes = self.prints_changes();
        let mut comma: &[u8] = b",\"annotations\":[";
        for note in self.annotations.iter().filter(|note| !only_changes || note.is_change) {
            out.extend_from_slice(comma);
            comma = b",";
            let short = match note.importance {
                Importance::Info => "I",
                Importance::Alert => "A",
            };
            let (x, column) = (note.ns / 1_000_000, note.column + 1);
            out.extend_from_slice(
                format!("{{\"x\":{x},\"col\":{column},\"shortText\":\"{short}\",\"text\":")
                    .as_bytes(),
            );
            out.extend_from_slice(
                serde_json::Value::String(note.text.clone()).to_string().as_bytes(),
            );
            out.push(b'}');
        }
        if comma.len() == 1 {
            out.push(b']');
        }
    }
}
