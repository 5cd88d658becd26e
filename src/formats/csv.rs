//! Comma-separated values (RFC 4180), a record at a time.
//!
//! A value in quotes may hold delimiters, line ends and quotes, which are doubled. A quote within a
//! value that does not begin with one stands for itself.

use std::ops::Range;

/// What stands between values, and around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What stands between values.
    pub delimiter: u8,
    /// What stands around a value.
    pub quote: u8,
}

impl Default for Dialect {
    fn default() -> Dialect {
        Dialect { delimiter: b',', quote: b'"' }
    }
}

/// The values of a record; used again and again, so that nothing is allocated.
#[derive(Clone, Debug, Default)]
pub struct Row {
    values: Vec<Value>,
    /// The values that had quotes in them, one behind the other.
    unquoted: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Value {
    at: Range<usize>,
    /// Whether it lies in `unquoted`, and not in the record.
    is_unquoted: bool,
    /// Whether there were quotes around it.
    is_quoted: bool,
}

/// A quote is never closed, or text follows a closing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {0}: the quoted value does not end with a quote and a delimiter")]
pub struct Unbalanced(pub usize);

impl Row {
    /// Reads a record, without the end of the line.
    ///
    /// # Errors
    /// When a value in quotes does not end well.
    pub fn read(&mut self, record: &[u8], dialect: Dialect) -> Result<(), Unbalanced> {
        self.values.clear();
        self.unquoted.clear();
        let mut at = 0;
        loop {
            let end;
            if record.get(at) == Some(&dialect.quote) {
                end = self.read_quoted(record, at, dialect)?;
            } else {
                let length = memchr::memchr(dialect.delimiter, &record[at..]);
                end = length.map_or(record.len(), |length| at + length);
                self.values.push(Value { at: at..end, is_unquoted: false, is_quoted: false });
            }
            if end == record.len() {
                return Ok(());
            }
            at = end + 1;
        }
    }

    /// Reads the value in quotes that begins at `start`, and says where it ends.
    fn read_quoted(
        &mut self,
        record: &[u8],
        start: usize,
        dialect: Dialect,
    ) -> Result<usize, Unbalanced> {
        let unbalanced = Unbalanced(start + 1);
        let from = self.unquoted.len();
        let mut at = start + 1;
        let mut is_unquoted = false;
        loop {
            let length = memchr::memchr(dialect.quote, &record[at..]).ok_or(unbalanced)?;
            let end = at + length;
            if record.get(end + 1) == Some(&dialect.quote) {
                // A doubled quote stands for one.
                self.unquoted.extend_from_slice(&record[at..=end]);
                is_unquoted = true;
                at = end + 2;
                continue;
            }
            let place = if is_unquoted {
                self.unquoted.extend_from_slice(&record[at..end]);
                from..self.unquoted.len()
            } else {
                start + 1..end
            };
            self.values.push(Value { at: place, is_unquoted, is_quoted: true });
            return match record.get(end + 1) {
                None => Ok(end + 1),
                Some(byte) if *byte == dialect.delimiter => Ok(end + 1),
                Some(_) => Err(unbalanced),
            };
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Tells whether there is none; a record that was read has one at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value at `index` of the record that was read.
    #[must_use]
    pub fn value<'a>(&'a self, record: &'a [u8], index: usize) -> Option<&'a [u8]> {
        let value = self.values.get(index)?;
        let bytes = if value.is_unquoted { &self.unquoted } else { record };
        bytes.get(value.at.clone())
    }

    /// As [`Row::value`], with nothing for a value that is empty and without quotes.
    #[must_use]
    pub fn said<'a>(&'a self, record: &'a [u8], index: usize) -> Option<&'a [u8]> {
        let is_quoted = self.values.get(index)?.is_quoted;
        self.value(record, index).filter(|value| is_quoted || !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(record: &str) -> Result<Vec<String>, Unbalanced> {
        let mut row = Row::default();
        row.read(record.as_bytes(), Dialect::default())?;
        let value = |index| row.value(record.as_bytes(), index).unwrap();
        Ok((0..row.len()).map(|i| String::from_utf8_lossy(value(i)).into_owned()).collect())
    }

    fn check(record: &str, expected: &[&str]) {
        assert_eq!(read(record).unwrap(), expected, "{record}");
    }

    #[test]
    fn values_are_found_with_quotes_and_without() {
        check("a,b,c", &["a", "b", "c"]);
        check("", &[""]);
        check(",", &["", ""]);
        check("\"a,\"\"b\"\"\",\"\",\"x\ny\"", &["a,\"b\"", "", "x\ny"]);
        check("a\"b,c", &["a\"b", "c"]);
        assert_eq!(read("a,\"b"), Err(Unbalanced(3)));
        assert_eq!(read("\"a\"b,c"), Err(Unbalanced(1)));
    }

    #[test]
    fn nothing_and_an_empty_text_are_told_apart() {
        let mut row = Row::default();
        row.read(b",\"\"", Dialect::default()).unwrap();
        assert_eq!((row.said(b",\"\"", 0), row.said(b",\"\"", 1)), (None, Some(&b""[..])));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            values in prop::collection::vec(("[a-c,\"\n;]{0,6}", any::<bool>()), 1..6),
        ) {
            let mut record = String::new();
            let mut expected = Vec::new();
            for (index, (value, is_quoted)) in values.iter().enumerate() {
                let is_plain = !value.contains([',', '"', '\n']);
                if index > 0 {
                    record.push(',');
                }
                if *is_quoted || !is_plain {
                    record += &format!("\"{}\"", value.replace('"', "\"\""));
                } else {
                    record += value;
                }
                expected.push(value.clone());
            }
            prop_assert_eq!(read(&record).unwrap(), expected);
        }

        #[test]
        fn nothing_makes_it_panic(record in "[a,\"\n]{0,12}") {
            let _ = read(&record);
        }
    }
}
