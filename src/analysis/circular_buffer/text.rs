//! The text forms of a circular buffer.
//!
//! A line of JSON says what it is: `time` of the oldest row in seconds, `rows`, `columns`,
//! `seconds_per_row`, and name, unit and aggregation of each column. Then, values separated by
//! tabs and `nan` for empty cells,
//! - `cbuf`: all rows, oldest first;
//! - `cbufd`: the rows that changed, each with its time in front, oldest first.

use std::io::Write;

use super::CircularBuffer;
use super::Format;
use crate::stdx::decimal;

impl CircularBuffer {
    /// Appends the buffer as text; writes nothing for changes when there are none.
    pub fn print(&self, out: &mut Vec<u8>) {
        if self.format == Format::Full {
            self.print_header(out);
            for interval in self.oldest()..=self.interval {
                if let Some(row) = self.find(interval) {
                    print_row(out, &self.values[row..row + self.columns]);
                }
            }
            return;
        }
        let has_notes = self.annotations.iter().any(|note| note.is_change);
        let changes = self.changes.as_ref().filter(|changes| !changes.is_empty() || has_notes);
        let Some(changes) = changes else { return };
        self.print_header(out);
        for (interval, row) in changes {
            let mut digits = itoa::Buffer::new();
            out.extend_from_slice(digits.format(self.seconds(*interval)).as_bytes());
            out.push(b'\t');
            print_row(out, row);
        }
    }

    /// Forgets the changes, when they have been printed.
    pub fn forget_changes(&mut self) {
        if let Some(changes) = &mut self.changes {
            changes.clear();
        }
        for note in &mut self.annotations {
            note.is_change = false;
        }
    }

    /// Tells whether changes are what is printed.
    #[must_use]
    pub fn prints_changes(&self) -> bool {
        self.format == Format::Changes
    }

    fn seconds(&self, interval: i64) -> i64 {
        interval.saturating_mul(i64::from(self.seconds_per_row))
    }

    fn print_header(&self, out: &mut Vec<u8>) {
        let _ = write!(
            out,
            "{{\"time\":{},\"rows\":{},\"columns\":{},\"seconds_per_row\":{},\"column_info\":[",
            self.seconds(self.oldest()),
            self.rows,
            self.columns,
            self.seconds_per_row,
        );
        for (index, header) in self.headers.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(
                out,
                "{comma}{{\"name\":\"{}\",\"unit\":\"{}\",\"aggregation\":\"{}\"}}",
                header.name,
                header.unit,
                header.aggregation.name(),
            );
        }
        out.push(b']');
        self.print_annotations(out);
        out.extend_from_slice(b"}\n");
    }
}

fn print_row(out: &mut Vec<u8>, row: &[f64]) {
    for (index, value) in row.iter().enumerate() {
        if index > 0 {
            out.push(b'\t');
        }
        decimal::write(out, *value);
    }
    out.push(b'\n');
}
