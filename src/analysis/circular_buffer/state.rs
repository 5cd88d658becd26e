//! A circular buffer as bytes, all numbers little-endian.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | 2, the version |
//! | 8 8 4 1 1 | rows, columns, seconds a row, keeps changes, format |
//! | 8 8 | interval of the newest row, its place |
//! | each column | length and bytes of name, of unit; aggregation |
//! | 8 each | the values, as they lie |
//! | 8 | number of changed rows, then each interval and its values |
//! | 8 | number of notes, then of each time, column, importance, whether it is a change, text |
//!
//! Version 1 ends before the notes.
//!
//! Heka's own form, which [`CircularBuffer::read_text`] takes, is a line of numbers: the time of
//! the newest row in seconds, its place, then the values as they lie, separated by blanks.

use std::collections::BTreeMap;

use super::Aggregation;
use super::Annotation;
use super::CircularBuffer;
use super::Error;
use super::Format;
use super::Header;
use super::Importance;

const VERSION: u8 = 2;
const WITHOUT_NOTES: u8 = 1;

/// At most so many notes are restored.
const MAX_NOTES: usize = 1024;

/// At most so many cells are restored; a buffer is held to less by the memory of its script.
const MAX_CELLS: usize = 1 << 30;

impl CircularBuffer {
    /// Appends the whole buffer to `out`.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&(self.rows as u64).to_le_bytes());
        out.extend_from_slice(&(self.columns as u64).to_le_bytes());
        out.extend_from_slice(&self.seconds_per_row.to_le_bytes());
        out.push(u8::from(self.changes.is_some()));
        out.push(u8::from(self.format == Format::Changes));
        out.extend_from_slice(&self.interval.to_le_bytes());
        out.extend_from_slice(&(self.newest as u64).to_le_bytes());
        for header in &self.headers {
            for text in [&header.name, &header.unit] {
                out.push(u8::try_from(text.len()).unwrap_or(0));
                out.extend_from_slice(text.as_bytes());
            }
            out.push(header.aggregation as u8);
        }
        for value in &self.values {
            out.extend_from_slice(&value.to_le_bytes());
        }
        let changes = self.changes.iter().flatten();
        let count = self.changes.as_ref().map_or(0, BTreeMap::len) as u64;
        out.extend_from_slice(&count.to_le_bytes());
        for (interval, row) in changes {
            out.extend_from_slice(&interval.to_le_bytes());
            for value in row {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        out.extend_from_slice(&(self.annotations.len() as u64).to_le_bytes());
        for note in &self.annotations {
            out.extend_from_slice(&note.ns.to_le_bytes());
            out.extend_from_slice(&u64::from(note.column).to_le_bytes());
            out.push(u8::from(note.importance == Importance::Alert));
            out.push(u8::from(note.is_change));
            out.extend_from_slice(&(note.text.len() as u64).to_le_bytes());
            out.extend_from_slice(note.text.as_bytes());
        }
    }

    /// Reads a buffer that was saved.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn load(state: &[u8]) -> Result<CircularBuffer, Error> {
        let mut reader = Reader { rest: state };
        reader.buffer().ok_or(Error::Damaged)
    }

    /// The rows, columns and keeping of changes of a buffer that was saved.
    #[must_use]
    pub fn saved_size(state: &[u8]) -> Option<(usize, usize, bool)> {
        let mut reader = Reader { rest: state };
        matches!(reader.byte()?, VERSION | WITHOUT_NOTES).then_some(())?;
        let (rows, columns) = (reader.size()?, reader.size()?);
        reader.take(4)?;
        Some((rows, columns, reader.byte()? != 0))
    }

    /// Takes over the content of a buffer of the same dimensions.
    ///
    /// # Errors
    /// When the bytes are damaged or of a buffer of other dimensions.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Error> {
        let size = CircularBuffer::saved_size(state).ok_or(Error::Damaged)?;
        if (size.0, size.1) != (self.rows, self.columns) {
            return Err(Error::Mismatch);
        }
        let saved = CircularBuffer::load(state)?;
        if saved.seconds_per_row != self.seconds_per_row {
            return Err(Error::Mismatch);
        }
        *self = saved;
        Ok(())
    }

    /// Takes over the content from the line of numbers that Heka preserved.
    ///
    /// # Errors
    /// When there are not as many numbers as this buffer has cells, or one is none.
    pub fn read_text(&mut self, text: &[u8]) -> Result<(), Error> {
        let text = std::str::from_utf8(text).map_err(|_| Error::Damaged)?;
        let mut words = text.split_ascii_whitespace();
        let mut whole = || words.next()?.parse::<i64>().ok();
        let (time, newest) = (whole().ok_or(Error::Damaged)?, whole().ok_or(Error::Damaged)?);
        let newest = usize::try_from(newest).ok().filter(|place| *place < self.rows);
        let newest = newest.ok_or(Error::Damaged)?;
        let mut values = Vec::with_capacity(self.values.len());
        for word in words {
            if values.len() == self.values.len() {
                return Err(Error::Mismatch);
            }
            values.push(word.parse().map_err(|_| Error::Damaged)?);
        }
        if values.len() != self.values.len() {
            return Err(Error::Mismatch);
        }
        self.interval = time.div_euclid(i64::from(self.seconds_per_row));
        self.newest = newest;
        self.values = values;
        self.forget_changes();
        Ok(())
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn word(&mut self) -> Option<[u8; 8]> {
        self.take(8)?.try_into().ok()
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.word()?)).ok()
    }

    fn values(&mut self, count: usize) -> Option<Vec<f64>> {
        let bytes = self.take(count.checked_mul(8)?)?;
        let (words, _) = bytes.as_chunks::<8>();
        Some(words.iter().map(|word| f64::from_le_bytes(*word)).collect())
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.byte()?);
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    fn header(&mut self) -> Option<Header> {
        let (name, unit) = (self.text()?, self.text()?);
        let aggregation = match self.byte()? {
            0 => Aggregation::Sum,
            1 => Aggregation::Min,
            2 => Aggregation::Max,
            3 => Aggregation::None,
            _ => return None,
        };
        Some(Header { name, unit, aggregation })
    }

    fn annotation(&mut self) -> Option<Annotation> {
        let ns = i64::from_le_bytes(self.word()?);
        let column = u32::try_from(self.size()?).ok()?;
        let importance = if self.byte()? == 0 { Importance::Info } else { Importance::Alert };
        let is_change = self.byte()? != 0;
        let length = self.size()?;
        let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
        Some(Annotation { ns, column, importance, text, is_change })
    }

    fn buffer(&mut self) -> Option<CircularBuffer> {
        let version = self.byte()?;
        matches!(version, VERSION | WITHOUT_NOTES).then_some(())?;
        let (rows, columns) = (self.size()?, self.size()?);
        let cells = rows.checked_mul(columns).filter(|cells| *cells <= MAX_CELLS)?;
        let seconds_per_row = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
        let (keeps_changes, prints_changes) = (self.byte()? != 0, self.byte()? != 0);
        let interval = i64::from_le_bytes(self.word()?);
        let newest = self.size().filter(|place| *place < rows)?;
        // A header takes three bytes at least, which bounds what is believed of the columns.
        (columns.checked_mul(3)? <= self.rest.len() && seconds_per_row > 0).then_some(())?;
        let headers = (0..columns).map(|_| self.header()).collect::<Option<Vec<_>>>()?;
        let values = self.values(cells)?;
        let mut changes = BTreeMap::new();
        for _ in 0..self.size()? {
            let interval = i64::from_le_bytes(self.word()?);
            changes.insert(interval, self.values(columns)?);
        }
        let notes = if version == VERSION { self.size()? } else { 0 };
        let notes = (notes <= MAX_NOTES).then_some(notes)?;
        let annotations = (0..notes).map(|_| self.annotation()).collect::<Option<Vec<_>>>()?;
        Some(CircularBuffer {
            annotations,
            rows,
            columns,
            seconds_per_row,
            headers,
            interval,
            newest,
            values,
            changes: keeps_changes.then_some(changes),
            format: if prints_changes { Format::Changes } else { Format::Full },
        })
    }
}
